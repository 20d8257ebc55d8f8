import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from ptft_jax.means import gaussian, poisson
from ptft_jax.method import catalog
from ptft_jax.method import network as network_
from ptft_jax.worlds import means_laws, means_portfolios, means_worlds
from ptft_jax.worlds.means_laws import Law

WORLDS = {
    world.name: world
    for world in (means_worlds.GAUSSIAN, means_worlds.BINOMIAL, means_worlds.POISSON)
}
PORTFOLIOS = 144
# the others take a minute to compile
BY_DEFAULT = [
    name if name == "gaussian_means" else pytest.param(name, marks=pytest.mark.slow)
    for name in WORLDS
]


def law(*rows):
    return Law(*(jnp.array(x, jnp.float32) for x in zip(*rows, strict=True)))


def portfolio(law_, level=1.0, spread=0.0, slope=0.0):
    return means_portfolios.Portfolio(law_, *map(jnp.asarray, (level, spread, slope)))


def test_bayes_by_hand_for_points():
    # y = 0 under N(±1, 1) with masses ¼ and ¾: equal likelihoods
    points = portfolio(law((-1.0, -1.0, 0.25), (1.0, 1.0, 0.75)))
    seen = gaussian.Seen(jnp.array([0.0, 0.5]), jnp.array([1.0, 1.0]))
    x = means_worlds.GAUSSIAN.bayes(points, seen)
    odds = 3.0 * np.exp(1.0)  # at ½: e^{-1/8} against e^{-9/8}
    np.testing.assert_allclose(x, [0.5, (odds - 1.0) / (odds + 1.0)], rtol=1e-5)


def test_bayes_is_the_mean_of_a_truncated_normal():
    ends = portfolio(law((-1.0, 30.0, 1.0)))
    y, sd = np.array([-4.0, 0.0, 12.0, 29.9, 40.0]), np.array([1.0, 0.2, 0.5, 2.0, 1.0])
    seen = gaussian.Seen(jnp.array(y, jnp.float32), jnp.array(sd**2, jnp.float32))
    x = means_worlds.GAUSSIAN.bayes(ends, seen)
    exact = stats.truncnorm((-1.0 - y) / sd, (30.0 - y) / sd, y, sd).mean()
    np.testing.assert_allclose(x, exact, rtol=2e-4, atol=2e-4)


def test_poisson_bayes_is_a_ratio_of_integrals():
    law_ = law((0.0, 0.0, 0.3), (1.0, 40.0, 0.7))
    y, e = np.array([0.0, 1.0, 9.0, 60.0]), np.array([1.0, 0.5, 1.0, 2.0])
    seen = poisson.Seen(jnp.array(y, jnp.float32), jnp.array(e, jnp.float32))
    x = means_worlds.POISSON.bayes(portfolio(law_), seen)

    def exact(y, e):
        density = lambda rate: stats.poisson(e * rate).pmf(y)
        part = lambda f: 0.7 / 39.0 * integrate.quad(f, 1.0, 40.0, limit=200)[0]
        below = 0.3 * (y == 0) + part(density)
        return part(lambda rate: rate * density(rate)) / below

    np.testing.assert_allclose(x, [exact(*row) for row in zip(y, e, strict=True)], 2e-4)


@pytest.mark.slow
def test_slopes_move_the_law_with_precision():
    points = portfolio(law((2.0, 2.0, 1.0)), level=1.0, spread=1.0, slope=0.5)
    truth = means_worlds.POISSON.sample_instances(jax.random.key(0), points, 50)
    np.testing.assert_allclose(truth.theta, 2.0 * truth.size**0.5, rtol=1e-5)
    seen = means_worlds.POISSON.observe(jax.random.key(1), truth, 1)
    np.testing.assert_allclose(
        means_worlds.POISSON.bayes(points, seen), truth.theta, rtol=1e-5
    )


def test_samples_have_the_moments_of_the_law():
    drawn = means_laws.sample_law(jax.random.key(4))
    mean, deviation = means_laws.moments(drawn)
    np.testing.assert_allclose(mean, 0.0, atol=1e-4)
    np.testing.assert_allclose(deviation, 1.0, rtol=1e-3)
    x = np.asarray(means_laws.sample(jax.random.key(5), drawn, 200_000), np.float64)
    assert abs(x.mean()) < 4.0 / 200_000**0.5
    fourth = ((x**2 - 1.0) ** 2).mean()
    assert abs((x**2).mean() - 1.0) < 4.0 * (fourth / 200_000) ** 0.5


