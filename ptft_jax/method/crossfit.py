"""Two folds of the instances, each of which decides for the other.

A fold gives the context, the coupling, the fine-tuned policy and the range [l, h] of
costs; every instance of the other of which something can be left out is scored by the
mean cost over the outcomes left out of it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64, Key

from ptft_jax import shapes
from ptft_jax.method import finetune
from ptft_jax.method.finetune import Fit
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import Problem, judged, num_instances, take

LEAST_INSTANCES = 4
NUM_ROWS = 8  # outcomes left out of each instance
MOST_ALIKE = 2048  # instances, above which padding takes longer than to compile


class Half(NamedTuple):
    """What one fold decides before the other is looked at.

    Attributes:
      context: its instances, padded.
      others: positions of the instances that it is to be scored on, in random order.
      policies: parameters by name, leading axis K; `pretrained` and `finetuned`.
      low: l, below every cost of its own instances, or of any if that is known.
      high: h, above them.
      move: D > 0, twice the most that fine-tuning changes a cost of its own instances.
    """

    context: Any
    others: np.ndarray
    policies: dict[str, Any]
    low: float
    high: float
    move: float


def scores(
    network: Across,
    problem: Problem,
    half: Half,
    seen: Any,
    key: Key[Array, ""],
    num_rows: int = NUM_ROWS,
) -> dict[str, Float64[np.ndarray, "n"]]:
    """Mean left-out cost of each instance under the policies of a fold.

    Args:
      network: the Transformer.
      problem: the problem.
      half: whose policies, context and coupling are used.
      seen: n instances.
      key: typed PRNG key; it chooses what is left out.
      num_rows: outcomes left out of each.

    Returns:
      Costs [n] by policy.
    """
    keys = jax.random.split(key, num_rows)
    return {
        name: np.asarray(
            _costs(network, problem, params, seen, half.context, keys), np.float64
        )
        for name, params in half.policies.items()
    }


def _mean_cost(network, problem, params, seen, context, keys):
    outputs = lambda rest: finetune.mean_outputs(
        network, problem, params, rest, context
    )

    def row(key):
        # a budget has the price that it has where as little is known of all items
        less, _ = problem.leave_out(jax.random.fold_in(key, 1), context)
        own, stats = outputs(less)
        coupling = problem.couple(less, stats, own)
        rest, outcome = problem.leave_out(key, seen)
        output, _ = outputs(rest)
        return problem.cost(problem.decide(rest, stats, output, coupling), outcome)

    return jax.lax.map(row, keys).mean(0)


_costs = jax.jit(_mean_cost, static_argnums=(0, 1))


def cross_fit(
    network: Across,
    problem: Problem,
    params: Any,
    seen: Any,
    fit: Fit | None,
    key: Key[Array, ""],
) -> tuple[Half, Half]:
    """Splits the instances and lets each fold choose its policy and its range.

    Args:
      network: the Transformer.
      problem: the problem.
      params: pretrained.
      seen: instances, those that are padding last.
      fit: of `finetune.make_fit`, or None to certify the pretrained policy only.
      key: typed PRNG key.

    Returns:
      The folds A and B.

    Raises:
      ValueError: fewer than 4 instances of which something can be left out.
    """
    n = int(problem.present(seen).sum())
    counts = np.asarray(judged(problem, seen))
    if (few := int(counts.sum())) < LEAST_INSTANCES:
        raise ValueError(
            f"certificates need at least {LEAST_INSTANCES} instances of which "
            f"something can be left out: {few}"
        )
    split_key, *fold_keys = jax.random.split(key, 5)
    # losses are bet on in turn: as drawn, not as in the file, which may be sorted
    order = np.asarray(jax.random.permutation(split_key, n))
    order = order[np.argsort(~counts[order], kind="stable")]
    folds = order[::2], order[1::2]

    def half(own, others, fit_key, row_key):
        context = take(seen, jnp.asarray(own), padded_size(seen, len(own)))
        policies = {"pretrained": finetune.single(params)}
        if fit is not None:
            policies["finetuned"] = fit(params, context, fit_key).params
        made = Half(context, others[counts[others]], policies, 0.0, 0.0, 0.0)
        found = scores(network, problem, made, context, row_key)
        costs = {name: cost[: len(own)][counts[own]] for name, cost in found.items()}
        low, high = costs["pretrained"].min(), costs["pretrained"].max()
        spread = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-30)
        moved = np.abs(costs.get("finetuned", 0.0) - costs["pretrained"]).max()
        move = max(2.0 * float(moved), 1e-6 * spread)
        low, high = problem.costs or (float(low - spread), float(high + spread))
        return made._replace(low=low, high=high, move=move)

    return half(*folds, *fold_keys[:2]), half(*folds[::-1], *fold_keys[2:])


def padded_size(seen: Any, count: int) -> int:
    """What a fold is padded to: alike, small folds share programs with the whole.

    Args:
      seen: all instances.
      count: of the fold.

    Returns:
      A size ≥ count.
    """
    whole = num_instances(seen)
    return whole if whole <= MOST_ALIKE else shapes.bucket(count)
