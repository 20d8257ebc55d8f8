"""Bounds against n: beside the risk and the floor, and by their terms.

Everything is in units of the cost of full information in the population that a bound
is about, seed by seed. Line styles tell the tiers
apart as in `plotting`: measured solid, certified dotted, law dash-dotted, rate thin
and loosely dotted.
"""

import itertools
import math
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ptft_jax import aggregate
from ptft_jax.aggregate import Row
from ptft_jax.own_bounds import is_own

POLICY = "finetuned"
CERTIFIED: dict[str, tuple[str, dict[str, Any]]] = {
    "finetuned_hoeffding": ("Hoeffding", {"color": "0.55", "marker": "v"}),
    "finetuned_betting": ("betting", {"color": "#D55E00", "marker": "s"}),
    "path_kl": ("PAC-Bayes-kl, Gibbs head", {"color": "#0072B2", "marker": "o"}),
    "path_coin_betting": (
        "PAC-Bayes betting, Gibbs head",
        {"color": "#009E73", "marker": "^"},
    ),
    "path_drawn": ("PAC-Bayes betting, one head", {"color": "#CC79A7", "marker": "D"}),
}
STACKED = {
    "path_kl": ("empirical", "mc", "complexity", "kl"),
    "path_coin_betting": ("empirical", "mc", "complexity", "kl"),
    "two_path_ball_0.1": (
        "rademacher",
        "optimisation",
        "deviation",
        "comparator",
        "selection",
    ),
}
COLORS = ("#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#009E73")
OWN = ("#F0A30A", "#8C564B", "#000000")  # colours of bounds of one's own
DOTTED = {"ls": ":", "lw": 1.5, "ms": 4.5}
LAW = {"ls": "-.", "lw": 1.4}
RATE = {"ls": (0, (1, 4)), "lw": 1.0, "color": "0.35"}


def certified_in(found: aggregate.Series) -> dict[str, tuple[str, dict[str, Any]]]:
    """Label and style of the bounds that are shown, those of one's own last.

    Args:
      found: certified bounds of a panel.

    Returns:
      The entries of `CERTIFIED` that are there, then `finetuned_MODULE:FUNCTION`.
    """
    shown = {name: look for name, look in CERTIFIED.items() if name in found}
    start = f"{POLICY}_"
    own = [name for name in found if is_own(name) and name.startswith(start)]
    for name, color in zip(own, itertools.cycle(OWN), strict=False):
        shown[name] = (name.removeprefix(start), {"color": color, "marker": "*"})
    return shown


def grid(rows: int, columns: int, **kwargs: Any) -> tuple[Figure, Any]:
    """A figure of small panels with room for a legend at its right.

    Args:
      rows: of panels.
      columns: of panels.
      **kwargs: for `Figure.subplots`.

    Returns:
      The figure and its axes, [rows, columns].
    """
    size = (3.9 * columns + 2.6, 3.4 * rows + 0.7)
    figure = Figure(figsize=size, layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def legend(figure: Figure, axes) -> None:
    """One entry a label, beside the panels.

    Args:
      figure: of `grid`.
      axes: whose lines are named.
    """
    found: dict[str, Any] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside right center",
        frameon=False,
        fontsize=8,
        handlelength=3.2,
    )


