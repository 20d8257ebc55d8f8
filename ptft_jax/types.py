"""The portfolio: n instances, each with a few observations and a known context."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

try:  # jax.enable_x64 is public from jax 0.8; Colab still ships 0.7.2
    from jax import enable_x64 as enable_x64
except ImportError:
    from jax.experimental import enable_x64 as enable_x64


class Portfolio(NamedTuple):
    """n decision instances observed together; a pytree, batched by `vmap`.

    Attributes:
      observations: demand, [n, m], any unit, 0 where `valid` is False.
      valid: which observations exist; an instance with none is padding.
      quantile: critical ratio of each instance, in (0, 1).
      price: known price of each instance, or None where the problem has none.
      held_out: observations kept from every decision maker, [n, k], or None.
    """

    observations: Float[Array, "*batch n m"]
    valid: Bool[Array, "*batch n m"]
    quantile: Float[Array, "*batch n"]
    price: Float[Array, "*batch n"] | None = None
    held_out: Float[Array, "*batch n k"] | None = None

    @property
    def present(self) -> Bool[Array, "*batch n"]:
        """Instances that are not padding."""
        return self.valid.any(-1)

    @property
    def num_observed(self) -> Float[Array, "*batch n"]:
        """Number of observations m_i of each instance."""
        return self.valid.sum(-1).astype(self.observations.dtype)


def portfolio(
    observations: Real[Array | np.ndarray, "n m"],
    quantile: float | Float[Array | np.ndarray, ""] | Float[Array | np.ndarray, "n"],
    valid: Bool[Array | np.ndarray, "n m"] | None = None,
) -> Portfolio:
    """Portfolio from an array in which NaN marks a missing observation.

    Args:
      observations: demand, [n, m]; NaN where missing. Whole numbers and half precision
        become floats of JAX's default precision.
      quantile: critical ratio, one for all instances or one each, in (0, 1).
      valid: mask to use beside the NaN pattern.

    Returns:
      The portfolio, missing observations set to 0 and masked.
    """
    if isinstance(observations, np.ndarray) and observations.dtype.kind in "iu":
        observations = observations.astype(float)  # JAX's int32 wraps around
    observations = jnp.asarray(observations)
    if observations.dtype not in (jnp.float32, jnp.float64):
        observations = observations.astype(float)
    seen = ~jnp.isnan(observations)
    valid = seen if valid is None else seen & valid
    return Portfolio(
        observations=jnp.where(valid, observations, 0.0),
        valid=valid,
        quantile=jnp.broadcast_to(
            jnp.asarray(quantile, observations.dtype), observations.shape[:1]
        ),
    )


def leave_one_out(
    portfolio: Portfolio, j: Int[Array, "n"]
) -> tuple[Portfolio, Float[Array, "n"]]:
    """Every instance without its j-th observation, and that observation.

    Args:
      portfolio: n instances; m_i ≥ 2 wherever the instance is present.
      j: position of the observation to take out, [n], `valid` there.

    Returns:
      The portfolio with m_i − 1 observations, and the labels, [n].
    """
    taken = jax.nn.one_hot(j, portfolio.valid.shape[-1], dtype=bool)
    label = jnp.where(taken, portfolio.observations, 0.0).sum(-1)
    valid = portfolio.valid & ~taken
    rest = jnp.where(valid, portfolio.observations, 0.0)
    return portfolio._replace(observations=rest, valid=valid), label
