import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from theory import certificates, mismatch

digits = mpmath.mp.clone()

digits.dps = 50

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)


@properties
@hypothesis.given(st.floats(0.0, 50.0), st.floats(0.0, 50.0))
def test_bounds_on_total_variation_increase_in_kl(kl, other):
    low, high = sorted((kl, other))
    for bound in (
        mismatch.pinsker,
        mismatch.bretagnolle_huber,
        mismatch.total_variation_bound,
    ):
        assert 0.0 <= bound(low) <= bound(high) <= 1.0
    tighter = mismatch.bretagnolle_huber(high) < mismatch.pinsker(high)
    assert tighter == (1.594 < high) or abs(high - 1.594) < 1e-3 or high > 30.0


def test_bounds_on_total_variation_at_fifty_digits():
    kl = digits.mpf("0.37")
    assert mismatch.pinsker(0.37) == pytest.approx(float(digits.sqrt(kl / 2)))
    exact = digits.sqrt(1 - digits.exp(-kl))
    assert mismatch.bretagnolle_huber(0.37) == pytest.approx(float(exact), rel=1e-15)
    assert mismatch.total_variation_bound(math.inf) == 1.0
    # Half of Pinsker's constant is not a bound: it must fail near equal laws.
    near = mismatch.gaussian(0.0, 1.0, 0.01, 1.0)
    assert near.total_variation < mismatch.pinsker(near.kl)
    assert near.total_variation > math.sqrt(near.kl / 4.0)


def test_contamination_is_at_most_its_share():
    p, g = np.array([0.7, 0.3, 0.0]), np.array([0.0, 0.0, 1.0])
    for eps in (0.0, 0.1, 0.6):
        q = (1 - eps) * p + eps * g
        tv = mismatch.discrete(p, q).total_variation
        assert tv == pytest.approx(mismatch.total_variation_contaminated(eps))
        mixed = (1 - eps) * p + eps * np.array([0.5, 0.5, 0.0])
        assert mismatch.discrete(p, mixed).total_variation <= tv + 1e-15


def test_risk_gaps_hold_and_are_attained():
    rng = np.random.default_rng(1)
    x = np.sort(rng.random(6))
    p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    far = mismatch.discrete(p, q, x)
    by_tv = mismatch.risk_gap_tv(3.0, far.total_variation)
    assert 3.0 * (q - p)[q > p].sum() == pytest.approx(by_tv)
    by_w1 = mismatch.risk_gap_wasserstein(2.0, far.wasserstein)
    slopes = 2.0 * np.sign(np.cumsum(p - q))[:-1]
    loss = np.concatenate([[0.0], np.cumsum(slopes * np.diff(x))])
    assert (q - p) @ loss == pytest.approx(by_w1)
    for _ in range(100):
        loss = 3.0 * rng.random(6)
        assert abs((q - p) @ loss) <= by_tv
        assert abs((q - p) @ np.abs(2.0 * x - loss)) <= by_w1 + 3.0 * by_tv


def test_each_side_of_a_certified_mismatch_has_half_of_delta():
    rng = np.random.default_rng(2)
    real, synthetic = rng.beta(2, 6, 70), rng.beta(1, 9, 40)
    found = mismatch.certified(real, synthetic, 0.3)
    upper = certificates.betting(real, 0.15)
    assert found == upper - certificates.betting_lower(synthetic, 0.15)
    # losses 1 − ℓ turn the worlds around, and neither side is favoured
    turned = mismatch.certified(1.0 - synthetic, 1.0 - real, 0.3)
    assert turned == pytest.approx(found, abs=1e-9)


def test_certified_mismatch_covers_the_difference_of_risks():
    rng = np.random.default_rng(2)
    covered, swapped, replications = 0, 0, 60
    for _ in range(replications):
        real, synthetic = rng.beta(2, 6, 60), rng.beta(1, 9, 200)
        covered += mismatch.certified(real, synthetic, 0.2) >= 0.25 - 0.1
        swapped += mismatch.certified(synthetic, real, 0.2) >= 0.25 - 0.1
    error = math.sqrt(0.2 * 0.8 / replications)
    assert covered / replications >= 0.8 - 4.0 * error
    assert swapped == 0
    many = mismatch.certified(rng.beta(2, 6, 4_000), rng.beta(1, 9, 4_000), 0.05)
    assert 0.15 < many < 0.18
    less = mismatch.certified(rng.beta(1, 9, 4_000), rng.beta(2, 6, 4_000), 0.05)
    assert less < -0.12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mismatch.gaussian(0.0, 0.0, 0.0, 1.0), "sd_p = 0.0 is not positive"),
        (lambda: mismatch.gaussian(0.0, 1.0, math.nan, 1.0), "mean_q = nan is not in"),
        (lambda: mismatch.gamma(1.0, 1.0, 1.0, -1.0), "rate_q = -1.0 is not positive"),
        (lambda: mismatch.poisson(1.0, math.inf), "mean_q = inf is not positive"),
        (
            lambda: mismatch.negative_binomial(1.0, 1.0, 1.0, 0.5),
            r"success_p = 1.0 is not in \(0, 1\)",
        ),
        (
            lambda: mismatch.negative_binomial(1.0, 1e-9, 1.0, 0.5),
            "needs more than 1048576 terms",
        ),
        (
            lambda: mismatch.discrete([0.5, 0.4], [0.5, 0.5]),
            "p has sum 0.9, expected 1",
        ),
        (lambda: mismatch.discrete([1.0], [0.5, 0.5]), "1 p, 2 q, 1 support"),
        (
            lambda: mismatch.discrete([0.5, 0.5], [0.2, 0.8], [1.0, 1.0]),
            "a point twice",
        ),
        (lambda: mismatch.discrete([1.5, -0.5], [0.5, 0.5]), r"p\[0\] = 1.5 is not in"),
        (lambda: mismatch.empirical_wasserstein([], [1.0]), "n = 0, expected"),
        (lambda: mismatch.empirical_wasserstein([1.0], [math.inf]), r"y\[0\] = inf"),
        (lambda: mismatch.total_variation_contaminated(1.1), "eps = 1.1 is not in"),
        (lambda: mismatch.pinsker(-0.1), "kl = -0.1 is not in"),
        (lambda: mismatch.bretagnolle_huber(math.nan), "kl = nan is not in"),
        (lambda: mismatch.risk_gap_tv(0.0, 0.1), "loss_range = 0.0 is not positive"),
        (lambda: mismatch.risk_gap_tv(1.0, 1.1), "total_variation = 1.1 is not in"),
        (lambda: mismatch.risk_gap_wasserstein(1.0, -1.0), "wasserstein = -1.0"),
        (lambda: mismatch.certified([0.5], [1.5], 0.1), r"losses_synthetic\[0\] = 1.5"),
        (lambda: mismatch.certified([], [0.5], 0.1), "n = 0, expected"),
        (lambda: mismatch.certified([0.5], [0.5], 0.0), r"delta = 0.0 is not in"),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
