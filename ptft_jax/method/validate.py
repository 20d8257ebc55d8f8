"""One cell of the main experiment in a world of any problem.

What `ptft_jax.validate` is to demand: every method's exact risk, and certificates
beside the truth that they are about. Costs are counted from where full information
costs `ProblemWorld.base`: a constant is added to those of a problem whose costs may be
negative (a revenue) or 0, and excess = cost/cost_full − 1 means the same everywhere.
"""

import time
from dataclasses import asdict
from typing import Any

import numpy as np

from ptft_jax import own_rows, shapes
from ptft_jax.draws import Cell
from ptft_jax.method import certify, crossfit, finetune
from ptft_jax.method.certify import GAIN, Certified
from ptft_jax.method.lab import Drawn, ProblemLab, Report, decisions, draw
from ptft_jax.own_rows import Fold, Judged
from ptft_jax.problems.problem import ProblemWorld, pad
from ptft_jax.streams import cell_key

POPULATION = 4096  # fresh instances that a certificate's truth is measured on


def _mean(values) -> float:
    return float(np.asarray(values, np.float64).mean())


def _unit(world: ProblemWorld, drawn: Drawn) -> tuple[float, float]:
    """Cost of full information as it is reported, and what is added to all costs."""
    full = _mean(world.expected_cost(drawn.truth, drawn.best))
    base = abs(full) if world.base is None else _mean(world.base(drawn.truth))
    return base, base - full


def _risks(lab, cell, drawn, report) -> tuple[list[dict], dict]:
    world = lab.world
    full, shift = _unit(world, drawn)
    rows, chosen = [], {}
    for method, x, seconds, candidate in decisions(lab, cell, drawn, report):
        cost = _mean(world.expected_cost(drawn.truth, x)) + shift
        excess = cost / full - 1.0 if full > 0.0 else float("nan")
        row = {"method": method, "cost": cost, "cost_full": full, "excess": excess}
        rows.append({**row, "wall_s": round(seconds, 3)})
        if candidate is not None:
            chosen[method] = candidate._asdict()
    return rows, chosen


def _truths(lab: ProblemLab, cell: Cell, halves) -> tuple[dict[str, float], float]:
    """What the statements are about, on fresh instances of the same law; the shift."""
    fresh = draw(lab.world, cell, "population", POPULATION)
    means: dict[str, list[float]] = {}
    for half in halves:
        key = cell_key(cell.seed, "left out", cell.n)
        costs = crossfit.scores(lab.network, lab.world.problem, half, fresh.seen, key)
        low, high = half.low, half.high
        own = {k: _mean(c.clip(low, high)) for k, c in costs.items()}
        saved = costs["pretrained"] - costs["finetuned"]
        gain = saved.clip(-half.move, half.move).mean()
        own[GAIN] = float(gain)
        for name, value in own.items():
            means.setdefault(name, []).append(value)
    sizes = [len(half.others) for half in halves]
    found = {name: float(np.average(v, weights=sizes)) for name, v in means.items()}
    return found, _unit(lab.world, fresh)[1]


def _judged(
    lab: ProblemLab, certified: Certified, truths: dict[str, float], shift: float
) -> list[Judged]:
    """What a bound of one's own is told of every policy; each fold's share is δ/2."""
    unit = certify.unit_losses(certified.scores, certified.halves)
    n = sum(len(half.others) for half in certified.halves)
    found = []
    for policy in unit[0]:
        folds = tuple(
            Fold(losses[policy], h.high - h.low, len(h.others) / n, h.low + shift)
            for losses, h in zip(unit, certified.halves, strict=True)
        )
        risk = truths[policy] + shift
        found.append(Judged(policy, folds, lab.delta, lab.delta / 2, risk))
    return found


def _bounds(
    lab: ProblemLab, cell: Cell, seen: Any
) -> tuple[list[dict[str, Any]], list[Judged]]:
    """Every certificate beside its truth, its terms, and what they were made from."""
    problem = lab.world.problem
    fit = finetune.make_fit(problem, lab.network, lab.effort.finetune)
    key = cell_key(cell.seed, "certify", cell.n)
    padded = pad(seen, shapes.bucket(cell.n))
    certified = certify.certify(
        lab.network, problem, lab.params, padded, fit, key, lab.delta
    )
    (truths, shift), rows = _truths(lab, cell, certified.halves), []
    for made in certified.statements:
        is_gain = made.policy is None
        by = 0.0 if is_gain else shift
        value, true = made.value + by, truths[made.policy or GAIN] + by
        holds = value <= true if is_gain else value >= true
        common = {"bound": made.name, "tier": "certified", "risk": true}
        common |= {"delta": lab.delta, "holds": bool(holds)}
        terms = {"empirical": made.empirical + by}
        terms["deviation"] = made.value - made.empirical
        terms = {"total": value, **terms}
        rows += [{**common, "term": term, "value": v} for term, v in terms.items()]
    return rows, _judged(lab, certified, truths, shift)


def run_cell(
    lab: ProblemLab, cell: Cell, report: Report = lambda stage: None
) -> dict[str, Any]:
    """Computes one cell.

    Args:
      lab: what the cells have in common.
      cell: the cell; its protocol and quantile are of no matter.
      report: called with what is done next.

    Returns:
      A JSON-serialisable record: `risks`, `bounds`, what bounds of one's own are told,
      what was chosen, seconds.
    """
    start = time.perf_counter()
    report("drawing")
    drawn = draw(lab.world, cell, "draw", cell.n)
    risks, chosen = _risks(lab, cell, drawn, report)
    report("certificates")
    bounds, judged = _bounds(lab, cell, drawn.seen)
    return {
        "cell": asdict(cell),
        "risks": risks,
        "bounds": bounds,
        own_rows.KEY: [own_rows.to_record(each) for each in judged],
        "chosen": chosen,
        "wall_s": round(time.perf_counter() - start, 3),
    }
