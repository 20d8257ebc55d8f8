"""The figure of a sweep: every shown metric against the field that varies most."""

import itertools
from typing import Any

import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ptft_jax import sweep_tables
from ptft_jax.grid import Grid
from ptft_jax.sweep import State

# Okabe & Ito's palette, told apart by the colour blind.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "black")
MARKERS = "os^vDP*"


def draw(grid: Grid, state: State) -> dict[str, Figure]:
    """Means over seeds with standard errors, one panel a metric, one line a setting.

    Args:
      grid: its task says which metrics are shown.
      state: of the folder, with at least one finished cell.

    Returns:
      A figure for each combination of the fields that are words (a world, a class), by
      their values; none where no number varies or no metric is shown.
    """
    table, by = sweep_tables.summary(state), sweep_tables.varying(state)
    # the size of a program changes its cost, not its results
    numeric = [f for f in by if table.schema[f].is_numeric() and f != "n_max"]
    words = [f for f in by if not table.schema[f].is_numeric()]
    shown = [m for m in grid.task.shown if m in set(table["metric"])]
    if not numeric or not shown:
        return {}
    x = "n" if "n" in numeric else max(numeric, key=lambda f: table[f].n_unique())
    rest = [f for f in numeric if f != x]
    found = {}
    for values in table.select(words).unique(maintain_order=True).rows() or [()]:
        where = dict(zip(words, values, strict=True))
        title = ", ".join([grid.about, *map(str, values)])
        part = _at(table, where)
        found["-".join(map(str, values))] = _figure(part, x, rest, shown, title)
    return found


def _at(table: pl.DataFrame, where: dict[str, Any]) -> pl.DataFrame:
    for field, value in where.items():
        table = table.filter(pl.col(field).eq_missing(value))
    return table


def _figure(table: pl.DataFrame, x: str, rest, shown, title: str) -> Figure:
    columns = min(len(shown), 2)
    lines = -(-len(shown) // columns)
    size = (3.9 * columns + 0.3, 3.2 * lines + 0.8)
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True)
    settings = table.select(rest).unique(maintain_order=True).rows() if rest else [()]
    kept = settings[: len(COLORS)]
    for axis, metric in zip(axes.flat, shown, strict=False):
        of_metric = table.filter(pl.col("metric") == metric)
        for look, setting in zip(_looks(), kept, strict=False):
            _line(axis, of_metric, x, dict(zip(rest, setting, strict=True)), look)
        _dress(axis, of_metric, x, metric)
        axis.tick_params(labelbottom=True)
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    _legend(figure, axes[0, 0], rest, len(settings), len(kept))
    lost = table.filter(pl.col("metric").is_in(shown))["not_finite"].sum()
    note = f"\n{lost} results are not finite and not shown" if lost else ""
    figure.suptitle(title + note, fontsize=10)
    return figure


def _looks():
    return zip(COLORS, itertools.cycle(MARKERS), strict=False)


def _line(axis, table: pl.DataFrame, x: str, setting: dict[str, Any], look) -> None:
    table = _at(table, setting).sort(x)
    label = ", ".join(
        f"{k} = {v:g}" if isinstance(v, int | float) else f"{v}"
        for k, v in setting.items()
    )
    axis.errorbar(
        table[x],
        table["mean"],
        yerr=table["se"].fill_null(0.0),
        color=look[0],
        marker=look[1],
        ms=4,
        lw=1.4,
        capsize=2,
        label=label,
    )


def _dress(axis, table: pl.DataFrame, x: str, metric: str) -> None:
    if table[x].min() > 0 and table[x].max() >= 8 * table[x].min():
        axis.set_xscale("log", base=2 if x == "n" else 10)
    means = table["mean"].drop_nulls()
    if len(means) and means.min() > 0 and means.max() >= 8 * means.min():
        axis.set_yscale("log")
    axis.set_xlabel("instances n" if x == "n" else x.replace("_", " "))
    axis.set_ylabel(metric.replace("_", " "))
    axis.grid(alpha=0.3)


def _legend(figure, axis, rest: list[str], total: int, kept: int) -> None:
    if not rest:
        return
    title = ", ".join(rest) + (f" (first {kept} of {total})" if total > kept else "")
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        title=title,
        loc="outside lower center",
        ncols=2,
        fontsize=8,
        title_fontsize=8,
        frameon=False,
    )
