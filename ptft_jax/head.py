"""Fine-tuning of the last layer: a convex programme over a ball, with a certificate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.problems import newsvendor
from ptft_jax.risk import Rows


class Solution(NamedTuple):
    """A head in the ball and how far it can be from the best one there."""

    head: Float[Array, "d"]
    objective: Float[Array, ""]
    gap: Float[Array, ""]  # certified: objective ≤ minimum over the ball + gap


def smoothed_cost(
    x: Float[Array, "*#s"],
    demand: Float[Array, "*#s"],
    quantile: Float[Array, "*#s"],
    width: Float[Array, "*#s"],
) -> Float[Array, "*#s"]:
    """Pinball cost with its kink rounded over [−width, width] by a parabola.

    c ≤ c_w ≤ c + width/4; convex, with derivative 1/(2·width)-Lipschitz.

    Args:
      x: decisions.
      demand: ξ.
      quantile: q.
      width: > 0, in units of demand.

    Returns:
      The smoothed cost.
    """
    t = x - demand
    rounded = (jnp.clip(t, -width, width) + width) ** 2 / (4.0 * width)
    return quantile * (-t) + rounded + jnp.maximum(t - width, 0.0)


def project(
    v: Float[Array, "d"], curvature: Float[Array, "d"], radius: Float[Array, ""]
) -> Float[Array, "d"]:
    """Nearest point of the ball in the metric Σ_k g_k (·)²: g_k v_k/(g_k + ν).

    ν ≥ 0 is found by bisection of its logarithm, from the side inside the ball.

    Args:
      v: any point.
      curvature: g > 0, [d].
      radius: r ≥ 0.

    Returns:
      v if ‖v‖ ≤ r, otherwise a point of norm r (up to rounding, inside).
    """
    pulled = lambda log_nu: curvature * v / (curvature + jnp.exp(log_nu))

    def halve(bracket, _):
        low, high = bracket
        middle = (low + high) / 2.0
        is_outside = jnp.linalg.norm(pulled(middle)) > radius
        return (
            jnp.where(is_outside, middle, low),
            jnp.where(is_outside, high, middle),
        ), None

    top = jnp.log(curvature.max())
    (_, high), _ = jax.lax.scan(halve, (top - 30.0, top + 30.0), length=40)
    nearest = pulled(high)
    # Whatever bisection leaves over, the point is in the ball.
    nearest *= jnp.minimum(1.0, radius / jnp.maximum(jnp.linalg.norm(nearest), 1e-30))
    return jnp.where(jnp.linalg.norm(v) <= radius, v, nearest)


def solve(
    rows: Rows,
    quantile: Float[Array, "n"],
    weight: Float[Array, "n"],
    radius: Float[Array, ""],
    num_steps: int = 100,
    smoothing: float = 0.004,
    penalty: float = 0.0,
) -> Solution:
    """Head of least leave-one-out cost in a ball, by accelerated projection.

    min_{‖u‖ ≤ r} Σ_i w_i mean_j c(x⁰_ij + s_ij⟨u, h_ij⟩, ξ_ij) + (λ/2)‖u‖².

    FISTA with restarts on the smoothed cost, in the metric of its curvature bound
    Σ ω s h hᵀ/(2·smoothing), so that features of any correlation converge alike. The
    gap is Frank & Wolfe's of the smoothed objective, ⟨∇F(u), u⟩ + r‖∇F(u)‖, plus the
    Σ ω·width/4 by which smoothing may differ: by convexity their sum bounds the
    distance of the unsmoothed objective from its minimum over the ball.

    Args:
      rows: left-out decisions and labels.
      quantile: critical ratios, [n].
      weight: of the instances, [n], ≥ 0; 0 leaves an instance out.
      radius: r ≥ 0.
      num_steps: of the accelerated projection.
      smoothing: half-width of the rounded kink, in units of each row's scale.
      penalty: λ ≥ 0, of the distance to the pretrained head, where the weights are
        such that the weighted mean scale is 1.

    Returns:
      The head, its objective with the unsmoothed cost and the penalty, and the
      certified gap; both in units of the weighted mean scale.
    """
    base, scale, hidden, _ = rows.decision
    omega = rows.weight * weight
    omega = omega / jnp.maximum((omega * scale).sum(), 1e-30)
    width = smoothing * scale + 1e-30
    gram = jnp.einsum("rn,rnd,rne->de", omega * scale, hidden, hidden)
    power, basis = jnp.linalg.eigh(gram)
    curvature = (power.clip(0.0) + 1e-5 * power[-1] + 1e-12) / (2.0 * smoothing)
    curvature += penalty
    pull = lambda v: penalty / 2.0 * jnp.vdot(v, v)
    predict = lambda v: base + scale * (hidden @ (basis @ v))

    def smooth(v):
        costs = smoothed_cost(predict(v), rows.label, quantile, width)
        return (omega * costs).sum() + pull(v)

    def step(carry, _):
        v, ahead, momentum = carry
        new = project(ahead - jax.grad(smooth)(ahead) / curvature, curvature, radius)
        is_uphill = jnp.vdot((ahead - new) * curvature, new - v) > 0
        grown = jnp.where(
            is_uphill, 1.0, (1.0 + jnp.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        )
        push = jnp.where(is_uphill, 0.0, (momentum - 1.0) / grown)
        return (new, new + push * (new - v), grown), None

    first = jnp.zeros_like(curvature)
    (v, _, _), _ = jax.lax.scan(step, (first, first, jnp.ones(())), length=num_steps)
    slope = jax.grad(smooth)(v)
    gap = (
        jnp.vdot(slope, v)
        + radius * jnp.linalg.norm(slope)
        + (omega * width).sum() / 4.0
    )
    objective = (omega * newsvendor.cost(predict(v), rows.label, quantile)).sum()
    return Solution(basis @ v, objective + pull(v), gap)
