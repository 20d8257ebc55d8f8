"""Portfolios from the prior over priors, ready to train on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.types import Portfolio
from ptft_jax.worlds import demand


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


def sample_example(
    key: Key[Array, ""],
    num_instances: int,
    num_observations: int,
    num_quantiles: int,
    num_future: int,
) -> Example:
    """Draws a law, its instances, their observations and their future.

    Args:
      key: typed PRNG key.
      num_instances: n, padding included.
      num_observations: the largest m.
      num_quantiles: critical ratios asked of every instance.
      num_future: future demands a law is represented by.

    Returns:
      The example; `portfolio.quantile` is the first of its quantiles.
    """
    law_key, instance_key, data_key, future_key, valid_key, q_key = jax.random.split(
        key, 6
    )
    law = demand.sample_law(law_key)
    instances = demand.sample_instances(instance_key, law, num_instances)
    valid = sample_valid(valid_key, num_instances, num_observations)
    observed = demand.sample_demand(data_key, instances, num_observations)
    quantiles = sample_quantiles(q_key, num_instances, num_quantiles)
    return Example(
        Portfolio(jnp.where(valid, observed, 0.0), valid, quantiles[:, 0]),
        quantiles,
        demand.future_demand(future_key, instances, num_future),
    )
