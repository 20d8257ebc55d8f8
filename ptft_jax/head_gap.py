"""How far a fitted head is from the best one of its ball: on the host, in float64.

`head.solve` works in float32, where a gap near 0 can come out below the true one. What
a certificate rests on is computed here from the head that is used, after it was put
into the ball.
"""

import numpy as np
from jaxtyping import Float, Float64

INSIDE = 1.0 - 1e-15  # of the radius: a scaled head is not outside by rounding


def project(
    u: Float[np.ndarray, "*k d"], radius: float | Float[np.ndarray, "*#k"]
) -> Float64[np.ndarray, "*k d"]:
    """Nearest points of the ball: u min(1, r/‖u‖).

    Args:
      u: heads, in any precision.
      radius: r ≥ 0 of each.

    Returns:
      Heads with ‖u‖ ≤ r in float64; those inside are not moved.
    """
    u = np.asarray(u, np.float64)
    radius = np.asarray(radius, np.float64)
    length = np.linalg.norm(u, axis=-1)
    share = np.where(
        length <= radius, 1.0, INSIDE * radius / np.maximum(length, 1e-300)
    )
    return u * share[..., None]


def pinball_gradient(
    u: Float64[np.ndarray, "d"],
    base: Float[np.ndarray, "n"],
    scale: Float[np.ndarray, "n"],
    hidden: Float[np.ndarray, "n d"],
    label: Float[np.ndarray, "n"],
    share: Float[np.ndarray, "n"],
    quantile: float | Float[np.ndarray, "n"],
    smoothing: float,
) -> Float64[np.ndarray, "d"]:
    """Gradient in u of Σ ω c_w(x⁰ + s⟨u, h⟩, ξ), `head.smoothed_cost` of width σs.

    Args:
      u: head.
      base: x⁰.
      scale: s ≥ 0.
      hidden: h.
      label: ξ.
      share: ω ≥ 0.
      quantile: q, one or n.
      smoothing: σ > 0. The smoothed sum exceeds the plain one by Σ ω σ s/4 at most.

    Returns:
      The gradient.
    """
    exact = np.asarray(hidden, np.float64)
    width = np.maximum(smoothing * scale, 1e-300)
    short = base + scale * (exact @ u) - label
    slope = (np.clip(short / width, -1.0, 1.0) + 1.0) / 2.0 - quantile
    return (share * scale * slope) @ exact
