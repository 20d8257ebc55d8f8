"""What a network trains on: a portfolio, what is asked of it, and its future."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.types import Portfolio


class Example(NamedTuple):
    """A portfolio, the quantiles asked of it and evenly spread future demands."""

    portfolio: Portfolio
    quantiles: Float[Array, "n k"]
    future: Float[Array, "n j"]


def sample_valid(
    key: Key[Array, ""], num_instances: int, num_observations: int
) -> Bool[Array, "n m"]:
    """Which observations exist: m log-uniform, in one portfolio of five ragged.

    Args:
      key: typed PRNG key.
      num_instances: n, padding included.
      num_observations: the largest m.

    Returns:
      Mask, [n, m]; in one portfolio of five only some of the instances are present.
    """
    m_key, ragged_key, row_key, n_key, cut_key = jax.random.split(key, 5)
    log_m = jax.random.uniform(
        m_key, (), minval=jnp.log(1.8), maxval=jnp.log(num_observations + 1.0)
    )
    most = jnp.exp(log_m)
    is_ragged = jax.random.bernoulli(ragged_key, 0.2)
    lowest = jnp.where(is_ragged, 0.3, 1.0)
    share = jax.random.uniform(row_key, (num_instances, 1), minval=lowest, maxval=1.0)
    m = jnp.maximum(jnp.floor(most * share), 1.0)
    is_cut = jax.random.bernoulli(cut_key, 0.2)
    log_n = jax.random.uniform(
        n_key, (), minval=jnp.log(3.0), maxval=jnp.log(num_instances)
    )
    n = jnp.where(is_cut, jnp.exp(log_n), num_instances)
    return (jnp.arange(num_observations) < m) & (jnp.arange(num_instances) < n)[:, None]


def sample_quantiles(
    key: Key[Array, ""], num_instances: int, num_quantiles: int
) -> Float[Array, "n k"]:
    """Critical ratios, most in [.5, .99], one stratum of the range each.

    Args:
      key: typed PRNG key.
      num_instances: n.
      num_quantiles: k, asked of every instance.

    Returns:
      Critical ratios in (.02, .99), [n, k].
    """
    u = jax.random.uniform(key, (num_instances, num_quantiles))
    u = (jnp.arange(num_quantiles) + u) / num_quantiles
    # A fifth of the mass is below .5; above it the density rises towards .99.
    upper = 0.5 + 0.49 * (1.0 - (1.0 - (u - 0.2) / 0.8) ** 1.5)
    return jnp.where(u < 0.2, 0.02 + 0.48 * u / 0.2, upper)