def dress(axis, sizes: list[int]) -> None:
    """Logarithmic scales, the values of n as ticks, and a light grid.

    Args:
      axis: of a panel; its ordinate stays linear where nothing in it is positive.
      sizes: n.
    """
    axis.set_xscale("log")
    if math.isfinite(axis.dataLim.minposy):
        axis.set_yscale("log")
    axis.set_xticks(sizes, [str(n) for n in sizes])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(axis="x", which="minor", length=0)
    axis.grid(visible=True, which="major", color="0.9", lw=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("instances n")


def head(figure: Figure, text: str) -> None:
    """A title at the left, where no legend stands.

    Args:
      figure: of `grid`.
      text: the title.
    """
    figure.suptitle(text, fontsize=10, x=0.01, ha="left")


def _line(axis, series, **style) -> None:
    n = sorted(series)
    axis.plot(n, [series[k].value - 1.0 for k in n], **style)


def slope_guide(axis, n: list[int], start: float, power: float) -> None:
    """A thin line of a given slope, named at its end.

    Args:
      axis: both of whose scales are logarithmic.
      n: its first and last n.
      start: ordinate at the first.
      power: of n.
    """
    if len(n) < 2:
        return
    y = [start, start * (n[-1] / n[0]) ** power]
    axis.plot([n[0], n[-1]], y, color="0.7", lw=0.8, zorder=1)
    text = {-0.5: "slope −1/2", -1.0: "slope −1"}[power]
    look = {"fontsize": 7, "color": "0.5", "va": "center"}
    place = {"xytext": (6, 0), "textcoords": "offset points"}
    axis.annotate(text, (n[-1], y[1]), annotation_clip=False, **place, **look)


def draw_bounds(bounds: list[Row], title: str) -> Figure | None:
    """Certified bounds, the floor and the risk against n, all over full information.

    Args:
      bounds: rows of `bounds.csv`.
      title: above the panels.

    Returns:
      The figure, one panel for each m and q; None where a row has no population.
    """
    if not aggregate.population_units(bounds):
        return None
    scaled = aggregate.over_full_information(bounds)
    certified = aggregate.bound_values(scaled)
    truth = aggregate.bound_values(scaled, "risk")
    laws = aggregate.bound_values(scaled, tier="law")
    columns = min(3, len(certified))
    figure, axes = grid(-(-len(certified) // columns), columns)
    for axis in axes.flat[len(certified) :]:
        axis.set_visible(False)
    for (panel, found), axis in zip(certified.items(), axes.flat, strict=False):
        for name, (label, style) in certified_in(found).items():
            look = {**DOTTED, **style, "label": f"certified: {label}"}
            _line(axis, found[name], **look)
        style = {**LAW, "color": "black", "label": "law: floor of any bound"}
        _line(axis, laws[panel][f"floor_{POLICY}"], **style)
        risk = truth[panel][f"{POLICY}_betting"]
        n = sorted(risk)
        value = [risk[k].value - 1.0 for k in n]
        error = [
            min(float(np.nan_to_num(risk[k].error)), 0.9 * abs(v))
            for k, v in zip(n, value, strict=True)
        ]
        look = {"color": "#D55E00", "marker": "s", "lw": 2.2, "ms": 5, "capsize": 2}
        axis.errorbar(n, value, error, label="measured: fine-tuned, ± s.e.", **look)
        start = max(found[f"{POLICY}_betting"][n[0]].value - 1.0, value[0])
        for power in (-0.5, -1.0):
            slope_guide(axis, n, start, power)
        dress(axis, n)
        axis.set_title(aggregate.name_of(panel), fontsize=10)
    axes[0, 0].set_ylabel("cost / full information − 1")
    legend(figure, axes)
    head(figure, f"{title}: certified bounds and the floor")
    return figure


def draw_terms(bounds: list[Row], title: str) -> Figure | None:
    """Terms of the path and two-path bounds, stacked at each n.

    Args:
      bounds: rows of `bounds.csv`.
      title: above the panels.

    Returns:
      The figure, one row for each m and q; None where there is none of the bounds.
    """
    scaled = aggregate.over_full_information(bounds)
    terms = aggregate.term_values(scaled)
    truth = aggregate.bound_values(scaled, "risk")
    shown = [name for name in STACKED if all(name in terms[p] for p in terms)]
    if not terms or not shown:
        return None
    figure, axes = grid(len(terms), len(shown))
    for panel, row in zip(terms, axes, strict=True):
        for name, axis in zip(shown, row, strict=True):
            sizes = sorted(next(iter(terms[panel][name].values())))
            at, base = np.arange(len(sizes)), np.zeros(len(sizes))
            for color, term in zip(COLORS, STACKED[name], strict=False):
                means = terms[panel][name][term]
                value = np.array([means[n].value for n in sizes])
                axis.bar(at, value, 0.6, base, color=color)
                base += value
            risk = [truth[panel][name][n].value for n in sizes]
            axis.plot(at, risk, "k_", ms=22, mew=2)
            for x, total in zip(at, base, strict=True):
                axis.annotate(f"{total:.2g}", (x, total), ha="center", va="bottom")
            axis.set_ylim(0.0, 1.1 * base.max())
            axis.set_xticks(at, [str(n) for n in sizes])
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_title(f"{name}, {aggregate.name_of(panel)}", fontsize=10)
            axis.set_xlabel("instances n")
        row[0].set_ylabel("cost / cost of full information")
    for color, path, theorem in zip(
        COLORS, (*STACKED["path_kl"], None), STACKED["two_path_ball_0.1"], strict=True
    ):
        names = [name for name in (path, theorem) if name]
        axes[0, 0].plot([], [], "s", ms=8, color=color, label=" | ".join(names))
    axes[0, 0].plot([], [], "k_", ms=14, mew=2, label="measured")
    legend(figure, axes[:1, :1])
    head(figure, f"{title}: terms of certified bounds (path bounds | two-path bound)")
    return figure
