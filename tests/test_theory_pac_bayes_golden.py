import math

import mpmath
import numpy as np
import pytest
from scipy import stats

from theory import coin_betting as coins
from theory import pac_bayes

digits = mpmath.mp.clone()
digits.dps = 50
DELTA = 0.05


def exact_xi(n):
    terms = (
        digits.binomial(n, k)
        * (digits.mpf(k) / n) ** k
        * (1 - digits.mpf(k) / n) ** (n - k)
        for k in range(n + 1)
    )
    return digits.fsum(terms)


def exact_binary_kl(q, p):
    head = q * digits.log(q / p) if q else 0
    tail = (1 - q) * digits.log((1 - q) / (1 - p)) if q < 1 else 0
    return head + tail


def exact_psi(losses, mu):
    """The best log capital by golden-section search over the share, at 50 digits."""
    x, mu = [digits.mpf(float(v)) for v in losses], digits.mpf(mu)

    def log_capital(b):
        rounds = (v * b / mu + (1 - v) * (1 - b) / (1 - mu) for v in x)
        return digits.fsum(map(digits.log, rounds))

    ratio = (digits.sqrt(5) - 1) / 2
    low, high = digits.mpf(0), digits.mpf(1)
    for _ in range(70):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if log_capital(left) < log_capital(right):
            low = left
        else:
            high = right
    return log_capital((low + high) / 2)


def exact_budget(kl, n, delta):
    ratio = digits.gamma(n + 1) / digits.gamma(n + digits.mpf("0.5"))
    return (
        kl - digits.log(digits.mpf(delta)) + digits.log(digits.sqrt(digits.pi) * ratio)
    )


def golden_losses(n):
    """The quantiles of a Beta law of mean .05 and standard deviation .05."""
    return stats.beta(0.9, 17.1).ppf((np.arange(n) + 0.5) / n)


@pytest.mark.parametrize("n", [1, 2, 7, 63, 64, 65, 500, 2_000])
def test_xi_is_its_sum_at_fifty_digits_and_rounded_up(n):
    exact = digits.log(exact_xi(n))
    value = digits.mpf(pac_bayes.maurer_log_xi(n))
    assert exact < value < exact + 3e-12


@pytest.mark.parametrize("n", [10**4, 10**6, 10**9, 10**15])
def test_xi_of_many_instances_is_abels_closed_form_at_fifty_digits(n):
    n_ = digits.mpf(n)
    # Ramanujan's series for the sum, whose next term is of order n^(-3/2).
    root = digits.sqrt(digits.pi * n_ / 2)
    series = root * (1 + 1 / (12 * n_) + 1 / (288 * n_**2)) + digits.mpf(2) / 3
    series += -digits.mpf(4) / (135 * n_)
    value = digits.mpf(pac_bayes.maurer_log_xi(n))
    assert digits.log(series) - 1e-12 < value < digits.log(series) + 4e-12


def test_xi_is_at_most_the_constant_of_the_weaker_forms():
    for n in range(2, 200):
        assert math.sqrt(n) < math.exp(pac_bayes.maurer_log_xi(n)) < 2.0 * math.sqrt(n)
    assert exact_xi(1) == 2
    short = pac_bayes.maurer_log_xi(np.int32(100_000))
    assert short == pac_bayes.maurer_log_xi(100_000)


def test_xi_of_a_million_is_the_vectorised_sum():
    n = 1_000_000
    k = np.arange(1, n)
    ratios = stats.binom.pmf(k, n, k / n)
    assert pac_bayes.maurer_log_xi(n) == pytest.approx(
        np.log(2 + ratios.sum()), abs=1e-8
    )


@pytest.mark.parametrize("n", [1, 10, 1000, 1001, 10**6])
def test_regret_at_fifty_digits_and_rounded_up(n):
    exact = exact_budget(0, n, 1)
    assert exact < digits.mpf(coins.log_regret(n)) < exact + 1e-11


@pytest.mark.parametrize(
    ("kl", "by_kl", "by_coins"),
    [(1.0, 0.060, 0.0522), (10.0, 0.064, 0.0531), (100.0, 0.089, 0.062)],
)
def test_reference_sizes(kl, by_kl, by_coins):
    losses = golden_losses(10_000)
    assert losses.std() == pytest.approx(0.05, abs=1e-4)
    assert pac_bayes.maurer_kl(0.05, kl, 10_000, DELTA) == pytest.approx(
        by_kl, abs=5e-4
    )
    bound = pac_bayes.coin_betting(losses, kl, DELTA)
    assert bound == pytest.approx(by_coins, abs=5e-4 if kl == 100.0 else 5e-5)


@pytest.mark.parametrize("n", [1, 50, 2_000])
@pytest.mark.parametrize("kl", [0.0, 3.0])
def test_maurer_inverts_the_relative_entropy_with_xi_at_fifty_digits(n, kl):
    # Omitting xi(n) is never caught by simulation; here it is.
    budget = (digits.mpf(kl) + digits.log(exact_xi(n) / digits.mpf(DELTA))) / n
    bound = digits.mpf(pac_bayes.maurer_kl(0.25, kl, n, DELTA))
    q = digits.mpf("0.25")
    assert exact_binary_kl(q, bound) >= budget
    assert exact_binary_kl(q, bound - digits.mpf("1e-11")) < budget
    without_xi = (digits.mpf(kl) - digits.log(digits.mpf(DELTA))) / n
    assert exact_binary_kl(q, bound) > 1.05 * without_xi


