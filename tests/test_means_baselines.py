import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

from ptft_jax import conjugate_eb, count_frequencies, npmle
from ptft_jax.means import baselines as means_baselines
from ptft_jax.means import binomial, mixing, poisson
from ptft_jax.means import gaussian as means_gaussian

RULES = {
    "gaussian": means_gaussian.PROBLEM.baselines,
    "binomial": binomial.PROBLEM.baselines,
    "poisson": poisson.PROBLEM.baselines | count_frequencies.EQUAL_EXPOSURE,
}


def gaussian(estimate, variance):
    return means_gaussian.Seen(jnp.array(estimate, float), jnp.array(variance, float))


def counts(values, exposure=1.0):
    values = jnp.array(values, float)
    return poisson.Seen(values, jnp.full_like(values, exposure))


def some(name, n=40, seed=0):
    rng = np.random.default_rng(seed)
    if name == "gaussian":
        variance = rng.uniform(0.5, 2.0, n)
        return gaussian(
            rng.normal(2.0, 1.0, n) + rng.normal(0, variance**0.5), variance
        )
    if name == "binomial":
        trials = rng.integers(3, 60, n)
        y = rng.binomial(trials, rng.beta(4.0, 8.0, n))
        return binomial.Seen(jnp.array(y, float), jnp.array(trials, float))
    return counts(rng.poisson(rng.gamma(2.0, 3.0, n)))


def test_james_stein_by_hand():
    # Σ y² = 20 about the mean 0, so that 1 − (4 − 3)/20 is kept
    seen = gaussian([-3.0, -1.0, 1.0, 3.0], [1.0] * 4)
    x = means_baselines.gaussian_james_stein(seen)
    np.testing.assert_allclose(x, [-2.85, -0.95, 0.95, 2.85], rtol=1e-6)
    # variances 1 and 4: mean (0·1 + 10·¼)/(5/4) = 2, Σ (y − 2)²/v = 4 + 16 = 20 twice
    seen = gaussian([0.0, 10.0, 0.0, 10.0], [1.0, 4.0, 1.0, 4.0])
    x = means_baselines.gaussian_james_stein(seen)
    keep = 1.0 - 1.0 / 40.0
    np.testing.assert_allclose(x, [2 - 2 * keep, 2 + 8 * keep] * 2, rtol=1e-6)
    # the positive part: all at the mean
    seen = gaussian([-0.1, 0.1, -0.1, 0.1, 0.0, 0.0], [1.0] * 6)
    np.testing.assert_allclose(means_baselines.gaussian_james_stein(seen), 0, atol=1e-7)


def test_grand_means_by_hand():
    seen = gaussian([0.0, 5.0], [1.0, 4.0])
    np.testing.assert_allclose(means_baselines.gaussian_grand_mean(seen), 1.0)
    seen = binomial.Seen(jnp.array([1.0, 4.0]), jnp.array([2.0, 18.0]))
    np.testing.assert_allclose(means_baselines.binomial_grand_mean(seen), 0.25)
    seen = poisson.Seen(jnp.array([3.0, 1.0]), jnp.array([1.0, 7.0]))
    np.testing.assert_allclose(means_baselines.poisson_grand_mean(seen), 0.5)
    np.testing.assert_allclose(means_baselines.poisson_mle(seen), [3.0, 1.0 / 7.0])


def test_robbins_and_monotone_erm_by_hand():
    # N(0) = 2, N(1) = N(2) = 1: Robbins 1·1/2, 2·1/1, 0; pooled from 1 on: (2 + 0)/2
    seen = counts([0.0, 2.0, 1.0, 0.0])
    np.testing.assert_allclose(count_frequencies.robbins(seen), [0.5, 0.0, 2.0, 0.5])
    np.testing.assert_allclose(count_frequencies.monotone_erm(seen), [0.5, 1, 1, 0.5])
    # by exposure 2 all rates are half of that
    half = count_frequencies.monotone_erm(counts([0.0, 2.0, 1.0, 0.0], 2.0))
    np.testing.assert_allclose(half, [0.25, 0.5, 0.5, 0.25])
    # a gap: 5 alone makes f(4) = ∞ without weight, pooled with f(5): 5/1
    np.testing.assert_allclose(
        count_frequencies.monotone_erm(counts([0, 0, 5])), [0, 0, 5]
    )


def test_monotone_erm_is_the_minimum():
    y = np.array([0, 0, 1, 3, 3, 4, 4, 4, 7, 2, 9, 1])
    top = y.max() + 1

    def objective(steps):
        f = np.concatenate([np.cumsum(steps), [0.0]])  # f(−1) is multiplied by 0
        return (f[y] ** 2 - 2.0 * y * f[y - 1]).sum()

    found = optimize.minimize(
        objective, np.ones(top), bounds=[(0.0, None)] * top, options={"maxiter": 5000}
    )
    mine = np.asarray(count_frequencies.monotone_erm(counts(y)))
    np.testing.assert_allclose(mine, np.cumsum(found.x)[y], atol=2e-2)
    assert objective(np.diff(_filled(y, mine, top), prepend=0.0)) <= found.fun + 1e-3


