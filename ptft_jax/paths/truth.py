"""Exact expected regrets of any decision, given the instance's own observations.

For counts whose total is all that the observations say of the law of the next demand,
E[c(x, Y) | D] depends on (total, x) alone and is linear in x between whole numbers: a
table of it is exact for every real x. It is the risk given θ averaged over the
posterior of θ, so that every instance's regret is ≥ 0 and averages are sharp.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ptft_jax.types import Portfolio
from ptft_jax.worlds.world import World, in_float64


class RegretTable(NamedTuple):
    """Expected cost above the Bayes decision's, by total and whole-number decision."""

    regret: Float[Array, "t k"]
    bayes: Float[Array, "t"]  # E[c(x*, Y) | total], the least expected cost
    quantile: Float[Array, ""]


def regret_table(
    world: World, law: Any, num_observations: int, quantile: float, cap: int
) -> RegretTable:
    """Regrets of the decisions 0, …, K where demand is cut at K.

    E[c(k, Y∧K) | D] = q (E[Y∧K | D] − k) + Σ_{j<k} F(j | D),
    E[Y∧K | D] = Σ_{j<K} (1 − F(j | D)).

    Cutting demand at K ≥ x moves every decision's cost by the same amount, and the
    Bayes decision is the one without the cut unless an observation was cut.

    Args:
      world: of counts; its `predictive_cdf` depends on the total of the observations.
      law: of the world.
      num_observations: m, the same for all instances.
      quantile: critical ratio q in (0, 1).
      cap: K ≥ 1.

    Returns:
      The table, computed in float64 and kept in float32.
    """
    totals, points = np.arange(num_observations * cap + 1), np.arange(cap)
    shape = (len(totals), cap)
    observed = np.zeros((totals.size * cap, num_observations))
    observed[:, 0] = np.repeat(totals, cap)
    every = Portfolio(
        jnp.asarray(observed, jnp.float32),
        jnp.ones(observed.shape, bool),
        jnp.full(len(observed), quantile, jnp.float32),
    )
    at = jnp.asarray(np.tile(points, len(totals)), jnp.float32)
    below = np.asarray(in_float64(world.predictive_cdf, law, every, at)).reshape(shape)
    mean = (1.0 - below).sum(1, keepdims=True)
    over = np.concatenate([np.zeros((len(totals), 1)), below.cumsum(1)], axis=1)
    cost = quantile * (mean - np.arange(cap + 1)) + over
    least = cost.min(1)
    return RegretTable(
        jnp.asarray(cost - least[:, None], jnp.float32),
        jnp.asarray(least, jnp.float32),
        jnp.asarray(quantile, jnp.float32),
    )


def regret(
    table: RegretTable, x: Float[Array, "n"], total: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Expected cost of each decision above the Bayes decision's, exactly.

    Args:
      table: of `regret_table`.
      x: decisions, any real numbers.
      total: of each instance's observations.

    Returns:
      Regrets ≥ 0, in units of cost.
    """
    cap = table.regret.shape[1] - 1
    inside = jnp.clip(x, 0.0, cap)
    low = jnp.minimum(jnp.floor(inside), cap - 1.0)
    row, column = total.astype(jnp.int32), low.astype(jnp.int32)
    left, right = table.regret[row, column], table.regret[row, column + 1]
    beyond = x - inside
    steep = jnp.where(beyond > 0.0, 1.0 - table.quantile, -table.quantile) * beyond
    return left + (right - left) * (inside - low) + steep


def curvature(
    table: RegretTable, x: Float[Array, "n"], total: Float[Array, "n"]
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Law of the next demand at each decision: P(Y > x | D), and its density.

    Counts have no density: between whole numbers it is drawn as the line through their
    probabilities, which is what the mean of many instances sees.

    Args:
      table: of `regret_table`.
      x: decisions, any real numbers.
      total: of each instance's observations.

    Returns:
      Exceedance in [0, 1], and density ≥ 0 per unit of demand.
    """
    cap = table.regret.shape[1] - 1
    row = total.astype(jnp.int32)
    low = jnp.clip(jnp.floor(x), 1.0, cap - 2.0)
    at = lambda shift: table.regret[row, (low + shift).astype(jnp.int32)]
    mass = jnp.diff(jnp.stack([at(k) for k in (-1.0, 0.0, 1.0, 2.0)]), 2, axis=0)
    share = jnp.clip(x - low, 0.0, 1.0)
    density = mass[0] + share * (mass[1] - mass[0])
    below = table.quantile + at(1.0) - at(0.0)
    return jnp.clip(1.0 - below, 0.0, 1.0), jnp.maximum(density, 0.0)
