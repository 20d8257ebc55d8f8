"""What certificates of the heads of one sample are made from, and their rows.

Every certificate holds with probability ≥ 1−δ, each taken alone. Host code in float64.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ptft_jax.paths import problem as problem_
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.problem import Problem

BRACKET_SHARE = 0.1  # of δ, for the certified pretraining error


class World(NamedTuple):
    """What is known of the world, the same for all samples.

    Attributes:
      problem: of the real world.
      radii: r_1 < … < r_J.
      width: d.
      approximation: A_1, …, A_J, measured, with 4 standard errors added: above the
        least regret in its ball.
      bracket: certified at 1 − BRACKET_SHARE·δ: at least R_P(φ₀) − R*_P.
      distance: TV(P, Q).
      pretrain: R_Q(φ₀) − R*_Q.
      bayes: R*_Q.
      path_radius: position of the ball whose head ends the PAC-Bayes path.
      delta: δ.
    """

    problem: Problem
    radii: tuple[float, ...]
    width: int
    approximation: Float[np.ndarray, "j"]
    bracket: float
    distance: float
    pretrain: float
    bayes: float
    path_radius: int
    delta: float


class Sample(NamedTuple):
    """One seed at one n: instances, fits, weights and the true regrets.

    Attributes:
      decided: the n instances, numpy in float64; the first n₁ were fitted.
      n_fit: n₁.
      first: heads fitted on n₁ [j, d].
      gap: their certified gaps [j].
      weights: of no change and of the J heads in the tuned policy, [j + 1].
      path_head: û at the end of the PAC-Bayes path, fitted on all n.
      tuned: true regret of the tuned policy.
      path: true regrets of the heads t·û, t in `path_bound.STEPS`.
    """

    decided: Decided
    n_fit: int
    first: Float[np.ndarray, "j d"]
    weights: Float[np.ndarray, "k"]
    path_head: Float[np.ndarray, "d"]
    tuned: float
    path: Float[np.ndarray, "t"]


Row = dict[str, Any]


def rows(
    name: str, terms: dict[str, float], risk: float, delta: float, is_gain: bool = False
) -> list[Row]:
    """Rows of `bounds.csv` of one certificate, `total` first.

    Args:
      name: of the bound.
      terms: by name, with `total`.
      risk: what is bounded, true.
      delta: δ.
      is_gain: whether it is a lower bound.

    Returns:
      One row a term.
    """
    total = terms["total"]
    holds = bool(total <= risk if is_gain else total >= risk)
    common = {"bound": name, "tier": "certified", "risk": risk, "delta": delta}
    return [
        {**common, "term": term, "value": float(value), "holds": holds}
        for term, value in terms.items()
    ]


def part_of(decided: Decided, kept: slice) -> Decided:
    """Some of the instances.

    Args:
      decided: n instances.
      kept: which.

    Returns:
      Those.
    """
    return Decided(*(leaf[kept] for leaf in decided))


def held_out_costs(world: World, sample: Sample) -> Float[np.ndarray, "k l"]:
    """Costs of no change and of every head on the last n₂ instances.

    Args:
      world: its problem is used.
      sample: its heads are of the first n₁.

    Returns:
      Costs [j + 1, n₂].
    """
    last = part_of(sample.decided, slice(sample.n_fit, None))
    heads = [np.zeros(world.width), *sample.first]
    return np.stack(
        [
            world.problem.host_cost(problem_.decisions(last, u), last.label)
            for u in heads
        ]
    )


def difference(problem: Problem, move: float) -> float:
    """Largest |c(x, y) − c(x⁰, y)| for |x − x⁰| ≤ a.

    Args:
      problem: its Lipschitz constant is used.
      move: a ≥ 0.

    Returns:
      L a.
    """
    return problem.slope(move) * move