@functools.cache
def risks(name, n=64):
    """Excess costs of all rules on portfolios of a world, as shares of the MLE's."""
    world, (network, params) = WORLDS[name], catalog.load(name)

    def one(key):
        law_key, truth_key, seen_key = jax.random.split(key, 3)
        drawn = world.sample_law(law_key)
        truth = world.sample_instances(truth_key, drawn, n)
        seen = world.observe(seen_key, truth, 1)
        full = world.expected_cost(truth, world.full_information(truth)).sum()
        unit = world.base(truth).sum()
        rules = {key: rule(seen) for key, rule in world.problem.baselines.items()}
        rules["bayes"] = world.bayes(drawn, seen)
        rules["pretrained"] = network_.decide(network, world.problem, params, seen)
        excess = lambda x: (world.expected_cost(truth, x).sum() - full) / unit
        return {key: excess(x) for key, x in rules.items()}

    keys = jax.random.split(jax.random.key(7), PORTFOLIOS)
    found = jax.jit(lambda keys: jax.lax.map(one, keys))(keys)
    return {key: np.asarray(x, np.float64) for key, x in found.items()}


def lead(better, worse):
    """Mean gain in standard errors; a gain is cut at 30 % of the MLE's excess."""
    # the few portfolios of nearly no noise, where shares are huge, decide nothing
    change = (worse - better).clip(-0.3, 0.3)
    return change.mean() / (change.std(ddof=1) / len(change) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_DEFAULT)
def test_no_rule_is_better_than_bayes(name):
    found = risks(name)
    for key, excess in found.items():
        assert np.isfinite(excess).all(), key
        assert key == "bayes" or lead(found["bayes"], excess) > 4.0, key
    # the MLE has the cost of doing nothing
    assert abs(found["mle"].mean() - 1.0) < 4.0 * found["mle"].std() / PORTFOLIOS**0.5


@pytest.mark.parametrize("name", BY_DEFAULT)
def test_pretrained_networks_beat_parametric_and_nonparametric(name):
    found = risks(name)
    for key in ("parametric_eb", "npmle"):
        assert lead(found["pretrained"], found[key]) > 4.0, key


@pytest.mark.parametrize("name", BY_DEFAULT)
def test_examples_are_labelled_with_bayes_decisions(name):
    world = WORLDS[name]
    example = jax.jit(world.sample_example, static_argnums=(1, 2))(
        jax.random.key(3), 256, 1
    )
    law_key, *_ = jax.random.split(jax.random.key(3), 4)
    best = world.bayes(world.sample_law(law_key), example.seen)
    label, present = example.outcome[0], world.problem.present(example.seen)
    np.testing.assert_allclose(label[present], best[present], rtol=0.02, atol=0.02)
    assert 4 <= int(present.sum()) <= 256


def test_a_portfolio_counts_for_less_where_the_best_rule_regrets_more():
    world, problem = means_worlds.GAUSSIAN, gaussian.PROBLEM
    z, noise = jax.random.normal(jax.random.key(1), (2, 32))
    theta = jnp.where(z > 0.0, 2.0, -2.0)
    seen = gaussian.Seen(theta + noise, jnp.ones(32))

    @jax.jit
    def weigh(seen, away):
        """The weight where the target is so far from the last rule, in noises."""
        stats_ = problem.summarize(seen)
        last = jnp.zeros((32, problem.num_outputs)).at[:, -1].set(1.0)
        x = problem.decide(seen, stats_, last) + away * stats_.noise
        return world.weight(seen, stats_, gaussian.Seen(x, 0.0 * x))

    at_once = weigh(seen, 0.0)
    np.testing.assert_allclose(at_once, 32.0 / means_worlds.PARAMETRIC, rtol=1e-4)
    far = weigh(seen, 1.0)
    assert 0.99 / (1.0 + 2.0 / 32.0) <= far < at_once / 4.0
    scaled = gaussian.Seen(7.0 * seen.estimate, 49.0 * seen.variance)
    np.testing.assert_allclose(weigh(scaled, 1.0), far, rtol=1e-3)
