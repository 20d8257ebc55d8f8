"""Distances between two laws P and Q: closed forms, roots and sums, without sampling.

Total variation TV = sup |P(A) − Q(A)|, relative entropy KL = E_P ln(p/q) in nats,
χ² = E_Q (p/q − 1)², and Wasserstein-1 W₁ = ∫ |F_P − F_Q| in units of the observations.
TV and W₁ are symmetric, KL and χ² are of P from Q. Where two densities cross at most
twice, TV is read off the distribution functions at the crossings, and F_P − F_Q changes
sign at most once, between them. Laws of counts and of samples are in
`count_divergences`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize, special

from theory import checks


class Divergences(NamedTuple):
    """Four distances of P from Q; TV in [0, 1], the others possibly infinite."""

    total_variation: float
    kl: float
    chi2: float
    wasserstein: float


def gaussian(
    mean_p: checks.Number,
    sd_p: checks.Number,
    mean_q: checks.Number,
    sd_q: checks.Number,
) -> Divergences:
    """P = N(μ_p, σ_p²) and Q = N(μ_q, σ_q²).

    KL = ln(σ_q/σ_p) + (σ_p² + Δ²)/(2σ_q²) − ½, Δ = μ_p − μ_q;
    χ² = σ_q² e^(Δ²/(2σ_q²−σ_p²)) / (σ_p √(2σ_q²−σ_p²)) − 1, infinite for 2σ_q² ≤ σ_p²;
    W₁ = |Δ| erf(|Δ|/(√2 s)) + s √(2/π) e^(−Δ²/2s²), s = |σ_p − σ_q|;
    TV from the roots of ln p = ln q, erf(|Δ|/(2√2 σ)) for equal σ.

    Args:
      mean_p: μ_p, finite.
      sd_p: σ_p > 0.
      mean_q: μ_q, finite.
      sd_q: σ_q > 0.

    Returns:
      The distances, each increasing in |Δ|.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Gil, Alajaji & Linder (2013) for KL and χ²; the rest is elementary.
    """
    mean_p = checks.number("mean_p", mean_p)
    mean_q = checks.number("mean_q", mean_q)
    sd_p, sd_q = checks.positive("sd_p", sd_p), checks.positive("sd_q", sd_q)
    # in units of σ_q; differences of logarithms do not overflow where ratios do
    gap, t, w = _apart(mean_p, mean_q, sd_q), sd_p / sd_q, (sd_p - sd_q) / sd_q
    room, y = 2.0 - t * t, w * (2.0 + w)  # t² − 1 = y
    near, log_s = abs(y) < 0.5, math.log(sd_q) - math.log(sd_p)
    scales = float(less_log1p(w)) + w * w / 2.0 if near else log_s + y / 2.0
    kl, chi2 = scales + gap * gap / 2.0, math.inf
    if room > 0.0:
        spread = log_s - math.log(room) / 2.0
        if near:
            spread = scales + float(less_log1p(-y)) / 2.0
        chi2 = expm1(spread + gap * gap / room)
    wider, moved = abs(sd_p - sd_q), abs(mean_p - mean_q)
    w1 = moved
    if wider > 0.0:
        z = moved / wider / math.sqrt(2.0)
        w1 = moved * math.erf(z) + wider * math.sqrt(2.0 / math.pi) * math.exp(-z * z)
    tv = _gaussian_tv(_apart(mean_p, mean_q, max(sd_p, sd_q)), *sorted((sd_p, sd_q)))
    return Divergences(tv, max(kl, 0.0), max(chi2, 0.0), w1)


def _apart(a: float, b: float, unit: float) -> float:
    """|a − b| / unit, also where the difference overflows."""
    difference = abs(a - b)
    return abs(a / unit - b / unit) if difference == math.inf else difference / unit


def _gaussian_tv(gap: float, narrow: float, wide: float) -> float:
    """TV of N(0, u²) and N(gap, 1), u = narrow/wide ≤ 1, from where they cross."""
    if gap > 80.0:  # both are within 40 of their means but for a share of 1e-300
        return 1.0
    u, rest = narrow / wide, (wide - narrow) / wide
    log_s = -math.log1p(-rest) if rest < 0.5 else math.log(wide) - math.log(narrow)
    ahead = gap * u + math.sqrt(gap * gap + 2.0 * rest * (1.0 + u) * log_s)
    if ahead == 0.0:
        return 0.0
    # x in units of u: roots of (1−u²)x² + 2·gap·u·x − gap² − 2 ln(1/u), neither by
    # cancellation
    crossings = [(gap * gap + 2.0 * log_s) / ahead]
    crossings += [-ahead / (rest * (1.0 + u))] if rest > 0.0 else []
    return float(
        sum(abs(special.ndtr(x) - special.ndtr(x * u - gap)) for x in crossings)
    )


def gamma(
    shape_p: checks.Number,
    rate_p: checks.Number,
    shape_q: checks.Number,
    rate_q: checks.Number,
) -> Divergences:
    """P = Gamma(a_p, rate b_p) and Q = Gamma(a_q, rate b_q).

    KL = (a_p−a_q) ψ(a_p) − ln(Γ(a_p)/Γ(a_q)) + a_q ln(b_p/b_q) + a_p (b_q/b_p − 1);
    χ² = Γ(a) Γ(a_q) b_p^(2a_p) / (Γ(a_p)² b_q^(a_q) b^a) − 1, a = 2a_p − a_q and
    b = 2b_p − b_q, infinite unless both are positive; TV and W₁ from the crossings.

    Args:
      shape_p: a_p > 0.
      rate_p: b_p > 0, per unit of observation.
      shape_q: a_q > 0.
      rate_q: b_q > 0.

    Returns:
      The distances. KL and χ² of nearly equal laws are right to about 1e-16 of the
      logarithms of the gamma functions, not of themselves.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Gil, Alajaji & Linder (2013) for KL and χ²; the rest is ours.
    """
    a_p, b_p = checks.positive("shape_p", shape_p), checks.positive("rate_p", rate_p)
    a_q, b_q = checks.positive("shape_q", shape_q), checks.positive("rate_q", rate_q)
    lift = float(special.gammaln(a_q) - special.gammaln(a_p))
    r = b_q / b_p  # everything below is in units of 1/b_p
    kl = (a_p - a_q) * float(special.psi(a_p)) + lift - a_q * math.log(r)
    a, b, chi2 = 2.0 * a_p - a_q, 2.0 - r, math.inf
    if a > 0.0 and b > 0.0:
        gammas = float(special.gammaln(a) - special.gammaln(a_p)) + lift
        chi2 = expm1(gammas - a_q * math.log(r) - a * math.log(b))
    # ln p − ln q = A ln x − B x + C
    crossings = _gamma_crossings(a_p - a_q, 1.0 - r, lift - a_q * math.log(r))

    def difference(x: float) -> float:
        return float(special.gammainc(a_p, x) - special.gammainc(a_q, r * x))

    def area(x: float) -> float:
        partial = a_p * special.gammainc(a_p + 1.0, x)
        partial -= a_q / r * special.gammainc(a_q + 1.0, r * x)
        return x * difference(x) - float(partial)

    tv, w1 = _by_crossings(difference, area, crossings, a_q / r - a_p)
    kl += a_p * (r - 1.0)
    return Divergences(tv, max(kl, 0.0), max(chi2, 0.0), w1 / b_p)


def less_log1p(x: float | Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """The difference x − ln(1+x), near 0 from the series of atanh in z = x/(2+x).

    Args:
      x: > −1.

    Returns:
      The difference ≥ 0, with all its digits also near 0.
    """
    x = np.asarray(x, dtype=np.float64)
    z = np.where(np.abs(x) < 0.1, x / (2.0 + x), 0.0)
    tail = sum(z ** (2 * k) / (2 * k + 3) for k in range(7))
    return np.where(np.abs(x) < 0.1, x * z - 2.0 * z**3 * tail, x - np.log1p(x))


def expm1(x: checks.Number) -> float:
    """e^x − 1, infinite where it overflows, for the χ² of two laws.

    Args:
      x: ln(1 + χ²).

    Returns:
      The χ².
    """
    return math.expm1(x) if x < 709.0 else math.inf


def _gamma_crossings(a: float, b: float, c: float) -> list[float]:
    """Positive roots of a ln x − b x + c, in increasing order, at most two."""
    if a == 0.0:
        return [c / b] if b != 0.0 else []
    if b == 0.0:
        return [math.exp(-c / a)]

    def h(t: float) -> float:
        return a * t - b * math.exp(t) + c

    def root(start: float, step: float) -> float:
        # h has no turning point beyond `start` on the side of `step`.
        end = start + step
        while h(end) * h(start) > 0.0:
            step *= 2.0
            end = start + step
        return math.exp(optimize.brentq(h, start, end, xtol=1e-15))

    if a / b > 0.0:
        peak = math.log(a / b)
        # Rounding may hide the two crossings of nearly equal laws.
        return [root(peak, -1.0), root(peak, 1.0)] if h(peak) * a > 0.0 else []
    return [root(0.0, -1.0 if h(0.0) * a > 0.0 else 1.0)]


def _by_crossings(
    difference: Callable[[float], float],
    area: Callable[[float], float],
    crossings: list[float],
    total: float,
) -> tuple[float, float]:
    """TV and W₁ from F_P − F_Q, its integral from the left and its whole integral."""
    at = [difference(x) for x in crossings]
    if len(at) < 2 or at[0] * at[1] >= 0.0:
        return math.fsum(map(abs, at)), abs(total)
    turn = optimize.brentq(difference, *crossings, xtol=1e-15 * crossings[1])
    left = area(turn)
    return abs(at[0]) + abs(at[1]), abs(left) + abs(total - left)
