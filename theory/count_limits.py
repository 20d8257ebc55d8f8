"""Least costs for Poisson demand whose means have a gamma law: exact limits."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from scipy import special, stats

from theory import checks

# Totals with less than this share of the mean demand beyond them, on either side.
NEGLIGIBLE = 1e-16

# Terms of the shorter of the two sums, at most; for time and memory.
MOST_TERMS = 5_000_000


def gamma_poisson_bayes_risk(
    shape: checks.Number, rate: checks.Number, m: int | np.integer
) -> float:
    """Least mean squared error of θ ~ Gamma(a, rate b) from m Poisson(θ) counts.

    a / (b (b+m)), the mean of the posterior variance (a + total) / (b+m)².

    Args:
      shape: a > 0.
      rate: b > 0.
      m: observations, m ≥ 0.

    Returns:
      The risk, decreasing in m and b, increasing in a.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Robbins (1956), the Bayes rule; the mean is elementary.
    """
    m = checks.count("m", m, 0)
    a, b = checks.positive("shape", shape), checks.positive("rate", rate)
    return a / (b * (b + m))


def gamma_poisson_newsvendor_risk(
    shape: checks.Number, rate: checks.Number, m: int | np.integer, q: checks.Number
) -> float:
    """Least expected newsvendor cost for Poisson demand with a gamma mean.

    Σ_t P(T = t) min_x E c(x, Y), T ~ NB(a, b/(b+m)) the total of the m counts and
    Y ~ NB(a+t, (b+m)/(b+m+1)) the next one, x its q-quantile and c the pinball cost.

    Of two forms the one with fewer terms is taken. One is the sum over t, with
    E (x−Y)⁺ = x F_a(x) − E[Y] F_{a+1}(x−1), a the first parameter of F. The length of
    the other does not depend on m: the q-quantile exceeds x where T is above some τ_x,
    and c(x, Y) = qY + Σ_{k<x} (1{Y ≤ k} − q), so the cost is
    q a/b − Σ_x (q P(T > τ_x) − Σ_{y≤x} P(Y = y) P(T > τ_x | Y = y)).

    As min_x E c(x, Y) ≤ q E[Y | t] and P(t) E[Y | t] = (a/b) P(T′ = t) for
    T′ ~ NB(a+1, b/(b+m)), totals that T′ is beyond with chance 10⁻¹⁶ on either side
    are left out, at an error below 2·10⁻¹⁶ q a/b.

    Args:
      shape: a > 0.
      rate: b > 0.
      m: observations, m ≥ 0.
      q: critical ratio in (0, 1).

    Returns:
      The cost, nonincreasing in m, within 1e-12 of the mean demand a/b.

    Raises:
      ValueError: an argument is out of range, or both sums have more than 5·10⁶ terms.

    Source: Scarf (1959); the sums are elementary.
    """
    q = checks.ratio(q)
    m = checks.count("m", m, 0)
    a, b = checks.positive("shape", shape), checks.positive("rate", rate)
    low, high = _totals(a, b, m)
    levels = float(stats.nbinom.ppf(q, a + high, (b + m) / (b + m + 1.0)))
    terms = min(high - low + 1, levels**2)
    if not terms <= MOST_TERMS:
        raise ValueError(
            f"shape = {a:g}, rate = {b:g}, m = {m} need a sum of {terms:.3g} terms, "
            f"expected at most {MOST_TERMS:,}"
        )
    if levels**2 < high - low + 1:
        return _over_levels(a, b, m, q, np.arange(levels), high)
    return _over_totals(a, b, m, q, np.arange(low, high + 1.0))


def _over_totals(
    a: float, b: float, m: int, q: float, total: Float[np.ndarray, "t"]
) -> float:
    """The sum over the totals t, each at its own best decision."""
    chance = stats.nbinom.pmf(total, a, b / (b + m))
    after, mean = a + total, (a + total) / (b + m)
    x = np.maximum(stats.nbinom.ppf(q, after, (b + m) / (b + m + 1.0)), 0.0)
    below = np.where(x > 0, _at_most(np.maximum(x, 1.0) - 1.0, after + 1.0, b, m), 0.0)
    over = x * _at_most(x, after, b, m) - mean * below
    return math.fsum(chance * (q * (mean - x) + over))


def _over_levels(
    a: float, b: float, m: int, q: float, x: Float[np.ndarray, "x"], high: int
) -> float:
    """The sum over the levels x that a decision may exceed."""

    def enough(t: Float[np.ndarray, "x"]) -> Bool[np.ndarray, "x"]:
        return _at_most(x, a + t, b, m) >= q

    tau = _last(enough, np.full_like(x, -1.0), np.full_like(x, high + 1.0))
    beyond = special.betaincc(a, tau + 1.0, b / (b + m))
    given = special.betaincc(a + x, tau[:, None] + 1.0, (b + 1.0) / (b + 1.0 + m))
    joint = np.tril(given) @ stats.nbinom.pmf(x, a, b / (b + 1.0))
    return q * a / b - math.fsum(q * beyond - joint)


def _at_most(
    x: Float[np.ndarray, "*s"], after: Float[np.ndarray, "*s"], b: float, m: int
) -> Float[np.ndarray, "*s"]:
    """P(Y ≤ x) from the smaller of the two shares, which has all its digits."""
    return special.betaincc(x + 1.0, after, 1.0 / (b + m + 1.0))


def _totals(a: float, b: float, m: int) -> tuple[int, int]:
    """The first and the last total that matter."""

    def more_above(t: Float[np.ndarray, "x"]) -> Bool[np.ndarray, "x"]:
        return special.betaincc(a + 1.0, t + 1.0, b / (b + m)) > NEGLIGIBLE

    def few_below(t: Float[np.ndarray, "x"]) -> Bool[np.ndarray, "x"]:
        return special.betainc(a + 1.0, t, b / (b + m)) <= NEGLIGIBLE

    top = np.array([1.0])
    while more_above(top).any():
        top = 2.0 * top
    high = _last(more_above, np.array([-1.0]), top) + 1.0
    low = _last(few_below, np.array([0.0]), high + 1.0)
    return int(low[0]), int(high[0])


def _last(
    holds: Callable[[Float[np.ndarray, "x"]], Bool[np.ndarray, "x"]],
    low: Float[np.ndarray, "x"],
    high: Float[np.ndarray, "x"],
) -> Float[np.ndarray, "x"]:
    """Largest whole numbers at which a condition holds: true at low, false at high."""
    while (high - low > 1.0).any():
        middle = np.floor((low + high) / 2.0)
        true = holds(middle)
        low, high = np.where(true, middle, low), np.where(true, high, middle)
    return low
