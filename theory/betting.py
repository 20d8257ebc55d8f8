"""The betting certificate: of one sample, of many at once, and of a paired gain."""

import math

import numpy as np
from jaxtyping import Float

from theory import checks, wealth


def betting(losses: checks.Numbers, delta: float) -> float:
    """Betting upper bound, as a rule the tightest for losses that are not all 0 or 1.

    inf{m : max_t W_t(m) ≥ 1/δ}, W a nonnegative supermartingale under means ≥ m; the
    bets are in `wealth`. Ville's inequality gives P(max_t W_t(μ) ≥ 1/δ) ≤ δ, and W is
    nondecreasing in m, so the means not rejected are exactly those below the bound.

    Args:
      losses: n ≥ 1 losses in [0, 1], bet on in the given order: the bound depends on
        the order, which must not have been chosen by looking at the losses.
      delta: failure probability δ in (0, 1).

    Returns:
      The bound. Not monotone in the losses: a larger loss changes the later bets.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Waudby-Smith & Ramdas (2024), Theorem 3 and §4.1, one-sided; the mixture of
    two truncations is ours.
    """
    checks.confidence(delta)
    x = checks.sample("losses", losses)
    return float(wealth.upper(x[None], delta)[0])


def betting_lower(losses: checks.Numbers, delta: float) -> float:
    """Lower twin of `betting`."""
    checks.confidence(delta)
    return 1.0 - betting(1.0 - checks.sample("losses", losses), delta)


def betting_many(losses: checks.Numbers, delta: float) -> Float[np.ndarray, "r"]:
    """`betting` on each of many samples at once, on all cores.

    inf{m : max_t W_t(m) ≥ 1/δ} in each row. Each bound holds with probability ≥ 1−δ
    taken alone; all r at once at δ need δ/r.

    Args:
      losses: r ≥ 1 rows of n ≥ 1 losses in [0, 1], each in the order it is bet on.
      delta: failure probability δ in (0, 1).

    Returns:
      r bounds in float64, those of `betting` up to twice `wealth.TOLERANCE`, each at
      or above its root.

    Raises:
      ValueError: not two axes, an empty one, or an argument out of range.

    Source: `betting`.
    """
    return wealth.upper(_rows(losses, delta), delta)


def betting_many_lower(losses: checks.Numbers, delta: float) -> Float[np.ndarray, "r"]:
    """Lower twin of `betting_many`."""
    return 1.0 - wealth.upper(1.0 - _rows(losses, delta), delta)


def paired_gain(
    losses_new: checks.Numbers,
    losses_old: checks.Numbers,
    delta: float,
    loss_range: float,
) -> float:
    """Lower bound on the mean of old − new over instances scored by both policies.

    2b·L − b, L = betting_lower(((old − new)/b + 1)/2, δ).

    Args:
      losses_new: n ≥ 1 losses of the policy that may be adopted.
      losses_old: losses of the policy in use, on the same instances in the same order.
      delta: failure probability δ in (0, 1).
      loss_range: b > 0 with |old − new| ≤ b surely, in the unit of the losses.

    Returns:
      The certified gain, in [−b, b]; below 0 it only limits the harm.

    Raises:
      ValueError: the lengths differ, b is not positive and finite, or a difference is
        NaN or outside [−b, b].

    Source: `betting` on the rescaled differences.
    """
    new, old = (
        checks.sample(name, losses, -math.inf, math.inf)
        for name, losses in (("losses_new", losses_new), ("losses_old", losses_old))
    )
    if len(new) != len(old):
        raise ValueError(f"{len(new)} losses_new, {len(old)} losses_old")
    b = checks.positive("loss_range", loss_range)
    with np.errstate(over="ignore", invalid="ignore"):
        gains = old - new
    gains = checks.sample("losses_old - losses_new", gains, -b, b)
    lower = betting_lower((gains / b + 1.0) / 2.0, delta)  # 2b may overflow
    return b * (2.0 * lower - 1.0)


def _rows(losses: checks.Numbers, delta: float) -> Float[np.ndarray, "r n"]:
    """Samples in rows, in float64, once they and δ are in range."""
    checks.confidence(delta)
    x = checks.within("losses", losses, 0.0, 1.0)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"losses has shape {x.shape}, expected (samples, n)")
    return x
