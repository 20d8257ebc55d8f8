"""The means network: equivariances, padding, frozen context, head, and training."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import checkpoint, pretrain, risk, types
from ptft_jax.means import model as means_model
from ptft_jax.means import pretrain as means_pretrain
from ptft_jax.worlds import gaussian_means, means_posterior

NETWORK = means_model.MeansNetwork(width=16, num_latents=4)
CONFIG = pretrain.PretrainConfig(
    num_steps=60, shapes=((8, 8, 2),), chunk=20, learning_rate=1e-2
)
NOISE = jnp.array(1.5)


@jax.jit
def apply(params, portfolio, noise, context=None):
    return NETWORK.apply(params, portfolio, noise, context)


@pytest.fixture(scope="module")
def params():
    """Random everywhere, so that no property holds because a layer starts at 0."""
    fresh = jax.jit(means_pretrain.init_params, static_argnums=0)(
        NETWORK, jax.random.key(0)
    )
    leaves, tree = jax.tree.flatten(fresh)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [
        x + 0.3 * jax.random.normal(k, x.shape)
        for x, k in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(tree, moved)


def ragged(seed=0, n=12):
    rng = np.random.default_rng(seed)
    data = rng.normal(1.0, 2.0, (n, 5)) + rng.normal(0.0, 2.0, (n, 1))
    data[np.arange(5) >= rng.integers(1, 6, (n, 1))] = np.nan
    return types.portfolio(jnp.asarray(data, jnp.float32), 0.5)


def move(portfolio, factor, shift):
    seen = jnp.where(portfolio.valid, factor * portfolio.observations + shift, 0.0)
    return portfolio._replace(observations=seen)


def test_permuting_instances_permutes_decisions(params):
    data, order = ragged(), np.random.default_rng(0).permutation(12)
    shuffled = jax.tree.map(lambda leaf: leaf[order], data)
    found = apply(params, shuffled, NOISE)
    straight = jax.tree.map(lambda leaf: leaf[order], apply(params, data, NOISE))
    chex.assert_trees_all_close(found, straight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 40.0])
@pytest.mark.parametrize("shift", [0.0, -7.0])
def test_moving_and_scaling_the_portfolio_moves_and_scales_decisions(
    params, factor, shift
):
    data, unit = ragged(), factor
    before = apply(params, data, NOISE)
    after = apply(params, move(data, factor, factor * shift), factor * NOISE)
    np.testing.assert_allclose(
        after.base, factor * (before.base + shift), atol=2e-3 * unit
    )
    np.testing.assert_allclose(after.scale, factor * before.scale, rtol=1e-5)
    np.testing.assert_allclose(after.hidden, before.hidden, atol=5e-3)
    # the noise is part of what is scaled
    wrong = apply(params, move(data, 40.0, 0.0), NOISE)
    assert np.abs(wrong.base - 40.0 * before.base).max() > 1.0


def test_padding_changes_no_decision(params):
    data = ragged()
    widen = lambda leaf: jnp.concatenate([leaf, jnp.zeros_like(leaf[:3])])
    padded = jax.tree.map(widen, data)
    found = apply(params, padded, NOISE)
    chex.assert_trees_all_close(
        jax.tree.map(lambda leaf: leaf[:12], found),
        apply(params, data, NOISE),
        rtol=1e-3,
        atol=1e-4,
    )
    stats = means_model.statistics(data, NOISE)
    np.testing.assert_allclose(found.base[12:], stats.center, rtol=1e-4)


def test_decisions_lie_between_the_mean_and_the_center_and_features_have_norm(params):
    data = ragged()
    found = apply(params, data, NOISE)
    mean, variance = means_posterior.averages(data, NOISE)
    center = means_model.statistics(data, NOISE).center
    share = (mean - found.base) / (mean - center)
    assert ((share > 0.0) & (share < 1.0)).all()
    np.testing.assert_allclose(found.scale**2, variance, rtol=1e-5)
    np.testing.assert_allclose(jnp.linalg.norm(found.hidden, axis=-1), 4.0, rtol=1e-5)
    u = jnp.ones(16) / 16.0
    moved = risk.apply_head(found, u) - found.base
    assert (jnp.abs(moved) <= found.scale * 4.0 * jnp.linalg.norm(u) + 1e-5).all()


def test_a_frozen_context_is_what_is_attended_to(params):
    data, other = ragged(), ragged(seed=5, n=20)
    context = jax.jit(functools.partial(NETWORK.apply, method="tokens"))(
        params, data, NOISE
    )[1]
    chex.assert_trees_all_close(
        apply(params, data, NOISE, context),
        apply(params, data, NOISE),
        rtol=1e-4,
        atol=1e-5,
    )
    # With the context frozen an instance's decision does not see the others.
    few = jax.tree.map(lambda leaf: leaf[:4], other)
    np.testing.assert_allclose(
        apply(params, few, NOISE, context).base,
        apply(params, other, NOISE, context).base[:4],
        rtol=1e-3,
        atol=1e-4,
    )
    assert (
        jnp.abs(
            apply(params, few, NOISE).base - apply(params, other, NOISE).base[:4]
        ).max()
        > 0.01
    )


def test_statistics_of_equal_variances_by_hand():
    # x̄ = 0, 2, 4, 10: center 4, S = 16 + 4 + 0 + 36 = 56; v = 2, so T = 56/(3·2).
    data = types.portfolio(jnp.array([[0.0], [2.0], [4.0], [10.0]]), 0.5)
    stats = means_model.statistics(data, 2.0**0.5)
    np.testing.assert_allclose(stats.center, 4.0, rtol=1e-6)
    np.testing.assert_allclose(stats.variance, 2.0, rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(stats.log_ratio), 56.0 / 6.0, rtol=1e-5)
    np.testing.assert_allclose(stats.excess, 56.0 / 6.0 - 1.0, rtol=1e-5)


def test_the_link_tends_to_the_positive_part_rule():
    stats = means_model.Statistics(*map(jnp.array, (2000.0, 1.0, 1.0, 0.7)))
    mean, variance, none = jnp.array([3.0, -2.0]), jnp.ones(2), jnp.zeros(2)
    shrink = lambda stats, g: NETWORK.shrink(mean, variance, g, stats)
    exact = 1.0 + (1.0 - np.exp(-0.7)) * (mean - 1.0)
    np.testing.assert_allclose(shrink(stats, none), exact, rtol=1e-5)
    less = stats._replace(log_ratio=jnp.array(-0.7))
    np.testing.assert_allclose(shrink(less, none), 1.0, atol=1e-5)
    further = shrink(stats, none + 1.0)
    assert (jnp.abs(further - mean) < jnp.abs(exact - mean)).all()


def test_pretraining_brings_it_nearer_hierarchical_bayes():
    run = lambda: pretrain.run(
        NETWORK, CONFIG, jax.random.key(3), **means_pretrain.KIND
    )
    trained, trace = run()
    assert trace[-1] < 0.7 * trace[0]
    chex.assert_trees_all_equal(run()[0], trained)


def test_the_loss_of_hierarchical_bayes_is_zero_and_that_of_the_mean_is_not():
    draw = lambda key: means_pretrain.sample_example(key, 8, 2)
    example = jax.jit(draw)(jax.random.key(2))
    loss = lambda rule: float(
        means_pretrain.regret_loss(rule(example.portfolio, example.noise), example)
    )
    assert loss(means_posterior.hierarchical_bayes) < 1e-9
    assert loss(lambda *args: means_posterior.averages(*args)[0]) > 0.1


def test_examples_have_a_known_variance_near_one():
    draw = lambda key: means_pretrain.sample_example(key, 6, 4)
    examples = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(7), 200))
    v = jax.vmap(means_posterior.averages)(examples.portfolio, examples.noise)[1]
    present = np.asarray(examples.portfolio.present)
    counts = np.asarray(examples.portfolio.num_observed)
    same = np.array([len(set(c[p])) == 1 for c, p in zip(counts, present, strict=True)])
    np.testing.assert_allclose(np.asarray(v)[same][present[same]], 1.0, rtol=1e-5)
    assert 0.6 < same.mean() < 0.9
    assert present.sum(1).min() == 3
    assert 0.3 < (present.sum(1) == 6).mean() < 0.8
    low, high = gaussian_means.SPREAD_RANGE
    assert float(examples.law.spread.min()) >= low
    assert float(examples.law.spread.max()) <= high


def test_weights_survive_the_file_and_are_not_taken_for_another_network(
    params, tmp_path
):
    path = tmp_path / "means.safetensors"
    checkpoint.save_network(path, NETWORK, params, seed=0)
    network, loaded, info = checkpoint.load_network(
        path, means_model.MeansNetwork, means_pretrain.init_params
    )
    assert network == NETWORK
    assert info == {"seed": 0}
    chex.assert_trees_all_equal(loaded, params)
    with pytest.raises(ValueError, match="holds a MeansNetwork, Network expected"):
        checkpoint.load_network(path)
