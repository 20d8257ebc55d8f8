"""Positive demand: lognormal, with levels that differ across instances.

log ξ_ij ~ N(θ_i, σ²), θ_i ~ N(μ, τ²); μ ~ N(2, 1.5²), τ log-uniform on [.05, 2], σ on
[.05, 1.5]. Given the law, an instance's next demand is lognormal.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax.problems import newsvendor
from ptft_jax.worlds import gaussian_means, lognormal_posterior, transforms
from ptft_jax.worlds.lognormal_posterior import (
    LEVEL_MEAN,
    LEVEL_SD,
    NOISE_RANGE,
    SPREAD_RANGE,
    Law,
)
from ptft_jax.worlds.world import World


class Instances(NamedTuple):
    """Mean and sd of the log demand of each instance."""

    theta: Float[Array, "n"]
    sigma: Float[Array, "n"]


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws μ, τ and σ.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law.
    """
    level_key, scale_key = jax.random.split(key)
    u = jax.random.uniform(scale_key, (2,))
    level = LEVEL_MEAN + LEVEL_SD * jax.random.normal(level_key)
    return Law(
        level,
        transforms.log_between(u[0], *SPREAD_RANGE),
        transforms.log_between(u[1], *NOISE_RANGE),
    )


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Instances:
    """Draws the levels of n instances.

    Args:
      key: typed PRNG key.
      law: the portfolio's law.
      num_instances: n ≥ 1.

    Returns:
      θ_i, and σ repeated.
    """
    logs = gaussian_means.sample_instances(key, gaussian_means.Law(*law), num_instances)
    return Instances(*logs)


def sample_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Independent demands of every instance.

    Args:
      key: typed PRNG key.
      instances: n rows.
      num_draws: k ≥ 1.

    Returns:
      Demand > 0.
    """
    logs = gaussian_means.Instances(*instances)
    return jnp.exp(gaussian_means.sample_observations(key, logs, num_draws))


def future_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Evenly spread future demands: averages over them are unbiased and sharp.

    Args:
      key: typed PRNG key.
      instances: n rows.
      num_draws: k ≥ 1.

    Returns:
      Demand > 0; columns are not independent.
    """
    logs = gaussian_means.Instances(*instances)
    return jnp.exp(gaussian_means.future_observations(key, logs, num_draws))


def expected_cost(
    instances: Instances, x: Float[Array, "n"], quantile: Float[Array, "*#s"]
) -> Float[Array, "n"]:
    """Exact expected newsvendor cost of each decision.

    Args:
      instances: n rows.
      x: decisions.
      quantile: critical ratios in (0, 1).

    Returns:
      The costs.
    """
    return newsvendor.expected_cost_lognormal(x, *instances, quantile)


def full_information(
    instances: Instances, quantile: Float[Array, "*#s"]
) -> Float[Array, "n"]:
    """Decisions of someone who knows every θ_i and σ: the lognormal quantiles.

    Args:
      instances: n rows.
      quantile: critical ratios in (0, 1).

    Returns:
      The decisions.
    """
    return newsvendor.full_information_lognormal(*instances, quantile)


WORLD = World(
    name="lognormal",
    description="lognormal demand, normal log levels: sd in [.05, 2], noise [.05, 1.5]",
    sample_law=sample_law,
    sample_instances=sample_instances,
    sample_demand=sample_demand,
    future_demand=future_demand,
    expected_cost=expected_cost,
    full_information=full_information,
    bayes_decision=lognormal_posterior.bayes_decision,
    hierarchical_bayes=lognormal_posterior.hierarchical_bayes,
    predictive_cdf=lognormal_posterior.predictive_cdf,
    log_evidence=lognormal_posterior.log_evidence,
)
