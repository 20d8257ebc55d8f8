"""Reading curves against n: slopes, tightness of a bound, where two curves cross."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from theory import checks

CONFIDENCE = 0.95


class Slope(NamedTuple):
    """Exponent of a power law and its 95% interval (low, high)."""

    slope: float
    interval: tuple[float, float]


class Tightness(NamedTuple):
    """How close a bound is to the risk it bounds."""

    ratio: float
    gap: float
    tau: float


def log_log_slope(
    n: checks.Numbers,
    error: checks.Numbers,
    standard_errors: checks.Numbers | None = None,
) -> Slope:
    """Exponent b of error ≈ C n^b, by least squares of ln error on ln n.

    b̂ ± t(0.975; k−2) √(Σ w r² / ((k−2) Σ w (ln n − mean)²)), r the residuals and the
    mean weighted; w = 1, or (error/standard error)², the inverse variance of ln error.

    The interval takes the k errors as independent with spread given by the residuals.
    Errors on nested samples are correlated along n: the interval is then too narrow.

    Args:
      n: k ≥ 3 numbers of instances > 0, not all equal.
      error: k errors > 0, in any one unit.
      standard_errors: of the errors, k numbers > 0, or None for equal weights.

    Returns:
      The slope, −1 for an error of order 1/n, and its interval; neither changes with
      the unit of the error.

    Raises:
      ValueError: lengths differ, k < 3, all n are equal, or a value is not positive and
        finite.

    Source: weighted linear regression; the delta method for the weights.
    """
    x, y = np.log(_positives("n", n)), np.log(_positives("error", error))
    weight = np.ones_like(y)
    if standard_errors is not None:
        spread = _positives("standard_errors", standard_errors)
        _same_length(error=y, standard_errors=spread)
        weight = np.exp(2.0 * (y - np.log(spread)))
        weight /= weight.max()
    _same_length(n=x, error=y)
    checks.count("points", len(x), 3)
    if np.ptp(x) == 0.0:
        raise ValueError(f"n = {math.exp(x[0]):g} at every point, expected two values")
    x = x - np.average(x, weights=weight)
    y = y - np.average(y, weights=weight)
    information = float(weight @ x**2)
    slope = float(weight @ (x * y)) / information
    variance = float(weight @ (y - slope * x) ** 2) / ((len(x) - 2) * information)
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, len(x) - 2))
    half = quantile * math.sqrt(variance)
    return Slope(slope, (slope - half, slope + half))


def tightness(
    bound: checks.Number, risk: checks.Number, baseline: checks.Number | None
) -> Tightness:
    """Ratio, gap and share of the room of a bound on a risk.

    ratio = bound/risk; gap = bound − risk; τ = (bound − risk)/(baseline − risk).

    A ratio alone can be near 1 for a policy that is no better than chance. τ < 1 says
    that the bound certifies an improvement on the baseline.

    Args:
      bound: the bound, finite.
      risk: the true risk ≥ 0, in the same unit.
      baseline: risk of what would be done otherwise, or None if there is none.

    Returns:
      ratio is infinite for risk 0 below a bound > 0 and NaN for 0/0. τ is NaN without a
      baseline and where the baseline is not above the risk: there is no room to
      certify. All three increase in the bound.

    Raises:
      ValueError: a number is NaN or infinite, or the risk is negative.

    Source: ours.
    """
    bound = checks.number("bound", bound)
    risk = checks.number("risk", risk, 0.0)
    gap, tau = bound - risk, math.nan
    if baseline is not None:
        room = checks.number("baseline", baseline, 0.0) - risk
        tau = gap / room if room > 0.0 else math.nan
    if risk == 0.0:
        return Tightness(math.copysign(math.inf, gap) if gap else math.nan, gap, tau)
    return Tightness(bound / risk, gap, tau)


def crossover(
    n: checks.Numbers, curve_a: checks.Numbers, curve_b: checks.Numbers
) -> float | None:
    """First n at which curve a reaches the other side of curve b.

    Root in ln n of the line through ln(a/b) at the two neighbours.

    Args:
      n: k ≥ 2 numbers of instances > 0, increasing.
      curve_a: k errors > 0; NaN where there was no measurement.
      curve_b: k errors > 0; NaN likewise. A point missing in either is left out.

    Returns:
      n*, between two points with both curves, or None if a stays on the side of b where
      it first differs from it, or never differs. Exact for two power laws. The same for
      curves exchanged, and for both multiplied by one number.

    Raises:
      ValueError: lengths differ, n does not increase, fewer than two points have both
        curves, or a value is not positive or is infinite.

    Source: ours.
    """
    n = _positives("n", n)
    a, b = (np.asarray(curve, dtype=np.float64) for curve in (curve_a, curve_b))
    _same_length(n=n, curve_a=a, curve_b=b)
    if (np.diff(n) <= 0.0).any():
        raise ValueError(f"n = {n.tolist()} does not increase")
    kept = ~(np.isnan(a) | np.isnan(b))
    checks.count("points with both curves", int(kept.sum()), 2)
    x = np.log(n[kept])
    d = np.log(_positives("curve_a", a[kept])) - np.log(_positives("curve_b", b[kept]))
    differs = np.flatnonzero(d)
    if not len(differs):
        return None
    start = int(differs[0])
    after = np.flatnonzero(d[start:] * np.sign(d[start]) <= 0.0)
    if not len(after):
        return None
    j = start + int(after[0])
    share = d[j - 1] / (d[j - 1] - d[j])
    return math.exp(x[j - 1] + share * (x[j] - x[j - 1]))


def _positives(name: str, values: checks.Numbers) -> Float[np.ndarray, "k"]:
    """At least one number, all of them positive and finite."""
    x = checks.sample(name, values, 0.0, checks.LARGEST)
    if (x == 0.0).any():
        raise ValueError(f"{name}[{int(np.argmin(x))}] = 0.0 is not positive")
    return x


def _same_length(**arrays: Float[np.ndarray, "..."]) -> None:
    """Refuses arrays that are not of one length, naming each."""
    if len({x.shape for x in arrays.values()}) > 1:
        shapes = (f"{name} has shape {x.shape}" for name, x in arrays.items())
        raise ValueError(", ".join(shapes))
