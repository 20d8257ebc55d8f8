"""Few shapes, few compilations: portfolios padded to sizes that many of them share."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ptft_jax.types import Portfolio

SMALLEST = 128
LARGEST_POWER = 512


def bucket(n: int) -> int:
    """The size to pad n instances to, a function of n alone.

    A power of two up to `LARGEST_POWER`, then a multiple of 64: small portfolios of
    about one size share a program, large ones waste little.

    Args:
      n: instances, ≥ 1.

    Returns:
      A size ≥ n.
    """
    if n <= LARGEST_POWER:
        return max(SMALLEST, 1 << (n - 1).bit_length())
    return -(-n // 64) * 64


def take(
    portfolio: Portfolio, index: Int[np.ndarray, "k"], size: int | None = None
) -> Portfolio:
    """The chosen instances, padded by instances without observations.

    Args:
      portfolio: n instances.
      index: positions in 0, …, n − 1, [k].
      size: to pad to, ≥ k; `bucket(k)` where None.

    Returns:
      A portfolio whose first k instances are the chosen ones.
    """
    extra = (bucket(len(index)) if size is None else size) - len(index)

    def pad(leaf: jax.Array) -> jax.Array:
        return jnp.pad(leaf[index], [(0, extra)] + [(0, 0)] * (leaf.ndim - 1))

    chosen = jax.tree.map(pad, portfolio)
    # a quantile of 0 would make the padding's decisions infinite
    present = jnp.arange(len(chosen.quantile)) < len(index)
    return chosen._replace(quantile=jnp.where(present, chosen.quantile, 0.5))


def pad(portfolio: Portfolio) -> Portfolio:
    """All instances, padded to `bucket(n)`.

    Args:
      portfolio: n instances.

    Returns:
      A portfolio whose first n instances are those given.
    """
    return take(portfolio, np.arange(portfolio.valid.shape[0]))
