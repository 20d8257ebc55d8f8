import math

import mpmath
import numpy as np
import pytest
from losses_in_01 import (
    DELTA,
    beta_losses,
)

from theory import certificates, wealth

digits = mpmath.mp.clone()
digits.dps = 50


def exact_capital(losses, m, delta):
    """max_t W_t(m) from the definitions, at 50 digits."""
    x, n = [digits.mpf(v) for v in losses], len(losses)
    m, target = digits.mpf(m), digits.log(1 / digits.mpf(delta))
    shares = [digits.mpf(weight) for weight, _ in wealth.GAMBLERS]
    total, squares, best = digits.mpf(0.5), digits.mpf(0.25), digits.mpf(0)
    for i in range(n):
        bet = digits.sqrt(2 * target / (n * squares / (i + 1)))
        for k, (_, most) in enumerate(wealth.GAMBLERS):
            shares[k] *= 1 - min(bet, most / (1 - m)) * (x[i] - m)
        best = max(best, sum(shares))
        total += x[i]
        squares += (x[i] - total / (i + 2)) ** 2
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("delta", [1e-6, DELTA, 0.5])
def test_betting_inverts_the_capital_at_fifty_digits(seed, delta):
    rng = np.random.default_rng(seed)
    losses = rng.beta(0.9, 17.1, 60) if seed % 2 else rng.integers(2, size=30) * 1.0
    bound = certificates.betting(losses, delta)
    assert bound == 1.0 or exact_capital(losses, bound, delta) >= 1 / digits.mpf(delta)
    assert exact_capital(losses, bound - 1e-9, delta) < 1 / digits.mpf(delta)


def exact_cdf(k, n, p):
    p = digits.mpf(p)
    return sum(digits.binomial(n, j) * p**j * (1 - p) ** (n - j) for j in range(k + 1))


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 30), (3, 30), (29, 30), (7, 500)])
@pytest.mark.parametrize("delta", [1e-9, DELTA, 0.9])
def test_clopper_pearson_inverts_the_cdf_at_fifty_digits(k, n, delta):
    upper = certificates.clopper_pearson(k, n, delta)
    assert exact_cdf(k, n, upper * (1 + 1e-13)) <= delta
    assert exact_cdf(k, n, upper * (1 - 1e-13)) >= delta
    lower = certificates.clopper_pearson_lower(n - k, n, delta)
    assert lower == pytest.approx(1.0 - upper, abs=1e-13)


@pytest.mark.parametrize("total", [0.0, 0.4, 3.0, 11.7])
def test_bentkus_inverts_its_p_value_at_fifty_digits(total):
    n = 30
    losses = np.full(n, total / n)
    mean = digits.mpf(float(losses.mean()))

    def p_value(alpha):
        a = digits.mpf(alpha)
        head = mean * digits.log(mean / a) if mean else 0
        tail = (1 - mean) * digits.log((1 - mean) / (1 - a))
        cdf = digits.e * exact_cdf(math.ceil(total), n, a)
        return min(digits.exp(-n * (head + tail)), cdf)

    bound = certificates.bentkus(losses, DELTA)
    assert p_value(bound * (1 + 1e-12)) <= DELTA < p_value(bound * (1 - 1e-12))


def test_closed_forms_at_fifty_digits():
    losses = beta_losses(4, 20)
    x, n = [digits.mpf(v) for v in losses], 20
    mean = sum(x) / n
    variance = sum((v - mean) ** 2 for v in x) / (n - 1)
    log_1, log_2 = (digits.log(c / digits.mpf(0.3)) for c in (1, 2))
    hoeffding = mean + digits.sqrt(log_1 / (2 * n))
    bernstein = digits.sqrt(2 * variance * log_2 / n) + 7 * log_2 / (3 * (n - 1))
    floor = 1 - (1 - digits.mpf(0.2)) * digits.mpf(0.3) ** (digits.mpf(1) / n)
    for value, exact in (
        (certificates.hoeffding(losses, 0.3), hoeffding),
        (certificates.empirical_bernstein(losses, 0.3), mean + bernstein),
        (certificates.floor(0.2, n, 0.3), floor),
    ):
        assert value == pytest.approx(float(exact), rel=1e-14)
