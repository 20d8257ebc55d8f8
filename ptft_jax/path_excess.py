"""Excess of the two paths over the best reference of a run, and where they cross."""

import math

import numpy as np

from ptft_jax import aggregate
from ptft_jax.aggregate import Panel, Row, Series
from theory import scaling

PATHS = ("pretrained", "scratch", "finetuned")


def over_reference(risks: list[Row]) -> tuple[str, dict[Panel, Series]]:
    """Cost of each path less that of Bayes, or of full information, over the latter.

    Args:
      risks: rows of `risks.csv`.

    Returns:
      `bayes` where every cell has it, otherwise `full_information`; and for each panel
      the mean differences by path and n, in units of the mean cost of full information.
    """
    cells: dict = {}
    for i, row in enumerate(risks, start=1):
        place = (aggregate.panel_of(row), row["n"], row["seed"])
        cells.setdefault(place, {})[row["method"]] = (row["cost"], f"risks:{i}")
    has_bayes = all("bayes" in cell for cell in cells.values())
    reference = "bayes" if has_bayes else "full_information"
    full, found = aggregate.full_costs(risks), {}
    for (panel, n, _), cell in sorted(cells.items()):
        for path in PATHS:
            values, rows = (
                found.setdefault(panel, {}).setdefault(path, {}).setdefault(n, ([], []))
            )
            values.append((cell[path][0] - cell[reference][0]) / full[panel][n])
            rows += [cell[path][1], cell[reference][1]]
    return reference, {
        panel: {
            path: {n: aggregate.mean_of(*pair) for n, pair in by_n.items()}
            for path, by_n in paths.items()
        }
        for panel, paths in found.items()
    }


def crossover(series: Series) -> float | None:
    """n* at which the network from scratch reaches the pretrained one, if it does.

    Args:
      series: of one panel of `over_reference`.

    Returns:
      n* by interpolation of logarithms between two n of the run, or None.
    """
    positive = lambda mean: mean.value if mean.value > 0.0 else math.nan
    sizes = sorted(series["scratch"])
    curves = [
        [positive(series[p][n]) for n in sizes] for p in ("scratch", "pretrained")
    ]
    if np.isfinite(np.sum(curves, axis=0)).sum() < 2:
        return None
    return scaling.crossover(sizes, *curves)
