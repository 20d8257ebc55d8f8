"""One world at one mismatch: every method's exact regret, every bound beside it."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ptft_jax import own_rows
from ptft_jax.paths import (
    certified,
    cut,
    gradients,
    heads,
    held_out,
    path_bound,
    policy,
    predicted,
    two_path_bound,
    worlds,
)
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.setups import Effort, Setup
from ptft_jax.streams import cell_key
from theory import mismatch

Row = dict[str, Any]
Report = Callable[[str], None]


def run(
    setup: Setup, n: tuple[int, ...], seeds: int, effort: Effort, report: Report
) -> dict[str, Any]:
    """Measures one world at one mismatch.

    Args:
      setup: of `set_up`.
      n: numbers of instances, increasing.
      seeds: replications.
      effort: how much is computed.
      report: called with what is done next.

    Returns:
      A JSON-serialisable record with `risks`, `bounds`, `facts` and what bounds of
      one's own are told.
    """
    start = time.perf_counter()
    draw = worlds.drawer(setup.path_world, setup.mismatch, setup.m)
    size = heads.padded(n[-1])
    drawn = [draw(cell_key(s, "paths real", 0), size)[1] for s in range(seeds)]
    parts = [setup.decide(setup.frozen.params, each) for each in drawn]
    decided = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
    on_host = Decided(*(np.asarray(leaf, np.float64) for leaf in decided))
    fit = heads.make_fit(setup.problem, effort.radii)
    risk = heads.make_risk(setup.problem, setup.fresh)
    risks, bounds, judged = [], [], []
    for each in n:
        report(f"heads, n = {each}")
        more, some, told = _heads(setup, decided, on_host, each, fit, risk, effort)
        risks += more
        bounds += some
        judged += told
    report("certificates of cut costs")
    bounds += _cut(setup, drawn, decided, n, fit, risk)
    risks += _gradients(setup, drawn[: effort.gradient_seeds], n, effort, report)
    bounds += _laws(setup, n, seeds, risks)
    bounds += _mismatch(setup)
    facts = {
        "pretrain": setup.world.pretrain,
        "bayes": setup.world.bayes,
        "synthetic_cost": setup.synthetic.cost,
        "synthetic_excess": setup.synthetic.excess,
        "bracket": setup.synthetic.bracket,
        "total_variation": setup.world.distance,
        "best_heads": list(map(float, setup.world.approximation)),
        "crossover_law": predicted.crossover(setup.quadratic, setup.world.pretrain),
        "trivial": setup.problem.largest(0.0),
        "wall_s": round(time.perf_counter() - start, 1),
    }
    found = {"risks": risks, "bounds": bounds, "facts": facts}
    return {**found, own_rows.KEY: judged}


def _risk_row(setup: Setup, n: int, seed: int, method: str, regret: float) -> Row:
    cost = setup.world.bayes + float(regret)
    row = {"n": n, "seed": seed, "method": method, "cost": cost}
    excess = cost / setup.cost_full - 1.0
    return {**row, "cost_full": setup.cost_full, "excess": excess, "wall_s": 0.0}


def _heads(setup: Setup, decided, on_host, n: int, fit, risk, effort: Effort):
    """Rows of both tables for one n, all seeds, and the losses they were made from."""
    n_fit = heads.num_fitted(n)
    begin = time.perf_counter()
    fits = fit(decided, n)
    weights = heads.weigh(fits.crossed, fits.cost, n)
    seeds = len(weights)
    ends = fits.whole[:, effort.path_radius]
    path = path_bound.STEPS[:, None, None] * ends
    named = {f"head_{r:g}": fits.whole[:, j] for j, r in enumerate(effort.radii)}
    named["head"] = named.pop(f"head_{effort.radii[-1]:g}")
    named["selected"] = _selected(fits)
    named["tuned"] = np.einsum("sj,sjd->sd", weights[:, 1:], fits.first)
    named["refitted"] = np.einsum("sj,sjd->sd", weights[:, 1:], fits.whole)
    every = np.concatenate([*named.values(), *path])
    found = risk(every).reshape(-1, seeds)
    regrets = dict(zip(named, found, strict=False))
    along = found[len(named) :]
    wall = (time.perf_counter() - begin) / seeds / len(named)
    risks, bounds, judged = [], [], []
    for seed in range(seeds):
        whole = {"pretrained": setup.world.pretrain, "bayes": 0.0}
        whole |= {name: float(values[seed]) for name, values in regrets.items()}
        rows = [_risk_row(setup, n, seed, name, r) for name, r in whole.items()]
        risks += [{**row, "wall_s": round(wall, 4)} for row in rows]
        sample = certified.Sample(
            Decided(*(leaf[seed, :n] for leaf in on_host)),
            n_fit,
            fits.first[seed],
            weights[seed],
            ends[seed],
            float(regrets["tuned"][seed]),
            along[:, seed],
        )
        rows = two_path_bound.bound(setup.world, sample)
        rows += path_bound.bound(setup.world, sample)
        rows += held_out.betting(setup.world, sample)
        rows += held_out.references(setup.world, sample)
        bounds += [{"n": n, "seed": seed, **row} for row in rows]
        told = held_out.judged(setup.world, sample)
        judged += [own_rows.to_record(each, n=n, seed=seed) for each in told]
    return risks, bounds, judged


def _cut(setup: Setup, drawn, decided, n, fit, risk) -> list[Row]:
    """Rows of the tuned heads of the first n/8 instances, certified on the others."""
    few = jax.tree.map(lambda leaf: leaf[: 2 * policy.BLOCK], setup.pool)
    fresh = cut.decide(setup.decide, setup.frozen.params, few)
    solved, delta = setup.problem, setup.world.delta
    tuned = {k: cut.tune(fit, decided, cut.num_fitted(k)) for k in n}
    risks = {k: setup.world.bayes + risk(u) for k, u in tuned.items()}
    found = []
    for seed, instances in enumerate(drawn):
        turned = cut.decide(setup.decide, setup.frozen.params, instances)
        for k in n:
            u, cost = tuned[k][seed], float(risks[k][seed])
            made = cut.certify(solved, turned, u, k, delta)
            true = cut.truth(solved, fresh, u, cost, made.scale)
            rows = cut.rows(made, true, k, delta)
            found += [{"n": k, "seed": seed, **row} for row in rows]
    return found


def _selected(fits: heads.Fits):
    """The candidate of least held-out cost, no change among them."""
    none = np.zeros((len(fits.saved), 1))
    best = np.concatenate([none, fits.saved], axis=1).argmax(1)
    candidates = np.concatenate([0.0 * fits.first[:, :1], fits.first], axis=1)
    return candidates[np.arange(len(best)), best]


def _gradients(setup: Setup, drawn, n, effort: Effort, report: Report) -> list[Row]:
    """Adapter, full and scratch, and the pretrained policy attending to the sample."""
    cap = setup.path_world.cap
    train = gradients.make_train(setup.frozen, setup.problem, effort.gradient, cap)
    risk = gradients.make_risk(setup.frozen, setup.problem, cap, setup.pool)
    few = jax.tree.map(lambda leaf: leaf[: policy.BLOCK], setup.pool)
    found = []
    for each in n:
        for seed, instances in enumerate(drawn):
            report(f"gradient classes, n = {each}, seed {seed}")
            key = cell_key(seed, "paths gradient", each)
            starts = gradients.starts(
                setup.frozen, effort.gradient, cell_key(seed, "paths start", 0)
            )
            for name, start in starts.items():
                begin = time.perf_counter()
                params = train(start, instances, heads.num_fitted(each), each, key)
                row = _risk_row(setup, each, seed, name, risk(start.params, params))
                wall = round(time.perf_counter() - begin, 3)
                found.append({**row, "wall_s": wall})
            own = _masked(instances.portfolio, each)
            seen = setup.decide(setup.frozen.params, few, own)
            regret = float(setup.problem.regret(seen.base, seen.total).mean())
            found.append(_risk_row(setup, each, seed, "own_context", regret))
    return found


def _masked(portfolio, n: int):
    """The first n instances as a portfolio of the padded size."""
    size = heads.padded(n)
    part = jax.tree.map(lambda leaf: leaf[:size], portfolio)
    valid = part.valid & (jnp.arange(size) < n)[:, None]
    observed = jnp.where(valid, part.observations, 0.0)
    return part._replace(observations=observed, valid=valid)


def _laws(setup: Setup, n, seeds: int, risks: list[Row]) -> list[Row]:
    """Rows of the laws and rates; the same value for every seed that was measured."""
    by = {(r["method"], r["n"], r["seed"]): r["cost"] for r in risks}
    at = lambda name, k, seed: by[name, k, seed] - setup.world.bayes
    measured = lambda name, k: [s for s in range(seeds) if (name, k, s) in by]
    mean = lambda name: np.array(
        [np.mean([at(name, k, s) for s in measured(name, k)]) for k in n]
    )
    curves = predicted.Curves(
        n,
        setup.world.pretrain,
        mean("head"),
        mean("tuned"),
        mean("own_context"),
        setup.frozen.portfolio_size,
        _ball(setup),
    )
    rows = []
    for name, (tier, about, values) in predicted.by_n(curves, setup.quadratic).items():
        for i, k in enumerate(n):
            for seed in measured(about, k):
                row = {"n": k, "seed": seed, "bound": name, "tier": tier}
                row |= {"term": "total", "value": float(values[i]), "holds": ""}
                row |= {"risk": at(about, k, seed), "delta": setup.world.delta}
                rows.append(row)
    return rows


def _ball(setup: Setup) -> predicted.Ball:
    """The largest ball; |x − x⁰| ≤ move(r) there is r times the largest s‖h‖."""
    world, solved = setup.world, setup.problem
    radius = world.radii[-1]
    move = solved.move(radius)
    lipschitz, largest = solved.slope(move) * move / radius, solved.largest(move)
    return predicted.Ball(world.width, radius, lipschitz, largest, world.delta)


def _mismatch(setup: Setup) -> list[Row]:
    """Rows of what the distance of P and Q may cost; no n and no seed enters them.

    `mismatch_cost` bounds |R_Q(φ₀) − R_P(φ₀)| by B·TV, surely, `pretrain_path` bounds
    E_pre by the certified excess under P and 2B·TV.
    """
    world = setup.world
    gap = mismatch.risk_gap_tv(setup.problem.largest(0.0), world.distance)
    moved = abs(world.bayes + world.pretrain - setup.synthetic.cost)
    terms = {"total": world.bracket + 2.0 * gap}
    terms |= {"pretrain_excess": world.bracket, "mismatch": 2.0 * gap}
    rows = certified.rows("mismatch_cost", {"total": gap}, moved, 0.0)
    share = certified.BRACKET_SHARE * world.delta
    rows += certified.rows("pretrain_path", terms, world.pretrain, share)
    return [{"n": "", "seed": "", **row} for row in rows]
