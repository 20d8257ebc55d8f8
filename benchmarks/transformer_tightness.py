"""The certificate of a fine-tuned Transformer over its true risk.

    python -m benchmarks.transformer_tightness [--seeds 10] [--networks DIR]

The worlds of `ptft paths` at their larger mismatch, δ = .05, costs cut at a scale b
from the fitting instances (`ptft_jax.paths.cut`): the pretrained network as there, its
head fitted in balls of every radius and mixed. Two protocols with n instances in all:

- holdout: fine-tune on n/8, certify on the other 7n/8, each observation left out in
  turn (`each`) or the last one alone (`one`);
- cross-fit: two folds, each certified at δ/2 on the other; the risk is the mean of two.

What is bounded is E[L ∧ b]; `cut` is the share of the risk that this leaves out. `wall`
is what the normal law gives at the known variance if all n certify. The true risk is
exact given an instance's observations, and a mean over 2¹⁷ fresh instances; its own
standard error is printed.
"""

import argparse
import math
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

from ptft_jax import compilation
from ptft_jax.paths import cut, heads, policy, setups, worlds
from ptft_jax.paths.policy import Decided, PolicyConfig
from ptft_jax.paths.setups import Effort, Setup
from ptft_jax.streams import cell_key

DELTA = 0.05
TARGETS = {256: 1.25, 4096: 1.06, 65536: 1.02}
BOUNDED = ("holdout, each", "holdout, one", "cross-fit, each")


def part(turned: Decided, first: int, end: int) -> Decided:
    """The instances from `first` to `end` of every turn."""
    return Decided(*(leaf[:, first:end] for leaf in turned))


class World(NamedTuple):
    """What a bound and its truth need."""

    setup: Setup
    fit: Callable[..., heads.Fits]
    risk: Callable[..., np.ndarray]
    fresh: Decided  # every turn of the pool


def of(setup: Setup, effort: Effort) -> World:
    """Compiles the fit and the truth, and decides on the pool."""
    fit = heads.make_fit(setup.problem, effort.radii)
    risk = heads.make_risk(setup.problem, setup.fresh)
    return World(
        setup, fit, risk, cut.decide(setup.decide, setup.frozen.params, setup.pool)
    )


def last(turned: Decided) -> Decided:
    """The turn that leaves the label out."""
    return Decided(*(leaf[-1:] for leaf in turned))


def tune(world: World, fitted: Decided) -> tuple[np.ndarray, float]:
    """Head fitted to the labels of some instances, and its exact regret."""
    labelled, n = last(fitted), fitted.label.shape[1]
    wide = heads.padded(n) - n
    pad = lambda leaf: np.pad(leaf, [(0, 0), (0, wide)] + [(0, 0)] * (leaf.ndim - 2))
    u = cut.tune(world.fit, jax.tree.map(pad, labelled), n)
    return u[0], float(world.risk(u)[0])


def certify(world: World, fitted: Decided, others: Decided, u, regret, delta: float):
    """The bound and its truth, costs being means over the turns given."""
    setup = world.setup
    none, risk = np.zeros_like(u), setup.world.bayes + regret
    before = cut.costs(setup.problem, fitted, none)
    made = cut.bound(before, cut.costs(setup.problem, others, u), delta)
    fresh = Decided(*(leaf[-len(fitted.label) :] for leaf in world.fresh))
    return made, cut.truth(setup.problem, fresh, u, risk, made.scale)


def held_out(world: World, turned: Decided, n: int) -> dict[str, float]:
    """Bound over truth, wall and share cut, of every turn and of the last alone."""
    first, about = cut.num_fitted(n), world.setup.world
    u, regret = tune(world, part(turned, 0, first))
    found = {}
    for name, turns in (("each", turned), ("one", last(turned))):
        given = part(turns, 0, first), part(turns, first, n)
        made, true = certify(world, *given, u, regret, DELTA)
        found[f"holdout, {name}"] = made.total / true.risk
        found[f"wall, {name}"] = cut.wall(true, n, DELTA) / true.risk
        found[f"cut, {name}"] = true.beyond / (about.bayes + regret)
    return {**found, "head of n/8 / pretrained regret": regret / about.pretrain}


def crossed(world: World, turned: Decided, n: int) -> dict[str, float]:
    """Bound over truth of the mean of two folds."""
    total, truth, regrets = 0.0, 0.0, []
    folds = part(turned, 0, n // 2), part(turned, n // 2, n)
    for own, other in (folds, folds[::-1]):
        u, regret = tune(world, own)
        made, true = certify(world, own, other, u, regret, DELTA / 2.0)
        total, truth = total + made.total, truth + true.risk
        regrets.append(regret)
    shared = float(np.mean(regrets)) / world.setup.world.pretrain
    return {
        "cross-fit, each": total / truth,
        "heads of n/2 / pretrained regret": shared,
    }


def show(n: int, rows: list[dict[str, float]]) -> None:
    """Means, standard errors, misses and the verdict of one n."""
    print(f"  n = {n}, {len(rows)} seeds", flush=True)
    means = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        error = stats.sem(values) if len(values) > 1 else math.nan
        means[name] = values.mean()
        held = f", held in {(values >= 1.0).sum()}" if name in BOUNDED else ""
        print(f"    {name:34s}{values.mean():.4f} ± {error:.4f}{held}")
    best, target = min(BOUNDED, key=means.__getitem__), TARGETS[n]
    said = "met" if means[best] <= target else "missed"
    print(f"    best: {best} {means[best]:.4f}, target {target}: {said}", flush=True)


def main() -> None:
    """Prints bound over risk by world, n and protocol."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--worlds", default=",".join(worlds.WORLDS))
    parser.add_argument("--networks", default="results/paths-full/networks")
    args = parser.parse_args()
    compilation.keep_programs()
    effort, config = Effort(), PolicyConfig()
    for name in args.worlds.split(","):
        world = worlds.WORLDS[name]
        dial, m = world.mismatches[-1], world.observations
        frozen = policy.make(world, m, config, pathlib.Path(args.networks))
        setup = setups.set_up(world, dial, m, frozen, effort, DELTA)
        least = np.asarray(setup.problem.bayes(setup.fresh.total), np.float64)
        error = stats.sem(least) / setup.world.bayes
        print(f"{name}, mismatch {dial}, true risk known to {error:.2%}", flush=True)
        made, draw = of(setup, effort), worlds.drawer(world, dial, m)
        rows: dict[int, list] = {n: [] for n in TARGETS}
        for seed in range(args.seeds):
            drawn = draw(cell_key(seed, "tightness real", 0), max(TARGETS))[1]
            turned = cut.decide(setup.decide, frozen.params, drawn)
            for n in TARGETS:
                own = part(turned, 0, n)
                rows[n].append(held_out(made, own, n) | crossed(made, own, n))
        for n in TARGETS:
            show(n, rows[n])


if __name__ == "__main__":
    main()
