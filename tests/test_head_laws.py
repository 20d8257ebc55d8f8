"""Laws of head fine-tuning, against fine-tuning on small made-up features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from ptft_jax import head, head_laws, risk, types
from ptft_jax.means import model as means_model
from ptft_jax.means import pretrain as means_pretrain
from ptft_jax.model import Decision, rms_norm
from ptft_jax.worlds import WORLDS, gaussian_means, lognormal

SETS = 2000
WORLD = WORLDS["lognormal"]


def made_up(n=40, d=3, seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    hidden = rms_norm(jax.random.normal(keys[0], (n, d)))
    scale = jnp.exp(0.3 * jax.random.normal(keys[1], (n,)))
    base = 1.0 + scale * (hidden @ jnp.linspace(-0.4, 0.6, d))
    return Decision(base, scale, hidden, jnp.zeros(n))


def moments(n=40, seed=1):
    rng = np.random.default_rng(seed)
    return 1.0 + rng.standard_normal(n), np.linspace(0.1, 3.0, n)


def agrees(values, predicted):
    return abs(values.mean() - predicted) < 4.0 * values.std() / len(values) ** 0.5


def portfolio(n, seed=2):
    """Lognormal instances, and made-up decisions near their medians."""
    law = lognormal.Law(*map(jnp.float32, (1.0, 0.4, 0.5)))
    instances = lognormal.sample_instances(jax.random.key(seed), law, n)
    theta = instances.theta - 1.0
    hidden = jnp.stack([jnp.ones(n), theta, jnp.cos(3.0 * theta)], -1)
    scale = jnp.exp(1.0 + 0.8 * theta)
    decision = Decision(0.8 * scale, scale, rms_norm(hidden), jnp.zeros(n))
    return instances, decision


@pytest.mark.parametrize("penalty", [1e-3, 0.5, 20.0])
def test_ridge_law_is_what_fine_tuning_gives(penalty):
    # No head of three weights explains the means: the law must not need it.
    decision, (mean, variance) = made_up(), moments()
    rng = np.random.default_rng(3)
    labels = mean[:, None] + np.sqrt(variance)[:, None] * rng.standard_normal(
        (40, SETS)
    )
    law = head_laws.ridge(decision, mean, variance, penalty)
    excess = head_laws.ridge_excess(decision, mean, labels, penalty)
    assert agrees(excess, law.unequal)
    wrong = head_laws.ridge(decision, 1.6 * mean, 1.6 * variance, penalty)
    assert not agrees(excess, wrong.unequal)
    assert law.unequal < law.pretrain or penalty < 1.0
    assert (excess > -1e-9).all()  # over the best head


def test_ridge_law_of_equal_variances_is_one_number():
    decision, (mean, _) = made_up(), moments()
    law = head_laws.ridge(decision, mean, np.full(40, 0.7), 0.1)
    assert law.equal == pytest.approx(law.unequal, rel=1e-12)
    skewed = head_laws.ridge(decision, mean, 0.7 * np.asarray(decision.scale), 0.1)
    assert abs(skewed.equal / skewed.unequal - 1.0) > 0.02


def test_ridge_head_is_the_minimiser():
    decision, (mean, _) = made_up(), moments()
    phi = head_laws.design(decision)
    residual = mean - np.asarray(decision.base)
    value = lambda u: ((residual - phi @ u) ** 2).mean() + 0.3 * u @ u
    found = head_laws.ridge_heads(jnp.asarray(phi), jnp.asarray(residual)[:, None], 0.3)
    best = optimize.minimize(value, np.zeros(3)).x
    np.testing.assert_allclose(found[:, 0], best, atol=1e-4)


def test_ridge_law_on_the_features_of_a_network():
    law = gaussian_means.Law(*map(jnp.float32, (0.5, 1.0, 1.5)))
    network = means_model.MeansNetwork(width=8, num_latents=2)
    params = jax.jit(means_pretrain.init_params, static_argnums=0)(
        network, jax.random.key(0)
    )
    instances = gaussian_means.sample_instances(jax.random.key(1), law, 30)
    draw = lambda key, k: gaussian_means.sample_observations(key, instances, k)
    data = types.portfolio(draw(jax.random.key(2), 2), 0.5)
    decision = jax.jit(network.apply)(params, data, law.noise)
    labels = np.asarray(draw(jax.random.key(3), SETS))
    theta = np.asarray(instances.theta, np.float64)
    excess = head_laws.ridge_excess(decision, theta, labels, 0.05)
    predicted = head_laws.ridge(decision, theta, np.full(30, 1.5**2), 0.05)
    assert agrees(excess, predicted.unequal)
    assert not agrees(excess, 1.15 * predicted.unequal)


def test_best_head_has_no_slope_and_is_found_by_another_minimiser():
    instances, decision = portfolio(60)
    quantile = jnp.full(60, 0.8)
    law = head_laws.sandwich(WORLD, instances, decision, quantile)

    def value(u):
        x = risk.apply_head(decision, jnp.asarray(u, jnp.float32))
        cost = WORLD.expected_cost(instances, x, quantile)
        return float(cost.mean() / decision.scale.mean())

    found = optimize.minimize(value, np.zeros(3), method="Nelder-Mead")
    assert value(law.best) <= found.fun + 1e-5
    assert law.pretrain == pytest.approx(value(np.zeros(3)) - found.fun, abs=1e-4)


draw = jax.jit(lognormal.sample_demand, static_argnums=2)


@pytest.fixture(scope="module")
def fitted():
    """Excess of fitted heads at n = 1500, unpenalised and pulled."""
    instances, decision = portfolio(1500)
    quantile = jnp.full(1500, 0.8)
    labels = draw(jax.random.key(4), instances, 120)
    out = {}
    for penalty in (0.0, 0.05):
        law = head_laws.sandwich(WORLD, instances, decision, quantile, penalty)
        given = (WORLD, instances, decision, quantile, labels, law.best, penalty)
        out[penalty] = law, head_laws.sandwich_excess(*given)
    return out


@pytest.mark.parametrize("penalty", [0.0, 0.05])
def test_sandwich_law_is_what_fine_tuning_gives(fitted, penalty):
    law, excess = fitted[penalty]
    assert agrees(excess, law.predicted)
    assert excess.min() > -1e-7


def test_sandwich_law_sees_the_penalty(fitted):
    unpenalised, pulled = fitted[0.0], fitted[0.05]
    assert not agrees(unpenalised[1], pulled[0].predicted)
    assert not agrees(pulled[1], unpenalised[0].predicted)


def test_sandwich_law_falls_as_one_over_n():
    value = []
    for n in (60, 1500):
        instances, decision = portfolio(n)
        law = head_laws.sandwich(WORLD, instances, decision, jnp.full(n, 0.8))
        value.append(law.predicted)
    assert value[0] / value[1] == pytest.approx(25.0, rel=0.3)


def test_leading_directions_are_white_and_span_the_features():
    decision = made_up(d=4)
    scale = np.asarray(decision.scale, np.float64)
    white = head_laws.leading(decision, 4)
    gram = (white.hidden.T * scale) @ white.hidden / 40
    np.testing.assert_allclose(gram, np.eye(4), atol=1e-10)
    map_, *_ = np.linalg.lstsq(white.hidden, np.asarray(decision.hidden, np.float64))
    np.testing.assert_allclose(white.hidden @ map_, decision.hidden, atol=1e-5)
    assert head_laws.leading(decision, 2).hidden.shape == (40, 2)
    with pytest.raises(ValueError, match=r"rank = 5 is not in \[1, 4\]"):
        head_laws.leading(decision, 5)


def test_a_penalty_of_the_head_pulls_it_and_its_certificate_holds():
    instances, decision = portfolio(200)
    quantile, ones = jnp.full(200, 0.8), jnp.ones(200)
    label = draw(jax.random.key(5), instances, 1).T
    rows = risk.Rows(jax.tree.map(lambda x: x[None], decision), label, ones[None])
    radius = jnp.array(100.0)
    solve = jax.jit(lambda p: head.solve(rows, quantile, ones, radius, 300, penalty=p))
    norms = [float(jnp.linalg.norm(solve(p).head)) for p in (0.0, 0.01, 0.1, 1.0)]
    assert norms == sorted(norms, reverse=True)
    found = solve(0.1)

    def value(u):
        x = risk.apply_head(decision, jnp.asarray(u, jnp.float32))
        cost = jnp.maximum(0.8 * (label[0] - x), -0.2 * (label[0] - x))
        return float(cost.mean() / decision.scale.mean()) + 0.05 * float(u @ u)

    best = optimize.minimize(value, np.asarray(found.head), method="Nelder-Mead").fun
    assert found.objective == pytest.approx(value(np.asarray(found.head)), rel=1e-4)
    assert value(np.asarray(found.head)) <= best + 2e-3
