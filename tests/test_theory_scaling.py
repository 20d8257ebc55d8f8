import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from theory import laws, scaling

digits = mpmath.mp.clone()
digits.dps = 50

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
N = np.array([32, 64, 128, 256, 512])


@properties
@hypothesis.given(st.floats(-2.0, 1.0), st.floats(1e-3, 1e3), st.booleans())
def test_a_power_law_has_its_exponent(exponent, constant, weighted):
    error = constant * N**exponent
    spread = 0.1 * error * np.arange(1, 6) if weighted else None
    found = scaling.log_log_slope(N, error, spread)
    assert found.slope == pytest.approx(exponent, abs=1e-12)
    assert found.interval == pytest.approx((exponent, exponent), abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_slope_and_interval_at_fifty_digits(weighted):
    error = np.array([0.30, 0.21, 0.09, 0.08, 0.03])
    spread = np.array([0.05, 0.02, 0.02, 0.01, 0.001])
    x = [digits.log(digits.mpf(int(k))) for k in N]
    y = [digits.log(digits.mpf(e)) for e in error]
    w = [
        (digits.mpf(e) / digits.mpf(s)) ** 2 if weighted else digits.mpf(1)
        for e, s in zip(error, spread, strict=True)
    ]
    design = digits.matrix([[1, v] for v in x])
    scale = digits.diag(w)
    inverse = digits.inverse(design.T * scale * design)
    fitted = inverse * (design.T * scale * digits.matrix(y))
    residuals = digits.matrix(y) - design * fitted
    variance = (residuals.T * scale * residuals)[0] / 3 * inverse[1, 1]
    found = scaling.log_log_slope(N, error, spread if weighted else None)
    assert found.slope == pytest.approx(float(fitted[1]), rel=1e-12)
    half = 3.182446305283708 * float(digits.sqrt(variance))  # t(0.975; 3)
    low, high = found.interval
    assert low == pytest.approx(found.slope - half, rel=1e-9)
    assert high == pytest.approx(found.slope + half, rel=1e-9)


def test_unweighted_slope_is_that_of_scipy():
    error = np.array([0.30, 0.21, 0.09, 0.08, 0.03])
    expected = stats.linregress(np.log(N), np.log(error))
    found = scaling.log_log_slope(N, error)
    assert found.slope == pytest.approx(expected.slope, rel=1e-12)
    half = stats.t.ppf(0.975, 3) * expected.stderr
    assert found.interval[1] - found.slope == pytest.approx(half, rel=1e-9)


def covered(weighted, wrong=1.0):
    """Share of 95% intervals that contain the exponent −1, of 800."""
    rng = np.random.default_rng(0)
    spread = np.array([0.02, 0.02, 0.05, 0.1, 0.3])
    hits = 0
    for noise in np.exp(spread * rng.standard_normal((800, 5))):
        error = noise / N
        low, high = scaling.log_log_slope(
            N, error, error * spread if weighted else None
        ).interval
        middle = (low + high) / 2.0
        hits += abs(-1.0 - middle) <= wrong * (high - low) / 2.0
    return hits / 800


def test_weighted_interval_covers_at_its_level():
    error = math.sqrt(0.05 * 0.95 / 800)
    assert abs(covered(True) - 0.95) < 4.0 * error
    # The normal quantile in place of Student's undercovers with five points.
    assert covered(True, 1.96 / 3.18) < 0.95 - 4.0 * error


@properties
@hypothesis.given(st.integers(0, 1000), st.floats(0.01, 100.0))
def test_slope_does_not_depend_on_units(seed, unit):
    error = np.random.default_rng(seed).random(5) + 0.1
    found = scaling.log_log_slope(N, error)
    same = scaling.log_log_slope(N, unit * error)
    assert same.slope == pytest.approx(found.slope, abs=1e-9)
    assert same.interval == pytest.approx(found.interval, abs=1e-9)


def test_tightness_by_hand():
    assert scaling.tightness(0.3, 0.2, 0.6) == pytest.approx((1.5, 0.1, 0.25))
    nowhere = scaling.tightness(0.3, 0.2, None)
    assert math.isnan(nowhere.tau)
    for baseline in (0.2, 0.1):
        assert math.isnan(scaling.tightness(0.3, 0.2, baseline).tau)
    assert scaling.tightness(0.1, 0.0, 0.5) == pytest.approx((math.inf, 0.1, 0.2))
    assert math.isnan(scaling.tightness(0.0, 0.0, 0.5).ratio)
    violated = scaling.tightness(0.1, 0.2, 0.5)
    assert violated.ratio < 1.0
    assert violated.gap < 0.0
    assert violated.tau < 0.0


@properties
@hypothesis.given(st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.floats(0.0, 1.0))
def test_tightness_increases_in_the_bound(risk, room, share):
    now = scaling.tightness(risk + share * room, risk, risk + room)
    later = scaling.tightness(risk + share * room + 0.1, risk, risk + room)
    assert all(a < b for a, b in zip(now, later, strict=True))
    assert now.tau == pytest.approx(share, abs=1e-9)


@properties
@hypothesis.given(st.floats(40.0, 500.0), st.floats(-2.0, 0.0), st.floats(0.1, 1.0))
def test_power_laws_cross_where_they_cross(where, slope, steeper):
    a, b = (N / where) ** (slope - steeper), (N / where) ** slope
    assert scaling.crossover(N, a, b) == pytest.approx(where, rel=1e-9)
    assert scaling.crossover(N, b, a) == pytest.approx(where, rel=1e-9)
    assert scaling.crossover(N, 7.0 * a, 7.0 * b) == pytest.approx(where, rel=1e-9)


def test_crossover_of_the_gaussian_world():
    worlds = [laws.gaussian_world(0.5, 2.0, 4, int(n), 0.1) for n in N]
    flat, falling = ([getattr(w, k) for w in worlds] for k in ("pretrain", "finetune"))
    found = scaling.crossover(N, falling, flat)
    assert found == pytest.approx(worlds[0].crossover, rel=1e-12)


def test_curves_that_do_not_cross_or_have_holes():
    nan = math.nan
    n = [1, 2, 4, 8]
    assert scaling.crossover(n, [4, 3, 2, 1.5], [1, 1, 1, 1]) is None
    assert scaling.crossover(n, [1, 1, 1, 1], [1, 1, 1, 1]) is None
    assert scaling.crossover(n, [4, nan, 0.25, 1], [1, 1, 1, nan]) == pytest.approx(2.0)
    assert scaling.crossover(n, [1, 2, 1, 0.5], [1, 1, 1, 1]) == pytest.approx(4.0)
    assert scaling.crossover(n, [1, 2, 2, 2], [1, 1, 1, 1]) is None
    # Only the first of two crossings.
    assert scaling.crossover(n, [2, 0.5, 2, 0.5], [1, 1, 1, 1]) == pytest.approx(2**0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: scaling.log_log_slope([1, 2], [1, 2]),
            "points = 2, expected at least",
        ),
        (lambda: scaling.log_log_slope([2, 2, 2], [1, 2, 3]), "n = 2 at every point"),
        (
            lambda: scaling.log_log_slope([1, 2, 3], [1, 2, 0]),
            r"error\[2\] = 0.0 is not",
        ),
        (
            lambda: scaling.log_log_slope([1, 2, 3], [1, 2, math.nan]),
            r"error\[2\] = nan",
        ),
        (
            lambda: scaling.log_log_slope([1, 2, 3], [1, 2]),
            r"n has shape \(3,\), error",
        ),
        (
            lambda: scaling.log_log_slope([1, 2, 3], [1, 2, 3], [1, 1, -1]),
            r"standard_errors\[2\] = -1.0 is not in",
        ),
        (
            lambda: scaling.log_log_slope([1, 2, 3], [1, 2, 3], [1.0]),
            r"standard_errors has shape \(1,\)",
        ),
        (lambda: scaling.tightness(math.nan, 0.1, 0.2), "bound = nan is not in"),
        (lambda: scaling.tightness(0.2, -0.1, 0.2), "risk = -0.1 is not in"),
        (lambda: scaling.tightness(0.2, 0.1, math.nan), "baseline = nan is not in"),
        (lambda: scaling.crossover([2, 1], [1, 1], [1, 2]), "does not increase"),
        (lambda: scaling.crossover([1, 2], [1, -1], [1, 2]), r"curve_a\[1\] = -1.0"),
        (lambda: scaling.crossover([1, 2], [1, 1], [1, 0]), r"curve_b\[1\] = 0.0 is"),
        (lambda: scaling.crossover([1, 2], [1], [1, 2]), r"curve_a has shape \(1,\)"),
        (
            lambda: scaling.crossover([1, 2], [1, math.nan], [1, 2]),
            "points with both curves = 1, expected at least 2",
        ),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
