"""The two-path bound of the tuned policy of one sample."""

import numpy as np

from ptft_jax.paths import certified
from ptft_jax.paths.certified import Row, Sample, World
from theory import capacity, two_path


def bound(world: World, sample: Sample) -> list[Row]:
    """The two-path bound of the tuned policy, plain and on differences of costs.

    The tuned head is Σ w_j û_j. The cost is convex, so R(Σ w_j û_j) ≤ Σ w_j R(û_j) ≤
    Σ w_j R̂_j + η, whatever the weights were chosen by, and step 1 of the proof goes
    through with Σ w_j R̂_j − min_j R̂_j, which is observed, added to every fine-tuning
    path (and Σ w_j R̂_j − R̂_0, if positive, to the pretraining path).

    On differences: the statement is unchanged if c(φ₀) − b_j is taken off every cost of
    ball j, b_j ≥ |c(f) − c(φ₀)|; the range is then 2b_j, and 0 at j = 0. Each ball may
    have the smaller of its two ranges, because both grow with the radius.

    Args:
      world: what is known of the world.
      sample: one seed at one n.

    Returns:
      Rows `two_path` and `two_path_paired`; the risk is the excess of the tuned policy.
    """
    problem, decided, n_fit = world.problem, sample.decided, sample.n_fit
    mean = certified.held_out_costs(world, sample).mean(1)
    fitted = certified.part_of(decided, slice(n_fit))
    gaps = [
        problem.gap(fitted, u, r)
        for u, r in zip(sample.first, world.radii, strict=True)
    ]
    mixed = float(sample.weights @ mean)
    moves = [problem.move(r) for r in world.radii]
    ranges = [problem.largest(a) for a in (0.0, *moves)]
    paired = [
        min(2.0 * certified.difference(problem, a), plain)
        for a, plain in zip(moves, ranges[1:], strict=True)
    ]
    complexity = [
        capacity.linear_ball(fitted.hidden, fitted.scale, r, problem.slope(a))
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
            optimisation=np.array(gaps) + (mixed - float(mean.min())),
            cost_bounds=bounds,
            n_fit=n_fit,
            n_select=len(decided.label) - n_fit,
            delta=(1.0 - certified.BRACKET_SHARE) * world.delta,
        )
        named = {"total": terms.total}
        named |= {term: getattr(terms, term) for term in two_path.TERMS}
        named["pretrain_path"] = terms.pretrain_path
        named["finetune_path"] = min(terms.finetune_paths)
        named["path"] = float(terms.path)
        named["trivial"] = ranges[0]
        found += certified.rows(name, named, sample.tuned, world.delta)
    return found
