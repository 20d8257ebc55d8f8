"""Fine-tuning of the last layer: a convex programme over a ball, solved to a certificate."""

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


def solve(
    rows: Rows,
    quantile: Float[Array, "n"],
    weight: Float[Array, "n"],
    radius: Float[Array, ""],
    start: Float[Array, "d"],
    num_steps: int = 300,
    smoothing: float = 0.02,
) -> Solution:
    """min_{‖u‖ ≤ r} Σ_i w_i mean_j c(x⁰_ij + s_ij⟨u, h_ij⟩, ξ_ij), accelerated projected.

    The gap is Frank & Wolfe's of the smoothed objective, ⟨∇F(u), u⟩ + r‖∇F(u)‖, plus the
    Σ w·width/4 by which smoothing may differ: convexity makes the sum a bound on the
    distance of the unsmoothed objective from its minimum.

    Args:
      rows: left-out decisions and labels.
      quantile: critical ratios, [n].
      weight: of the instances, [n], ≥ 0; 0 leaves an instance out.
      radius: r ≥ 0.
      start: first u, in the ball.
      num_steps: of FISTA with restarts.
      smoothing: half-width of the rounded kink, in units of each row's scale.

    Returns:
      The head, its objective with the unsmoothed cost, and the certified gap.
    """
    omega = rows.weight * weight
    omega = omega / jnp.maximum((omega * rows.decision.scale).sum(), 1e-30)
    base, scale, hidden = rows.decision
    width = smoothing * scale + 1e-30
    predict = lambda u: base + scale * (hidden @ u)

    def smooth(u):
        return (omega * smoothed_cost(predict(u), rows.label, quantile, width)).sum()

    gram = jnp.einsum("rn,rnd,rne->de", omega * scale, hidden, hidden)
    step_size = 2.0 * smoothing / jnp.maximum(jnp.linalg.eigvalsh(gram)[-1], 1e-12)
    project = lambda u: u * jnp.minimum(1.0, radius / jnp.maximum(jnp.linalg.norm(u), 1e-12))

    def step(carry, _):
        u, ahead, momentum = carry
        slope = jax.grad(smooth)(ahead)
        new = project(ahead - step_size * slope)
        is_uphill = jnp.vdot(ahead - new, new - u) > 0
        grown = (1.0 + jnp.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        grown, push = jnp.where(is_uphill, 1.0, grown), jnp.where(is_uphill, 0.0, (momentum - 1.0) / grown)
        return (new, new + push * (new - u), grown), None

    first = project(start)
    (u, _, _), _ = jax.lax.scan(step, (first, first, jnp.ones(())), length=num_steps)
    slope = jax.grad(smooth)(u)
    gap = jnp.vdot(slope, u) + radius * jnp.linalg.norm(slope) + (omega * width).sum() / 4.0
    objective = (omega * newsvendor.cost(predict(u), rows.label, quantile)).sum()
    return Solution(u, objective, gap)
