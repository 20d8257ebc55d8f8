"""Distances between two laws of counts, on a finite set, or of samples.

The distances and their units are those of `divergences`.
"""

import math

import numpy as np
from scipy import special, stats

from theory import checks
from theory.divergences import Divergences, expm1

# Sums stop where what is left out is below NEGLIGIBLE of them, or refuse at LONGEST.
NEGLIGIBLE = 1e-18
LONGEST = 2**20


def poisson(mean_p: checks.Number, mean_q: checks.Number) -> Divergences:
    """P = Poisson(λ_p) and Q = Poisson(λ_q).

    KL = λ_p ln(λ_p/λ_q) − λ_p + λ_q; χ² = e^((λ_p−λ_q)²/λ_q) − 1; W₁ = |λ_p − λ_q|,
    because one law dominates; TV = |F_p(k) − F_q(k)|, k = ⌊(λ_p−λ_q)/ln(λ_p/λ_q)⌋ the
    last count before the probabilities cross.

    Args:
      mean_p: λ_p > 0.
      mean_q: λ_q > 0.

    Returns:
      The distances, each increasing in |λ_p − λ_q| for λ_q given.

    Raises:
      ValueError: a mean is not positive and finite.

    Source: elementary.
    """
    p, q = checks.positive("mean_p", mean_p), checks.positive("mean_q", mean_q)
    if p == q:
        return Divergences(0.0, 0.0, 0.0, 0.0)
    gap = p - q
    log_ratio = math.log1p(gap / q) if abs(gap) < q / 2 else math.log(p / q)
    k = math.floor(gap / log_ratio)
    tv = abs(float(special.pdtr(k, p) - special.pdtr(k, q)))
    kl = max(p * log_ratio - gap, 0.0)
    return Divergences(tv, kl, expm1(gap * gap / q), abs(gap))


def negative_binomial(
    size_p: checks.Number,
    success_p: checks.Number,
    size_q: checks.Number,
    success_q: checks.Number,
) -> Divergences:
    """P = NB(r_p, π_p) and Q = NB(r_q, π_q), by summation.

    P(k) = Γ(k+r)/(k! Γ(r)) π^r (1−π)^k, the law of a Poisson count whose mean is
    Gamma(r, rate π/(1−π)). χ² is infinite where (1−π_p)² ≥ 1−π_q.

    Args:
      size_p: r_p > 0, not necessarily whole.
      success_p: π_p in (0, 1).
      size_q: r_q > 0.
      success_q: π_q in (0, 1).

    Returns:
      The distances. At (1−π_p)² = 1−π_q, χ² is given as infinite although it is finite
      for r_q > 2 r_p.

    Raises:
      ValueError: an argument is out of range, or a sum needs more than 2²⁰ terms.

    Source: the definitions.
    """
    r_p, r_q = checks.positive("size_p", size_p), checks.positive("size_q", size_q)
    for name, success in (("success_p", success_p), ("success_q", success_q)):
        if not 0.0 < success < 1.0:
            raise ValueError(f"{name} = {success} is not in (0, 1)")
    success_p, success_q = float(success_p), float(success_q)
    ratio = (1.0 - success_p) ** 2 / (1.0 - success_q)
    last = 64
    while not (
        _nb_mean_beyond(last, r_p, success_p) < NEGLIGIBLE
        and _nb_mean_beyond(last, r_q, success_q) < NEGLIGIBLE
        and (ratio >= 1.0 or _nb_ratio_settled(last, r_p, success_p, r_q, success_q))
    ):
        last *= 2
        if last > LONGEST:
            raise ValueError(
                f"NB({r_p}, {success_p}) from NB({r_q}, {success_q}) needs more than "
                f"{LONGEST} terms"
            )
    k = np.arange(last + 1.0)
    log_p = stats.nbinom.logpmf(k, r_p, success_p)
    log_q = stats.nbinom.logpmf(k, r_q, success_q)
    p, q = np.exp(log_p), np.exp(log_q)
    chi2 = math.inf
    if ratio < 1.0:
        chi2 = expm1(float(special.logsumexp(2.0 * log_p - log_q)))
    return Divergences(
        total_variation=math.fsum(np.abs(p - q)) / 2.0,
        kl=max(math.fsum(p * (log_p - log_q)), 0.0),
        chi2=max(chi2, 0.0),
        wasserstein=math.fsum(np.abs(np.cumsum(p - q))),
    )


