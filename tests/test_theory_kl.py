import math

import hypothesis
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from theory import kl

unit = st.floats(0.0, 1.0)
budget = st.floats(0.0, 50.0)
properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)


digits = mpmath.mp.clone()
digits.dps = 50


def exact_kl(q, p):
    """kl(q‖p) of two floats, or of a float and an mpf, at 50 digits."""
    q, p = digits.mpf(q), digits.mpf(p)
    if (p <= 0 and q > 0) or (p >= 1 and q < 1):
        return digits.inf
    head = q * digits.log(q / p) if q else 0
    tail = (1 - q) * digits.log((1 - q) / (1 - p)) if q < 1 else 0
    return head + tail


def random_inputs(size):
    """Means in the middle and near both ends, budgets from 1e-12 to 1e3."""
    rng = np.random.default_rng(0)
    near = 10.0 ** rng.uniform(-12, 0, size)
    q = np.choose(rng.integers(3, size=size), [rng.random(size), near, 1.0 - near])
    return q, 10.0 ** rng.uniform(-12, 3, size)


EDGES = [
    (q, c)
    for q in (0.0, 5e-324, 1e-300, 1e-9, 0.5, 1.0 - 2.0**-53, 1.0)
    for c in (1e-40, 1e-12, 1e-3, 1.0, 1e3, 1e300)
]


def above_root(q, c, p, within):
    """Whether root ≤ p ≤ root + within; kl increases above q, so no root is needed."""
    lower = digits.mpf(p) - within
    return (p == 1.0 or exact_kl(q, p) >= c) and (lower <= q or exact_kl(q, lower) <= c)


def below_root(q, c, p, within):
    upper = digits.mpf(p) + within
    return (p == 0.0 or exact_kl(q, p) >= c) and (upper >= q or exact_kl(q, upper) <= c)


def test_inverse_upper_is_never_below_the_root_and_hardly_above():
    q, c = random_inputs(20_000)
    for point in zip(q, c, kl.inverse_upper(q, c), strict=True):
        assert above_root(*point, 1e-12), point


def test_inverse_lower_is_never_above_the_root_and_hardly_below():
    q, c = random_inputs(5_000)
    for point in zip(q, c, kl.inverse_lower(q, c), strict=True):
        assert below_root(*point, 1e-12), point


@pytest.mark.parametrize(("q", "c"), EDGES)
def test_inverses_are_outward_at_the_edges(q, c):
    assert above_root(q, c, kl.inverse_upper(q, c), 1e-12)
    assert below_root(q, c, kl.inverse_lower(q, c), 1e-12)


def test_bisection_midpoint_is_refused():
    """The published shortcut: bisect and return the middle of the last bracket."""
    q, c = random_inputs(400)
    low, high = q.copy(), np.ones_like(q)
    for _ in range(30):
        middle = (low + high) / 2
        inside = kl.binary_kl(q, middle) <= c
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    points = zip(q, c, (low + high) / 2, strict=True)
    assert sum(exact_kl(q, p) < c for q, c, p in points) > 100


def test_binary_kl_matches_fifty_digits():
    q, c = random_inputs(500)
    p = np.concatenate([kl.inverse_upper(q, c), kl.inverse_lower(q, c)])
    q = np.concatenate([q, q])
    for q_i, p_i, value in zip(q, p, kl.binary_kl(q, p), strict=True):
        exact = exact_kl(q_i, p_i)
        # the two terms are each about |p − q| before they cancel
        rounding = 2.0**-50 * (float(exact) + abs(p_i - q_i))
        assert value == exact or abs(value - exact) <= rounding, (q_i, p_i)


@pytest.mark.parametrize(
    ("q", "p", "value"),
    [
        (0.3, 0.3, 0.0),
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 0.0),
        (0.0, 0.5, math.log(2.0)),
        (1.0, 0.25, math.log(4.0)),
        (0.5, 0.0, math.inf),
        (0.5, 1.0, math.inf),
        (0.0, 1.0, math.inf),
        (1.0, 0.0, math.inf),
    ],
)
def test_binary_kl_at_known_points(q, p, value):
    assert kl.binary_kl(q, p) == pytest.approx(value, rel=1e-15)


@properties
@hypothesis.given(unit, unit)
def test_pinsker_and_symmetry(q, p):
    assert kl.binary_kl(q, p) >= 2.0 * (p - q) ** 2 * (1.0 - 1e-12)
    mirrored = kl.binary_kl(1.0 - q, 1.0 - p)
    if min(q, p) > 1e-6 and max(q, p) < 1.0 - 1e-6:
        assert kl.binary_kl(q, p) == pytest.approx(mirrored, rel=1e-6, abs=1e-15)


