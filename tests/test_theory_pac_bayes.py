import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from losses_in_01 import DELTA

from theory import pac_bayes

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
means = st.floats(0.0, 1.0)
nats = st.floats(0.0, 50.0)
counts = st.integers(1, 5_000)
deltas = st.floats(1e-6, 0.9)
BOUNDS = {
    "mcallester": pac_bayes.mcallester,
    "maurer_kl": pac_bayes.maurer_kl,
    "quadratic": pac_bayes.quadratic,
    "catoni": lambda q, kl, n, delta: pac_bayes.catoni(q, kl, n, delta, 1.3),
    "catoni_grid": lambda q, kl, n, delta: pac_bayes.catoni_grid(
        q, kl, n, delta, [0.1, 1.0, 3.0]
    ),
    "path_minimum": lambda q, kl, n, delta: (
        pac_bayes.path_minimum([q], [kl], n, delta).bound
    ),
}
by_name = pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)


@by_name
@properties
@hypothesis.given(means, nats, counts, deltas, st.floats(0.0, 1.0))
def test_bounds_are_monotone_in_each_argument(bound, q, kl, n, delta, share):
    value = bound(q, kl, n, delta)
    assert q <= value <= 1.0
    assert bound(q + share * (1.0 - q), kl, n, delta) >= value - 1e-12
    assert bound(q, kl + 10.0 * share, n, delta) >= value - 1e-12
    assert bound(q, kl, n + 1 + int(100 * share), delta) <= value + 1e-12
    assert bound(q, kl, n, delta + share * (0.99 - delta)) <= value + 1e-12


@properties
@hypothesis.given(means, nats, counts, deltas)
def test_the_relative_entropy_bound_is_the_smallest(q, kl, n, delta):
    smallest = pac_bayes.maurer_kl(q, kl, n, delta)
    hypothesis.assume(n > 1)  # there xi(n) = 2 sqrt(n), and rounding decides
    assert smallest <= pac_bayes.mcallester(q, kl, n, delta)
    assert smallest <= pac_bayes.quadratic(q, kl, n, delta) + 1e-12


def rejections(bound, experts, n, p, replications, seed):
    """How often a bound on the best of i.i.d. experts is below their mean p."""
    rng = np.random.default_rng(seed)
    best = rng.binomial(n, p, (replications, experts)).min(axis=1)
    by_count = {k: bound(k, n, math.log(experts)) < p for k in np.unique(best)}
    return np.mean([by_count[k] for k in best])


@pytest.mark.parametrize("experts", [10, 1_000])
def test_the_best_of_many_experts_is_covered_and_mistakes_are_not(experts):
    n, p, replications = 100, 0.3, 4_000
    limit = DELTA + 4.0 * math.sqrt(DELTA * (1.0 - DELTA) / replications)

    def by_maurer(k, n, kl):
        return pac_bayes.maurer_kl(k / n, kl, n, DELTA)

    def by_coins(k, n, kl):
        return pac_bayes.coin_betting(np.repeat([1.0, 0.0], [k, n - k]), kl, DELTA)

    def by_catoni(k, n, kl):
        return pac_bayes.catoni_grid(k / n, kl, n, DELTA, [0.3, 1.0, 3.0])

    for bound in (by_maurer, by_coins, by_catoni):
        assert rejections(bound, experts, n, p, replications, 5) <= limit

    def without_kl(k, n, kl):
        return by_maurer(k, n, 0.0)

    def twice_the_instances(k, n, kl):
        return pac_bayes.maurer_kl(k / n, kl, 2 * n, DELTA)

    if experts == 1_000:
        for broken in (without_kl, twice_the_instances):
            assert rejections(broken, experts, n, p, replications, 5) > limit


def test_the_policy_at_the_mean_costs_at_most_the_posterior_mean():
    rng = np.random.default_rng(6)
    demand, features = rng.random(300), rng.normal(size=(300, 4))
    draws = rng.normal(0.1, 0.3, (500, 4))

    def cost(u):
        gap = demand - (0.5 + 0.1 * features @ u)
        return np.maximum(0.9 * gap, -0.1 * gap)

    gibbs = np.mean([cost(u) for u in draws], axis=0)
    assert (cost(draws.mean(axis=0)) <= gibbs + 1e-12).all()


