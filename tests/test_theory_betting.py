import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from losses_in_01 import DELTA, beta_losses

from theory import certificates, wealth

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)

LAWS = {
    "beta": lambda rng, shape: rng.beta(0.9, 17.1, shape),
    "uniform": lambda rng, shape: rng.random(shape),
    "rare": lambda rng, shape: (rng.random(shape) < 0.02).astype(float),
    "constant": lambda rng, shape: np.full(shape, 0.05),
    "ones": lambda rng, shape: np.ones(shape),
    "zeros": lambda rng, shape: np.zeros(shape),
    "two values": lambda rng, shape: np.where(rng.random(shape) < 0.02, 1.0, 0.03),
}


def by_halving(losses, delta):
    """The root of the capital as its definition has it, in sums of logarithms."""
    n = len(losses)
    bet = wealth.bets(losses[None], delta)[0]

    def won(mean):
        paths = []
        for weight, most in wealth.GAMBLERS:
            stake = np.minimum(bet, most / (1.0 - mean))
            with np.errstate(divide="ignore"):
                growth = np.log1p(-stake * (losses - mean))
            paths.append(math.log(weight) + np.cumsum(growth))
        return np.logaddexp(*paths).max() >= -math.log(delta) + n * wealth.ROUNDING

    low, high = 0.0, 1.0
    for _ in range(45):
        middle = (low + high) / 2.0
        low, high = (low, middle) if won(middle) else (middle, high)
    return low, high


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [1, 7, 300])
@pytest.mark.parametrize("delta", [0.5, 0.05, 1e-6])
def test_bounds_are_the_roots_from_above(law, n, delta):
    losses = LAWS[law](np.random.default_rng(n), (6, n))
    found = certificates.betting_many(losses, delta)
    assert found.dtype == np.float64
    for row, bound in zip(losses, found, strict=True):
        low, high = by_halving(row, delta)
        assert low - 1e-12 <= bound <= high + wealth.TOLERANCE + 1e-12


@pytest.mark.parametrize("law", LAWS)
def test_many_samples_at_once_are_the_samples_one_by_one(law, monkeypatch):
    losses = LAWS[law](np.random.default_rng(0), (9, 50))
    together = certificates.betting_many(losses, DELTA)
    single = [certificates.betting(row, DELTA) for row in losses]
    np.testing.assert_allclose(together, single, rtol=0, atol=2 * wealth.TOLERANCE)
    monkeypatch.setattr(wealth, "BLOCK", 100)
    in_parts = certificates.betting_many(losses, DELTA)
    np.testing.assert_allclose(in_parts, single, rtol=0, atol=2 * wealth.TOLERANCE)
    lower = certificates.betting_many_lower(losses, DELTA)
    mirrored = certificates.betting_many(1.0 - losses, DELTA)
    np.testing.assert_array_equal(lower, 1.0 - mirrored)


@pytest.mark.parametrize("law", ["beta", "two values", "rare"])
def test_the_search_returns_an_upper_end_however_early_it_stops(law, monkeypatch):
    losses = LAWS[law](np.random.default_rng(1), (40, 200))
    root = certificates.betting_many(losses, DELTA) - wealth.TOLERANCE
    for steps in range(12):
        monkeypatch.setattr(wealth, "MAX_STEPS", steps)
        assert (certificates.betting_many(losses, DELTA) >= root).all()


def test_a_root_that_is_not_won_would_be_below():
    losses = beta_losses(3, (50, 200))
    bound = certificates.betting_many(losses, DELTA)
    bet = wealth.bets(losses, DELTA)
    target = -math.log(DELTA)
    assert (wealth.log_capital(losses, bet, bound) >= target).all()
    below = bound - 2.0 * wealth.TOLERANCE
    assert (wealth.log_capital(losses, bet, below) < target + 1e-8).all()


@properties
@hypothesis.given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20), st.floats(0.0, 0.99)
)
def test_the_short_form_of_the_capital_is_the_long_one(losses, mean):
    x = np.array([losses])
    bet = np.minimum(wealth.bets(x, DELTA), wealth.LEAST_CUT / (1.0 - mean) * 0.999)
    short = wealth.log_capital(x, bet, np.array([mean]))
    # A second sample whose bets are cut sends both the long way.
    both = np.vstack([x, x]), np.vstack([bet, 1e4 + 0.0 * bet])
    long = wealth.log_capital(*both, np.array([mean, mean]))
    assert long[0] == pytest.approx(short[0], abs=1e-10)


def test_capital_beyond_the_largest_number_is_won_and_lost_capital_stays_lost():
    x = np.array([np.zeros(5_000), np.r_[np.zeros(4_999), 1.0], np.ones(5_000)])
    bet = np.full(x.shape, 1e6)
    found = wealth.log_capital(x, bet, np.array([0.9, 0.9, 0.9]))
    assert found[0] == found[1] == math.inf
    # Who stakes all loses all, and the other keeps a quarter of a tenth.
    assert found[2] == pytest.approx(math.log(0.1 * 0.25))


@pytest.mark.parametrize(
    ("losses", "delta", "message"),
    [
        ([0.1, 0.2], DELTA, r"losses has shape \(2,\), expected \(samples, n\)"),
        (np.zeros((0, 3)), DELTA, r"losses has shape \(0, 3\), expected"),
        ([[0.1], [1.5]], DELTA, r"losses\[1, 0\] = 1.5 is not in \[0, 1\]"),
        ([[0.1, math.nan]], DELTA, r"losses\[0, 1\] = nan is not in"),
        ([[0.1]], 1.0, r"delta = 1.0 is not in \(0, 1\)"),
    ],
)
def test_complaints_name_the_value(losses, delta, message):
    for bound in (certificates.betting_many, certificates.betting_many_lower):
        with pytest.raises(ValueError, match=message):
            bound(losses, delta)