def _filled(y, fitted, top):
    """The fit at every count: one that nobody has takes the value of the next."""
    by_count = dict(zip(y.tolist(), fitted.tolist(), strict=True))
    known = sorted(by_count)
    return [by_count[min(k for k in known if k >= j)] for j in range(top)]


def test_frequencies_say_nothing_where_exposures_differ():
    seen = poisson.Seen(jnp.array([1.0, 2.0, 0.0]), jnp.array([1.0, 2.0, 0.0]))
    for rule in count_frequencies.EQUAL_EXPOSURE.values():
        np.testing.assert_array_equal(rule(seen), [np.nan, np.nan, 0.0])


def test_log_rising_is_a_difference_of_log_gammas():
    a, c = np.meshgrid([1e-3, 0.3, 2.0, 50.0, 1e5], [0.0, 1.0, 7.0, 400.0])
    exact = special.gammaln(a + c) - special.gammaln(a)
    found = conjugate_eb.log_rising(jnp.array(a), jnp.array(c))
    np.testing.assert_allclose(found, exact, rtol=3e-6, atol=1e-5)


def negative_log_likelihood(name, seen):
    y, size = (np.asarray(leaf, np.float64) for leaf in seen)
    if name == "gaussian":
        law = lambda m, s: stats.norm(m, np.sqrt(s + size)).logpdf(y)
    elif name == "binomial":
        law = lambda m, s: stats.betabinom(size, s * m, s * (1.0 - m)).logpmf(y)
    else:
        law = lambda m, s: stats.nbinom(s * m, s / (s + size)).logpmf(y)
    return lambda point: -law(*point).sum()


@pytest.mark.parametrize("name", RULES)
def test_parametric_priors_maximise_the_likelihood(name):
    seen = some(name)
    module = {
        "gaussian": means_gaussian,
        "binomial": binomial,
        "poisson": poisson,
    }[name]
    prior = module.FAMILY.prior(seen)
    mine = np.array([float(prior.mean), float(prior.size)])
    value = negative_log_likelihood(name, seen)
    bounds = [(-9.0, 9.0), (1e-6, 50.0)]
    bounds[0] = {"gaussian": (-9.0, 9.0), "binomial": (0.01, 0.99)}.get(name, (0.1, 50))
    best = optimize.minimize(value, mine * 1.3, bounds=bounds, tol=1e-12)
    assert value(mine) < best.fun + 0.01
    np.testing.assert_allclose(mine, best.x, rtol=0.1)


def test_npmle_finds_two_far_points():
    seen = gaussian([-5.0, -5.1, 5.0, 5.1, 4.9], [0.04] * 5)
    x = RULES["gaussian"]["npmle"](seen)
    np.testing.assert_allclose(x[:2], -5.05, atol=0.02)
    np.testing.assert_allclose(x[2:], 5.0, atol=0.05)


@pytest.mark.parametrize("name", ["gaussian", "poisson"])
def test_npmle_is_within_three_thousandths_of_the_largest_likelihood(name):
    seen = some(name, n=200)
    family = {"gaussian": means_gaussian, "poisson": poisson}[name].FAMILY
    view = family.view(seen)
    theta = family.invert(npmle._grid(view))[None]
    likelihood = mixing.likelihood(family.log_likelihood(seen, theta))
    weights = npmle.solve(likelihood, view.present)
    assert float(npmle.gap(weights, likelihood, view.present)) < 3e-3
    even = jnp.full_like(weights, 1.0 / len(weights))
    assert float(npmle.gap(even, likelihood, view.present)) > 1e-2
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_padding_and_order_change_nothing(name):
    seen = some(name)
    order = np.random.default_rng(1).permutation(40)
    pad = lambda leaf: jnp.concatenate([jnp.zeros(3), leaf[order], jnp.zeros(1)])
    for key, rule in RULES[name].items():
        x, other = rule(seen), rule(type(seen)(*map(pad, seen)))
        np.testing.assert_array_equal(other[:3], 0.0)
        np.testing.assert_allclose(
            other[3:-1], x[order], rtol=2e-3, atol=1e-2, err_msg=key
        )


def test_gaussian_rules_follow_shift_and_scale():
    seen = some("gaussian")
    moved = means_gaussian.Seen(4.0 * seen.estimate - 9.0, 16.0 * seen.variance)
    for key, rule in RULES["gaussian"].items():
        expected = 4.0 * rule(seen) - 9.0
        np.testing.assert_allclose(rule(moved), expected, atol=2e-2, err_msg=key)


def test_all_rules_are_finite_at_the_edges():
    edges = {
        "gaussian": gaussian([0.0, 0.0, 0.0, 1e6], [1.0, 1e-6, 1e6, 1.0]),
        "binomial": binomial.Seen(jnp.zeros(4), jnp.array([1.0, 2.0, 3.0, 0.0])),
        "poisson": counts([0.0, 0.0, 0.0]),
    }
    for name, seen in edges.items():
        for key, rule in RULES[name].items():
            assert np.isfinite(rule(seen)).all(), (name, key)


def test_rules_are_mapped_over_portfolios():
    seen = [some("poisson", seed=seed) for seed in range(2)]
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seen)
    x = jax.vmap(RULES["poisson"]["monotone_erm"])(both)
    np.testing.assert_allclose(x[1], RULES["poisson"]["monotone_erm"](seen[1]))
