"""Worst case of an order statistic as newsvendor decision, over all laws of demand."""

import math

import numpy as np
from scipy import optimize, special

from theory import checks

# A critical ratio such as 0.55 is not a binary fraction: q·m may round to just above an
# integer, and its ceiling would then be one too high.
ROUNDING = 2.0**-48


def saa_rank(q: checks.Number, m: int | np.integer) -> int:
    """Rank of the order statistic that sample average approximation stocks.

    r = ⌈qm⌉, where a product within 2⁻⁴⁸ (relative) above an integer counts as it.

    Args:
      q: critical ratio in (0, 1).
      m: observations, m ≥ 1.

    Returns:
      r in 1 … m, nondecreasing in q and m.

    Raises:
      ValueError: q is not in (0, 1) or m < 1.
    """
    q = checks.ratio(q)
    m = checks.count("m", m)
    return max(1, math.ceil(q * m * (1.0 - ROUNDING)))


def saa_worst_case(q: checks.Number, m: int | np.integer) -> float:
    """Largest relative regret of sample average approximation over laws on [0, 1].

    `order_statistic_worst_case` at r = ⌈qm⌉.

    Args:
      q: critical ratio in (0, 1).
      m: observations of the one instance, m ≥ 1.

    Returns:
      The regret: .5556 at q = .9, m = 5 and .2681 at m = 20. Of order 1/√m, but not
      monotone in m: it jumps where ⌈qm⌉ is far above qm.

    Raises:
      ValueError: q is not in (0, 1) or m < 1.

    Source: Besbes & Mouchtaki (2023), on policies by order statistics.
    """
    return order_statistic_worst_case(q, m, saa_rank(q, m))


def order_statistic_worst_case(
    q: checks.Number, m: int | np.integer, r: int | np.integer
) -> float:
    """Largest relative regret of stocking the r-th smallest of m observations.

    sup_μ [qμ P(B ≤ m−r) + (1−q)(1−μ) P(B > m−r)] / min(qμ, (1−q)(1−μ)) − 1 over μ in
    (0, 1), B ~ Bin(m, μ): the law on [0, 1] that is worst is Bernoulli(μ).

    On μ ≤ 1−q the regret is (1−q−μ)/(qμ) · P(B ≥ m−r+1), without cancellation; the
    other side is the same after q → 1−q, r → m−r+1. It is log-concave in ln μ, because
    the elasticity of a Beta cdf decreases, so each side has one maximum, a root.

    Args:
      q: critical ratio in (0, 1).
      m: observations, m ≥ 1.
      r: rank, 1 ≤ r ≤ m.

    Returns:
      sup E[cost]/min cost − 1 over demand in [0, 1], or in any interval, because it
      does not depend on the unit or the origin. At least m(1−q)/q at r = m and
      mq/(1−q) at r = 1, the limits μ → 0 and 1.

    Raises:
      ValueError: q is not in (0, 1), m < 1 or r is not in [1, m].

    Source: Besbes & Mouchtaki (2023), on policies by order statistics.
    """
    q = checks.ratio(q)
    m = checks.count("m", m)
    r = checks.count("r", r, 1, m)
    return max(_over(q, m, m - r + 1), _over(1.0 - q, m, r))


def _over(q: float, m: int, k: int) -> float:
    """Regret of deciding 1 where 0 is optimal.

    sup over μ in (0, 1−q) of (1−q−μ)/(qμ) · P(Bin(m, μ) ≥ k).
    """
    top = 1.0 - q
    if k == 1:
        return m * top / q  # the regret decreases in μ; this is its limit at 0
    log_beta = special.betaln(k, m - k + 1.0)

    def slope(mu):
        # Sign of d ln(regret) / d ln μ: elasticity of the tail, less top/(top−μ).
        tail = special.betainc(k, m - k + 1.0, mu)
        log_pdf = k * math.log(mu) + (m - k) * math.log1p(-mu) - log_beta
        elasticity = math.exp(log_pdf) / tail if tail > 1e-280 else k
        return elasticity * (top - mu) - top

    # The elasticity is in [k(1−μ)^(m−k), k], so the slope is positive at the low end.
    mu = optimize.brentq(slope, top / (4.0 * m), top, xtol=1e-15 * top)
    return (top - mu) / (q * mu) * float(special.betainc(k, m - k + 1.0, mu))
