"""Whether a portfolio's past stands for its future, instance by instance.

Instances that share shocks are fewer than they seem. Observations whose order matters
are more like their neighbours in time than like those to come, so that what is left out
among them is easier to meet than the future.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy import stats

from ptft_jax.types import Portfolio

LEVEL = 0.01  # of both tests


class Ranks(NamedTuple):
    """Ranks of observations among the instance's own, mean 0 and variance 1.

    Attributes:
      z: of instances that vary, 0 where `valid` is False.
      valid: which observations exist.
      count: m_i ≥ 2.
    """

    z: Float64[np.ndarray, "k m"]
    valid: Bool[np.ndarray, "k m"]
    count: Int[np.ndarray, "k"]


def ranks(portfolio: Portfolio) -> Ranks:
    """Standardised ranks, those of ties their mean.

    Args:
      portfolio: n instances.

    Returns:
      One row for every instance with two observations that differ.
    """
    valid = np.asarray(portfolio.valid)
    count = valid.sum(1)
    # past all that exist, so that those rank as if they were alone
    seen = np.where(valid, np.asarray(portfolio.observations), np.inf)
    usable = count > 1
    seen, valid, count = seen[usable], valid[usable], count[usable]
    rank = stats.rankdata(seen, axis=1)
    centred = np.where(valid, rank - (count[:, None] + 1.0) / 2.0, 0.0)
    variance = (centred**2).sum(1) / count
    varies = variance > 0.0
    z = centred[varies] / np.sqrt(variance[varies])[:, None]
    return Ranks(z, valid[varies], count[varies])


class Dependence(NamedTuple):
    """What a portfolio's past is worth.

    Attributes:
      num_usable: instances with two observations or more.
      design_effect: D ≥ 1, of `design_effect`.
      is_ordered: of `is_ordered`.
    """

    num_usable: int
    design_effect: float
    is_ordered: bool

    @property
    def num_independent(self) -> float:
        """Instances that move alone that the usable ones are worth, n/D."""
        return self.num_usable / self.design_effect


def examine(portfolio: Portfolio) -> Dependence:
    """Both tests, from one ranking.

    Args:
      portfolio: n instances, observations in the order of time.

    Returns:
      What they say.
    """
    found = ranks(portfolio)
    usable = int((np.asarray(portfolio.valid).sum(1) > 1).sum())
    return Dependence(usable, design_effect(found), is_ordered(found))


def design_effect(found: Ranks) -> float:
    """By how much shared shocks inflate the variance of a mean over instances.

    D = max(1, Q/Q₀), Q = Σ_j (Σ_i z_ij)²/n_j with z of `ranks`, Q₀ the 99% point of Q
    under independence: n/D instances are worth n independent ones. Friedman's
    statistic; observations in an order of their own for every instance, as drawn at
    random, give 1 but for one portfolio in a hundred.

    Args:
      found: of n instances, the j-th observations of all from about the same time.

    Returns:
      D ≥ 1; it grows like n times the share of variance that shocks explain.

    Source: Friedman (1937), Kish (1965).
    """
    columns = int(found.valid.any(0).sum())
    if len(found.z) < 2:
        return 1.0
    number = np.maximum(found.valid.sum(0), 1)
    statistic = float((found.z.sum(0) ** 2 / number).sum())
    point = columns / (columns - 1) * stats.chi2.isf(LEVEL, columns - 1)
    return max(1.0, statistic / point)


def is_ordered(found: Ranks) -> bool:
    """Whether neighbours in time are more alike than observations far apart.

    Student's one-sided test at level .01 that the mean over instances of z_t z_{t+1} is
    above its mean over all orders, ((Σ_t z_t)² − Σ_t z_t²)/(m(m − 1)), z of `ranks`
    less each period's mean.

    Args:
      found: of n instances, observations in the order of time.

    Returns:
      Whether the test rejects; False for fewer than 8 instances.

    Source: Wald & Wolfowitz (1943), by ranks.
    """
    valid = found.valid
    z = np.where(valid, found.z - found.z.sum(0) / np.maximum(valid.sum(0), 1), 0.0)
    pairs = valid[:, 1:] & valid[:, :-1]
    kept = (pairs.sum(1) > 0) & (found.count > 2)
    if kept.sum() < 8:
        return False
    products = (z[:, 1:] * z[:, :-1] * pairs).sum(1)[kept] / pairs.sum(1)[kept]
    n, m, z = len(products), found.count[kept], z[kept]
    excess = products - (z.sum(1) ** 2 - (z**2).sum(1)) / (m * (m - 1.0))
    error = excess.std(ddof=1) / np.sqrt(n)
    return bool(excess.mean() > stats.t.isf(LEVEL, n - 1) * error)