def test_path_minimum_is_free_and_finds_the_step():
    empirical, kl = [0.3, 0.2, 0.19, 0.18], [0.0, 4.0, 100.0, 1_000.0]
    best = pac_bayes.path_minimum(empirical, kl, 400, DELTA)
    assert best.step == 1
    assert best.bound == pac_bayes.maurer_kl(0.2, 4.0, 400, DELTA)
    start = pac_bayes.path_minimum(empirical[:1], kl[:1], 400, DELTA)
    assert start.bound > best.bound


def test_monte_carlo_covers_the_gibbs_loss():
    rng, replications = np.random.default_rng(7), 2_000
    means = rng.beta(0.9, 17.1, (replications, 30)).mean(axis=1)
    bounds = [pac_bayes.monte_carlo(mean, 30, DELTA) for mean in means]
    assert np.mean(np.array(bounds) < 0.05) <= DELTA
    assert pac_bayes.monte_carlo(0.05, 10**6, DELTA) == pytest.approx(0.05, abs=1e-3)


@properties
@hypothesis.given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=5))
def test_gaussian_divergence_of_equal_scales_is_half_the_squared_distance(diff):
    value = pac_bayes.gaussian_kl(diff, 0.5, 0.5)
    assert value == pytest.approx(2.0 * np.sum(np.square(diff)), rel=1e-12, abs=1e-300)
    wider = pac_bayes.gaussian_kl(2.0 * np.array(diff), 0.5, 0.4)
    assert wider >= pac_bayes.gaussian_kl(diff, 0.5, 0.4) > 0.0


def test_scales_broadcast_over_the_coordinates():
    scales = np.array([0.1, 0.2, 0.4])
    together = pac_bayes.gaussian_kl(0.3, scales, 0.2)
    apart = sum(pac_bayes.gaussian_kl(0.3, scale, 0.2) for scale in scales)
    assert together == pytest.approx(apart, rel=1e-14)
    assert type(together) is float


@by_name
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.2, 1.0, 10, DELTA), r"empirical(\[0\])? = 1.2 is not in \[0, 1\]"),
        ((math.nan, 1.0, 10, DELTA), r"empirical(\[0\])? = nan is not in"),
        ((0.5, -1.0, 10, DELTA), r"kl(\[0\])? = -1.0 is not in \[0, inf\]"),
        ((0.5, math.nan, 10, DELTA), r"kl(\[0\])? = nan is not in"),
        ((0.5, 1.0, 0, DELTA), "n = 0, expected at least 1"),
        ((0.5, 1.0, 10, 1.0), r"delta = 1.0 is not in \(0, 1\)"),
    ],
)
def test_complaints_name_the_value(bound, arguments, message):
    with pytest.raises(ValueError, match=message):
        bound(*arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pac_bayes.catoni(0.1, 1.0, 9, 0.1, 0.0), "beta = 0.0 is not positive"),
        (lambda: pac_bayes.catoni_grid(0.1, 1.0, 9, 0.1, []), "number of betas = 0"),
        (
            lambda: pac_bayes.catoni_grid(0.1, 1.0, 9, 0.1, [1.0, math.inf]),
            "betas = inf is not positive and finite",
        ),
        (lambda: pac_bayes.gaussian_kl(0.1, 0.0, 1.0), "prior_scale = 0.0"),
        (lambda: pac_bayes.gaussian_kl(0.1, 1.0, [1.0, -2.0]), "posterior_scale = -2"),
        (lambda: pac_bayes.gaussian_kl([math.nan], 1.0, 1.0), r"mean_diff\[0\] = nan"),
        (lambda: pac_bayes.monte_carlo(1.5, 9, 0.1), "mean_loss = 1.5 is not in"),
        (lambda: pac_bayes.monte_carlo(0.5, 0, 0.1), "draws = 0, expected at least 1"),
        (lambda: pac_bayes.maurer_log_xi(0), "n = 0, expected"),
        (lambda: pac_bayes.path_minimum([], [], 9, 0.1), "n = 0, expected"),
        (
            lambda: pac_bayes.path_minimum([0.1], [0.0, 1.0], 9, 0.1),
            "1 empirical losses, 2 values of kl",
        ),
    ],
)
def test_other_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_infinite_divergence_is_vacuous():
    for bound in BOUNDS.values():
        assert bound(0.1, math.inf, 100, DELTA) == 1.0
