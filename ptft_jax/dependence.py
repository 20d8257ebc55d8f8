"""Whether instances move together from period to period, and how much that costs."""

import numpy as np
from scipy import stats

from ptft_jax.types import Portfolio

LEVEL = 0.01  # of the test that lets independent instances count in full


def design_effect(portfolio: Portfolio) -> float:
    """By how much shared shocks inflate the variance of a mean over instances.

    D = max(1, Q/Q₀), Q = Σ_j (Σ_i z_ij)²/n_j, z_ij the standardised rank of the j-th
    observation among the instance's own, Q₀ the 99% point of Q under independence:
    n/D instances are worth n independent ones. Friedman's statistic; observations in an
    order of their own for every instance, as drawn at random, give 1 but for one
    portfolio in a hundred.

    Args:
      portfolio: n instances, the j-th observations of all from about the same time.

    Returns:
      D ≥ 1; it grows like n times the share of variance that shocks explain.

    Source: Friedman (1937), Kish (1965).
    """
    valid = np.asarray(portfolio.valid)
    valid = valid[valid.sum(1) > 1]
    seen = np.asarray(portfolio.observations, np.float64)
    seen = np.where(valid, seen[np.asarray(portfolio.num_observed) > 1], np.nan)
    columns = int(valid.any(0).sum())
    if len(seen) < 2 or columns < 2:
        return 1.0
    rank = stats.rankdata(seen, axis=1, nan_policy="omit")
    centred = rank - np.nanmean(rank, axis=1, keepdims=True)
    spread = np.sqrt(np.nanmean(centred**2, axis=1, keepdims=True))
    varies = valid & (spread > 0.0)
    z = np.where(varies, centred / np.where(varies, spread, 1.0), 0.0)
    counted = np.maximum(varies.sum(0), 1)
    statistic = float((z.sum(0) ** 2 / counted).sum())
    point = columns / (columns - 1) * stats.chi2.isf(LEVEL, columns - 1)
    return max(1.0, statistic / point)
