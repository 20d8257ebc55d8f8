"""Policies, their decisions, and their cost on observations left out of the data."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from ptft_jax import types
from ptft_jax.model import Context, Decision, Network
from ptft_jax.problems import newsvendor
from ptft_jax.types import Portfolio


class Policy(NamedTuple):
    """K networks with a linear head each; it decides by their mean.

    The mean's cost is at most the mean cost (the cost is convex in the decision).
    """

    params: Any  # every leaf with a leading axis K
    head: Float[Array, "k d"]


class Rows(NamedTuple):
    """Decisions on n instances, r observations of each left out in turn."""

    decision: Decision  # leaves [r, n, …]
    label: Float[Array, "r n"]
    weight: Float[Array, "r n"]  # 1/(number of rows of the instance), 0 where void


def single(network: Network, params: Any) -> Policy:
    """The policy of one network, its head unchanged.

    Args:
      network: the Transformer.
      params: its parameters.

    Returns:
      A policy with K = 1 and u = 0.
    """
    stacked = jax.tree.map(lambda leaf: leaf[None], params)
    return Policy(stacked, jnp.zeros((1, network.width)))


def apply_head(decision: Decision, head: Float[Array, "d"]) -> Float[Array, "*s"]:
    """The decision x = x⁰ + s·⟨u, h⟩, before it is settled.

    Args:
      decision: base, scale and features.
      head: u.

    Returns:
      Decisions, linear in u.
    """
    return decision.base + decision.scale * (decision.hidden @ head)


def settle(x: Float[Array, "*s"], unit: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """Decisions that can be carried out: ≥ 0, and multiples of the unit of counts.

    Args:
      x: decisions.
      unit: of the lattice, 0 where demand is continuous.

    Returns:
      The nearest such decisions.
    """
    nearest = jnp.round(x / jnp.where(unit > 0, unit, 1.0)) * unit
    return jnp.maximum(jnp.where(unit > 0, nearest, x), 0.0)


def decide(
    network: Network,
    policy: Policy,
    portfolio: Portfolio,
    context: Portfolio | None = None,
) -> Float[Array, "n"]:
    """Decisions of a policy for the instances of a portfolio.

    Args:
      network: the Transformer.
      policy: its parameters and heads.
      portfolio: n instances.
      context: the portfolio that is attended to; the instances themselves where None.

    Returns:
      Decisions ≥ 0, in units of the observations.
    """

    def one(params, head):
        attended = None
        if context is not None:
            attended = network.apply(params, context, method=summarize)
        decision = network.apply(params, portfolio, context=attended)
        return apply_head(decision, head), decision.unit

    x, unit = jax.vmap(one)(policy.params, policy.head)
    return settle(x.mean(0), unit[0])


def summarize(network: Network, portfolio: Portfolio) -> Context:
    """What instances attend to; use as `network.apply(…, method=summarize)`.

    Args:
      network: bound Transformer.
      portfolio: the context instances.

    Returns:
      The context.
    """
    return network.tokens(portfolio)[2]


def left_out(
    key: Key[Array, ""], valid: Bool[Array, "n m"], num_rows: int
) -> tuple[Int[Array, "r n"], Bool[Array, "r n"]]:
    """Which observation of each instance is left out in each row, without repetition.

    Args:
      key: typed PRNG key.
      valid: which observations exist.
      num_rows: r, at most m.

    Returns:
      Positions, [r, n], and whether the row counts: instances with fewer than two
      observations have none, those with fewer than r have m_i.
    """
    noise = jax.random.uniform(key, valid.shape)
    order = jnp.argsort(jnp.where(valid, noise, 2.0), axis=-1)[:, :num_rows].T
    count = valid.sum(-1)
    return order, (jnp.arange(num_rows)[:, None] < count) & (count > 1)


def leave_one_out_rows(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    position: Int[Array, "r n"],
    counts: Bool[Array, "r n"],
) -> Rows:
    """Decisions from portfolios in which every instance lacks one observation.

    Args:
      network: the Transformer.
      params: of one network.
      portfolio: n instances.
      position: the observation left out, in each of r rows.
      counts: whether the row counts for the instance.

    Returns:
      Decisions and labels; each decision has seen no label of its row.
    """

    def row(j):
        rest, label = types.leave_one_out(portfolio, j)
        return network.apply(params, rest), label

    decision, label = jax.lax.map(row, position)
    return Rows(decision, label, counts / jnp.maximum(counts.sum(0), 1))


def left_out_costs(
    rows: Rows, x: Float[Array, "r n"], quantile: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Mean cost of each instance over its rows: an estimate of its risk at m_i − 1.

    Args:
      rows: left-out labels.
      x: decisions that have not seen them, not settled yet.
      quantile: critical ratios.

    Returns:
      Costs in units of demand, [n]; 0 for instances without rows.
    """
    settled = settle(x, rows.decision.unit)
    return (rows.weight * newsvendor.cost(settled, rows.label, quantile)).sum(0)


def instance_costs(
    rows: Rows, head: Float[Array, "d"], quantile: Float[Array, "n"]
) -> Float[Array, "n"]:
    """`left_out_costs` of the rows' own decisions with a head.

    Args:
      rows: left-out decisions and labels.
      head: u.
      quantile: critical ratios.

    Returns:
      Costs in units of demand, [n]; 0 for instances without rows.
    """
    return left_out_costs(rows, apply_head(rows.decision, head), quantile)
