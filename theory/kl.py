"""Binary relative entropy and its two inverses, in float64 on the host.

Every function takes numbers or arrays, broadcasts, and gives a Python float where all
arguments were numbers.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from theory import checks

# 20 steps reach the last digit from every start; the slowest are at the edge of the
# domain, where kl is a logarithm.
STEPS = 32

# Every rounding error of the root is below 16 ulp of the larger end (see `_distance`).
OUTWARD = 2.0**-48

# Steps below these, relative to the distances behind and ahead, are rounding. Near the
# end ahead a step is short far from the root, so the second is needed.
SETTLED = 2.0**-51
SETTLED_AHEAD = 2.0**-44

# Stands for zero where a division needs a positive number: its term of kl is < 1e-297.
TINY = 1e-300

# numpy turns results without axes into scalars.
Values = Float[np.ndarray, "*s"] | np.float64


def binary_kl(q: checks.Numbers, p: checks.Numbers) -> float | Float[np.ndarray, "..."]:
    """Relative entropy of Bernoulli(q) to Bernoulli(p), in nats.

    kl(q‖p) = q ln(q/p) + (1−q) ln((1−q)/(1−p)), with 0 ln 0 = 0.

    Args:
      q: in [0, 1].
      p: in [0, 1].

    Returns:
      kl ≥ 2(p−q)² (Pinsker), 0 only at p = q, infinite where p is 0 or 1 and q is not;
      convex in (q, p), decreasing in p below q and increasing above.

    Raises:
      ValueError: q or p is NaN or outside [0, 1].
    """
    q, p = np.broadcast_arrays(
        checks.within("q", q, 0.0, 1.0), checks.within("p", p, 0.0, 1.0)
    )
    gap = p - q
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # The ratio loses its digits near p = q, the gap near p = 0 or 1.
        head = np.where(np.abs(gap) < q / 2, np.log1p(gap / q), np.log(p / q))
        tail = np.where(
            np.abs(gap) < (1 - q) / 2,
            np.log1p(-gap / (1 - q)),
            np.log((1 - p) / (1 - q)),
        )
        kl = -(np.where(q > TINY, q * head, 0.0) + np.where(q < 1, (1 - q) * tail, 0.0))
    return _unwrap(np.maximum(kl, 0.0))


def inverse_upper(
    q: checks.Numbers, c: checks.Numbers
) -> float | Float[np.ndarray, "..."]:
    """Largest p whose relative entropy from q is within budget.

    kl⁻¹(q, c) = sup{p ≥ q : kl(q‖p) ≤ c}.

    Args:
      q: empirical mean, in [0, 1].
      c: budget in nats, ≥ 0.

    Returns:
      The upper end: never below the root, and above it by rounding errors only;
      increasing in q and in c, q itself at c = 0, 1 − e^(−c) at q = 0, and never above
      q + √(c/2) by more than rounding.

    Raises:
      ValueError: q is NaN or outside [0, 1], or c is NaN or negative.
    """
    q, c = _budget(q, c)
    distance, reached = _distance(q, 1.0 - q, c)
    p = np.minimum((q + distance) * (1.0 + OUTWARD) + TINY, 1.0)
    return _unwrap(np.where(c == 0.0, q, np.where(reached, p, 1.0)))


def inverse_lower(
    q: checks.Numbers, c: checks.Numbers
) -> float | Float[np.ndarray, "..."]:
    """Smallest p whose relative entropy from q is within budget.

    inf{p ≤ q : kl(q‖p) ≤ c} = 1 − kl⁻¹(1−q, c).

    Args:
      q: empirical mean, in [0, 1].
      c: budget in nats, ≥ 0.

    Returns:
      The lower end: never above the root, and below it by rounding errors only;
      increasing in q, decreasing in c, q itself at c = 0, e^(−c) at q = 1.

    Raises:
      ValueError: q is NaN or outside [0, 1], or c is NaN or negative.
    """
    q, c = _budget(q, c)
    distance, reached = _distance(1.0 - q, q, c)
    p = np.maximum(q - distance - q * OUTWARD, 0.0)
    return _unwrap(np.where(c == 0.0, q, np.where(reached, p, 0.0)))


def _distance(
    a: Values, b: Values, c: Values
) -> tuple[Values, Bool[np.ndarray, "*s"] | np.bool]:
    """Distance d from q to the root on the side where b = |end − q| is left.

    Newton on f(d) = −a ln(1+d/a) − b ln(1−d/b) − c, f′(d) = d / ((a+d)(b−d)), from the
    least of √(c/2) (Pinsker), √(2bc) and c + √(c² + 2ac), which follow from
    kl ≥ 2d², d²/2b and d²/2(a+d). f is convex and f ≥ 0 there, so no iterate passes the
    root. Rounding costs f a few ulp of c + 2d and d that over f′, a few ulp of a + d,
    because kl ≤ d²/((a+d)(b−d)).

    Args:
      a: distance from q to the end behind, 1 − b.
      b: distance from q to the end ahead, in [0, 1].
      c: budget, ≥ 0.

    Returns:
      d, and whether the root is inside the floating-point domain d < b.
    """
    a, b = np.maximum(a, TINY), np.maximum(b, TINY)
    edge = np.nextafter(b, 0.0)
    c = np.minimum(c, 64.0)  # kl is below 38 at the edge, so 64 is past it already
    near_zero = c + np.sqrt(c) * np.sqrt(c + 2.0 * a)
    d = np.minimum(np.minimum(np.sqrt(c / 2.0), np.sqrt(b) * np.sqrt(2.0 * c)), edge)
    start = d = np.minimum(d, near_zero)
    for _ in range(STEPS):
        excess = -(a * np.log1p(d / a) + b * np.log1p(-d / b)) - c
        step = excess * ((a + d) / np.maximum(d, TINY)) * (b - d)
        before, d = d, np.clip(d - step, 0.0, start)
        near = np.minimum(SETTLED * (a + d), SETTLED_AHEAD * (b - d))
        if (before - d <= near).all():
            break
    return d, d < edge


def _budget(
    q: checks.Numbers, c: checks.Numbers
) -> tuple[Float[np.ndarray, "*s"], Float[np.ndarray, "*s"]]:
    """The mean and the budget, checked and broadcast."""
    q, c = np.broadcast_arrays(
        checks.within("q", q, 0.0, 1.0), checks.within("c", c, 0.0, math.inf)
    )
    return q, c


def _unwrap(x: Values) -> float | Float[np.ndarray, "*s"]:
    """A Python float where the array has no axes."""
    return x if np.ndim(x) else float(x)
