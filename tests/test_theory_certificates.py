import math

import hypothesis
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st
from losses_in_01 import (
    BOUNDS,
    DELTA,
    beta_losses,
    every_sequence,
    lower_bound,
    upper_bound,
    zeros_and_ones,
)

from theory import certificates, checks, wealth

digits = mpmath.mp.clone()
digits.dps = 50

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
samples = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)
deltas = st.floats(1e-6, 0.9)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("loss", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 10, 1000])
def test_no_bound_is_below_the_floor_on_losses_without_spread(name, loss, n):
    floor = certificates.floor(loss, n, DELTA)
    assert upper_bound(name)(np.full(n, loss), DELTA) >= floor - 1e-12
    assert certificates.clopper_pearson(0, n, DELTA) == pytest.approx(
        certificates.floor(0.0, n, DELTA), rel=1e-12
    )


@properties
@hypothesis.given(samples, deltas)
def test_bounds_are_ordered_and_in_the_unit_interval(losses, delta):
    mean = float(np.mean(losses))
    by_name = {name: upper_bound(name)(losses, delta) for name in BOUNDS}
    assert by_name["bentkus"] <= by_name["kl_chernoff"]
    assert by_name["kl_chernoff"] <= by_name["hoeffding"] + 1e-12
    assert all(0.0 <= bound <= 1.0 for bound in by_name.values())
    for name in ("hoeffding", "empirical_bernstein", "kl_chernoff"):
        assert by_name[name] >= mean


@properties
@hypothesis.given(st.integers(1, 60), st.integers(0, 60), deltas)
def test_clopper_pearson_is_the_smallest_on_counts(n, k, delta):
    k = min(k, n)
    exact = certificates.clopper_pearson(k, n, delta)
    assert exact <= certificates.bentkus(zeros_and_ones(k, n), delta) + 1e-12
    if k < n:
        assert exact < certificates.clopper_pearson(k + 1, n, delta)
    assert certificates.clopper_pearson(k, n + 1, delta) <= exact


def log_tail(k, n, p):
    """ln P(Bin(n, p) ≤ k), summed down from k."""
    term = total = digits.binomial(n, k) * p**k * (1 - p) ** (n - k)
    for j in range(k, 0, -1):
        term *= j * (1 - p) / ((n - j + 1) * p)
        total += term
        if term < total * digits.mpf(10) ** -48:
            break
    return digits.log(total)


def test_clopper_pearson_is_on_the_safe_side_of_fifty_digits():
    rng = np.random.default_rng(0)
    cases = [(138, 343, 3.0963984806092064e-11), (149, 434, 2.0321504222688352e-11)]
    for _ in range(120):
        n = int(np.exp(rng.uniform(0.0, math.log(3_000.0)))) + 1
        delta = float(np.exp(rng.uniform(math.log(1e-11), math.log(0.99))))
        cases.append((int(rng.integers(0, n)), n, delta))
    for k, n, delta in cases:
        upper = certificates.clopper_pearson(k, n, delta)
        lower = certificates.clopper_pearson_lower(n - k, n, delta)
        inside = digits.mpf(upper) * (1 - digits.mpf(10) ** -14)
        if upper < 1.0:
            # the tail falls in p: the root is between the two
            assert log_tail(k, n, digits.mpf(upper)) <= digits.log(delta)
            assert log_tail(k, n, inside) > digits.log(delta)
        if lower > 0.0:
            assert log_tail(k, n, 1 - digits.mpf(lower)) <= digits.log(delta)


@properties
@hypothesis.given(samples, deltas, deltas)
def test_bounds_decrease_in_delta(losses, delta, other):
    low, high = sorted((delta, other))
    for name in BOUNDS[:4]:
        bound = upper_bound(name)
        assert bound(losses, high) <= bound(losses, low) + 1e-12


@properties
@hypothesis.given(samples, deltas, st.floats(0.0, 1.0))
def test_bounds_on_the_mean_alone_increase_in_each_loss(losses, delta, share):
    raised = [loss + share * (1.0 - loss) for loss in losses]
    for name in ("hoeffding", "kl_chernoff", "bentkus"):
        bound = upper_bound(name)
        assert bound(losses, delta) <= bound(np.minimum(raised, 1.0), delta) + 1e-12


