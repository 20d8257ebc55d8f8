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


def draw(grid: Grid, state: State) -> Figure | None:
    """Means over seeds with standard errors, one panel a metric, one line a setting.

    Args:
      grid: its task says which metrics are shown.
      state: of the folder.

    Returns:
      The figure, or None where no number varies or nothing is finished.
    """
    table = sweep_tables.summary(state)
    by = sweep_tables.varying(state)
    numeric = [f for f in by if table.schema[f].is_numeric()]
    if not numeric:
        return None
    x = "n" if "n" in numeric else max(numeric, key=lambda f: table[f].n_unique())
    shown = [m for m in grid.task.shown if m in set(table["metric"])]
    columns = min(len(shown), 2)
    lines = -(-len(shown) // columns)
    size = (3.9 * columns + 0.3, 3.2 * lines + 0.8)
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True)
    rest = [f for f in by if f != x]
    settings = table.select(rest).unique(maintain_order=True).rows() if rest else [()]
    kept = settings[: len(COLORS)]
    for axis, metric in zip(axes.flat, shown, strict=False):
        of_metric = table.filter(pl.col("metric") == metric)
        for look, setting in zip(_looks(), kept, strict=False):
            _line(axis, of_metric, x, dict(zip(rest, setting, strict=True)), look)
        _dress(axis, of_metric, x, metric)
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    _legend(figure, axes[0, 0], rest, len(settings), len(kept))
    figure.suptitle(grid.about, fontsize=10)
    return figure


def _looks():
    return zip(COLORS, itertools.cycle(MARKERS), strict=False)


def _line(axis, table: pl.DataFrame, x: str, setting: dict[str, Any], look) -> None:
    for field, value in setting.items():
        table = table.filter(pl.col(field) == value)
    table = table.sort(x)
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
