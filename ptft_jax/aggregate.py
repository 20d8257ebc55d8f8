"""Rows of the tables → means over seeds that remember which rows they are made of."""

import math
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from ptft_jax import seed_statistics
from ptft_jax.bound_terms import is_setting
from ptft_jax.lab import METHODS

Row = dict[str, Any]
Panel = tuple[int | None, float | None]  # observations and quantile where there are


class Mean(NamedTuple):
    """A mean over seeds.

    Attributes:
      value: the mean.
      error: its standard error; NaN for one seed.
      count: number of seeds.
      rows: names of the rows it is made of, such as `risks:3`.
    """

    value: float
    error: float
    count: int
    rows: tuple[str, ...]


Series = dict[str, dict[int, Mean]]  # method or bound → n → mean


def mean_of(values: list[float], rows: list[str]) -> Mean:
    """Mean and standard error.

    Args:
      values: one a seed.
      rows: where each is from.

    Returns:
      The mean.
    """
    return Mean(*seed_statistics.mean_of(values), tuple(rows))


def interval(mean: Mean, confidence: float = 0.95) -> tuple[float, float] | None:
    """Student's interval of a mean over seeds.

    Args:
      mean: of at least two seeds.
      confidence: of the interval.

    Returns:
      Its ends, or None for one seed.
    """
    if mean.count < 2:
        return None
    return seed_statistics.Mean(*mean[:3]).interval(confidence)


def panel_of(row: Row) -> Panel:
    """The part of the figure that a row belongs to.

    Args:
      row: of either table.

    Returns:
      Observations, and the quantile or None.
    """
    return row["observations"], row["quantile"]


def name_of(panel: Panel) -> str:
    """What titles and verdicts call a panel.

    Args:
      panel: observations and the quantile, each None where there is none.

    Returns:
      Such as "m = 10, q = 0.9", "m = 10" where the problem has no quantile, or "no m"
      where its instances have no number of observations.
    """
    observations, quantile = panel
    beginning = "no m" if observations is None else f"m = {observations}"
    return beginning if quantile is None else f"{beginning}, q = {quantile:g}"


def cells(
    risks: list[Row],
) -> dict[Panel, dict[int, dict[int, dict[str, tuple[Row, str]]]]]:
    """Rows of `risks.csv` by panel → n → seed → method, each with its name.

    Args:
      risks: rows of `risks.csv`, in its order.

    Returns:
      Rows, and what a verdict calls them.
    """
    found: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for i, row in enumerate(risks, start=1):
        cell = found[panel_of(row)][row["n"]][row["seed"]]
        cell[row["method"]] = (row, f"risks:{i}")
    return found


def excesses(risks: list[Row]) -> dict[Panel, Series]:
    """Mean excess of each method by n.

    Args:
      risks: rows of `risks.csv`, in its order.

    Returns:
      Series of each panel, methods in the order of `METHODS`.
    """
    found: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for i, row in enumerate(risks, start=1):
        pair = (row["excess"], f"risks:{i}")
        found[panel_of(row)][row["method"]][row["n"]].append(pair)
    order = {method: i for i, method in enumerate(METHODS)}
    return {
        panel: {
            method: _means(by_n)
            for method, by_n in sorted(
                methods.items(), key=lambda item: order.get(item[0], len(order))
            )
        }
        for panel, methods in sorted(found.items())
    }


def bound_values(
    bounds: list[Row], field: str = "value", tier: str = "certified"
) -> dict[Panel, Series]:
    """Mean total of each bound of one tier by n.

    Args:
      bounds: rows of `bounds.csv`, in its order.
      field: `value` or `risk`.
      tier: certified, law or rate; tiers are never mixed.

    Returns:
      Series of each panel, in the unit of the table.
    """
    found: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for i, row in enumerate(bounds, start=1):
        if row["term"] == "total" and row["tier"] == tier:
            pair = (row[field], f"bounds:{i}")
            found[panel_of(row)][row["bound"]][row["n"]].append(pair)
    return {
        panel: {name: _means(by_n) for name, by_n in names.items()}
        for panel, names in sorted(found.items())
    }


def population_units(bounds: list[Row]) -> dict[tuple, float]:
    """Mean cost of full information in the population that a cell's bounds are about.

    Args:
      bounds: rows of `bounds.csv`.

    Returns:
      Cost by panel, n and seed, of the cells that have it.
    """
    return {
        (panel_of(row), row["n"], row["seed"]): row["value"]
        for row in bounds
        if row["bound"] == "floor_pretrained" and row["term"] == "full_information"
    }


def over_full_information(bounds: list[Row]) -> list[Row]:
    """The same rows with `value` and `risk` in units of full information's cost.

    Args:
      bounds: rows of `bounds.csv`, in its order.

    Returns:
      As many rows; NaN where the unit is not known.
    """
    units = population_units(bounds)
    out = []
    for row in bounds:
        if is_setting(row):
            out.append(row)
            continue
        unit = units.get((panel_of(row), row["n"], row["seed"]), math.nan)
        scaled = {"value": row["value"] / unit, "risk": row["risk"] / unit}
        out.append({**row, **scaled})
    return out


def term_values(bounds: list[Row]) -> dict[Panel, dict[str, Series]]:
    """Mean of every part of the total, by bound, term and n.

    Args:
      bounds: rows of `bounds.csv`, in its order.

    Returns:
      For each panel and bound the series of its terms.
    """
    found: dict = defaultdict(
        lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    )
    for i, row in enumerate(bounds, start=1):
        if row["term"] != "total" and not is_setting(row):
            pair = (row["value"], f"bounds:{i}")
            found[panel_of(row)][row["bound"]][row["term"]][row["n"]].append(pair)
    return {
        panel: {
            bound: {term: _means(by_n) for term, by_n in terms.items()}
            for bound, terms in names.items()
        }
        for panel, names in sorted(found.items())
    }


def full_costs(risks: list[Row]) -> dict[Panel, dict[int, float]]:
    """Mean cost of full information by n, the unit that bounds are shown in.

    Args:
      risks: rows of `risks.csv`.

    Returns:
      Costs of each panel.
    """
    found: dict = defaultdict(lambda: defaultdict(list))
    for row in risks:
        if row["method"] == "full_information":
            found[panel_of(row)][row["n"]].append(row["cost_full"])
    return {
        panel: {n: float(np.mean(costs)) for n, costs in by_n.items()}
        for panel, by_n in found.items()
    }


def _means(by_n: dict[int, list[tuple[float, str]]]) -> dict[int, Mean]:
    return {
        n: mean_of([value for value, _ in pairs], [row for _, row in pairs])
        for n, pairs in sorted(by_n.items())
    }