@properties
@hypothesis.given(samples, st.floats(0.0, 0.99), st.floats(0.0, 0.99))
def test_capital_is_nondecreasing_in_the_candidate_mean(losses, m, other):
    x = np.array([losses, losses])
    capital = wealth.log_capital(x, wealth.bets(x, DELTA), np.sort([m, other]))
    assert capital[0] <= capital[1] + 1e-9


@properties
@hypothesis.given(samples, deltas)
def test_lower_bounds_mirror_upper_bounds(losses, delta):
    mirrored = 1.0 - np.array(losses)
    for name in BOUNDS:
        lower = lower_bound(name)(losses, delta)
        assert lower == pytest.approx(
            1.0 - upper_bound(name)(mirrored, delta), abs=1e-9
        )
        assert 0.0 <= lower <= 1.0


def test_bets_do_not_see_the_loss_they_are_placed_on():
    losses = beta_losses(5, (1, 20))
    changed = losses.copy()
    changed[0, 10] = 1.0
    before, after = (wealth.bets(x, DELTA)[0] for x in (losses, changed))
    np.testing.assert_array_equal(before[:11], after[:11])
    assert (before[11:] != after[11:]).all()
    assert before[0] == pytest.approx(math.sqrt(-2 * math.log(DELTA) / (20 * 0.25)))


def test_paired_gain_is_the_betting_bound_of_rescaled_differences():
    rng = np.random.default_rng(7)
    old = 40.0 + 10.0 * rng.random(400)
    new = old - 4.0 * rng.random(400)
    gain = certificates.paired_gain(new, old, DELTA, 50.0)
    lower = certificates.betting_lower((old - new + 50.0) / 100.0, DELTA)
    assert gain == pytest.approx(100.0 * lower - 50.0, abs=1e-12)
    assert 0.0 < gain < 2.0
    harm = certificates.paired_gain(old, new, DELTA, 50.0)
    assert -4.0 < harm < -2.0
    scaled = certificates.paired_gain(new / 50.0, old / 50.0, DELTA, 1.0)
    assert 50.0 * scaled == pytest.approx(gain, abs=1e-6)


@pytest.mark.parametrize("unit", [1e-308, 1e-30, 1e30, checks.LARGEST])
def test_paired_gain_has_the_unit_of_the_losses_however_large(unit):
    rng = np.random.default_rng(7)
    old, new = rng.random(50), rng.random(50)
    gain = certificates.paired_gain(new, old, DELTA, 1.0)
    found = certificates.paired_gain(unit * new, unit * old, DELTA, unit)
    assert found == pytest.approx(unit * gain, rel=1e-8, abs=0.0)


def test_paired_gain_beats_two_separate_bounds():
    rng = np.random.default_rng(8)
    old = rng.random(2_000)
    new = np.maximum(old - 0.1 * rng.random(2_000), 0.0)
    separate = certificates.betting_lower(old, DELTA / 2) - certificates.betting(
        new, DELTA / 2
    )
    assert certificates.paired_gain(new, old, DELTA, 1.0) > separate + 0.015


def test_paired_gain_on_signs_is_the_bound_whose_coverage_is_enumerated():
    sequences = every_sequence(9)
    bounds = wealth.upper(1.0 - sequences, DELTA)
    zero = np.zeros(9)
    for row, bound in zip(sequences[::37], bounds[::37], strict=True):
        gain = certificates.paired_gain(zero, 2.0 * row - 1.0, DELTA, 1.0)
        assert gain == pytest.approx(1.0 - 2.0 * bound, abs=1e-9)


@pytest.mark.parametrize("delta", [5e-324, 1e-323, 1e-308, 1e-300])
def test_bentkus_takes_the_smallest_numbers_for_delta(delta):
    losses = zeros_and_ones(2, 2_000)
    bound = certificates.bentkus(losses, delta)
    chernoff = certificates.kl_chernoff(losses, delta)
    smaller = certificates.clopper_pearson(2, 2_000, 1e-299 / math.e)
    assert smaller < bound <= chernoff


