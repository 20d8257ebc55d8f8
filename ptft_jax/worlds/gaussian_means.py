"""Normal means that differ across instances by a normal law, under squared cost.

ξ_ij ~ N(θ_i, s²), θ_i ~ N(μ, τ²); s known, τ log-uniform on [.2, 3], μ ~ N(0, 3²). The
last is never used to decide: all rules here are equivariant to translation, and their
regret does not depend on μ. An instance's mean x̄_i has variance v_i = s²/m_i.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special
from jaxtyping import Array, Float, Key

from ptft_jax.problems import means
from ptft_jax.worlds import means_posterior, transforms
from ptft_jax.worlds.means_posterior import SPREAD_RANGE, Law
from ptft_jax.worlds.world import World

CENTER_SD = 3.0


class Instances(NamedTuple):
    """Mean and sd of an observation of each instance."""

    theta: Float[Array, "n"]
    noise: Float[Array, "n"]


def sample_law(key: Key[Array, ""], noise: float | Float[Array, ""] = 1.0) -> Law:
    """Draws μ and τ of the hyper-prior.

    Args:
      key: typed PRNG key.
      noise: s > 0, known.

    Returns:
      The portfolio's law.
    """
    center_key, spread_key = jax.random.split(key)
    return Law(
        CENTER_SD * jax.random.normal(center_key),
        transforms.log_between(jax.random.uniform(spread_key), *SPREAD_RANGE),
        jnp.asarray(noise, jnp.float32),
    )


def mismatched(law: Law, mismatch: float | Float[Array, ""]) -> Law:
    """The law with its center moved by Δ: what a wrong synthetic world believes.

    The Bayes decision of the moved law has excess (1−w)²Δ², w = τ²/(τ²+v), in the true
    one: `theory.laws.gaussian_world(…).pretrain`.

    Args:
      law: the true one.
      mismatch: Δ, in units of the observations.

    Returns:
      The moved law.
    """
    return law._replace(center=law.center + mismatch)


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Instances:
    """Draws the means of n instances.

    Args:
      key: typed PRNG key.
      law: the portfolio's law.
      num_instances: n ≥ 1.

    Returns:
      θ_i, and s repeated.
    """
    z = jax.random.normal(key, (num_instances,))
    return Instances(law.center + law.spread * z, jnp.broadcast_to(law.noise, z.shape))


def sample_observations(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Independent observations of every instance.

    Args:
      key: typed PRNG key.
      instances: n rows.
      num_draws: k ≥ 1.

    Returns:
      Observations, of either sign.
    """
    z = jax.random.normal(key, (*instances.theta.shape, num_draws))
    return instances.theta[:, None] + instances.noise[:, None] * z


def future_observations(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Evenly spread future observations: averages over them are unbiased and sharp.

    Args:
      key: typed PRNG key.
      instances: n rows.
      num_draws: k ≥ 1.

    Returns:
      Observations; columns are not independent.
    """
    u = transforms.even_uniforms(key, len(instances.theta), num_draws, 1)[0]
    return instances.theta[:, None] + instances.noise[:, None] * special.ndtri(u)


def expected_cost(
    instances: Instances,
    x: Float[Array, "n"],
    quantile: Float[Array, "*#s"] | None = None,
) -> Float[Array, "n"]:
    """Exact expected squared cost of each decision.

    Args:
      instances: n rows.
      x: decisions.
      quantile: not used, squared cost has none.

    Returns:
      The costs.
    """
    del quantile
    return means.expected_cost(x, instances.theta, instances.noise)


def full_information(
    instances: Instances, quantile: Float[Array, "*#s"] | None = None
) -> Float[Array, "n"]:
    """Decisions of someone who knows every θ_i.

    Args:
      instances: n rows.
      quantile: not used.

    Returns:
      The decisions.
    """
    del quantile
    return means.full_information(instances.theta)


def world(noise: float = 1.0, law: Law | None = None) -> World:
    """The world with observations of a known sd, of one law or of the hyper-prior.

    Args:
      noise: s > 0, in units of the observations; that of `law` where one is given.
      law: the law of every portfolio; drawn from the hyper-prior where None.

    Returns:
      The record. Its `hierarchical_bayes` knows s and the hyper-prior of τ alone.

    Raises:
      ValueError: s is not positive and finite.
    """
    noise = float(noise if law is None else law.noise)
    if not 0.0 < noise < np.inf:
        raise ValueError(f"noise = {noise} is not positive and finite")
    draw = functools.partial(sample_law, noise=noise)
    return World(
        name="gaussian_means",
        description="normal means under squared cost: sd between instances in [.2, 3]",
        sample_law=draw if law is None else lambda key: law,
        sample_instances=sample_instances,
        sample_demand=sample_observations,
        future_demand=future_observations,
        expected_cost=expected_cost,
        full_information=full_information,
        bayes_decision=means_posterior.bayes_decision,
        hierarchical_bayes=functools.partial(
            means_posterior.hierarchical_bayes, noise=noise
        ),
        predictive_cdf=means_posterior.predictive_cdf,
        log_evidence=means_posterior.log_evidence,
    )
