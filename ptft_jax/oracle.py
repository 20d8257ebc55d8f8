"""What no decision maker can beat on average: Bayes, with or without the law known."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ptft_jax.types import Portfolio
from ptft_jax.worlds.world import World, in_float64

PerInstance = Float[np.ndarray | jax.Array, "n"]


def bayes(world: World, law: tuple, portfolio: Portfolio) -> Float[Array, "n"]:
    """Bayes decisions with the law known: argmin_x E[c(x, ξ) | law, data of i].

    Its expected cost is R*_Q, the least of any policy in this law. Computed in float64.

    Args:
      world: which the portfolio is from, one of `worlds.WORLDS`.
      law: drawn by `world.sample_law`.
      portfolio: n instances; the other instances of one are of no use, given the law.

    Returns:
      The decisions; for padding, those of an instance without data.

    Raises:
      ValueError: the world has no exact Bayes decision.
    """
    if world.bayes_decision is None:
        raise ValueError(f"world {world.name} has no exact Bayes decision")
    x = in_float64(world.bayes_decision, law, portfolio)
    return jnp.asarray(x, portfolio.observations.dtype)


def hierarchical_bayes(world: World, portfolio: Portfolio) -> Float[Array, "n"]:
    """Bayes decisions with the law unknown: argmin_x E[c(x, ξ) | the whole portfolio].

    The hyper-prior is integrated on 24 × 24 Gauss–Legendre nodes that follow its
    posterior (`worlds.hyper_posterior`), in float64. The limit of any in-context
    learner trained on the world; tends to `bayes` as n grows.

    Args:
      world: which the portfolio is from, one of `worlds.WORLDS`.
      portfolio: n instances, all from one law.

    Returns:
      The decisions; for padding, those of an instance without data.

    Raises:
      ValueError: the world has no exact hierarchical Bayes decision.
    """
    if world.hierarchical_bayes is None:
        raise ValueError(f"world {world.name} has no exact hierarchical Bayes decision")
    x = in_float64(world.hierarchical_bayes, portfolio)
    return jnp.asarray(x, portfolio.observations.dtype)


def expected_cost(
    world: World, instances: tuple, x: PerInstance, quantile: float | PerInstance
) -> Float[np.ndarray, "n"]:
    """Expected cost of each decision under its instance's true law, in float64.

    Args:
      world: which the instances are from.
      instances: drawn by `world.sample_instances`.
      x: decisions, [n].
      quantile: critical ratio, one for all or one each, in (0, 1).

    Returns:
      The costs, [n].
    """
    return in_float64(world.expected_cost, instances, x, quantile)


def full_information(
    world: World, instances: tuple, quantile: float | PerInstance
) -> Float[np.ndarray, "n"]:
    """Decisions of someone who knows every instance's true law, in float64.

    Args:
      world: which the instances are from.
      instances: drawn by `world.sample_instances`.
      quantile: critical ratio, one for all or one each, in (0, 1).

    Returns:
      The minimiser of `expected_cost`, [n].
    """
    return in_float64(world.full_information, instances, quantile)
