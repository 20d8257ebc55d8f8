"""What can be certified of a problem's policies, at a stated confidence.

Two folds: A gives the context, the coupling, the fine-tuned policy and the range
[l_A, h_A] of costs; every instance of B of which something can be left out is scored by
the mean cost over the outcomes left out of it. Given A the scores of B are independent,
one an instance. With costs cut to the range and the folds exchanged, each bounded at
δ/2,

  U = Σ_folds n_fold (l + (h − l) U_fold)/n

is at least the mean cut cost with probability ≥ 1 − δ; and the same for what
fine-tuning saves. The share of instances whose cost is above the range is bounded too
(Clopper–Pearson): it is what the cut may hide. δ is spent once for each statement.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64, Key

from ptft_jax.method import crossfit
from ptft_jax.method.crossfit import Half
from ptft_jax.method.finetune import Fit
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import Problem, take
from theory import certificates

MEANING = (
    "Each bound holds with probability at least 1 - delta over the draw of the "
    "instances, taken alone. It is on the mean cost of the policies of the two "
    "cross-fitting folds, which see less data by what is left out, with every "
    "instance's cost cut to a range fixed on the other fold: how many instances lie "
    "beyond it is bounded as well."
)


GAIN = "finetuned_gain_over_pretrained"
ROUNDING = 1e-5  # beyond the range of all costs, relative to its ends


Costs = dict[str, Float64[np.ndarray, "_"]]  # of a fold's policies on the other fold


class Statement(NamedTuple):
    """One statement that holds with probability ≥ 1 − δ.

    Attributes:
      name: `finetuned_betting`, `pretrained_betting` (upper bounds on a cost) or
        `finetuned_gain_over_pretrained` (a lower bound).
      value: the bound, in units of cost.
      empirical: what was measured on the scored instances.
      share_cut: of the scored instances, whose cost or loss was above the range.
      share_cut_bound: what that share is at most, at the same confidence.
      policy: whose cost it bounds; None for the gain.
    """

    name: str
    value: float
    empirical: float
    share_cut: float
    share_cut_bound: float
    policy: str | None = None


class Certified(NamedTuple):
    """All statements of a portfolio, what they were made from, and what they mean."""

    statements: tuple[Statement, ...]
    scores: tuple[Costs, ...]
    halves: tuple[Half, Half]
    delta: float
    meaning: str

    @property
    def num_instances(self) -> int:
        """How many instances the statements are about."""
        return sum(len(half.others) for half in self.halves)


def meaning(problem: Problem) -> str:
    """What certificates of a problem say, its own caution included.

    Args:
      problem: the problem.

    Returns:
      `MEANING`, and `Problem.caution` where there is one.
    """
    return f"{MEANING} {problem.caution}".strip()


def unit_losses(found: Sequence[Costs], halves: tuple[Half, Half]) -> list[Costs]:
    """Costs cut to the range of their fold, which becomes [0, 1].

    Args:
      found: costs of each fold's policies on the instances of the other.
      halves: the folds.

    Returns:
      Losses, by fold and policy.
    """
    return [
        {k: (c.clip(h.low, h.high) - h.low) / (h.high - h.low) for k, c in fold.items()}
        for fold, h in zip(found, halves, strict=True)
    ]


def statements(
    found: list[Costs],
    halves: tuple[Half, Half],
    delta: float,
) -> tuple[Statement, ...]:
    """Bounds from the scores of both folds.

    Args:
      found: costs of each fold's policies on the instances of the other.
      halves: the folds.
      delta: failure probability of each statement, in (0, 1).

    Returns:
      Cost bounds for each policy, then the gain where there is one.
    """
    sizes = np.array([len(half.others) for half in halves], float)
    mean = lambda values: float(sizes @ np.asarray(values) / sizes.sum())
    unit = unit_losses(found, halves)
    wide = [h.high - h.low for h in halves]
    over = lambda name: [
        fold[name] > h.high for fold, h in zip(found, halves, strict=True)
    ]
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
        shares = _shares(over(name), mean, delta)
        made.append(Statement(f"{name}_betting", mean(ends), mean(kept), *shares, name))
    if "finetuned" in found[0]:
        made.append(_gain(found, halves, mean, delta))
    return tuple(made)


def _shares(over, mean, delta) -> tuple[float, float]:
    """The share of instances beyond their fold's range, and what it is at most."""
    ends = [
        certificates.clopper_pearson(int(fold.sum()), len(fold), delta / 2)
        for fold in over
    ]
    return mean([fold.mean() for fold in over]), mean(ends)


def _gain(found, halves, mean, delta) -> Statement:
    """What fine-tuning saves, cut at ±D; the share is of instances that lose more."""
    ends, saved, over = [], [], []
    for fold, half in zip(found, halves, strict=True):
        lost = fold["finetuned"] - fold["pretrained"]
        kept = lost.clip(-half.move, half.move)
        nothing = np.zeros_like(kept)
        ends.append(certificates.paired_gain(kept, nothing, delta / 2, half.move))
        saved.append(-kept.mean())
        over.append(lost > half.move)
    return Statement(GAIN, mean(ends), mean(saved), *_shares(over, mean, delta))


def beyond(
    costs: Float64[np.ndarray, "..."], ends: tuple[float, float]
) -> float | None:
    """A cost outside the range that all costs are said to be in.

    Args:
      costs: any.
      ends: of the range.

    Returns:
      The least where it is below, else the largest where it is above or not a number,
      else None.
    """
    least, most = float(costs.min()), float(costs.max())
    allowed = ROUNDING * max(abs(end) for end in ends)
    if least < ends[0] - allowed:
        return least
    return None if most <= ends[1] + allowed else most


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
      ValueError: fewer than 4 instances of which something can be left out, or a cost
        outside the range that the problem says costs are in.
    """
    fold_key, *row_keys = jax.random.split(key, 3)
    halves = crossfit.cross_fit(network, problem, params, seen, fit, fold_key)
    found = []
    for half, row_key in zip(halves, row_keys, strict=True):
        size = len(half.others)
        scored = take(seen, jnp.asarray(half.others), crossfit.padded_size(seen, size))
        costs = crossfit.scores(network, problem, half, scored, row_key)
        found.append({name: cost[:size] for name, cost in costs.items()})
    if problem.costs is not None:
        _refuse_beyond(problem, found)
    made = statements(found, halves, delta)
    if problem.costs is not None:
        made = tuple(s if s.policy is None else _uncut(s) for s in made)
    return Certified(made, tuple(found), halves, delta, meaning(problem))


def _refuse_beyond(problem: Problem, found: list[Costs]) -> None:
    for costs in (costs for fold in found for costs in fold.values()):
        if (cost := beyond(costs, problem.costs)) is not None:
            raise ValueError(
                f"a cost of {cost:.6g} is outside the range of {problem.name}.costs, "
                f"{problem.costs}"
            )


def _uncut(statement: Statement) -> Statement:
    """No cost is beyond the range of all that there can be, whatever was sampled."""
    return statement._replace(share_cut=0.0, share_cut_bound=0.0)