def test_closed_forms_at_fifty_digits():
    q, kl, n, delta, beta = 0.1, 7.0, 400, 0.02, 1.5
    q_, kl_, delta_, beta_ = map(digits.mpf, (q, kl, delta, beta))
    c = (kl_ + digits.log(2 * digits.sqrt(n) / delta_)) / (2 * n)

    def exact_catoni(share):
        exponent = -beta_ * q_ - (kl_ + digits.log(1 / share)) / n
        return (1 - digits.exp(exponent)) / (1 - digits.exp(-beta_))

    for value, exact in (
        (pac_bayes.mcallester(q, kl, n, delta), q_ + digits.sqrt(c)),
        (
            pac_bayes.quadratic(q, kl, n, delta),
            (digits.sqrt(q_ + c) + digits.sqrt(c)) ** 2,
        ),
        (pac_bayes.catoni(q, kl, n, delta, beta), exact_catoni(delta_)),
        # Far betas never win, but their union is paid: delta over 5.
        (
            pac_bayes.catoni_grid(q, kl, n, delta, [1e-6, 1e-5, beta, 50.0, 60.0]),
            exact_catoni(delta_ / 5),
        ),
    ):
        assert value == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize(
    "ratio", [1.0, 1.0 + 1e-12, 1.0 - 1e-7, 0.95, 1.09, 1.11, 40.0]
)
def test_gaussian_divergence_at_fifty_digits(ratio):
    prior, posterior, diff = 0.3, 0.3 * ratio, np.array([1e-9, 0.2, -3.0])
    s0, s = digits.mpf(prior), digits.mpf(posterior)
    exact = sum(
        (digits.log(s0**2 / s**2) + (s**2 + digits.mpf(float(d)) ** 2) / s0**2 - 1) / 2
        for d in diff
    )
    value = pac_bayes.gaussian_kl(diff, prior, posterior)
    assert value == pytest.approx(float(exact), rel=1e-14)
    spread = pac_bayes.gaussian_kl(0.0, prior, posterior)
    exact = (digits.log(s0**2 / s**2) + s**2 / s0**2 - 1) / 2
    assert spread == pytest.approx(float(exact), rel=1e-13, abs=0.0)


@pytest.mark.parametrize(
    ("diff", "prior", "posterior"),
    [
        (0.0, 1.0, 1e-300),
        (0.0, 1.0, 1.0 - 2.0**-40),
        (1.0, 1.0, 1e-9),
        (3.0, 1e200, 1e-200),
        (0.0, 1e-100, 1e50),
    ],
)
def test_gaussian_divergence_of_scales_far_apart(diff, prior, posterior):
    s0, s = digits.mpf(prior), digits.mpf(posterior)
    exact = (digits.log(s0**2 / s**2) + (s**2 + digits.mpf(diff) ** 2) / s0**2 - 1) / 2
    value = pac_bayes.gaussian_kl(diff, prior, posterior)
    assert value == pytest.approx(float(exact), rel=1e-14, abs=0.0)


@pytest.mark.parametrize(
    ("diff", "prior", "posterior"),
    [(1.0, 1e-200, 1e200), (1e200, 1e-200, 1.0), ([1e154] * 4, 1.0, 1.0)],
)
def test_gaussian_divergence_that_overflows_is_infinite(diff, prior, posterior):
    assert pac_bayes.gaussian_kl(diff, prior, posterior) == math.inf


@pytest.mark.parametrize(("mean", "draws"), [(0.05, 7), (0.4, 300), (0.0, 1)])
def test_draws_pay_their_budget_at_fifty_digits(mean, draws):
    bound = digits.mpf(pac_bayes.monte_carlo(mean, draws, 0.02))
    q = digits.mpf(mean)
    paid = (1 - q) * digits.log((1 - q) / (1 - bound))
    paid += q * digits.log(q / bound) if q else 0
    budget = digits.log(1 / digits.mpf(0.02)) / draws
    assert float(paid) == pytest.approx(float(budget), rel=1e-12)


@pytest.mark.parametrize("kl", [0.0, 2.0])
@pytest.mark.parametrize(
    "losses",
    [
        [0.0, 0.0, 0.0],
        [0.3, 0.3, 0.3, 0.3],
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        list(golden_losses(12)),
        [0.9, 0.99, 1.0, 0.7, 0.95],
    ],
)
def test_coin_betting_inverts_the_best_capital_at_fifty_digits(losses, kl):
    bound = pac_bayes.coin_betting(losses, kl, 0.3)
    budget = exact_budget(kl, len(losses), 0.3)
    assert bound == 1.0 or exact_psi(losses, bound) >= budget
    assert exact_psi(losses, bound - 1e-10) < budget


def test_the_draws_pay_the_lagrangian_at_fifty_digits(monkeypatch):
    rows = np.random.default_rng(3).beta(0.9, 17.1, (3, 10)).round(3)
    budget = exact_budget(2, 10, 0.3)
    seen = []
    monkeypatch.setattr(
        coins.certificates, "betting", lambda x, _: seen.extend(x) or 0.0
    )
    spent = pac_bayes.coin_betting_draws(rows, 2.0, 0.3, 0.1)
    price = digits.mpf(spent) / budget
    assert len(seen) == 2
    for row, reach in zip(rows[1:], seen, strict=True):
        mean = float(row.mean())
        grid = np.linspace(mean, 0.999, 12)
        best = max(mu - price * exact_psi(row, mu) for mu in grid)
        assert best <= reach <= best + 0.05
