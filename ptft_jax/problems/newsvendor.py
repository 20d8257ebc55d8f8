"""The newsvendor: choose a stock x before demand ξ is seen."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def cost(
    x: Float[Array, "*#s"], demand: Float[Array, "*#s"], quantile: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """Pinball cost c(x, ξ) = q(ξ−x)⁺ + (1−q)(x−ξ)⁺.

    Args:
      x: stock, in units of demand.
      demand: ξ, in units of demand.
      quantile: critical ratio q in (0, 1), underage / (underage + overage).

    Returns:
      The cost, ≥ 0, convex in x, max(q, 1−q)-Lipschitz in x.
    """
    short = demand - x
    return jnp.maximum(quantile * short, (quantile - 1.0) * short)
