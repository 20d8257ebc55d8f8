"""Tables of a sweep: one row a cell, and means over seeds with standard errors."""

from typing import Any

import polars as pl

from ptft_jax import task
from ptft_jax.sweep import State
from ptft_jax.task import SEED
from ptft_jax.worker import FAILED, OK


def cells(state: State) -> pl.DataFrame:
    """Finished cells in the order of the grid: its fields, then the metrics.

    Args:
      state: of the folder.

    Returns:
      One row a cell with a result; no time and no machine enters it, so that a sweep
      that was interrupted gives the table of one that was not.
    """
    rows = [
        {**task.fields(each), **state.records[each.name]["metrics"]}
        for each in state.of_status(OK)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def metrics(state: State) -> list[str]:
    """Names of the metrics.

    Args:
      state: with at least one finished cell.

    Returns:
      The names, those of all cells.
    """
    names: dict[str, None] = {}
    for each in state.of_status(OK):
        names |= dict.fromkeys(state.records[each.name]["metrics"])
    return list(names)


def varying(state: State) -> list[str]:
    """Fields that take more than one value in the grid, the seed left out.

    Args:
      state: of the folder.

    Returns:
      The fields, in their order.
    """
    values: dict[str, set[Any]] = {}
    for each in state.points:
        for field, value in task.fields(each).items():
            values.setdefault(field, set()).add(value)
    return [f for f, seen in values.items() if len(seen) > 1 and f != SEED]


def summary(state: State) -> pl.DataFrame:
    """Means over seeds of every metric, with standard errors.

    Args:
      state: of the folder, with at least one finished cell.

    Returns:
      One row a setting and metric: the varying fields, `metric`, `mean`, `se` (null
      for one seed), `seeds` that count, and `not_finite`, those that do not.
    """
    by = varying(state)
    long = cells(state).unpivot(
        metrics(state), index=[*by, SEED], variable_name="metric", value_name="value"
    )
    value = pl.col("value").cast(pl.Float64)
    good = value.is_finite()
    kept = value.filter(good)
    table = long.group_by([*by, "metric"], maintain_order=True).agg(
        kept.mean().alias("mean"),
        (kept.std() / kept.len().sqrt()).alias("se"),
        good.sum().alias("seeds"),
        (~good).sum().alias("not_finite"),
    )
    return table.sort([*by], maintain_order=True)


def text(state: State, shown: tuple[str, ...]) -> str:
    """Means ± standard errors over seeds as plain text, a row a setting.

    Args:
      state: of the folder, with at least one finished cell.
      shown: metrics, a column each.

    Returns:
      Lines.
    """
    by = varying(state)
    rows: dict[tuple, dict[str, str]] = {}
    for each in summary(state).iter_rows(named=True):
        cell = "-" if each["mean"] is None else f"{each['mean']:.4g}"
        cell += "" if each["se"] is None else f" ± {each['se']:.2g}"
        rows.setdefault(tuple(each[f] for f in by), {})[each["metric"]] = cell
    known = metrics(state)
    absent = [metric for metric in shown if metric not in known]
    lines = [[*by, *shown]]
    for setting, found in rows.items():
        told = [f"{v:g}" if isinstance(v, float) else str(v) for v in setting]
        lines.append([*told, *(found.get(metric, "-") for metric in shown)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    pad = lambda line: zip(line, widths, strict=True)
    table = "\n".join("  ".join(c.rjust(w) for c, w in pad(line)) for line in lines)
    if absent:
        there = ", ".join(known)
        table += f"\nno metric is called {', '.join(absent)}; there are {there}"
    return table


def status(state: State) -> dict[str, Any]:
    """Counts, and what went wrong.

    Args:
      state: of the folder.

    Returns:
      JSON-serialisable.
    """
    done, failed = state.of_status(OK), state.of_status(FAILED)
    errors: dict[str, int] = {}
    for each in failed:
        told = state.records[each.name]["error"].partition("\n")[0]
        errors[told] = errors.get(told, 0) + 1
    lost = [
        each.name
        for each in done
        if not all(map(_is_finite, state.records[each.name]["metrics"].values()))
    ]
    return {
        "cells": len(state.points),
        "finished": len(done),
        "failed": len(failed),
        "missing": len(state.points) - len(done) - len(failed),
        "not_finite": lost,
        "errors": errors,
        "complaints": state.complaints,
        "foreign": state.foreign,
    }


def _is_finite(value: float) -> bool:
    return value - value == 0.0
