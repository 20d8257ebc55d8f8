"""Decisions for instances that lack one observation, and their costs on that one."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Int, Key

from ptft_jax import baselines, risk, shapes, streamed, types
from ptft_jax.model import Context, Decision, Network
from ptft_jax.risk import Policy
from ptft_jax.types import Portfolio

MAX_ROWS = 16
MAX_LEFT_OUT = 2**19  # of all instances, beyond which rows are fewer


def num_rows(portfolio: Portfolio) -> int:
    """Rows in which the instances of a portfolio lack an observation in turn.

    A mean over n instances varies by what differs between them, which more rows of
    each do not change: where instances are many, rows are few.

    Args:
      portfolio: n instances of at most m observations.

    Returns:
      min(m, `MAX_ROWS`, max(1, `MAX_LEFT_OUT`/n)).
    """
    n, m = portfolio.valid.shape
    return min(m, MAX_ROWS, max(1, MAX_LEFT_OUT // n))


_one = functools.partial(jax.jit, static_argnums=0)(streamed.decide_one)
_summarize = functools.partial(jax.jit, static_argnums=0)(streamed.summarize)


@functools.partial(jax.jit, static_argnums=0)
def _one_left_out(network, params, head, attended, portfolio, position):
    def row(j):
        rest, _ = types.leave_one_out(portfolio, j)
        decision = network.apply(params, rest, context=attended)
        return risk.apply_head(decision, head), decision

    return jax.lax.map(row, position)


def _networks(policy: Policy) -> list[tuple[Any, Float[Array, "d"]]]:
    """Its networks one after another: one program serves any number of them."""
    pick = lambda k: jax.tree.map(lambda leaf: leaf[k], policy)
    return [tuple(pick(k)) for k in range(len(policy.head))]


def decide(
    network: Network, policy: Policy, portfolio: Portfolio
) -> Float[np.ndarray, "n"]:
    """Decisions as of `risk.decide`, compiled once for all numbers of networks.

    Args:
      network: the Transformer.
      policy: K networks and heads.
      portfolio: n instances.

    Returns:
      Decisions ≥ 0, in units of the observations.
    """
    total = 0.0
    for params, head in _networks(policy):
        x, unit = _one(network, params, head, portfolio)
        total = total + x
    return np.asarray(risk.settle(total / len(policy.head), unit))


def left_out_decisions(
    network: Network,
    policy: Policy,
    portfolio: Portfolio,
    context: Portfolio,
    position: Int[Array, "r n"],
) -> Float[np.ndarray, "r n"]:
    """Decisions for instances that lack one observation, in a context of others.

    They are taken in parts of the context's size, or of `streamed.BLOCK`, so that folds
    and populations of any size share one program.

    Args:
      network: the Transformer.
      policy: K networks and heads.
      portfolio: n instances.
      context: the portfolio that is attended to, observations complete.
      position: the observation each instance lacks, in each of r rows.

    Returns:
      Decisions ≥ 0, [r, n], that have not seen the observation left out.
    """
    networks, found = _attending(network, policy, context), []
    for part, left, count in _parts(portfolio, context, position):
        total = 0.0
        for network_ in networks:
            x, decision = _one_left_out(network, *network_, part, left)
            total = total + x
        x = risk.settle(total / len(networks), decision.unit)
        found.append(np.asarray(x)[:, :count])
    return np.concatenate(found, axis=1)


def _attending(
    network, policy, context
) -> list[tuple[Any, Float[Array, "d"], Context]]:
    return [
        (params, head, _summarize(network, params, context))
        for params, head in _networks(policy)
    ]


def _parts(portfolio, context, position):
    """Parts of the context's size, what each lacks, and how many are not padding."""
    n = portfolio.valid.shape[0]
    size = min(context.valid.shape[0], streamed.BLOCK)
    for start in range(0, n, size):
        index = np.arange(start, min(start + size, n))
        left = jnp.pad(position[:, index], ((0, 0), (0, size - len(index))))
        yield shapes.take(portfolio, index, size), left, len(index)


def left_out_features(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    context: Portfolio,
    position: Int[Array, "r n"],
) -> Decision:
    """What `left_out_decisions` decides from, by the same program.

    Args:
      network: the Transformer.
      params: of one network.
      portfolio: n instances.
      context: the portfolio that is attended to, observations complete.
      position: the observation each instance lacks, in each of r rows.

    Returns:
      Base decisions, scales and features of the head, leaves [r, n, …].
    """
    [own], found = _attending(network, risk.single(network, params), context), []
    for part, left, count in _parts(portfolio, context, position):
        decision = _one_left_out(network, *own, part, left)[1]
        kept = jax.tree.map(lambda leaf, k=count: np.asarray(leaf)[:, :k], decision)
        found.append(kept)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *found)


@jax.jit
def _left_out_saa(portfolio, position):
    return jax.lax.map(
        lambda j: baselines.saa(types.leave_one_out(portfolio, j)[0]), position
    )


def several(
    network: Network,
    policies: dict[str, Policy],
    portfolio: Portfolio,
    context: Portfolio,
    key: Key[Array, ""],
) -> tuple[Int[Array, "r n"], Bool[Array, "r n"], dict[str, Float[np.ndarray, "r n"]]]:
    """Decisions of several policies, and of SAA, that lack the same observations.

    Args:
      network: the Transformer.
      policies: by name.
      portfolio: n instances.
      context: the portfolio that is attended to.
      key: typed PRNG key; it chooses what is left out, in `num_rows` rows.

    Returns:
      What is left out in each row, whether the row counts, and the decisions by name.
    """
    position, counts = risk.left_out(key, portfolio.valid, num_rows(portfolio))
    decisions = {
        name: left_out_decisions(network, policy, portfolio, context, position)
        for name, policy in policies.items()
    }
    decisions["saa"] = np.asarray(_left_out_saa(portfolio, position))
    return position, counts, decisions


def instance_costs(
    portfolio: Portfolio,
    decisions: Float[np.ndarray, "r n"],
    position: Int[Array, "r n"],
    counts: Bool[Array, "r n"],
) -> Float64[np.ndarray, "n"]:
    """Mean cost of each instance over the rows that count, in float64.

    Args:
      portfolio: n instances.
      decisions: from `left_out_decisions`.
      position: the observation left out, which is the demand met.
      counts: whether the row counts for the instance.

    Returns:
      Costs, [n]; 0 where no row counts.
    """
    x, used = decisions.astype(np.float64), np.asarray(counts)
    demand = np.asarray(portfolio.observations, np.float64)
    met = np.take_along_axis(demand, np.asarray(position).T, axis=1).T
    q = np.asarray(portfolio.quantile, np.float64)
    cost = np.maximum(q * (met - x), (q - 1.0) * (met - x))
    return np.where(used, cost, 0.0).sum(0) / np.maximum(used.sum(0), 1)
