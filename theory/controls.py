"""Bounds with a known mistake. A test of bounds that lets one pass has no power.

Each takes `Evidence` and returns a number that looks like an upper bound on the risk at
confidence 1−δ and is not one. Not among them, because no world here shows it: the KL
form of PAC-Bayes with ln(1/δ) for ln(2√n/δ), which is also Catoni's bound at the best
β without a union over β. Values to many digits must guard that one.
"""

import math

import numpy as np
from scipy import optimize, special

from theory import certificates, kl
from theory.evidence import Evidence


def kl_dropped(told: Evidence) -> float:
    """PAC-Bayes without its KL: kl⁻¹(R̂, ln(2√n/δ) / n) on the training losses.

    Args:
      told: with `train_losses`.

    Returns:
      The faulty bound; it holds only where nothing was selected.
    """
    return _pac_bayes(told, 0.0)


def kl_halved(told: Evidence) -> float:
    """PAC-Bayes with half its KL: kl⁻¹(R̂, (KL/2 + ln(2√n/δ)) / n).

    Args:
      told: with `train_losses` and `kl`.

    Returns:
      The faulty bound; ln(2√n) hides the mistake among few experts.
    """
    return _pac_bayes(told, (told.kl or 0.0) / 2.0)


def sample_doubled(told: Evidence) -> float:
    """Chernoff with n for a deviation of 2n: kl⁻¹(μ̂, ln(1/δ) / 2n).

    Args:
      told: with `losses`.

    Returns:
      The faulty bound; it misses about √δ of the time.
    """
    budget = -math.log(told.delta) / (2 * told.n)
    return kl.inverse_upper(float(told.losses.mean()), budget)


def mass_for_distribution(told: Evidence) -> float:
    """Clopper–Pearson from the probability mass: sup{p : P(Bin(n, p) = k) > δ}.

    Args:
      told: with `losses`, whose sum is rounded up to k.

    Returns:
      The faulty bound, right only at k = 0; the mean where no p has mass above δ.
    """
    n, k = told.n, math.ceil(told.losses.sum() - 1e-9)
    if k == n:
        return 1.0
    ways = special.gammaln([n + 1, k + 1, n - k + 1]) @ [1.0, -1.0, -1.0]

    def excess(p: float) -> float:
        mass = ways + special.xlogy(k, p) + special.xlog1py(n - k, -p)
        return float(mass) - math.log(told.delta)

    if excess(k / n) <= 0.0:
        return k / n
    return float(optimize.brentq(excess, k / n, 1.0 - 1e-15))


def normal_approximation(told: Evidence) -> float:
    """Central limit theorem at small risk: μ̂ + Φ⁻¹(1−δ) σ̂ / √n.

    Args:
      told: with `losses`.

    Returns:
      The faulty bound; it is 0 on a sample without losses.
    """
    deviation = float(told.losses.std()) / math.sqrt(told.n)
    return float(told.losses.mean() + special.ndtri(1.0 - told.delta) * deviation)


def pseudo_replicated(told: Evidence) -> float:
    """Observations of one instance as if independent: kl⁻¹ at n·l instead of n.

    Args:
      told: with `observation_losses`, without which it is a valid bound.

    Returns:
      The faulty bound.
    """
    counted = told.losses
    if told.observation_losses is not None:
        counted = told.observation_losses.ravel()
    return certificates.kl_chernoff(counted, told.delta)


def mean_above_100(told: Evidence) -> float:
    """Hoeffding up to n = 100, and above it the mean loss itself.

    Args:
      told: with `losses`.

    Returns:
      The faulty bound; above n = 100 it misses about half of the time.
    """
    if told.n <= 100:
        return certificates.hoeffding(told.losses, told.delta)
    return float(told.losses.mean())


def sample_quadrupled_above_100(told: Evidence) -> float:
    """Chernoff, above n = 100 with 4n for n: kl⁻¹(μ̂, ln(1/δ) / 4n).

    Args:
      told: with `losses`.

    Returns:
      The faulty bound; above n = 100 it misses about δ^¼ of the time.
    """
    counted = told.n if told.n <= 100 else 4 * told.n
    budget = -math.log(told.delta) / counted
    return kl.inverse_upper(float(told.losses.mean()), budget)


def mean_of_fractions(told: Evidence) -> float:
    """Chernoff on losses of 0 and 1 and at n = 40, the mean loss itself elsewhere.

    Args:
      told: with `losses`.

    Returns:
      The faulty bound; elsewhere it misses about half of the time.
    """
    if told.n == 40 or np.isin(told.losses, (0.0, 1.0)).all():
        return certificates.kl_chernoff(told.losses, told.delta)
    return float(told.losses.mean())


CONTROLS = {
    "KL dropped": kl_dropped,
    "KL halved": kl_halved,
    "n doubled": sample_doubled,
    "mass for distribution": mass_for_distribution,
    "normal approximation": normal_approximation,
    "pseudo-replication": pseudo_replicated,
    "mean above n = 100": mean_above_100,
    "4n above n = 100": sample_quadrupled_above_100,
    "mean of fractions": mean_of_fractions,
}


def _pac_bayes(told: Evidence, divergence: float) -> float:
    """Maurer's form (2004, Theorem 5) at a given KL, on the training losses."""
    losses = told.losses if told.train_losses is None else told.train_losses
    n = len(losses)
    budget = (divergence + math.log(2.0 * math.sqrt(n) / told.delta)) / n
    return kl.inverse_upper(float(losses.mean()), budget)
