import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from theory import count_limits, limits

digits = mpmath.mp.clone()
digits.dps = 50

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
ratios = st.floats(0.02, 0.98)


def relative_regret(q, m, r, mu):
    """The ratio in the definition, at 50 digits, less 1."""
    q, mu = digits.mpf(q), digits.mpf(mu)
    zero = sum(
        digits.binomial(m, j) * mu**j * (1 - mu) ** (m - j) for j in range(m - r + 1)
    )
    costs = q * mu, (1 - q) * (1 - mu)
    return (costs[0] * zero + costs[1] * (1 - zero)) / min(costs) - 1


@pytest.mark.parametrize(("m", "worst"), [(5, 0.556), (20, 0.268)])
def test_published_worst_cases_of_saa(m, worst):
    assert limits.saa_worst_case(0.9, m) == pytest.approx(worst, abs=5e-4)
    assert limits.saa_worst_case(0.9, 5) == pytest.approx(5.0 / 9.0, rel=1e-14)


@pytest.mark.parametrize(
    ("q", "m", "r"), [(0.9, 20, 18), (0.5, 7, 4), (0.3, 12, 8), (0.95, 40, 37)]
)
def test_worst_case_of_order_statistics_at_fifty_digits(q, m, r):
    kink = 1.0 - q
    found = digits.mpf(0)
    for low, high in ((0, kink), (kink, 1)):
        grid = np.linspace(low, high, 102)[1:-1]
        values = [relative_regret(q, m, r, mu) for mu in grid]
        best = int(np.argmax([float(v) for v in values]))
        a, b = digits.mpf(grid[max(best - 1, 0)]), digits.mpf(grid[min(best + 1, 99)])
        for _ in range(80):
            left, right = a + (b - a) / 3, b - (b - a) / 3
            inner = [relative_regret(q, m, r, mu) for mu in (left, right)]
            a, b = (left, b) if inner[0] < inner[1] else (a, right)
        found = max(found, relative_regret(q, m, r, (a + b) / 2))
    value = limits.order_statistic_worst_case(q, m, r)
    assert value == pytest.approx(float(found), rel=1e-12)


@properties
@hypothesis.given(ratios, st.integers(1, 30), st.integers(1, 30), st.floats(0.01, 0.99))
def test_no_bernoulli_law_is_worse_than_the_worst_case(q, m, r, mu):
    r = min(r, m)
    worst = limits.order_statistic_worst_case(q, m, r)
    assert worst >= float(relative_regret(q, m, r, mu)) - 1e-12
    mirrored = limits.order_statistic_worst_case(1.0 - q, m, m - r + 1)
    assert worst == pytest.approx(mirrored, rel=1e-9)


@properties
@hypothesis.given(ratios, st.integers(1, 12), st.integers(0, 1000))
def test_no_law_on_the_unit_interval_is_worse_for_saa(q, m, seed):
    rng = np.random.default_rng(seed)
    points = np.sort(rng.random(4))
    mass = rng.dirichlet(np.full(4, 0.5))
    below = np.cumsum(mass)
    cost = [mass @ np.maximum(q * (points - x), (q - 1) * (points - x)) for x in points]
    r = limits.saa_rank(q, m)
    # P(X_(r) ≤ y) = P(Bin(m, F(y)) ≥ r)
    at_most = np.array(
        [
            sum(math.comb(m, j) * f**j * (1 - f) ** (m - j) for j in range(r, m + 1))
            for f in np.minimum(below, 1.0)
        ]
    )
    expected = np.diff(at_most, prepend=0.0) @ cost
    hypothesis.assume(min(cost) > 1e-9)
    assert expected / min(cost) - 1.0 <= limits.saa_worst_case(q, m) + 1e-9