@properties
@hypothesis.given(unit, unit, budget, budget)
def test_inverses_are_monotone(q, r, c, e):
    q, r, c, e = min(q, r), max(q, r), min(c, e), max(c, e)
    slack = 1e-14
    assert kl.inverse_upper(q, c) <= kl.inverse_upper(r, c) + slack
    assert kl.inverse_upper(q, c) <= kl.inverse_upper(q, e) + slack
    assert kl.inverse_lower(q, c) <= kl.inverse_lower(r, c) + slack
    assert kl.inverse_lower(q, e) <= kl.inverse_lower(q, c) + slack


@properties
@hypothesis.given(unit, budget)
def test_inverses_mirror_each_other_and_keep_within_pinsker(q, c):
    upper, lower = kl.inverse_upper(q, c), kl.inverse_lower(q, c)
    assert lower <= q <= upper
    assert max(upper - q, q - lower) <= math.sqrt(c / 2.0) + 1e-14
    assert lower == pytest.approx(1.0 - kl.inverse_upper(1.0 - q, c), abs=1e-13)


@properties
@hypothesis.given(st.floats(0.01, 0.99), st.floats(0.0, 2.0))
def test_inverse_undoes_kl(q, c):
    upper, lower = kl.inverse_upper(q, c), kl.inverse_lower(q, c)
    if upper < 0.999:
        assert kl.binary_kl(q, upper) == pytest.approx(c, rel=1e-9, abs=1e-15)
    if lower > 0.001:
        assert kl.binary_kl(q, lower) == pytest.approx(c, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("c", [1e-12, 0.1, 3.0, 30.0])
def test_closed_forms_at_the_ends(c):
    assert kl.inverse_upper(0.0, c) == pytest.approx(-math.expm1(-c), rel=1e-13)
    assert kl.inverse_lower(1.0, c) == pytest.approx(math.exp(-c), abs=1e-14)
    assert kl.inverse_upper(1.0, c) == 1.0
    assert kl.inverse_lower(0.0, c) == 0.0


@pytest.mark.parametrize("q", [0.0, 0.3, 1.0])
def test_no_budget_leaves_the_mean_and_infinite_budget_leaves_nothing(q):
    assert kl.inverse_upper(q, 0.0) == q == kl.inverse_lower(q, 0)
    assert kl.inverse_upper(q, math.inf) == 1.0
    assert kl.inverse_lower(q, math.inf) == 0.0


@pytest.mark.parametrize("f", [kl.binary_kl, kl.inverse_upper, kl.inverse_lower])
def test_numbers_give_floats_and_arrays_broadcast(f):
    assert type(f(0.25, 1)) is float
    assert type(f(jnp.float32(0.25), np.float64(0.5))) is float
    table = f([[0.0], [0.25]], jnp.array([0.25, 0.5, 1.0]))
    assert table.shape == (2, 3)
    assert table.dtype == np.float64
    assert table[1, 1] == f(0.25, 0.5)
    assert f([], 0.5).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kl.binary_kl(1.5, 0.5), r"q = 1.5 is not in \[0, 1\]"),
        (lambda: kl.binary_kl(0.5, [0.1, -0.2]), r"p\[1\] = -0.2 is not in"),
        (lambda: kl.binary_kl(0.5, math.nan), r"p = nan is not in"),
        (lambda: kl.inverse_upper(0.5, -1e-3), r"c = -0.001 is not in \[0, inf\]"),
        (lambda: kl.inverse_upper(math.nan, 0.1), r"q = nan is not in"),
        (lambda: kl.inverse_lower([[0.2, 2.0]], 0.1), r"q\[0, 1\] = 2.0 is not in"),
        (lambda: kl.inverse_lower(0.5, math.nan), r"c = nan is not in"),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_number_alone_is_inverted_as_in_an_array():
    # The search may stop early for a number, near the ends as well as between them.
    q = np.r_[0.0, 1e-9, 0.01, 0.13, 0.5, 0.908, 0.999, 1.0 - 1e-12, 1.0]
    c = np.r_[1e-12, 1e-3, 0.075, 0.52, 5.0]
    q, c = (x.ravel() for x in np.meshgrid(q, c))
    for inverse in (kl.inverse_upper, kl.inverse_lower):
        alone = [inverse(a, b) for a, b in zip(q.tolist(), c.tolist(), strict=True)]
        np.testing.assert_allclose(alone, inverse(q, c), rtol=1e-13, atol=1e-15)
    assert kl.inverse_upper(0.908, 0.52) < 0.9999
    assert kl.inverse_lower(0.13, 0.075) > 0.03
