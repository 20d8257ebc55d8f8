"""PAC-Bayes bounds on the mean loss of a posterior over policies.

The prior P must not depend on the n instances; N(φ₀, σ²I) does not, because φ₀ saw
synthetic data only. Q is any posterior, `empirical` its mean loss over the n
instances, all losses in [0, 1]. Each bound holds with probability ≥ 1−δ for every Q at
once, so Q may be chosen with the same instances, and the smallest of one bound over
many posteriors costs nothing. The smallest over K different bounds pays δ/K each.

The policy at the posterior's mean inherits the bound where the cost is convex in the
decision and the decision linear in the parameters, as in the head: by Jensen's
inequality it costs no more than the posterior's mean cost. The cost must be *scaled* to
[0, 1]; a clipped cost is not convex.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from theory import checks
from theory import kl as binary
from theory.coin_betting import coin_betting as coin_betting
from theory.coin_betting import coin_betting_draws as coin_betting_draws
from theory.posteriors import gaussian_kl as gaussian_kl
from theory.posteriors import monte_carlo as monte_carlo


class PathMinimum(NamedTuple):
    """The smallest bound along a path of posteriors, and the step it was found at."""

    bound: float
    step: int


def maurer_log_xi(n: int | np.integer) -> float:
    """Logarithm of Maurer's constant.

    ξ(n) = Σ_k C(n,k)(k/n)^k(1−k/n)^(n−k) = n!(e/n)ⁿ P(Poisson(n) ≤ n), the second
    form by Abel's identity; about √(πn/2) + 2/3, at most 2√n.

    Args:
      n: number of instances, n ≥ 1.

    Returns:
      ln ξ(n), above it by rounding only; increasing in n.

    Raises:
      ValueError: n < 1.

    Source: Maurer (2004), Theorem 1; the closed form in `theory/README.md`.
    """
    n = checks.count("n", n)
    if n < 64:
        rest = math.lgamma(n + 1.0) - n * math.log(n) + n - 0.5 * math.log(n)
        stirling = rest - 0.5 * math.log(2.0 * math.pi)
    else:  # lgamma loses its digits; this series is above, by less than 1e-16
        stirling = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * n**2)) / n**2) / n
    poisson = float(special.gammaincc(n + 1.0, n))
    return 0.5 * math.log(2.0 * math.pi * n) + stirling + math.log(poisson) + 1e-12


def maurer_kl(empirical: float, kl: float, n: int | np.integer, delta: float) -> float:
    """Maurer's PAC-Bayes-kl bound, the tightest here that needs the mean loss only.

    kl⁻¹(R̂, (KL + ln(ξ(n)/δ)) / n).

    Args:
      empirical: Gibbs loss R̂ in [0, 1].
      kl: KL(Q‖P) in nats, ≥ 0.
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).

    Returns:
      The bound: increasing in R̂ and KL, decreasing in n and δ.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Maurer (2004), Theorem 5 and the constant before it is rounded up to 2√n.
    """
    q, nats, n = _checked(empirical, kl, n, delta)
    return binary.inverse_upper(q, (nats + maurer_log_xi(n)) / n)


def mcallester(empirical: float, kl: float, n: int | np.integer, delta: float) -> float:
    """McAllester's bound with Maurer's constant.

    R̂ + √((KL + ln(2√n/δ)) / 2n); Pinsker's inequality in `maurer_kl`.

    Args:
      empirical: Gibbs loss R̂ in [0, 1].
      kl: KL(Q‖P) in nats, ≥ 0.
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).

    Returns:
      The bound, at most 1: increasing in R̂ and KL, decreasing in n and δ.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: McAllester (1999); Maurer (2004), corollary of Theorem 5.
    """
    q, nats, n = _checked(empirical, kl, n, delta)
    return min(1.0, q + math.sqrt((nats + _log_2_root(n)) / (2 * n)))


def quadratic(empirical: float, kl: float, n: int | np.integer, delta: float) -> float:
    """PAC-Bayes-quadratic bound; below McAllester's where it is below ¼.

    (√(R̂+c) + √c)², c = (KL + ln(2√n/δ)) / 2n, from kl(q‖p) ≥ (p−q)²/2p.

    Args:
      empirical: Gibbs loss R̂ in [0, 1].
      kl: KL(Q‖P) in nats, ≥ 0.
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).

    Returns:
      The bound, at most 1: increasing in R̂ and KL, decreasing in n and δ.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Pérez-Ortiz et al. (2021), PAC-Bayes-quadratic bound.
    """
    q, nats, n = _checked(empirical, kl, n, delta)
    c = (nats + _log_2_root(n)) / (2 * n)
    return min(1.0, (math.sqrt(q + c) + math.sqrt(c)) ** 2)


def catoni(
    empirical: float, kl: float, n: int | np.integer, delta: float, beta: float
) -> float:
    """Catoni's bound at a β fixed before the instances were seen.

    (1 − exp(−βR̂ − (KL + ln(1/δ))/n)) / (1 − e^(−β)).

    Args:
      empirical: Gibbs loss R̂ in [0, 1].
      kl: KL(Q‖P) in nats, ≥ 0.
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).
      beta: inverse temperature β > 0; a β chosen by its bound needs `catoni_grid`.

    Returns:
      The bound, at most 1: increasing in R̂ and KL, decreasing in n and δ.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Catoni (2007), Theorem 1.2.6.
    """
    q, nats, n = _checked(empirical, kl, n, delta)
    slope = checks.positive("beta", beta)
    return min(1.0, math.expm1(-slope * q - nats / n) / math.expm1(-slope))


def catoni_grid(
    empirical: float,
    kl: float,
    n: int | np.integer,
    delta: float,
    betas: checks.Numbers,
) -> float:
    """Catoni's bound at the best of K values of β, each at δ/K.

    min_k catoni(R̂, KL, n, δ/K, β_k).

    Args:
      empirical: Gibbs loss R̂ in [0, 1].
      kl: KL(Q‖P) in nats, ≥ 0.
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).
      betas: K ≥ 1 values β > 0, fixed before the instances were seen.

    Returns:
      The bound, at most 1: increasing in R̂ and KL, decreasing in n and δ.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: `catoni` and a union bound.
    """
    grid = np.atleast_1d(checks.all_positive("betas", betas))
    checks.count("number of betas", grid.size)
    checks.confidence(delta)
    share = delta / grid.size
    return min(catoni(empirical, kl, n, share, float(beta)) for beta in grid.flat)


def path_minimum(
    empirical: checks.Numbers, kl: checks.Numbers, n: int | np.integer, delta: float
) -> PathMinimum:
    """The smallest `maurer_kl` along a path of posteriors from φ₀ to φ̂.

    min_t kl⁻¹(R̂_t, (KL_t + ln(ξ(n)/δ)) / n). The bound holds for all posteriors at
    once, so the minimum holds at the same δ; t = 0, the prior itself, has KL 0.

    Args:
      empirical: Gibbs losses R̂_t in [0, 1], one a step of the path.
      kl: KL(Q_t‖P) in nats, ≥ 0, in the same order.
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).

    Returns:
      The bound and its step, the earliest on ties: never above any single step's bound.

    Raises:
      ValueError: the lengths differ, or an argument is out of range; see `checks`.

    Source: simultaneity over posteriors in Maurer (2004); the path is ours.
    """
    losses = checks.sample("empirical", empirical)
    nats = checks.sample("kl", kl, 0.0, math.inf)
    if len(losses) != len(nats):
        raise ValueError(f"{len(losses)} empirical losses, {len(nats)} values of kl")
    steps = [
        maurer_kl(loss, divergence, n, delta)
        for loss, divergence in zip(losses.tolist(), nats.tolist(), strict=True)
    ]
    return PathMinimum(min(steps), int(np.argmin(steps)))


def _log_2_root(n: int | np.integer) -> float:
    """An upper bound of ln ξ(n): ln(2√n)."""
    return math.log(2.0) + 0.5 * math.log(n)


def _checked(
    empirical: float, kl: float, n: int | np.integer, delta: float
) -> tuple[float, float, int]:
    """The mean loss, KL + ln(1/δ) and n, once everything is in range."""
    q = checks.number("empirical", empirical, 0.0, 1.0)
    nats = checks.number("kl", kl, 0.0, math.inf)
    n = checks.count("n", n)
    checks.confidence(delta)
    return q, nats - math.log(delta), n