def discrete(
    p: checks.Numbers, q: checks.Numbers, support: checks.Numbers | None = None
) -> Divergences:
    """P and Q on the same k points.

    Args:
      p: probabilities [k] ≥ 0 of sum 1 within 1e-9.
      q: likewise, on the same points.
      support: the points [k], in units of the observations; 0 … k−1 if None.

    Returns:
      The distances; KL and χ² are infinite where q is 0 and p is not.

    Raises:
      ValueError: lengths differ, a probability is outside [0, 1], a sum is not 1, or a
        point is not finite or there twice.

    Source: the definitions.
    """
    p, q = checks.sample("p", p), checks.sample("q", q)
    support = np.arange(float(len(p))) if support is None else support
    x = checks.sample("support", support, -checks.LARGEST, checks.LARGEST)
    if not len(p) == len(q) == len(x):
        raise ValueError(f"{len(p)} p, {len(q)} q, {len(x)} support")
    if len(np.unique(x)) < len(x):
        raise ValueError("support has a point twice; add up its probabilities")
    for name, mass in (("p", p), ("q", q)):
        if abs(math.fsum(mass) - 1.0) > 1e-9:
            raise ValueError(f"{name} has sum {math.fsum(mass)}, expected 1")
    order = np.argsort(x, kind="stable")
    between = np.abs(np.cumsum((p - q)[order]))[:-1] * np.diff(x[order])
    terms = np.divide((p - q) ** 2, q, where=q > 0, out=np.where(p > q, math.inf, 0.0))
    return Divergences(
        total_variation=math.fsum(np.abs(p - q)) / 2.0,
        kl=max(float(special.rel_entr(p, q).sum()), 0.0),
        chi2=float(terms.sum()),
        wasserstein=math.fsum(between),
    )


def empirical_wasserstein(x: checks.Numbers, y: checks.Numbers) -> float:
    """W₁ between the empirical laws of two samples, of any two sizes.

    Args:
      x: sample of P.
      y: sample of Q.

    Returns:
      The distance in units of the observations. As an estimate of W₁(P, Q) it is biased
      upwards: two samples of one law are about n^(−1/2) apart.

    Raises:
      ValueError: a sample is empty, or a value is not finite.

    Source: `scipy.stats.wasserstein_distance`.
    """
    low, high = -checks.LARGEST, checks.LARGEST
    x, y = checks.sample("x", x, low, high), checks.sample("y", y, low, high)
    return float(stats.wasserstein_distance(x, y))


def _nb_mean_beyond(last: int, r: float, success: float) -> float:
    """Σ_{k>last} k P(k) of NB(r, π), which bounds what every sum leaves out."""
    mean = r * (1.0 - success) / success
    return mean * float(special.betainc(last, r + 1.0, 1.0 - success))


def _nb_ratio_settled(
    last: int, r_p: float, success_p: float, r_q: float, success_q: float
) -> bool:
    """Whether Σ_{k>last} P(k)²/Q(k) is negligible, by the ratio of its terms."""
    ratio = (1.0 - success_p) ** 2 / (1.0 - success_q)
    # From here on the ratio of successive terms stays between this and its limit.
    now = max(ratio * (last + r_p) ** 2 / ((last + 1.0) * (last + r_q)), ratio)
    if now >= 1.0:
        return False
    log_term = 2.0 * stats.nbinom.logpmf(last, r_p, success_p)
    log_term -= stats.nbinom.logpmf(last, r_q, success_q)
    return float(log_term) - math.log1p(-now) < math.log(NEGLIGIBLE)
