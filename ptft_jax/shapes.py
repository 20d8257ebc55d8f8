"""Few shapes, few compilations: portfolios padded to sizes that many of them share."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

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
    size = bucket(len(index)) if size is None else size
    return extend(jax.tree.map(lambda leaf: leaf[index], portfolio), size)


def extend(portfolio: Portfolio, size: int) -> Portfolio:
    """All instances and then instances without observations.

    Args:
      portfolio: n instances.
      size: to pad to, ≥ n.

    Returns:
      A portfolio whose first n instances are those given.
    """
    n = portfolio.valid.shape[0]

    def pad(leaf: jax.Array) -> jax.Array:
        return jnp.pad(leaf, [(0, size - n)] + [(0, 0)] * (leaf.ndim - 1))

    longer = jax.tree.map(pad, portfolio)
    # a quantile of 0 would make the padding's decisions infinite
    is_given = jnp.arange(size) < n
    return longer._replace(quantile=jnp.where(is_given, longer.quantile, 0.5))


def pad(portfolio: Portfolio) -> Portfolio:
    """All instances, padded to `bucket(n)`.

    Args:
      portfolio: n instances.

    Returns:
      A portfolio whose first n instances are those given.
    """
    return extend(portfolio, bucket(portfolio.valid.shape[0]))


def part(key: Key[Array, ""], portfolio: Portfolio, most: int) -> Portfolio:
    """A random part of a portfolio that is too large to fit to as a whole.

    Args:
      key: typed PRNG key.
      portfolio: n instances.
      most: instances to keep of those that are not padding.

    Returns:
      The portfolio itself where it has no more instances than that.
    """
    if portfolio.valid.shape[0] <= most:
        return portfolio
    present = np.flatnonzero(np.asarray(portfolio.present))
    order = np.asarray(jax.random.permutation(key, len(present)))[:most]
    return take(portfolio, np.sort(present[order]))
