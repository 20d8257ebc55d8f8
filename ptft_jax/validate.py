"""One cell of the main experiment: every method's risk, and every bound beside it."""

import time
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from ptft_jax import (
    certify,
    head_population,
    left_out,
    mismatch_rows,
    own_rows,
    shapes,
    theory_rows,
)
from ptft_jax.certify import Certified
from ptft_jax.crossfit import Half
from ptft_jax.draws import Cell, Draw
from ptft_jax.head_population import Population
from ptft_jax.lab import Lab, Report, decisions
from ptft_jax.own_rows import Fold, Judged
from ptft_jax.streams import cell_key
from ptft_jax.types import Portfolio


def risks(
    lab: Lab, cell: Cell, drawn: Draw, report: Report
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The exact risk of every method on the cell's portfolio.

    Args:
      lab: what the cells have in common.
      cell: the cell.
      drawn: its portfolio and truth.
      report: called with what is done next.

    Returns:
      One row a method (mean cost of an instance, that of full information, and
      excess = Σ cost/Σ cost_full − 1), and how the trained methods were chosen.
    """
    full = float(drawn.cost(drawn.full_information).mean())
    rows, chosen = [], {}
    for method, x, seconds, found in decisions(lab, cell, drawn, report):
        cost = float(drawn.cost(x).mean())
        excess = cost / full - 1.0 if full > 0.0 else float("nan")
        row = {"method": method, "cost": cost, "cost_full": full}
        rows.append({**row, "excess": excess, "wall_s": round(seconds, 3)})
        if found is not None:
            chosen[method] = found.chosen._asdict()
    return rows, chosen


class Truth(NamedTuple):
    """What statements are about: [fold], costs by method, shares by statement.

    Attributes:
      risk: mean expected cost of the population.
      share_cut: of the population beyond a scale.
      full: mean expected cost of full information, the same for both folds.
    """

    risk: dict[str, Float64[np.ndarray, "2"]]
    share_cut: dict[str, Float64[np.ndarray, "2"]]
    full: float


def true_risks(
    lab: Lab, cell: Cell, certified: Certified
) -> tuple[Truth, list[list[Population]]]:
    """Mean cost of the certified policies over the population, nothing cut.

    Each instance of the population is drawn anew with m observations; each of its
    left-out rows is a decision from m−1 of them, judged by `Draw.left_out_cost`. An
    instance counts by the mean over its rows, as a certificate counts it.

    Args:
      lab: what the cells have in common.
      cell: the cell.
      certified: its policies.

    Returns:
      The risks, and the shares of instances whose left-out cost exceeds the scale; then
      the population in the context of each fold, by redraw.
    """
    found: list[tuple[dict, dict]] = []
    populations, full = [], []
    for repeat in range(lab.effort.redraws):
        fresh = lab.source.fresh(cell, repeat)
        full.append(float(fresh.cost(fresh.full_information).mean()))
        key = cell_key(cell.seed, f"left out {repeat}", cell.n)
        padded = shapes.pad(fresh.portfolio)
        populations.append([])
        for half in certified.halves:
            made = head_population.gather(lab, cell, half.context, fresh, padded, key)
            populations[-1].append(made)
            costs, own = _judge(lab.network, half, padded, fresh, key, made)
            found.append((costs, _shares(half, own)))

    def by_fold(which: int, name: str) -> Float64[np.ndarray, "2"]:
        values = np.array([pair[which][name] for pair in found])
        return values.reshape(-1, 2).mean(0)

    both = ({k: by_fold(i, k) for k in found[0][i]} for i in (0, 1))
    return Truth(*both, float(np.mean(full))), populations


def _shares(half: Half, costs: dict[str, Float64[np.ndarray, "N"]]) -> dict[str, float]:
    """Share of the population beyond each scale of a fold, by statement."""
    over = {
        f"{name}_share_cut": cost > half.scale
        for name, cost in costs.items()
        if name in half.policies
    }
    for (new, old), limit in half.ranges.items():
        name = f"{new}_gain_over_{old}_share_cut"
        over[name] = costs[new] - costs[old] > limit
    return {name: float(beyond.mean()) for name, beyond in over.items()}


def _judge(network, half, padded: Portfolio, fresh: Draw, key, made: Population):
    """Mean expected cost, and each instance's left-out cost, of a fold's policies."""
    size = fresh.portfolio.valid.shape[0]
    others = {k: v for k, v in half.policies.items() if k != "pretrained"}
    position, counts, decisions = left_out.several(
        network, others, padded, half.context, key
    )
    # already decided by the network whose features the population has
    known = np.pad(made.pretrained(), ((0, 0), (0, padded.valid.shape[0] - size)))
    decisions = {"pretrained": known, **decisions}
    used, lacks = (np.asarray(leaf)[:, :size] for leaf in (counts, position))
    rows = np.maximum(used.sum(0), 1)
    mean, own = {}, {}
    for name, x in decisions.items():
        pairs = zip(x[:, :size], lacks, strict=True)
        exact = np.stack([fresh.left_out_cost(*pair) for pair in pairs])
        by_instance = np.where(used, exact, 0.0).sum(0) / rows
        mean[name] = float(by_instance[used.any(0)].mean())
        own[name] = left_out.instance_costs(padded, x, position, counts)[:size]
    return mean, own


def bounds(lab: Lab, truth: Truth, certified: Certified) -> list[dict[str, Any]]:
    """Every certificate beside the truth it is about, and its terms.

    Args:
      lab: what the cells have in common.
      truth: of the certified policies.
      certified: the statements.

    Returns:
      Rows of `bounds.csv`: `total`, then its terms, which add up to it.
    """
    mean = lambda values: certify.weigh(certified.scores, list(values))
    rows = []
    for made in certified.statements:
        if made.is_share:
            true = mean(truth.share_cut[made.name])
        elif made.against is not None:
            true = mean(truth.risk[made.against] - truth.risk[made.policy])
        else:
            true = mean(truth.risk[made.policy])
        holds = made.value <= true if made.is_gain else made.value >= true
        common = {"bound": made.name, "tier": "certified", "risk": true}
        common |= {"delta": lab.delta, "holds": bool(holds)}
        terms = {"total": made.value, "empirical": made.empirical}
        terms["deviation"] = made.value - made.empirical
        rows += [{**common, "term": term, "value": v} for term, v in terms.items()]
    return rows


def judged(lab: Lab, truth: Truth, certified: Certified) -> list[Judged]:
    """What a bound of one's own is told of every certified policy.

    Args:
      lab: what the cells have in common.
      truth: of the certified policies.
      certified: the folds' scores.

    Returns:
      One entry a policy; each fold is bounded at δ/2.
    """
    sizes = [len(half.others) for half in certified.halves]
    found = []
    for policy in certified.halves[0].policies:
        folds = tuple(
            Fold(certify.cut(fold, policy) / fold.scale, fold.scale, size / sum(sizes))
            for fold, size in zip(certified.scores, sizes, strict=True)
        )
        risk = certify.weigh(certified.scores, list(truth.risk[policy]))
        found.append(Judged(policy, folds, lab.delta, lab.delta / 2, risk))
    return found


def run_cell(lab: Lab, cell: Cell, report: Report = lambda stage: None) -> dict:
    """Computes one cell.

    Args:
      lab: what the cells have in common.
      cell: the cell.
      report: called with what is done next.

    Returns:
      A JSON-serialisable record: `risks`, `bounds`, what bounds of one's own are told,
      what was chosen, scales, seconds.

    Raises:
      ValueError: the source cannot give such a portfolio, or it is too small.
    """
    start = time.perf_counter()
    report("drawing")
    drawn = lab.source.draw(cell)
    found, chosen = risks(lab, cell, drawn, report)
    key = cell_key(cell.seed, "certify", cell.n)
    given = lab.network, lab.params, drawn.portfolio, lab.fit, key, lab.delta, report
    certified = certify.certify(*given)
    report("true risks")
    truth, populations = true_risks(lab, cell, certified)
    report("bounds")
    rows = bounds(lab, truth, certified)
    rows += theory_rows.floors(lab, certified, truth.risk, truth.full)
    rows += theory_rows.head_statements(
        lab, cell, certified, drawn.portfolio, populations
    )
    rows += theory_rows.saa_law(lab, cell, found)
    rows += mismatch_rows.statement(lab, cell, certified, truth.risk)
    return {
        "cell": asdict(cell),
        "risks": found,
        "bounds": rows,
        own_rows.KEY: [
            own_rows.to_record(each) for each in judged(lab, truth, certified)
        ],
        "chosen": chosen,
        "scales": [half.scale for half in certified.halves],
        "wall_s": round(time.perf_counter() - start, 3),
    }
