"""What a run of `validate` says of the law behind C1, and where its two paths cross."""

from collections import defaultdict

import numpy as np

from ptft_jax import aggregate, law_rows, path_excess, seed_statistics, verdict
from ptft_jax.aggregate import Panel, Row
from ptft_jax.verdict import Verdict
from theory import laws

UNCHANGED = "not judged: fine-tuning kept the pretrained network"


def where(panel: Panel, n: int) -> str:
    """Names a place of the run.

    Args:
      panel: observations and quantile.
      n: instances.

    Returns:
      Words.
    """
    return f"{aggregate.name_of(panel)}, n = {n}"


def harmonic_law(risks: list[Row]) -> list[Verdict]:
    """C1 by the law: fine-tuned excess over Bayes less the harmonic combination.

    T = [E_tuned − 1/(1/E_pre + 1/E_scratch)] / R_full, each a mean over the same seeds:
    the law has an error of its own, so the interval is the jackknife's over seeds.

    Args:
      risks: rows of `risks.csv`, in its order.

    Returns:
      A verdict for each place where Bayes is known and both mean excesses are above 0;
      `UNCHANGED` where no seed's fine-tuning changed anything.
    """
    out = []
    for (panel, n), cells in sorted(_paired(risks).items()):
        costs = np.array([cost for cost, _ in cells])
        if (costs[:, :2].mean(0) <= 0.0).any():
            continue
        above = lambda kept, costs=costs: _above(costs[kept])
        values = seed_statistics.pseudo_values(above, len(costs))
        rows = [row for _, named in cells for row in named]
        mean = aggregate.mean_of(list(values), rows)
        statement = (
            f"the two paths combine as the harmonic law says or better "
            f"({where(panel, n)}): fine-tuned excess over Bayes minus "
            f"1/(1/E_pre + 1/E_scratch), of means over the same seeds, jackknifed"
        )
        said = verdict.judge(aggregate.interval(mean), good_below=True)
        if (costs[:, 0] == costs[:, 2]).all():
            # above the law by algebra, whatever the law is worth
            said = UNCHANGED
        short = f"fine-tuned − harmonic law, {where(panel, n)}"
        out.append(Verdict("C1", statement, show(mean), said, mean.rows, short))
    return out


def _above(costs) -> float:
    """T of the seeds given; a path at or below Bayes in them makes the law 0."""
    pretrain, scratch, tuned, full = costs.mean(0)
    law = laws.harmonic(max(0.0, float(pretrain)), max(0.0, float(scratch)))
    return (tuned - law) / full


def _paired(risks: list[Row]) -> dict:
    """By panel and n, each seed's excesses and full cost, and the rows they are of."""
    methods = ("pretrained", "scratch", "finetuned", law_rows.REFERENCE)
    found: dict = defaultdict(list)
    for panel, by_n in aggregate.cells(risks).items():
        for n, seeds in by_n.items():
            for _, cell in sorted(seeds.items()):
                if set(methods) <= set(cell):
                    *paths, bayes = (cell[name][0]["cost"] for name in methods)
                    over = [cost - bayes for cost in paths]
                    full = cell[law_rows.REFERENCE][0]["cost_full"]
                    named = [cell[name][1] for name in methods]
                    found[panel, n].append(([*over, full], named))
    return found


def crossovers(risks: list[Row]) -> list[Verdict]:
    """C1: where the two measured paths cross; a description, not a test.

    Args:
      risks: rows of `risks.csv`, in its order.

    Returns:
      One for each panel.
    """
    reference, panels = path_excess.over_reference(risks)
    out = []
    for panel, paths in panels.items():
        star = path_excess.crossover(paths) if len(paths["scratch"]) > 1 else None
        sizes = sorted(paths["scratch"])
        measured = f"n* = {star:.0f}" if star else f"no crossing in n = {sizes}"
        over = reference.replace("_", " ")
        statement = (
            f"n* at which the same network from scratch reaches the pretrained one, "
            f"by interpolation of mean excess over {over} "
            f"({aggregate.name_of(panel)})"
        )
        rows = [
            row
            for path in ("pretrained", "scratch")
            for mean in paths[path].values()
            for row in mean.rows
        ]
        short = f"where the paths cross, {aggregate.name_of(panel)}"
        out.append(Verdict("C1", statement, measured, "described", tuple(rows), short))
    return out


def show(mean: aggregate.Mean) -> str:
    """A difference of excesses in points, with its interval.

    Args:
      mean: over seeds.

    Returns:
      Words.
    """
    ends = aggregate.interval(mean)
    text = f"{100.0 * mean.value:+.2f} points"
    if ends is None:
        return f"{text} (one seed, no interval)"
    return f"{text} (95% interval {100.0 * ends[0]:+.2f} to {100.0 * ends[1]:+.2f})"
