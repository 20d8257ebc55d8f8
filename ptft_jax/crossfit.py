"""Two-fold cross-fitting over instances: policies and scales chosen on one fold only.

Fold A gives the context, the fine-tuned policy and the scale b_A. Every instance of
fold B is then scored by its own left-out observations, with the policy that sees the
others: given A, the scores of B are independent, one an instance. And the same with the
folds exchanged. `certify` turns the scores into statements.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Int, Key

from ptft_jax import baselines, risk, shapes, types
from ptft_jax.finetune import Fit
from ptft_jax.model import Network
from ptft_jax.risk import Policy
from ptft_jax.types import Portfolio

MAX_ROWS = 32
LEAST_INSTANCES = 4


class Half(NamedTuple):
    """What one fold decides before the other is looked at.

    Attributes:
      index: its instances, [k].
      others: the instances it is to be scored on, [n − k].
      context: its instances as a portfolio, padded.
      policies: by name; `pretrained` and `finetuned`.
      scale: b > 0, in units of cost.
    """

    index: Int[np.ndarray, "k"]
    others: Int[np.ndarray, "l"]
    context: Portfolio
    policies: dict[str, Policy]
    scale: float


class Scores(NamedTuple):
    """Costs of the instances that a half has not seen, by method, not cut yet."""

    costs: dict[str, Float64[np.ndarray, "l"]]
    scale: float


@functools.partial(jax.jit, static_argnums=0)
def _left_out(network, params, head, portfolio, context, position):
    attended = network.apply(params, context, method=risk.summarize)

    def row(j):
        rest, _ = types.leave_one_out(portfolio, j)
        return risk.apply_head(network.apply(params, rest, context=attended), head)

    return jax.lax.map(row, position)


def left_out_decisions(
    network: Network,
    policy: Policy,
    portfolio: Portfolio,
    context: Portfolio,
    position: Int[Array, "r n"],
) -> Float[np.ndarray, "r n"]:
    """Decisions for instances that lack one observation, in a context of others.

    Args:
      network: the Transformer.
      policy: K networks; compiled once for all K.
      portfolio: n instances.
      context: the portfolio that is attended to, observations complete.
      position: the observation each instance lacks, in each of r rows.

    Returns:
      Decisions ≥ 0, [r, n], that have not seen the observation left out.
    """
    total = 0.0
    for k in range(len(policy.head)):
        params = jax.tree.map(lambda leaf, k=k: leaf[k], policy.params)
        x = _left_out(network, params, policy.head[k], portfolio, context, position)
        total = total + np.asarray(x)
    return np.maximum(total / len(policy.head), 0.0)


@jax.jit
def _left_out_saa(portfolio, position):
    return jax.lax.map(
        lambda j: baselines.saa(types.leave_one_out(portfolio, j)[0]), position
    )


def left_out(
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
      key: typed PRNG key; it chooses what is left out, in at most `MAX_ROWS` rows.

    Returns:
      What is left out in each row, whether the row counts, and the decisions by name.
    """
    rows = min(portfolio.valid.shape[1], MAX_ROWS)
    position, counts = risk.left_out(key, portfolio.valid, rows)
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


def cross_fit(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    fit: Fit | None,
    key: Key[Array, ""],
    report: Callable[[str], None] = lambda stage: None,
) -> tuple[Half, Half]:
    """Splits the instances and lets each fold choose its policy and its scale.

    Args:
      network: the Transformer.
      params: pretrained.
      portfolio: n instances, each with at least two observations, not padded.
      fit: of `finetune.make_fit`, or None to certify the pretrained policy only.
      key: typed PRNG key.
      report: called with what is done next.

    Returns:
      The folds A and B.

    Raises:
      ValueError: fewer than 4 instances, or one with fewer than two observations.
    """
    n = portfolio.valid.shape[0]
    few = int((portfolio.num_observed < 2).sum())
    if n < LEAST_INSTANCES or few:
        raise ValueError(
            f"certificates need at least {LEAST_INSTANCES} instances with at least 2 "
            f"observations each; {few} of {n} have fewer"
        )
    split_key, *keys = jax.random.split(key, 5)
    order = np.asarray(jax.random.permutation(split_key, n))
    folds = np.sort(order[: (n + 1) // 2]), np.sort(order[(n + 1) // 2 :])
    pretrained = risk.single(network, params)
    halves = []
    for name, own, others in (("A", *folds), ("B", *folds[::-1])):
        fit_key, row_key = keys.pop(), keys.pop()
        context = shapes.take(portfolio, own)
        policies = {"pretrained": pretrained}
        if fit is not None:
            report(f"fine-tuning on fold {name}")
            policies["finetuned"] = fit(params, context, fit_key).policy
        costs = _costs(network, {"pretrained": pretrained}, context, context, row_key)
        # any positive number is a valid scale; a fold without cost suggests none
        scale = 2.0 * float(costs["pretrained"].max()) or 1.0
        halves.append(Half(own, others, context, policies, scale))
    return halves[0], halves[1]


def _costs(network, policies, portfolio, context, key):
    position, counts, decisions = left_out(network, policies, portfolio, context, key)
    return {
        name: instance_costs(portfolio, x, position, counts)
        for name, x in decisions.items()
    }


def score(
    network: Network,
    portfolio: Portfolio,
    halves: tuple[Half, Half],
    key: Key[Array, ""],
) -> tuple[Scores, Scores]:
    """Costs of each fold's policies on the instances of the other.

    Args:
      network: the Transformer.
      portfolio: the n instances that were split.
      halves: of `cross_fit`.
      key: typed PRNG key; it chooses which observations are left out.

    Returns:
      The scores on fold B by A's policies, and on fold A by B's.
    """
    found = []
    for half, row_key in zip(halves, jax.random.split(key), strict=True):
        scored = shapes.take(portfolio, half.others)
        costs = _costs(network, half.policies, scored, half.context, row_key)
        size = len(half.others)
        found.append(Scores({k: v[:size] for k, v in costs.items()}, half.scale))
    return found[0], found[1]
