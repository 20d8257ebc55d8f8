"""What can be certified of a problem's policies, at a stated confidence.

Two folds: A gives the context, the coupling, the fine-tuned policy and the range
[l_A, h_A] of costs; every instance of B is scored by the mean cost over the outcomes
left out of it. Given A the scores of B are independent, one an instance. With costs cut
to the range and the folds exchanged, each bounded at δ/2,

  U = Σ_folds n_fold (l + (h − l) U_fold)/n

is at least the mean cut cost with probability ≥ 1 − δ; and the same for what
fine-tuning saves. δ is spent once for each statement.
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
from ptft_jax.problems.problem import Problem, take
from theory import certificates

LEAST_INSTANCES = 4
NUM_ROWS = 8  # outcomes left out of each instance
MEANING = (
    "Each bound holds with probability at least 1 - delta over the draw of the "
    "instances, taken alone. It is on the mean cost of the policies of the two "
    "cross-fitting folds, which see less data by what is left out, with every "
    "instance's cost cut to a range fixed on the other fold."
)


class Half(NamedTuple):
    """What one fold decides before the other is looked at.

    Attributes:
      context: its instances, padded.
      others: positions of the instances that it is to be scored on.
      policies: parameters by name, leading axis K; `pretrained` and `finetuned`.
      low: l, below every cost of its own instances.
      high: h, above them.
      move: D > 0, twice the most that fine-tuning changes a cost of its own instances.
    """

    context: Any
    others: np.ndarray
    policies: dict[str, Any]
    low: float
    high: float
    move: float


class Statement(NamedTuple):
    """One statement that holds with probability ≥ 1 − δ.

    Attributes:
      name: `finetuned_betting`, `pretrained_betting` (upper bounds on a cost) or
        `finetuned_gain_over_pretrained` (a lower bound).
      value: the bound, in units of cost.
      empirical: what was measured on the scored instances.
      share_cut: of the scored instances, whose cost or loss was above the range.
    """

    name: str
    value: float
    empirical: float
    share_cut: float


class Certified(NamedTuple):
    """All statements of a portfolio, and what they were made from."""

    statements: tuple[Statement, ...]
    halves: tuple[Half, Half]
    delta: float


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
    own, stats = finetune.mean_outputs(network, problem, params, context, context)
    coupling = problem.couple(context, stats, own)

    def row(key):
        rest, outcome = problem.leave_out(key, seen)
        output, _ = finetune.mean_outputs(network, problem, params, rest, context)
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
      ValueError: fewer than 4 instances.
    """
    n = int(problem.present(seen).sum())
    if n < LEAST_INSTANCES:
        raise ValueError(f"certificates need at least {LEAST_INSTANCES} instances: {n}")
    split_key, *fold_keys = jax.random.split(key, 5)
    order = np.asarray(jax.random.permutation(split_key, n))
    folds = np.sort(order[: (n + 1) // 2]), np.sort(order[(n + 1) // 2 :])

    def half(own, others, fit_key, row_key):
        context = take(seen, jnp.asarray(own), shapes.bucket(len(own)))
        policies = {"pretrained": finetune.single(params)}
        if fit is not None:
            policies["finetuned"] = fit(params, context, fit_key).params
        made = Half(context, others, policies, 0.0, 0.0, 0.0)
        found = scores(network, problem, made, context, row_key)
        costs = {name: cost[: len(own)] for name, cost in found.items()}
        low, high = costs["pretrained"].min(), costs["pretrained"].max()
        spread = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-30)
        moved = np.abs(costs.get("finetuned", 0.0) - costs["pretrained"]).max()
        move = max(2.0 * float(moved), 1e-6 * spread)
        low, high = float(low - spread), float(high + spread)
        return made._replace(low=low, high=high, move=move)

    return half(*folds, *fold_keys[:2]), half(*folds[::-1], *fold_keys[2:])


def statements(
    found: list[dict[str, Float64[np.ndarray, "l"]]],
    halves: tuple[Half, Half],
    delta: float,
) -> tuple[Statement, ...]:
    """Bounds from the scores of both folds.

    Args:
      found: costs of each fold's policies on the instances of the other.
      halves: the folds.
      delta: failure probability of each statement, in (0, 1).

    Returns:
      A cost bound for each policy, then the gain where there is one.
    """
    sizes = np.array([len(half.others) for half in halves], float)
    mean = lambda values: float(sizes @ np.asarray(values) / sizes.sum())
    unit = [
        {k: (c.clip(h.low, h.high) - h.low) / (h.high - h.low) for k, c in fold.items()}
        for fold, h in zip(found, halves, strict=True)
    ]
    wide = [h.high - h.low for h in halves]
    over = lambda name: mean(
        [(fold[name] > h.high).mean() for fold, h in zip(found, halves, strict=True)]
    )
    made = []
    for name in found[0]:
        ends = [
            h.low + w * certificates.betting(fold[name], delta / 2)
            for h, w, fold in zip(halves, wide, unit, strict=True)
        ]
        kept = [
            h.low + w * fold[name].mean()
            for h, w, fold in zip(halves, wide, unit, strict=True)
        ]
        made.append(Statement(f"{name}_betting", mean(ends), mean(kept), over(name)))
    if "finetuned" in found[0]:
        made.append(_gain(found, halves, mean, delta))
    return tuple(made)


def _gain(found, halves, mean, delta) -> Statement:
    """What fine-tuning saves, cut at ±D; the share is of instances that lose more."""
    ends, saved, over = [], [], []
    for fold, half in zip(found, halves, strict=True):
        lost = fold["finetuned"] - fold["pretrained"]
        kept = lost.clip(-half.move, half.move)
        nothing = np.zeros_like(kept)
        ends.append(certificates.paired_gain(kept, nothing, delta / 2, half.move))
        saved.append(-kept.mean())
        over.append((lost > half.move).mean())
    name = "finetuned_gain_over_pretrained"
    return Statement(name, mean(ends), mean(saved), mean(over))


def certify(
    network: Across,
    problem: Problem,
    params: Any,
    seen: Any,
    fit: Fit | None,
    key: Key[Array, ""],
    delta: float,
) -> Certified:
    """All statements about a portfolio.

    Args:
      network: the Transformer.
      problem: the problem.
      params: pretrained.
      seen: instances, those that are padding last.
      fit: of `finetune.make_fit`, or None.
      key: typed PRNG key.
      delta: failure probability of each statement, in (0, 1).

    Returns:
      The statements.

    Raises:
      ValueError: fewer than 4 instances.
    """
    fold_key, *row_keys = jax.random.split(key, 3)
    halves = cross_fit(network, problem, params, seen, fit, fold_key)
    found = []
    for half, row_key in zip(halves, row_keys, strict=True):
        size = len(half.others)
        scored = take(seen, jnp.asarray(half.others), shapes.bucket(size))
        costs = scores(network, problem, half, scored, row_key)
        found.append({name: cost[:size] for name, cost in costs.items()})
    return Certified(statements(found, halves, delta), halves, delta)
