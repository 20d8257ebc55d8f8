"""Certificates of the heads of one sample: the two-path bound, PAC-Bayes on the path.

Every bound here holds with probability ≥ 1−δ, each taken alone. Host code in float64.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from ptft_jax.paths import problem as problem_
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.problem import Problem
from theory import capacity, pac_bayes, two_path

PATH_STEPS = np.linspace(0.0, 1.0, 9)
PATH_SCALE = 0.01  # σ of the Gaussian prior and posterior of a head
PATH_WIDTH = 6.0  # posterior sds inside which decisions are not cut
BRACKET_SHARE = 0.1  # of δ, for the certified pretraining error


class World(NamedTuple):
    """What is known of the world, the same for all samples.

    Attributes:
      problem: of the real world.
      radii: r_1 < … < r_J.
      width: d.
      approximation: A_1, …, A_J, each at least the least regret in its ball.
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
      path: true regrets of the heads t·û, t in `PATH_STEPS`.
    """

    decided: Decided
    n_fit: int
    first: Float[np.ndarray, "j d"]
    gap: Float[np.ndarray, "j"]
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


def held_out_costs(world: World, sample: Sample) -> Float[np.ndarray, "k l"]:
    """Costs of no change and of every head on the last n₂ instances.

    Args:
      world: its problem is used.
      sample: its heads are of the first n₁.

    Returns:
      Costs [j + 1, n₂].
    """
    last = type(sample.decided)(*(leaf[sample.n_fit :] for leaf in sample.decided))
    heads = [np.zeros(world.width), *sample.first]
    return np.stack(
        [
            world.problem.host_cost(problem_.decisions(last, u), last.label)
            for u in heads
        ]
    )


def two_paths(world: World, sample: Sample) -> list[Row]:
    """The two-path bound of the tuned policy, plain and on differences of costs.

    The tuned head is Σ w_j û_j. The cost is convex, so R(Σ w_j û_j) ≤ Σ w_j R(û_j) ≤
    Σ w_j R̂_j + η, whatever the weights were chosen by, and step 1 of the proof goes
    through with Σ w_j R̂_j − min_j R̂_j, which is observed, added to every fine-tuning
    path (and Σ w_j R̂_j − R̂_0, if positive, to the pretraining path).

    On differences: the statement is unchanged if c(φ₀) + b_j is taken off every cost of
    ball j, b_j ≥ |c(f) − c(φ₀)|; the range is then 2b_j, and 0 at j = 0. Each ball may
    have the smaller of its two ranges.

    Args:
      world: what is known of the world.
      sample: one seed at one n.

    Returns:
      Rows `two_path` and `two_path_paired`; the risk is the excess of the tuned policy.
    """
    problem, decided, n_fit = world.problem, sample.decided, sample.n_fit
    mean = held_out_costs(world, sample).mean(1)
    mixed = float(sample.weights @ mean)
    moves = [problem.move(r) for r in world.radii]
    ranges = [problem.largest(a) for a in (0.0, *moves)]
    paired = [
        min(2.0 * difference(problem, a), plain)
        for a, plain in zip(moves, ranges[1:], strict=True)
    ]
    complexity = [
        capacity.linear_ball(
            decided.hidden[:n_fit], decided.scale[:n_fit], r, problem.slope(a)
        )
        for r, a in zip(world.radii, moves, strict=True)
    ]
    found = []
    for name, bounds in (("two_path", ranges), ("two_path_paired", [0.0, *paired])):
        terms = two_path.bound(
            pretrain_excess=world.bracket + max(0.0, mixed - float(mean[0])),
            total_variation=world.distance,
            mismatch_range=ranges[0],
            approximation=world.approximation,
            rademacher=complexity,
            optimisation=sample.gap + (mixed - float(mean.min())),
            cost_bounds=bounds,
            n_fit=n_fit,
            n_select=len(decided.label) - n_fit,
            delta=(1.0 - BRACKET_SHARE) * world.delta,
        )
        named = {"total": terms.total}
        named |= {term: getattr(terms, term) for term in two_path.TERMS}
        named["pretrain_path"] = terms.pretrain_path
        named["finetune_path"] = min(terms.finetune_paths)
        named["path"] = float(terms.path)
        named["trivial"] = ranges[0]
        found += rows(name, named, sample.tuned, world.delta)
    return found


def difference(problem: Problem, move: float) -> float:
    """Largest |c(x, y) − c(x⁰, y)| for |x − x⁰| ≤ a.

    Args:
      problem: its Lipschitz constant is used.
      move: a ≥ 0.

    Returns:
      L a.
    """
    return problem.slope(move) * move


def path(world: World, sample: Sample) -> list[Row]:
    """PAC-Bayes bound of the mean head, least along φ₀ → û at no cost.

    Posterior N(tû, σ²I), prior N(0, σ²I), KL = t²‖û‖²/2σ². The Gibbs loss of decisions
    cut at z = 6 posterior sds beyond what the ball reaches is in [0, B]; Jensen's
    inequality and the cost of the cut, `tail`, give the bound of the head tû.

    Args:
      world: what is known of the world.
      sample: one seed at one n; û is in the ball of `world.path_radius`.

    Returns:
      Rows `pac_bayes_path`; the risk is the cost of the head tû of the chosen t.
    """
    problem, decided = world.problem, sample.decided
    n, root = len(decided.label), math.sqrt(world.width)
    reach = world.radii[world.path_radius] + PATH_WIDTH * PATH_SCALE
    largest = problem.largest(problem.move(reach))
    sd = decided.scale * PATH_SCALE * root
    empirical = []
    for t in PATH_STEPS:
        x = problem_.decisions(decided, t * sample.path_head)
        empirical.append(problem.randomised(x, sd, decided.label).mean())
    nats = (PATH_STEPS * np.linalg.norm(sample.path_head) / PATH_SCALE) ** 2 / 2.0
    scaled = np.asarray(empirical, np.float64) / largest
    least = pac_bayes.path_minimum(scaled, nats, n, world.delta)
    spread = problem.move(PATH_SCALE)
    beyond = stats.norm.pdf(PATH_WIDTH) - PATH_WIDTH * special.ndtr(-PATH_WIDTH)
    slope = problem.slope(problem.move(reach) + spread)
    tail = 2.0 * slope * spread * float(beyond)
    total = largest * least.bound + tail
    terms = {
        "total": total,
        "empirical": empirical[least.step],
        "deviation": total - tail - empirical[least.step],
        "tail": tail,
        "kl": nats[least.step],
        "step": PATH_STEPS[least.step],
        "no_change": largest * pac_bayes.maurer_kl(scaled[0], 0.0, n, world.delta),
        "end": largest * pac_bayes.maurer_kl(scaled[-1], nats[-1], n, world.delta),
    }
    risk = world.bayes + float(sample.path[least.step])
    return rows("pac_bayes_path", terms, risk, world.delta)


def of_heads(world: World, sample: Sample) -> list[Row]:
    """The certificates of the class of heads.

    Args:
      world: what is known of the world.
      sample: one seed at one n.

    Returns:
      Rows of `bounds.csv` without the columns of the cell.
    """
    return [
        *two_paths(world, sample),
        *path(world, sample),
    ]
