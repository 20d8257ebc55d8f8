"""What every world promises, and what each one's law is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ptft_jax import oracle
from ptft_jax.types import Portfolio, enable_x64
from ptft_jax.worlds import (
    WORLDS,
    demand_instances,
    demand_prior,
    gamma_poisson,
    lognormal,
)
from ptft_jax.worlds.contaminated import contaminated

# contaminated runs all of gamma_poisson; each world is a slow compile
EACH = pytest.mark.parametrize(
    "world",
    [WORLDS["lognormal"], WORLDS["contaminated"], WORLDS["demand"]],
    ids=["lognormal", "contaminated", "demand"],
)
SHIPPED = {"gamma_poisson", "lognormal", "demand", "contaminated"}


@functools.partial(jax.jit, static_argnums=(0, 2))
def draw(world, seed, n):
    law_key, key = jax.random.split(jax.random.key(seed))
    return world.sample_instances(key, world.sample_law(law_key), n)


def full(observations, quantile=0.9):
    valid = jnp.ones(observations.shape, bool)
    return Portfolio(observations, valid, jnp.full(len(observations), quantile))


def test_registry_is_by_name():
    assert set(WORLDS) >= SHIPPED
    for name, world in WORLDS.items():
        assert world.name == name
        assert "\n" not in world.description


@pytest.mark.parametrize("name", ["lognormal", "contaminated"])
def test_example_is_finite_masked_and_decided_by_its_key(name):
    key, other = jax.random.split(jax.random.key(1))
    one = lambda key: WORLDS[name].sample_example(key, 6, 4, 2, 3)
    example = jax.jit(jax.vmap(one))(jnp.stack([key, other, key]))
    for leaf in jax.tree.leaves(example):
        assert jnp.isfinite(leaf).all()
        np.testing.assert_array_equal(leaf[0], leaf[2])
    assert (example.future[0] != example.future[1]).any()
    portfolio = example.portfolio
    assert portfolio.observations.shape == (3, 6, 4)
    assert example.quantiles.shape == (3, 6, 2)
    assert example.future.shape == (3, 6, 3)
    assert (portfolio.observations[~portfolio.valid] == 0.0).all()


def test_demand_world_is_the_broad_prior():
    world = WORLDS["demand"]
    assert world.sample_law is demand_prior.sample_law
    for name in ("sample_instances", "sample_demand", "future_demand"):
        assert getattr(world, name) is getattr(demand_instances, name)


def test_vmap_is_the_loop():
    seeds, world = jnp.arange(3), WORLDS["contaminated"]
    looped = [draw(world, seed, 5) for seed in seeds]
    batched = jax.vmap(lambda seed: draw(world, seed, 5))(seeds)
    for b, *a in zip(*map(jax.tree.leaves, (batched, *looped)), strict=True):
        np.testing.assert_allclose(b, jnp.stack(a), rtol=1e-5)


@functools.partial(jax.jit, static_argnums=0)
def averages(world, instances, x, keys):
    """Cost, share below x and a bounded function, over demand and over the future."""

    def mean(demand):
        short = demand - x[:, None]
        cost = jnp.maximum(0.8 * short, -0.2 * short)
        bounded = jnp.tanh(demand / (x[:, None] + 1.0))
        return jnp.stack([cost, short <= 0.0, bounded]).mean(-1)

    def one(key):
        a, b = jax.random.split(key)
        now = world.sample_demand(a, instances, 1000)
        return mean(now), mean(world.future_demand(b, instances, 16))

    return jax.lax.map(one, keys)


@functools.cache
def moments(world, seed):
    instances = draw(world, seed, 5)
    x = oracle.full_information(world, instances, 0.8)
    x = jnp.asarray(x * np.array([1.0, 0.6, 1.4, 1.1, 1.0]), jnp.float32)
    keys = jax.random.split(jax.random.key(5), 100)
    now, later = averages(world, instances, x, keys)
    return instances, x, np.asarray(now, float), np.asarray(later, float)


@EACH
@pytest.mark.parametrize("seed", [1, 4])
def test_future_has_the_averages_of_demand(world, seed):
    _, _, now, later = moments(world, seed)
    error = np.hypot(now.std(0), later.std(0)) / np.sqrt(len(now))
    # the cost's standard error is of no use where the tail is heavy
    gap = np.abs(now.mean(0) - later.mean(0))[1:]
    assert (gap < 5.0 * error[1:] + 1e-6).all()


@EACH
@pytest.mark.parametrize("seed", [1, 4])
def test_expected_cost_is_the_average_over_demand(world, seed):
    instances, x, now, _ = moments(world, seed)
    cost = now[:, 0]
    error = cost.std(0) / np.sqrt(len(cost))
    expected = oracle.expected_cost(world, instances, x, 0.8)
    # float32 averages, and the quadrature of the broad prior
    assert (np.abs(cost.mean(0) - expected) < 5.0 * error + 2e-4 * expected).all()


@EACH
def test_full_information_costs_least(world):
    for seed in (0, 3):
        instances = draw(world, seed, 5)
        best = oracle.full_information(world, instances, 0.8)
        least = oracle.expected_cost(world, instances, best, 0.8)
        for factor in (0.5, 0.9, 0.97, 1.03, 1.1, 2.0):
            cost = oracle.expected_cost(world, instances, best * factor, 0.8)
            assert (cost >= least * (1.0 - 1e-4)).all()


@pytest.mark.parametrize("name", ["gamma_poisson", "lognormal"])
def test_sampling_has_the_predictive_law(name):
    # the predictive law without data is the marginal law of demand
    world, n = WORLDS[name], 4000
    law = world.sample_law(jax.random.key(12))

    @jax.jit
    def sample(key):
        row_key, key = jax.random.split(key)
        return world.sample_demand(key, world.sample_instances(row_key, law, n), 1)

    values = np.asarray(sample(jax.random.key(13))[:, 0])
    cdf = jax.jit(lambda x: world.predictive_cdf(law, nothing, x[None])[0])
    nothing = Portfolio(jnp.zeros((1, 1)), jnp.zeros((1, 1), bool), jnp.full(1, 0.9))
    for level in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]):
        p = cdf(jnp.float32(level + 1e-3))
        share = (values <= level + 1e-3).mean()
        assert abs(share - p) < 4.0 * np.sqrt(p * (1.0 - p) / n) + 1e-5


@pytest.mark.parametrize("name", ["gamma_poisson", "lognormal"])
def test_evidence_is_the_marginal_density(name):
    world = WORLDS[name]
    with enable_x64(True):
        data = jnp.array([[2.0, 5.0, 1.0]])
        if name == "gamma_poisson":
            law = gamma_poisson.Law(jnp.float64(1.7), jnp.float64(3.0))
            rate = stats.gamma(1.7, scale=3.0 / 1.7)
            density = lambda t: np.prod(stats.poisson(t).pmf(data))
        else:
            law = lognormal.Law(*map(jnp.float64, (0.8, 0.6, 0.4)))
            rate = stats.norm(0.8, 0.6)
            density = lambda t: np.prod(stats.lognorm(0.4, scale=np.exp(t)).pdf(data))
        expected = rate.expect(density, lb=rate.ppf(1e-12), ub=rate.ppf(1.0 - 1e-12))
        evidence = world.log_evidence(law, full(data))
    np.testing.assert_allclose(evidence, np.log(expected), rtol=1e-7)


def test_padding_has_evidence_one():
    nothing = Portfolio(jnp.zeros((2, 3)), jnp.zeros((2, 3), bool), jnp.full(2, 0.9))
    for name in ("gamma_poisson", "lognormal"):
        law = WORLDS[name].sample_law(jax.random.key(0))
        evidence = WORLDS[name].log_evidence(law, nothing)
        np.testing.assert_allclose(evidence, 0.0, atol=1e-6)


def test_contaminated_share_and_other_law():
    world, n = WORLDS["contaminated"], 4000
    law = world.sample_law(jax.random.key(0))
    np.testing.assert_allclose(law.other.mean, 2.0 * law.base.mean, rtol=1e-6)
    assert law.other.shape == law.base.shape
    instances = jax.jit(world.sample_instances, static_argnums=2)(
        jax.random.key(1), law, n
    )
    share = instances.is_other.mean()
    assert abs(share - 0.1) < 4.0 * np.sqrt(0.1 * 0.9 / n)
    rate = jnp.where(instances.is_other, instances.other.rate, instances.base.rate)
    for is_other, expected in ((True, law.other), (False, law.base)):
        own = rate[instances.is_other == is_other]
        error = expected.mean / np.sqrt(expected.shape * len(own))
        assert abs(own.mean() - expected.mean) < 4.0 * error


def test_contaminated_is_within_eps_in_total_variation():
    world = WORLDS["contaminated"]
    law = world.sample_law(jax.random.key(3))
    values = jnp.arange(400.0)
    nothing = Portfolio(jnp.zeros((1, 1)), jnp.zeros((1, 1), bool), jnp.full(1, 0.9))

    def pmf(of, law):
        cdf = lambda x: of.predictive_cdf(law, nothing, x[None])[0]
        return np.diff(np.asarray(jax.vmap(cdf)(values)), prepend=0.0)

    base = pmf(gamma_poisson.WORLD, law.base)
    variation = lambda other: np.abs(base - other).sum() / 2.0
    distance = variation(pmf(world, law))
    apart = variation(pmf(gamma_poisson.WORLD, law.other))
    assert 0.0 < distance <= 0.1
    # the definition: TV(P, (1−ε)P + εG) = ε·TV(P, G)
    np.testing.assert_allclose(distance, 0.1 * apart, rtol=1e-2)


def test_contaminated_mixes_worlds_of_different_types():
    opaque = lognormal.WORLD._replace(predictive_cdf=None)
    world = contaminated(gamma_poisson.WORLD, opaque, 0.5, "both", "counts or amounts")
    assert world.bayes_decision is None
    instances = draw(world, 0, 5)
    x = jax.jit(world.sample_demand, static_argnums=2)(jax.random.key(0), instances, 3)
    is_whole = (x == jnp.round(x)).all(1)
    np.testing.assert_array_equal(is_whole, ~instances.is_other)


@pytest.mark.parametrize("eps", [0.0, 1.0, float("nan")])
def test_contaminated_refuses_a_share_outside(eps):
    with pytest.raises(ValueError, match="eps"):
        contaminated(gamma_poisson.WORLD, lognormal.WORLD, eps, "x", "x")
