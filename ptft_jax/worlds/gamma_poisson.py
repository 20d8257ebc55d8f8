"""Counts: Poisson demand whose rates differ across instances by a gamma law.

ξ_ij ~ Poisson(λ_i), λ_i ~ Gamma(shape a, mean μ); a log-uniform on [.3, 20], μ on
[.3, 60]. Given the law, an instance's next demand is negative binomial.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax.problems import newsvendor
from ptft_jax.worlds import gamma_poisson_posterior, transforms
from ptft_jax.worlds.gamma_poisson_posterior import MEAN_RANGE, SHAPE_RANGE, Law
from ptft_jax.worlds.world import World


class Instances(NamedTuple):
    """Poisson rate of each instance, demand per period."""

    rate: Float[Array, "n"]


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws a and μ, log-uniform.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law.
    """
    u = jax.random.uniform(key, (2,))
    return Law(
        transforms.log_between(u[0], *SHAPE_RANGE),
        transforms.log_between(u[1], *MEAN_RANGE),
    )


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Instances:
    """Draws the rates of n instances.

    Args:
      key: typed PRNG key.
      law: the portfolio's law.
      num_instances: n ≥ 1.

    Returns:
      Rates ≥ 0.
    """
    shape = jnp.broadcast_to(law.shape, (num_instances,))
    return Instances(law.mean / law.shape * transforms.gamma(key, shape))


def sample_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Independent demands of every instance.

    Args:
      key: typed PRNG key.
      instances: n rates.
      num_draws: k ≥ 1.

    Returns:
      Counts, as floats.
    """
    u = jax.random.uniform(key, (*instances.rate.shape, num_draws), minval=1e-7)
    rate = jnp.broadcast_to(instances.rate[:, None], u.shape)
    return transforms.poisson_quantile(u, rate)


def future_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Evenly spread future demands: averages over them are unbiased and sharp.

    Args:
      key: typed PRNG key.
      instances: n rates.
      num_draws: k ≥ 1.

    Returns:
      Counts, as floats; columns are not independent.
    """
    u = transforms.even_uniforms(key, len(instances.rate), num_draws, 1)[0]
    rate = jnp.broadcast_to(instances.rate[:, None], u.shape)
    return transforms.poisson_quantile(u, rate)


def expected_cost(
    instances: Instances, x: Float[Array, "n"], quantile: Float[Array, "*#s"]
) -> Float[Array, "n"]:
    """Exact expected newsvendor cost of each decision.

    Args:
      instances: n rates.
      x: decisions, any real numbers.
      quantile: critical ratios in (0, 1).

    Returns:
      The costs.
    """
    return newsvendor.expected_cost_poisson(x, instances.rate, quantile)


def full_information(
    instances: Instances, quantile: Float[Array, "*#s"]
) -> Float[Array, "n"]:
    """Decisions of someone who knows the rates: the Poisson quantiles.

    Args:
      instances: n rates.
      quantile: critical ratios in (0, 1).

    Returns:
      The decisions, whole numbers.
    """
    return newsvendor.full_information_poisson(instances.rate, quantile)


WORLD = World(
    name="gamma_poisson",
    description="Poisson counts, gamma rates: shape in [.3, 20], mean in [.3, 60]",
    sample_law=sample_law,
    sample_instances=sample_instances,
    sample_demand=sample_demand,
    future_demand=future_demand,
    expected_cost=expected_cost,
    full_information=full_information,
    bayes_decision=gamma_poisson_posterior.bayes_decision,
    hierarchical_bayes=gamma_poisson_posterior.hierarchical_bayes,
    predictive_cdf=gamma_poisson_posterior.predictive_cdf,
    log_evidence=gamma_poisson_posterior.log_evidence,
)
