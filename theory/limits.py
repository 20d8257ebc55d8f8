"""What no method can beat, and what sample averages can lose: exact limits.

Bayes risks in conjugate worlds, the van Trees inequality, and the split of a squared
risk into posterior variance and Bayes gap. Bayes risks are of one instance with m
observations and the law known. Those of counts are in `count_limits`, the worst case of
sample averages is in `order_statistics`; both are re-exported.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from theory import checks
from theory.count_limits import gamma_poisson_bayes_risk as gamma_poisson_bayes_risk
from theory.count_limits import (
    gamma_poisson_newsvendor_risk as gamma_poisson_newsvendor_risk,
)
from theory.order_statistics import (
    order_statistic_worst_case as order_statistic_worst_case,
)
from theory.order_statistics import saa_rank as saa_rank
from theory.order_statistics import saa_worst_case as saa_worst_case


class SquaredRisk(NamedTuple):
    """A measured squared risk, its parts, and the standard error of the cross term."""

    risk: float
    posterior_variance: float
    bayes_gap: float
    cross: float
    cross_standard_error: float


def van_trees(
    m: int | np.integer,
    fisher_information: checks.Number,
    prior_information: checks.Number,
) -> float:
    """Bayesian Cramér–Rao bound: least mean squared error of any estimator of θ.

    E (θ̂−θ)² ≥ 1 / (m E I(θ) + I(prior)).

    Args:
      m: observations, m ≥ 0.
      fisher_information: E I(θ) > 0 of one observation, averaged over the prior.
      prior_information: I(prior) = E (d/dθ ln π(θ))² ≥ 0, for a density π that vanishes
        at the ends of its support.

    Returns:
      The bound, decreasing in every argument; attained by normal priors and data.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: van Trees (1968); Gill & Levit (1995).
    """
    m = checks.count("m", m, 0)
    fisher = checks.positive("fisher_information", fisher_information)
    prior = checks.number("prior_information", prior_information, 0.0)
    information = m * fisher + prior
    return 1.0 / information if information else math.inf


def gaussian_bayes_risk(
    tau2: checks.Number, s2: checks.Number, m: int | np.integer
) -> float:
    """Least mean squared error of θ ~ N(μ, τ²) from m observations N(θ, s²).

    1 / (1/τ² + m/s²), the posterior variance. A next observation adds s².

    Args:
      tau2: τ² > 0.
      s2: s² > 0.
      m: observations, m ≥ 0.

    Returns:
      The risk, decreasing in m, increasing in τ² and s².

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Lindley & Smith (1972).
    """
    m = checks.count("m", m, 0)
    tau2, s2 = checks.positive("tau2", tau2), checks.positive("s2", s2)
    return tau2 / (1.0 + m * tau2 / s2)


def gaussian_newsvendor_risk(
    tau2: checks.Number, s2: checks.Number, m: int | np.integer, q: checks.Number
) -> float:
    """Least expected newsvendor cost in the same normal world.

    √(s² + 1 / (1/τ² + m/s²)) φ(z_q), φ and z_q of the standard normal.

    The demand predicted is normal with that variance, and N(μ, σ²) costs σφ(z_q) at its
    q-quantile. m → ∞ gives the cost s φ(z_q) under full information.

    Args:
      tau2: τ² > 0.
      s2: s² > 0.
      m: observations, m ≥ 0.
      q: critical ratio in (0, 1).

    Returns:
      The cost, decreasing in m.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Scarf (1959), for the Bayesian newsvendor; the closed form is elementary.
    """
    q = checks.ratio(q)
    variance = checks.positive("s2", s2) + gaussian_bayes_risk(tau2, s2, m)
    z = float(special.ndtri(q))
    return math.sqrt(variance / (2.0 * math.pi)) * math.exp(-z * z / 2.0)


def decompose_squared_risk(
    decisions: checks.Numbers, posterior_means: checks.Numbers, truths: checks.Numbers
) -> SquaredRisk:
    """Squared risk as posterior variance + Bayes gap, up to a cross term of mean zero.

    (f−θ)² = (π−θ)² + (f−π)² + 2(f−π)(π−θ), averaged over n instances; π = E[θ | data].

    Given the data, f and π are fixed and E[π−θ] = 0, so the last average is noise. A
    cross term many standard errors from 0 says that π is not the posterior mean, or
    that f has seen the truths.

    Args:
      decisions: f [n].
      posterior_means: π [n], of the same instances in the same order.
      truths: θ [n], or an observation not among the data, with mean θ.

    Returns:
      The averages and the standard error of the cross term, NaN for n = 1; risk is the
      sum of the three parts up to rounding.

    Raises:
      ValueError: lengths differ, n = 0, or a value is not finite.

    Source: ours; Wakayama & Suzuki (2025) name the two parts.
    """
    f, posterior, truth = (
        checks.sample(name, values, -checks.LARGEST, checks.LARGEST)
        for name, values in (
            ("decisions", decisions),
            ("posterior_means", posterior_means),
            ("truths", truths),
        )
    )
    if not len(f) == len(posterior) == len(truth):
        raise ValueError(
            f"{len(f)} decisions, {len(posterior)} posterior_means, {len(truth)} truths"
        )
    cross = 2.0 * (f - posterior) * (posterior - truth)
    n = len(f)
    return SquaredRisk(
        risk=_mean_square(f - truth),
        posterior_variance=_mean_square(posterior - truth),
        bayes_gap=_mean_square(f - posterior),
        cross=float(cross.mean()),
        cross_standard_error=(
            float(cross.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        ),
    )


def _mean_square(x: Float[np.ndarray, "n"]) -> float:
    return float(np.mean(np.square(x)))
