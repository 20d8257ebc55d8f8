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
from jaxtyping import Array, Float64, Int, Key

from ptft_jax import left_out, risk, shapes
from ptft_jax.finetune import Fit
from ptft_jax.model import Network
from ptft_jax.risk import Policy
from ptft_jax.threads import side_by_side
from ptft_jax.types import Portfolio

LEAST_INSTANCES = 4
GAINS = (("finetuned", "pretrained"), ("finetuned", "saa"), ("pretrained", "saa"))


class Half(NamedTuple):
    """What one fold decides before the other is looked at.

    Attributes:
      index: its instances, [k].
      others: the instances it is to be scored on, [n − k].
      context: its instances as a portfolio, padded.
      policies: by name; `pretrained` and `finetuned`.
      scale: b > 0, at which costs are cut.
      ranges: D > 0 of each of `GAINS`, at which differences of costs are cut.
    """

    index: Int[np.ndarray, "k"]
    others: Int[np.ndarray, "l"]
    context: Portfolio
    policies: dict[str, Policy]
    scale: float
    ranges: dict[tuple[str, str], float]


class Scores(NamedTuple):
    """Costs of the instances that a half has not seen, by method, not cut yet."""

    costs: dict[str, Float64[np.ndarray, "l"]]
    scale: float
    ranges: dict[tuple[str, str], float]


def cross_fit(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    fit: Fit | None,
    key: Key[Array, ""],
    report: Callable[[str], None] = lambda stage: None,
    size: int | None = None,
) -> tuple[Half, Half]:
    """Splits the instances and lets each fold choose its policy and its scale.

    Args:
      network: the Transformer.
      params: pretrained.
      portfolio: n instances, each with at least two observations, not padded.
      fit: of `finetune.make_fit`, or None to certify the pretrained policy only.
      key: typed PRNG key.
      report: called with what is done next.
      size: to pad the folds to, so that they share programs with a larger portfolio.

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
    split_key, *fold_keys = jax.random.split(key, 5)
    order = np.asarray(jax.random.permutation(split_key, n))
    # losses are bet on in turn: as drawn, not as in the file, which may be sorted
    folds = order[: (n + 1) // 2], order[(n + 1) // 2 :]
    pretrained = risk.single(network, params)

    def decide(own, others, fit_key, row_key):
        context = shapes.take(portfolio, own, size)
        policies = {"pretrained": pretrained}
        if fit is not None:
            policies["finetuned"] = fit(params, context, fit_key).policy
        costs = _costs(network, policies, context, context, row_key)
        return Half(own, others, context, policies, *_scales(costs))

    report("cross-fitting" if fit is None else "fine-tuning on each of two folds")
    first, second = side_by_side(
        [
            functools.partial(decide, *folds, *fold_keys[:2]),
            functools.partial(decide, *folds[::-1], *fold_keys[2:]),
        ]
    )
    return first, second


def cost_scale(costs: Float64[np.ndarray, "k"]) -> float:
    """Where costs are cut: twice the largest of the pretrained policy.

    Args:
      costs: left-out costs of instances that are not scored, ≥ 0.

    Returns:
      b > 0; 1 where nothing costs anything, any positive number being valid.
    """
    return 2.0 * float(costs.max()) or 1.0


def _scales(costs) -> tuple[float, dict[tuple[str, str], float]]:
    """The scale of costs, and twice the largest differences.

    Where two policies agree there is no difference to take a range from.
    """
    scale = cost_scale(costs["pretrained"])
    ranges = {}
    for new, old in GAINS:
        if new in costs and old in costs:
            largest = float(np.abs(costs[new] - costs[old]).max())
            ranges[new, old] = max(2.0 * largest, 1e-6 * scale)
    return scale, ranges


def _costs(network, policies, portfolio, context, key):
    position, counts, decisions = left_out.several(
        network, policies, portfolio, context, key
    )
    return {
        name: left_out.instance_costs(portfolio, x, position, counts)
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
        kept = {name: cost[:size] for name, cost in costs.items()}
        found.append(Scores(kept, half.scale, half.ranges))
    return found[0], found[1]
