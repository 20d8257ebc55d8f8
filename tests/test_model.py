import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import model, risk, types

NETWORK = model.Network(width=16, observation_width=8, num_latents=4, heads=2)
decide = jax.jit(risk.decide, static_argnums=0)


@pytest.fixture(scope="module")
def policy():
    data = types.portfolio(jnp.ones((3, 2)), 0.5)
    params = jax.jit(NETWORK.init)(jax.random.key(0), data)
    return risk.single(NETWORK, params)


def demands(n=12, m=5, seed=1, missing=0.2):
    rng = np.random.default_rng(seed)
    data = rng.lognormal(1.0, 0.6, (n, m)) * rng.lognormal(0.0, 0.5, (n, 1))
    data[:, 2:][rng.uniform(size=(n, m - 2)) < missing] = np.nan
    return types.portfolio(jnp.asarray(data, jnp.float32), 0.9)


def test_permuting_instances_permutes_decisions(policy):
    data, order = demands(), np.random.default_rng(0).permutation(12)
    shuffled = jax.tree.map(lambda leaf: leaf[order], data)
    chex.assert_trees_all_close(
        decide(NETWORK, policy, shuffled),
        decide(NETWORK, policy, data)[order],
        rtol=1e-4,
    )


def test_permuting_observations_changes_nothing(policy):
    data, order = demands(), np.random.default_rng(0).permutation(5)
    shuffled = data._replace(
        observations=data.observations[:, order], valid=data.valid[:, order]
    )
    before, after = decide(NETWORK, policy, data), decide(NETWORK, policy, shuffled)
    chex.assert_trees_all_close(before, after, rtol=1e-4)


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e5])
def test_scaling_observations_scales_decisions(policy, factor):
    data = demands()
    scaled = data._replace(observations=data.observations * factor)
    chex.assert_trees_all_close(
        decide(NETWORK, policy, scaled),
        factor * decide(NETWORK, policy, data),
        rtol=1e-3,
    )


def test_scaling_counts_scales_decisions(policy):
    counts = jnp.asarray(np.random.default_rng(3).poisson(0.7, (20, 6)), jnp.float32)
    data = types.portfolio(counts, 0.8)
    scaled = data._replace(observations=data.observations * 0.37)
    chex.assert_trees_all_close(
        decide(NETWORK, policy, scaled), 0.37 * decide(NETWORK, policy, data), rtol=1e-3
    )


def test_padding_changes_nothing(policy):
    data = demands()
    pad = lambda leaf: jnp.pad(leaf, [(0, 4)] + [(0, 3)] * (leaf.ndim - 1))
    padded = jax.tree.map(pad, data)._replace(quantile=jnp.full(16, 0.9))
    chex.assert_trees_all_close(
        decide(NETWORK, policy, padded)[:12], decide(NETWORK, policy, data), rtol=1e-4
    )


def test_last_features_have_norm_root_d(policy):
    params = jax.tree.map(lambda leaf: leaf[0], policy.params)
    hidden = jax.jit(NETWORK.apply)(params, demands()).hidden
    np.testing.assert_allclose(np.linalg.norm(hidden, axis=1), 4.0, rtol=1e-5)


def test_a_portfolio_as_its_own_context_is_the_default(policy):
    data = demands()
    chex.assert_trees_all_close(
        decide(NETWORK, policy, data, data), decide(NETWORK, policy, data), rtol=1e-5
    )


def test_an_instance_is_decided_alone_given_its_context(policy):
    data = demands()
    first = jax.tree.map(lambda leaf: leaf[:1], data)
    chex.assert_trees_all_close(
        decide(NETWORK, policy, first, data),
        decide(NETWORK, policy, data)[:1],
        rtol=1e-4,
    )


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_degenerate_portfolios_get_finite_decisions(policy, value):
    data = types.portfolio(jnp.full((4, 3), value), 0.9)
    x = decide(NETWORK, policy, data)
    assert np.isfinite(x).all()
    assert (x >= 0).all()


def test_one_observation_is_enough(policy):
    x = decide(NETWORK, policy, types.portfolio(jnp.array([[2.0], [3.0]]), 0.9))
    assert np.isfinite(x).all()
    assert (x > 0).all()


def test_jit_agrees_with_eager(policy):
    data = demands(6)
    chex.assert_trees_all_close(
        decide(NETWORK, policy, data), risk.decide(NETWORK, policy, data), rtol=1e-4
    )


def test_vmap_agrees_with_a_loop(policy):
    portfolios = [demands(seed=seed) for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *portfolios)
    batched = jax.jit(jax.vmap(lambda data: risk.decide(NETWORK, policy, data)))(
        stacked
    )
    looped = jnp.stack([decide(NETWORK, policy, data) for data in portfolios])
    chex.assert_trees_all_close(batched, looped, rtol=1e-4)


def test_decisions_do_not_depend_on_the_order_of_heads_and_mean(policy):
    twice = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), policy)
    data = demands()
    chex.assert_trees_all_close(
        decide(NETWORK, twice, data), decide(NETWORK, policy, data), rtol=1e-5
    )