@pytest.mark.parametrize("name", BOUNDS)
def test_any_sequence_of_numbers_gives_a_python_float(name):
    for losses in ([0, 1, 0], (0.0, 1.0, 0.0), jnp.array([0.0, 1.0, 0.0])):
        for bound in (upper_bound(name), lower_bound(name)):
            assert type(bound(losses, DELTA)) is float
            assert bound(losses, DELTA) == bound(np.array([0.0, 1.0, 0.0]), DELTA)


def test_counts_at_the_ends():
    n = np.int64(10)
    assert certificates.clopper_pearson(10, n, DELTA) == 1.0
    assert certificates.clopper_pearson_lower(0, n, DELTA) == 0.0
    zero = certificates.clopper_pearson(0, n, DELTA)
    assert zero == pytest.approx(1.0 - DELTA**0.1, rel=1e-12)
    assert certificates.clopper_pearson_lower(n, n, DELTA) == pytest.approx(1.0 - zero)
    assert type(zero) is float


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize(
    ("losses", "delta", "message"),
    [
        ([0.5, 1.2], DELTA, r"losses\[1\] = 1.2 is not in \[0, 1\]"),
        ([-1e-9], DELTA, r"losses\[0\] = -1e-09 is not in"),
        ([0.1, 0.2, math.nan], DELTA, r"losses\[2\] = nan is not in"),
        ([], DELTA, "n = 0, expected at least 1"),
        ([[0.1]], DELTA, r"losses has shape \(1, 1\), expected \(n,\)"),
        ([0.5], 0.0, r"delta = 0.0 is not in \(0, 1\)"),
        ([0.5], 1.0, r"delta = 1.0 is not in"),
        ([0.5], math.nan, r"delta = nan is not in"),
    ],
)
def test_complaints_name_the_value(name, losses, delta, message):
    for bound in (upper_bound(name), lower_bound(name)):
        with pytest.raises(ValueError, match=message):
            bound(losses, delta)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: certificates.clopper_pearson(3, 2, 0.1), r"k = 3 is not in \[0, 2\]"),
        (lambda: certificates.clopper_pearson(-1, 2, 0.1), r"k = -1 is not in"),
        (lambda: certificates.clopper_pearson_lower(0, 0, 0.1), "n = 0, expected"),
        (lambda: certificates.clopper_pearson(1, 2, 1.5), "delta = 1.5 is not in"),
        (lambda: certificates.floor(1.5, 2, 0.1), r"risk = 1.5 is not in \[0, 1\]"),
        (lambda: certificates.floor(0.5, 0, 0.1), "n = 0, expected at least 1"),
        (lambda: certificates.floor(0.5, 2, -0.1), "delta = -0.1 is not in"),
        (
            lambda: certificates.paired_gain([0.1, 0.2], [0.1], 0.1, 1.0),
            "2 losses_new, 1 losses_old",
        ),
        (
            lambda: certificates.paired_gain([0.1, 9.0], [0.1, 0.2], 0.1, 5.0),
            r"losses_old - losses_new\[1\] = -8.8 is not in \[-5, 5\]",
        ),
        (
            lambda: certificates.paired_gain([0.1], [math.inf], 0.1, 1.0),
            r"losses_old - losses_new\[0\] = inf is not in",
        ),
        (
            lambda: certificates.paired_gain([math.nan], [0.1], 0.1, 1.0),
            r"losses_new\[0\] = nan is not in",
        ),
        (
            lambda: certificates.paired_gain([0.1], [0.2], 0.1, 0.0),
            "loss_range = 0.0 is not positive and finite",
        ),
        (
            lambda: certificates.paired_gain([-1e308], [1e308], 0.1, 1e308),
            r"losses_old - losses_new\[0\] = inf is not in",
        ),
        (lambda: certificates.paired_gain([0.1], [0.2], 2.0, 1.0), "delta = 2.0"),
        (lambda: certificates.paired_gain([], [], 0.1, 1.0), "n = 0, expected"),
    ],
)
def test_other_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
