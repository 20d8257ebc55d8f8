"""What every simulated world provides, as a record of pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ptft_jax.types import Portfolio, enable_x64
from ptft_jax.worlds import example


class World(NamedTuple):
    """A hyper-prior over laws; laws draw instances, instances draw demand.

    All but the first two are pure, for jit and vmap (outside of jit their loops compile
    anew at every call). Given its law, a portfolio's
    instances are independent; given its row of `Instances`, so are an instance's
    demands. What has no exact form in a world is None.

    Attributes:
      name: as in `worlds.WORLDS`.
      description: one line.
      sample_law: `(key) -> Law`, a draw of the hyper-prior.
      sample_instances: `(key, law, n) -> Instances`, n rows.
      sample_demand: `(key, instances, k) -> [n, k]`, independent demands.
      future_demand: `(key, instances, k) -> [n, k]`, evenly spread, unbiased averages.
      expected_cost: `(instances, x, quantile) -> [n]`, E c(x_i, ξ_i) in truth.
      full_information: `(instances, quantile) -> [n]`, its minimiser.
      bayes_decision: `(law, portfolio) -> [n]`, the least expected cost given the law
        and the instance's observations.
      hierarchical_bayes: `(portfolio) -> [n]`, the same given the whole portfolio only.
      predictive_cdf: `(law, portfolio, x) -> [n]`, of an instance's next demand at x.
      log_evidence: `(law, portfolio) -> [n]`, log density of an instance's data.
    """

    name: str
    description: str
    sample_law: Callable[..., Any]
    sample_instances: Callable[..., Any]
    sample_demand: Callable[..., Any]
    future_demand: Callable[..., Any]
    expected_cost: Callable[..., Any]
    full_information: Callable[..., Any]
    bayes_decision: Callable[..., Any] | None = None
    hierarchical_bayes: Callable[..., Any] | None = None
    predictive_cdf: Callable[..., Any] | None = None
    log_evidence: Callable[..., Any] | None = None

    def sample_example(
        self,
        key: Key[Array, ""],
        num_instances: int,
        num_observations: int,
        num_quantiles: int,
        num_future: int,
    ) -> example.Example:
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
        keys = jax.random.split(key, 6)
        law = self.sample_law(keys[0])
        instances = self.sample_instances(keys[1], law, num_instances)
        observed = self.sample_demand(keys[2], instances, num_observations)
        future = self.future_demand(keys[3], instances, num_future)
        valid = example.sample_valid(keys[4], num_instances, num_observations)
        quantiles = example.sample_quantiles(keys[5], num_instances, num_quantiles)
        observed = jnp.where(valid, observed, 0.0)
        return example.Example(
            Portfolio(observed, valid, quantiles[:, 0]), quantiles, future
        )


def in_float64(function: Callable[..., Any], *args: Any) -> Any:
    """Evaluates a pure function in float64, whatever the precision of its arguments.

    Args:
      function: pure, of pytrees of arrays; compiled.
      args: its arguments, concrete (this is host code).

    Returns:
      The result in numpy, which keeps its float64 where jax is set to float32.
    """
    is_float = lambda leaf: jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    cast = lambda leaf: jnp.asarray(leaf, jnp.float64) if is_float(leaf) else leaf
    with enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(function)(*jax.tree.map(cast, args)))


def total(portfolio: Portfolio) -> Float[Array, "n"]:
    """Sum S_i of an instance's observations.

    Args:
      portfolio: n instances.

    Returns:
      The sums, 0 for padding.
    """
    return jnp.where(portfolio.valid, portfolio.observations, 0.0).sum(-1)
