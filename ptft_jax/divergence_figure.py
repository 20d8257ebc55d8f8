"""Certified bounds against what they pay for: the divergence, and the radius of a ball.

Everything is in units of the cost of full information in the population, seed by seed.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ptft_jax import aggregate, bound_figures
from ptft_jax.aggregate import Row
from ptft_jax.bound_terms import SETTING

PATHS = ("path_kl", "path_coin_betting", "path_drawn")
BALL = "two_path_ball_"
SHADES = ("#56B4E9", "#0072B2", "#D55E00", "#E69F00", "#009E73", "black")


def points(bounds: list[Row]) -> dict[str, list[tuple[float, float, int]]]:
    """Divergence, bound and n of every path bound, one a cell.

    Args:
      bounds: rows of `bounds.csv`, in any unit.

    Returns:
      By name of the bound: mean nats of the folds, total, n.
    """
    nats: dict[tuple, list[float]] = {}
    totals: dict[tuple, tuple[float, int]] = {}
    for row in bounds:
        name = row["bound"]
        if name not in PATHS:
            continue
        cell = (name, *aggregate.panel_of(row), row["n"], row["seed"])
        if row["term"].startswith(f"{SETTING}nats_"):
            nats.setdefault(cell, []).append(row["value"])
        elif row["term"] == "total":
            totals[cell] = row["value"], row["n"]
    found: dict[str, list] = {}
    for cell, (total, n) in totals.items():
        if cell in nats:
            found.setdefault(cell[0], []).append((float(np.mean(nats[cell])), total, n))
    return found


def by_radius(bounds: list[Row]) -> dict[int, dict[float, tuple[float, float]]]:
    """Bound and measured excess of the ball of each radius, means over cells, by n.

    Args:
      bounds: rows of `bounds.csv`, in any unit.

    Returns:
      n → radius → bound, measured.
    """
    found: dict = {}
    for row in bounds:
        if row["bound"].startswith(BALL) and row["term"] == "total":
            radius = float(row["bound"].removeprefix(BALL))
            pair = row["value"], row["risk"]
            found.setdefault(row["n"], {}).setdefault(radius, []).append(pair)
    return {
        n: {r: tuple(np.mean(pairs, axis=0)) for r, pairs in sorted(radii.items())}
        for n, radii in sorted(found.items())
    }


def draw(bounds: list[Row], title: str) -> Figure | None:
    """Path bounds against their divergence, and balls' bounds against their radius.

    Args:
      bounds: rows of `bounds.csv`.
      title: above the panels.

    Returns:
      The figure; None where there is neither kind of bound or no population.
    """
    if not aggregate.population_units(bounds):
        return None
    rows = aggregate.over_full_information(bounds)
    paths, balls = points(rows), by_radius(rows)
    if not paths or not balls:
        return None
    figure, axes = bound_figures.grid(1, 2)
    left, right = axes[0]
    sizes = sorted(balls)
    colors = {n: SHADES[k % len(SHADES)] for k, n in enumerate(sizes)}
    _paths(left, paths, colors)
    for n, radii in balls.items():
        r = list(radii)
        look = {"color": colors[n], "ms": 4.5}
        bound, measured = zip(*radii.values(), strict=True)
        right.plot(r, bound, marker="s", label=f"n = {n}", **look, ls=":")
        right.plot(r, measured, marker="s", lw=2.0, **look)
    right.set(xscale="log", xlabel="radius r of the ball of heads")
    right.set_xticks(r, [f"{x:g}" for x in r])
    right.minorticks_off()
    right.set_ylabel("excess / cost of full information")
    if min(min(pair) for radii in balls.values() for pair in radii.values()) > 0.0:
        right.set_yscale("log")
    right.plot([], [], "k-", lw=2.0, label="measured excess")
    right.plot([], [], "k:", label="certified")
    for axis in (left, right):
        axis.grid(visible=True, which="major", color="0.9", lw=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    bound_figures.legend(figure, axes)
    bound_figures.head(figure, f"{title}: certified bounds against KL and radius")
    return figure


def _paths(axis: Axes, paths: dict[str, list], colors: dict[int, str]) -> None:
    """A marker a cell: its shape is the bound, its colour n."""
    for name, found in paths.items():
        label, style = bound_figures.CERTIFIED[name]
        marker: dict[str, Any] = {"marker": style["marker"], "ls": "none", "ms": 5}
        for n in sorted({n for *_, n in found}):
            here = [(x, y) for x, y, k in found if k == n]
            axis.plot(*zip(*here, strict=True), color=colors.get(n, "black"), **marker)
        axis.plot([], [], color="0.4", label=f"certified: {label}", **marker)
    axis.set_yscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_major_formatter(plain)
    axis.yaxis.set_minor_formatter(plain)
    # posteriors are often the prior itself: less than a nat is next to nothing
    most = max(x for found in paths.values() for x, *_ in found)
    axis.set_xlim(-0.05 * max(1.0, most), 1.05 * max(1.0, most))
    axis.set_xlabel("KL(posterior‖prior), nats, mean of the folds")
    axis.set_ylabel("bound / cost of full information")
