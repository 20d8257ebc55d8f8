"""Bayes decisions: known cases, no better neighbour, limits and symmetries."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ptft_jax import oracle
from ptft_jax.types import Portfolio, enable_x64
from ptft_jax.worlds import WORLDS, gamma_poisson, lognormal

# few shapes, as each is a compile
SMALL, LARGE = (4, 3), (1000, 4)
CONJUGATE = pytest.mark.parametrize("name", ["gamma_poisson", "lognormal"])


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def sample(world, seed, n, m):
    """A law, its instances and their data, ragged."""
    law_key, row_key, data_key, valid_key = jax.random.split(jax.random.key(seed), 4)
    law = world.sample_law(law_key)
    instances = world.sample_instances(row_key, law, n)
    data = world.sample_demand(data_key, instances, m)
    fewest = max(m // 2, 1)
    length = jax.random.randint(valid_key, (n, 1), fewest, m + 1)
    valid = jnp.arange(m) < length
    data = jnp.where(valid, data, 0.0)
    return law, instances, Portfolio(data, valid, jnp.full(n, 0.9))


def test_gamma_poisson_is_the_negative_binomial_quantile():
    law = gamma_poisson.Law(jnp.float32(2.0), jnp.float32(4.0))
    data = jnp.array([[3.0, 5.0, 1.0], [0.0, 0.0, 0.0], [40.0, 38.0, 0.0]])
    valid = jnp.array([[True] * 3, [True] * 3, [True, True, False]])
    q = jnp.array([0.9, 0.5, 0.99])
    x = oracle.bayes(gamma_poisson.WORLD, law, Portfolio(data, valid, q))
    # b = a/μ = ½; size a + S, success (b + m)/(b + m + 1)
    size, rate = 2.0 + np.array([9.0, 0.0, 78.0]), 0.5 + np.array([3, 3, 2])
    np.testing.assert_array_equal(x, stats.nbinom(size, rate / (rate + 1.0)).ppf(q))


def test_lognormal_is_the_predictive_quantile():
    law = lognormal.Law(*map(jnp.float32, (1.0, 0.5, 0.8)))
    data = jnp.array([[2.0, 5.0], [3.0, 0.0]])
    valid = jnp.array([[True, True], [True, False]])
    q = np.array([0.9, 0.3])
    x = oracle.bayes(lognormal.WORLD, law, Portfolio(data, valid, jnp.asarray(q)))
    m, mean = np.array([2, 1]), np.array([np.log(10.0) / 2.0, np.log(3.0)])
    variance = 1.0 / (1.0 / 0.25 + m / 0.64)
    theta = variance * (1.0 / 0.25 + m * mean / 0.64)
    law = stats.lognorm(np.sqrt(0.64 + variance), scale=np.exp(theta))
    np.testing.assert_allclose(x, law.ppf(q), rtol=1e-5)


@pytest.mark.parametrize("name", ["gamma_poisson", "lognormal", "contaminated"])
def test_bayes_beats_its_perturbations(name):
    world = WORLDS[name]
    for seed in (0, 1):
        law, instances, portfolio = sample(world, seed, *LARGE)
        cost = functools.partial(oracle.expected_cost, world, instances, quantile=0.9)
        best = oracle.bayes(world, law, portfolio)
        for factor, shift in ((0.85, 0.0), (1.15, 0.0), (1.0, -1.0), (1.0, 1.0)):
            worse = cost(x=factor * best + shift) - cost(x=best)
            # never better by more than 4 s.e.
            assert worse.mean() > -4.0 * worse.std() / np.sqrt(len(worse))


@CONJUGATE
def test_hierarchical_bayes_tends_to_bayes(name):
    world = WORLDS[name]

    def regret(n, m, seed):
        law, instances, portfolio = sample(world, seed, n, m)
        cost = lambda x: oracle.expected_cost(world, instances, x, 0.9).sum()
        known = cost(oracle.bayes(world, law, portfolio))
        return cost(oracle.hierarchical_bayes(world, portfolio)) / known - 1.0

    few = np.mean([regret(*SMALL, seed) for seed in range(40)])
    many = np.mean([regret(*LARGE, seed) for seed in range(40, 42)])
    assert few > 0.01
    assert abs(many) < 0.005


@CONJUGATE
def test_hierarchical_bayes_is_the_dense_grid(name):
    """Brute force over 80 × 80 laws (and 81 levels μ), four instances."""
    world = WORLDS[name]
    _, _, portfolio = sample(world, 3, *SMALL)
    with enable_x64(True):
        portfolio = jax.tree.map(jnp.asarray, portfolio)
        portfolio = portfolio._replace(
            observations=portfolio.observations.astype(jnp.float64),
            quantile=jnp.full(4, 0.9, jnp.float64),
        )
        log_grid = lambda low, high, k: jnp.exp(
            jnp.log(low) + jnp.log(high / low) * (jnp.arange(k) + 0.5) / k
        )
        if name == "gamma_poisson":
            axes = (
                log_grid(*gamma_poisson.SHAPE_RANGE, 80),
                log_grid(*gamma_poisson.MEAN_RANGE, 80),
            )
            log_prior, make = jnp.zeros(()), gamma_poisson.Law
        else:
            z = jnp.linspace(-5.0, 5.0, 81)
            level = lognormal.LEVEL_MEAN + lognormal.LEVEL_SD * z
            axes = (
                level,
                log_grid(*lognormal.SPREAD_RANGE, 40),
                log_grid(*lognormal.NOISE_RANGE, 40),
            )
            log_prior, make = -(z[:, None, None] ** 2) / 2.0, lognormal.Law
        laws = make(*(leaf.ravel() for leaf in jnp.meshgrid(*axes, indexing="ij")))
        evidence = jax.vmap(lambda law: world.log_evidence(law, portfolio).sum())(laws)
        shape = tuple(len(axis) for axis in axes)
        weight = jax.nn.softmax((evidence.reshape(shape) + log_prior).ravel())
        x = jax.jit(world.hierarchical_bayes)(portfolio)
        cdf = jax.vmap(
            lambda law, x: world.predictive_cdf(law, portfolio, x), (0, None)
        )
        if name == "gamma_poisson":
            assert (weight @ cdf(laws, x) >= 0.9 - 1e-4).all()
            assert (weight @ cdf(laws, x - 1.0) < 0.9 + 1e-4).all()
        else:
            np.testing.assert_allclose(weight @ cdf(laws, x), 0.9, atol=1e-3)


@CONJUGATE
def test_permuting_instances_permutes_decisions(name):
    world = WORLDS[name]
    law, _, portfolio = sample(world, 2, *SMALL)
    order = jnp.array([2, 0, 3, 1])
    permuted = jax.tree.map(lambda leaf: leaf[order], portfolio)
    for decide in (
        lambda p: oracle.bayes(world, law, p),
        lambda p: oracle.hierarchical_bayes(world, p),
    ):
        np.testing.assert_allclose(
            decide(permuted), decide(portfolio)[order], rtol=1e-5
        )


@CONJUGATE
def test_padding_changes_nothing(name):
    world = WORLDS[name]
    _, _, portfolio = sample(world, 6, *SMALL)
    padded = Portfolio(
        jnp.pad(portfolio.observations, ((0, 3), (0, 2))),
        jnp.pad(portfolio.valid, ((0, 3), (0, 2))),
        jnp.full(7, 0.9),
    )
    x = oracle.hierarchical_bayes(world, padded)
    assert jnp.isfinite(x).all()
    expected = oracle.hierarchical_bayes(world, portfolio)
    np.testing.assert_allclose(x[:4], expected, rtol=1e-5)


@CONJUGATE
def test_vmap_is_the_loop(name):
    world = WORLDS[name]
    portfolios = [sample(world, seed, *SMALL)[2] for seed in (1, 2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *portfolios)
    batched = jax.jit(jax.vmap(world.hierarchical_bayes))(stacked)
    looped = jnp.stack([oracle.hierarchical_bayes(world, p) for p in portfolios])
    # float32 within, but only a few instances
    np.testing.assert_allclose(batched, looped, rtol=1e-3)


def test_contaminated_decides_between_its_worlds():
    world = WORLDS["contaminated"]
    law, _, portfolio = sample(world, 3, *LARGE)
    x = oracle.bayes(world, law, portfolio)
    low = oracle.bayes(gamma_poisson.WORLD, law.base, portfolio)
    high = oracle.bayes(gamma_poisson.WORLD, law.other, portfolio)
    assert ((x >= low) & (x <= high)).all()
    assert (x > low).any()
    np.testing.assert_array_equal(x, jnp.round(x))


def test_worlds_without_an_oracle_say_so():
    world = WORLDS["demand"]
    law, _, portfolio = sample(gamma_poisson.WORLD, 0, *SMALL)
    with pytest.raises(ValueError, match="demand has no exact Bayes"):
        oracle.bayes(world, law, portfolio)
    with pytest.raises(ValueError, match="demand has no exact hierarchical"):
        oracle.hierarchical_bayes(world, portfolio)
