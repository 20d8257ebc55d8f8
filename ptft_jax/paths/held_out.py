"""Certificates from held-out costs: betting, paired gains, and what limits them."""

import math

from scipy import stats

from ptft_jax.own_rows import Fold, Judged
from ptft_jax.paths import certified
from theory import certificates


def betting(world: certified.World, sample: certified.Sample) -> list[certified.Row]:
    """Held-out betting bounds of the pretrained and the tuned policy, and of the gain.

    The weights of the tuned policy were chosen on the n₂ instances, so every candidate
    is bounded at δ/(J+1), every gain over φ₀ at δ/J, and by Jensen's inequality
    R(tuned) ≤ Σ w_j U_j and R(φ₀) − R(tuned) ≥ Σ_{j≥1} w_j L_j. φ₀ alone has never seen
    the n instances and is bounded on all of them.

    Args:
      world: what is known of the world.
      sample: one seed at one n.

    Returns:
      Rows `pretrained_betting`, `pretrained_hoeffding`, `tuned_betting`, `tuned_gain`.
    """
    problem, decided, delta = world.problem, sample.decided, world.delta
    first = problem.largest(0.0)
    before = problem.host_cost(decided.base, decided.label)
    risk = world.bayes + world.pretrain
    found = []
    for name in ("betting", "hoeffding"):
        total = first * getattr(certificates, name)(before / first, delta)
        terms = {"total": total, "empirical": before.mean()}
        terms["deviation"] = total - terms["empirical"]
        found += certified.rows(f"pretrained_{name}", terms, risk, delta)
    costs = certified.held_out_costs(world, sample)
    moves = [problem.move(r) for r in (0.0, *world.radii)]
    share = delta / len(moves)
    upper = [
        problem.largest(a) * certificates.betting(c / problem.largest(a), share)
        for a, c in zip(moves, costs, strict=True)
    ]
    total, empirical = (float(sample.weights @ v) for v in (upper, costs.mean(1)))
    terms = {"total": total, "empirical": empirical, "deviation": total - empirical}
    found += certified.rows("tuned_betting", terms, world.bayes + sample.tuned, delta)
    share = delta / len(world.radii)
    gains = [
        certificates.paired_gain(c, costs[0], share, certified.difference(problem, a))
        for a, c in zip(moves[1:], costs[1:], strict=True)
    ]
    total = float(sample.weights[1:] @ gains)
    saved = float(costs[0].mean()) - empirical
    terms = {"total": total, "empirical": saved, "deviation": total - saved}
    gain = world.pretrain - sample.tuned
    return found + certified.rows("tuned_gain", terms, gain, delta, is_gain=True)


def judged(world: certified.World, sample: certified.Sample) -> list[Judged]:
    """What a bound of one's own is told: as `betting`, of the costs it is made from.

    Args:
      world: what is known of the world.
      sample: one seed at one n.

    Returns:
      The pretrained policy on n instances at δ, and the tuned one, every candidate of
      which is bounded at δ/(J+1) on the last n₂.
    """
    problem, decided, delta = world.problem, sample.decided, world.delta
    first = problem.largest(0.0)
    before = Fold(problem.host_cost(decided.base, decided.label) / first, first, 1.0)
    scales = [problem.largest(problem.move(r)) for r in (0.0, *world.radii)]
    costs = certified.held_out_costs(world, sample)
    candidates = tuple(
        Fold(cost / scale, scale, float(weight))
        for cost, scale, weight in zip(costs, scales, sample.weights, strict=True)
    )
    risk, share = world.bayes, delta / len(scales)
    return [
        Judged("pretrained", (before,), delta, delta, risk + world.pretrain),
        Judged("tuned", candidates, delta, share, risk + sample.tuned),
    ]


def references(world: certified.World, sample: certified.Sample) -> list[certified.Row]:
    """What no distribution-free bound can be below, and the normal approximation.

    Args:
      world: what is known of the world.
      sample: one seed at one n.

    Returns:
      Rows of tier law: `floor` and `clt`, of the cost of φ₀ on n instances.
    """
    problem, n = world.problem, len(sample.decided.label)
    largest, risk = problem.largest(0.0), world.bayes + world.pretrain
    costs = problem.host_cost(sample.decided.base, sample.decided.label)
    normal = float(stats.norm.isf(world.delta)) * costs.std(ddof=1) / math.sqrt(n)
    values = {
        "floor": largest * certificates.floor(risk / largest, n, world.delta),
        "clt": float(costs.mean() + normal),
    }
    common = {"tier": "law", "term": "total", "risk": risk, "delta": world.delta}
    return [
        {**common, "bound": name, "value": value, "holds": ""}
        for name, value in values.items()
    ]