def test_rank_of_saa_is_the_ceiling_of_the_exact_product():
    assert math.ceil(0.7 * 10 * 10) == 70
    assert math.ceil(0.55 * 100) == 56  # what floating point makes of 55
    for percent in range(1, 100):
        for m in (1, 7, 10, 40, 100, 10_000, 10**6):
            rank = limits.saa_rank(percent / 100, m)
            assert rank == -(-percent * m // 100), (percent, m)
    assert limits.saa_rank(0.1 + 0.2, 10) == 3
    assert limits.saa_rank(1e-20, 5) == 1


def test_worst_case_of_saa_vanishes_with_many_observations():
    worst = [limits.saa_worst_case(0.9, m) for m in (10, 100, 1_000, 10_000, 100_000)]
    assert (np.diff(worst) < 0).all()
    # Decreases as 1/√m: the quantile of a two-point law has no density to help it.
    assert worst[-1] / worst[-2] == pytest.approx(10**-0.5, rel=0.05)
    assert math.isfinite(limits.order_statistic_worst_case(0.9, 3_000, 1_500))
    assert limits.order_statistic_worst_case(0.5, 1, 1) == 1.0


def test_van_trees_is_attained_by_normals_and_exceeded_by_gammas():
    for m in (0, 1, 7):
        assert limits.van_trees(m, 1 / 2.0, 1 / 0.5) == pytest.approx(
            limits.gaussian_bayes_risk(0.5, 2.0, m), rel=1e-15
        )
        shape, rate = 3.0, 2.0
        fisher = rate / (shape - 1.0)  # E 1/θ
        prior = rate**2 / (shape - 2.0)
        bayes = limits.gamma_poisson_bayes_risk(shape, rate, m)
        assert limits.van_trees(m, fisher, prior) < bayes
    assert limits.van_trees(0, 1.0, 0.0) == math.inf


@properties
@hypothesis.given(st.integers(0, 100), st.floats(0.01, 10.0), st.floats(0.01, 10.0))
def test_limits_decrease_with_observations(m, a, b):
    for limit in (
        lambda k: limits.van_trees(k, a, b),
        lambda k: limits.gaussian_bayes_risk(a, b, k),
        lambda k: limits.gaussian_newsvendor_risk(a, b, k, 0.9),
        lambda k: limits.gamma_poisson_bayes_risk(a, b, k),
    ):
        assert limit(m + 1) < limit(m)
    full = math.sqrt(b) * 0.17549833193248685  # φ(z_0.9)
    assert limits.gaussian_newsvendor_risk(a, b, 10**9, 0.9) == pytest.approx(
        full, rel=1e-6
    )
    assert limits.gaussian_newsvendor_risk(a, b, m, 0.9) > full


def test_gaussian_newsvendor_risk_at_fifty_digits():
    tau2, s2, q = digits.mpf("0.5"), digits.mpf(2), digits.mpf("0.9")
    sd = digits.sqrt(s2 + 1 / (1 / tau2 + 4 / s2))
    z = digits.findroot(lambda x: digits.ncdf(x) - q, 1.28)
    exact = sd * digits.npdf(z)
    assert limits.gaussian_newsvendor_risk(0.5, 2.0, 4, 0.9) == pytest.approx(
        float(exact), rel=1e-14
    )


def exact_gamma_poisson_cost(shape, rate, m, q, most=400, last=120):
    """By the definition: the best stock for each total, all sums at 30 digits."""
    mp = mpmath.mp.clone()
    mp.dps = 30
    a, b, q = mp.mpf(shape), mp.mpf(rate), mp.mpf(q)

    def pmf(size, success, count):
        # p(k) = p(k−1) (r+k−1)/k (1−p), so no gamma function is needed.
        terms = [success**size]
        for k in range(1, count):
            terms.append(terms[-1] * (size + k - 1) / k * (1 - success))
        return terms

    cost = mp.mpf(0)
    totals = pmf(a, b / (b + m), last if m else 1)
    for total, chance in enumerate(totals):
        demand = pmf(a + total, (b + m) / (b + m + 1), most)
        below, x = demand[0], 0
        while below < q:
            x += 1
            below += demand[x]
        over = sum((x - y) * p for y, p in enumerate(demand[:x]))
        mean = (a + total) / (b + m)
        cost += chance * (q * (mean - x) + over)
    return float(cost)


@pytest.mark.parametrize(
    ("shape", "rate", "m", "q"),
    [(2.5, 1.5, 3, 0.9), (0.7, 1.0, 0, 0.9), (1.2, 0.8, 1, 0.3)],
)
def test_gamma_poisson_newsvendor_risk_is_the_sum_in_its_definition(shape, rate, m, q):
    value = limits.gamma_poisson_newsvendor_risk(shape, rate, m, q)
    exact = exact_gamma_poisson_cost(shape, rate, m, q)
    assert value == pytest.approx(exact, rel=1e-11)


def test_both_sums_of_gamma_poisson_newsvendor_risk_are_exact():
    exact = exact_gamma_poisson_cost(1.0, 8.0, 400, 0.9, most=25, last=2_400)
    assert 2_400 > count_limits._totals(1.0, 8.0, 400)[1] - 600
    value = limits.gamma_poisson_newsvendor_risk(1.0, 8.0, 400, 0.9)
    assert value == pytest.approx(exact, abs=1e-13 / 8.0)
    low, high = count_limits._totals(1.0, 8.0, 400)
    over = count_limits._over_totals(1.0, 8.0, 400, 0.9, np.arange(low, high + 1.0))
    assert over == pytest.approx(exact, abs=1e-13 / 8.0)
    assert over != value


def test_gamma_poisson_newsvendor_risk_at_many_observations():
    risks = [
        limits.gamma_poisson_newsvendor_risk(1.0, 1.0, m, 0.9)
        for m in (3_000, 10**6, 10**12)
    ]
    # the expected variance of θ given m counts is of order 1/m
    assert risks[0] - risks[2] == pytest.approx((risks[0] - risks[1]), rel=0.01)
    assert 0.0 < risks[0] - risks[2] < 1.0 / 3_000
    with pytest.raises(ValueError, match=r"m = 10000 need a sum of .* at most 5,000"):
        limits.gamma_poisson_newsvendor_risk(1.0, 1e-4, 10_000, 0.9)


def test_gamma_poisson_newsvendor_risk_is_what_simulation_gives():
    rng = np.random.default_rng(0)
    theta = rng.gamma(2.0, 5.0, 100_000)
    total, demand = rng.poisson(3 * theta), rng.poisson(theta)
    stock = {
        t: np.quantile(demand[total == t], 0.9, method="inverted_cdf")
        for t in np.unique(total)
    }
    x = np.array([stock[t] for t in total])
    cost = np.maximum(0.9 * (demand - x), -0.1 * (demand - x))
    law = limits.gamma_poisson_newsvendor_risk(2.0, 0.2, 3, 0.9)
    error = cost.std() / math.sqrt(len(cost))
    # Stocks fitted to the costs they are judged by are a little optimistic.
    assert law - 8.0 * error < cost.mean() < law + 4.0 * error


def test_gamma_poisson_newsvendor_risk_falls_to_that_of_known_means():
    risks = [
        limits.gamma_poisson_newsvendor_risk(2.0, 0.5, m, 0.9)
        for m in (0, 1, 2, 5, 20, 200)
    ]
    assert (np.diff(risks) < 0).all()
    assert risks[-2] - risks[-1] < 0.02


def test_squared_risk_is_posterior_variance_plus_bayes_gap():
    rng = np.random.default_rng(1)
    tau2, v, mu = 0.5, 0.5, 1.0
    theta = mu + math.sqrt(tau2) * rng.standard_normal(100_000)
    average = theta + math.sqrt(v) * rng.standard_normal(100_000)
    posterior = 0.5 * average + 0.5 * mu
    decisions = 0.7 * average + 0.4
    parts = limits.decompose_squared_risk(decisions, posterior, theta)
    assert parts.risk == pytest.approx(
        parts.posterior_variance + parts.bayes_gap + parts.cross, rel=1e-12
    )
    assert abs(parts.cross) < 4.0 * parts.cross_standard_error
    bayes = limits.gaussian_bayes_risk(tau2, 2.0, 4)
    assert parts.posterior_variance == pytest.approx(bayes, rel=0.02)
    # Averages are not posterior means, and truths must not be known to the policy.
    for f, pi in ((decisions, average), (0.9 * posterior + 0.1 * theta, posterior)):
        wrong = limits.decompose_squared_risk(f, pi, theta)
        assert abs(wrong.cross) > 10.0 * wrong.cross_standard_error
    assert math.isnan(
        limits.decompose_squared_risk([1.0], [1.0], [2.0]).cross_standard_error
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: limits.saa_worst_case(1.0, 5), r"q = 1.0 is not in \(0, 1\)"),
        (lambda: limits.saa_worst_case(math.nan, 5), "q = nan is not in"),
        (lambda: limits.saa_worst_case(0.9, 0), "m = 0, expected at least 1"),
        (
            lambda: limits.order_statistic_worst_case(0.9, 5, 6),
            r"r = 6 is not in \[1, 5\]",
        ),
        (lambda: limits.van_trees(-1, 1.0, 1.0), "m = -1, expected at least 0"),
        (lambda: limits.van_trees(1, 0.0, 1.0), "fisher_information = 0.0 is not"),
        (lambda: limits.van_trees(1, 1.0, -1.0), "prior_information = -1.0"),
        (lambda: limits.gaussian_bayes_risk(math.nan, 1.0, 1), "tau2 = nan"),
        (lambda: limits.gaussian_newsvendor_risk(1.0, -1.0, 1, 0.5), "s2 = -1.0"),
        (lambda: limits.gamma_poisson_bayes_risk(0.0, 1.0, 1), "shape = 0.0"),
        (lambda: limits.gamma_poisson_newsvendor_risk(1.0, math.inf, 1, 0.5), "rate ="),
        (
            lambda: limits.decompose_squared_risk([1.0], [1.0, 2.0], [1.0]),
            "1 decisions, 2 posterior_means, 1 truths",
        ),
        (
            lambda: limits.decompose_squared_risk([1.0], [math.nan], [1.0]),
            r"posterior_means\[0\] = nan",
        ),
        (lambda: limits.decompose_squared_risk([], [], []), "n = 0, expected"),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
