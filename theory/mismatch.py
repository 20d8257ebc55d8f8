"""How far a synthetic world P may be from the real one Q, and what that costs.

A bound on |R_Q − R_P| for one fixed policy, from a distance of the laws of an instance
and its next observation, or certified from losses in both worlds. The distances are in
`divergences` and `count_divergences`, and re-exported.
"""

import math

from theory import certificates, checks
from theory.count_divergences import discrete as discrete
from theory.count_divergences import empirical_wasserstein as empirical_wasserstein
from theory.count_divergences import negative_binomial as negative_binomial
from theory.count_divergences import poisson as poisson
from theory.divergences import Divergences as Divergences
from theory.divergences import gamma as gamma
from theory.divergences import gaussian as gaussian


def total_variation_contaminated(eps: checks.Number) -> float:
    """Largest total variation of P from Q = (1−ε)P + εG, over all G.

    TV(P, Q) = ε TV(P, G) ≤ ε, attained where G and P are singular.

    Args:
      eps: share ε in [0, 1] of instances from another law.

    Returns:
      ε.

    Raises:
      ValueError: ε is NaN or outside [0, 1].

    Source: Huber (1964), the contamination model; elementary.
    """
    return checks.number("eps", eps, 0.0, 1.0)


def pinsker(kl: checks.Number) -> float:
    """Largest total variation at a relative entropy, by Pinsker; tight near 0.

    TV ≤ √(KL/2).

    Args:
      kl: KL(P‖Q) or KL(Q‖P) ≥ 0, in nats; may be infinite.

    Returns:
      The bound, increasing in KL, cut at 1, where it says nothing.

    Raises:
      ValueError: KL is NaN or negative.

    Source: Pinsker (1964); Csiszár (1967) for the constant.
    """
    return min(1.0, math.sqrt(_nats(kl) / 2.0))


def bretagnolle_huber(kl: checks.Number) -> float:
    """Largest total variation at a relative entropy, below 1 for every KL.

    TV ≤ √(1 − e^(−KL)).

    Args:
      kl: KL(P‖Q) or KL(Q‖P) ≥ 0, in nats; may be infinite.

    Returns:
      The bound, increasing in KL; below `pinsker` for KL > 1.594.

    Raises:
      ValueError: KL is NaN or negative.

    Source: Bretagnolle & Huber (1979).
    """
    return math.sqrt(-math.expm1(-_nats(kl)))


def total_variation_bound(kl: checks.Number) -> float:
    """The smaller of `pinsker` and `bretagnolle_huber`; both hold at once.

    min{√(KL/2), √(1 − e^(−KL))}.

    Args:
      kl: KL(P‖Q) or KL(Q‖P) ≥ 0, in nats; may be infinite.

    Returns:
      The bound on TV, increasing in KL, at most 1.

    Raises:
      ValueError: KL is NaN or negative.

    Source: the two cited.
    """
    return min(pinsker(kl), bretagnolle_huber(kl))


def risk_gap_tv(loss_range: checks.Number, total_variation: checks.Number) -> float:
    """Largest |R_Q − R_P| of a fixed policy at a total variation.

    B · TV(P, Q), for losses in an interval of length B.

    Two policies are compared at 2B·TV: once for each.

    Args:
      loss_range: B > 0, in the unit of the loss.
      total_variation: TV, or a bound on it, in [0, 1].

    Returns:
      The bound, linear in both, attained by a loss that is B on {dQ > dP}.

    Raises:
      ValueError: B is not positive and finite, or TV is outside [0, 1].

    Source: the variational form of total variation.
    """
    loss_range = checks.positive("loss_range", loss_range)
    return loss_range * checks.number("total_variation", total_variation, 0.0, 1.0)


def risk_gap_wasserstein(lipschitz: checks.Number, wasserstein: checks.Number) -> float:
    """Largest |R_Q − R_P| of a fixed policy at a Wasserstein-1 distance.

    L · W₁(P, Q), for a loss that is L-Lipschitz in what P and Q are the laws of.

    If that includes the data, the policy's own Lipschitz constant enters L. For the
    next observation alone, with the data of the same law, L is the cost's constant,
    max(q, 1−q) for the newsvendor.

    Args:
      lipschitz: L > 0, loss per unit of observation.
      wasserstein: W₁ ≥ 0, in units of the observations.

    Returns:
      The bound, linear in both.

    Raises:
      ValueError: L is not positive and finite, or W₁ is negative or NaN.

    Source: Kantorovich & Rubinstein (1958).
    """
    lipschitz = checks.positive("lipschitz", lipschitz)
    return lipschitz * checks.number("wasserstein", wasserstein, 0.0, math.inf)


def certified(
    losses_real: checks.Numbers, losses_synthetic: checks.Numbers, delta: float
) -> float:
    """Upper confidence bound on R_Q(φ₀) − R_P(φ₀), the measured cost of mismatch.

    U_Q(n, δ/2) − L_P(N, δ/2), U and L by `certificates.betting`.

    Each side fails with probability ≤ δ/2, so the difference holds with probability
    ≥ 1−δ, whether or not the two samples are independent of one another. It certifies
    this policy only, and does not bound a distance of the worlds.

    Args:
      losses_real: losses in [0, 1] of φ₀ on n ≥ 1 independent real instances that it
        was not trained on.
      losses_synthetic: losses in [0, 1] of φ₀ on N ≥ 1 fresh synthetic instances.
      delta: failure probability δ in (0, 1).

    Returns:
      The bound, in [−1, 1]; below 0 the real world is certified to cost less.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: ours; `certificates.betting` and a union bound.
    """
    checks.confidence(delta)
    real = checks.sample("losses_real", losses_real)
    synthetic = checks.sample("losses_synthetic", losses_synthetic)
    upper = certificates.betting(real, delta / 2.0)
    return upper - certificates.betting_lower(synthetic, delta / 2.0)


def _nats(kl: checks.Number) -> float:
    """A relative entropy that is not negative."""
    return checks.number("kl", kl, 0.0, math.inf)
