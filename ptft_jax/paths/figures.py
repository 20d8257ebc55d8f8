"""The four figures of a run: paths, terms, bounds and gains against n."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ptft_jax.bound_figures import OWN
from ptft_jax.own_bounds import is_own
from ptft_jax.paths import curves
from ptft_jax.paths.curves import Curve
from ptft_jax.paths.run import Part, Result
from ptft_jax.plotting import THIN
from theory import two_path

# Okabe & Ito's palette; measured solid, laws dashed, certified dotted.
MEASURED: dict[str, tuple[str, dict[str, Any]]] = {
    "pretrained": ("pretrained", {"color": "#0072B2", "marker": "o", "lw": 2}),
    "scratch": ("from scratch", {"color": "#009E73", "marker": "^"}),
    "head": ("fine-tuned: head, no pull", {"color": "#CC79A7", "marker": "v"}),
    "adapter": ("fine-tuned: adapter", {"color": "#56B4E9", "marker": "D"}),
    "full": ("fine-tuned: all weights", {"color": "#E69F00", "marker": "P"}),
    "tuned": ("tuned head", {"color": "#D55E00", "marker": "s", "lw": 2.6}),
    "own_context": ("pretrained, own context", {"color": "0.45", "marker": "x"}),
}
LAWS = {
    "harmonic": ("harmonic law of both paths", (0, (6, 1.5))),
    "pulled_law": ("sandwich law, best pull to pretrained", (0, (2, 1.5))),
}
CERTIFIED = {
    "pretrained_betting": ("pretrained, betting", "#0072B2"),
    "pretrained_hoeffding": ("pretrained, Hoeffding", "#56B4E9"),
    "tuned_betting": ("tuned, betting", "#D55E00"),
    "tuned_betting_cut": ("tuned on n/8, betting, costs cut", "#009E73"),
    "pac_bayes_path": ("head, PAC-Bayes on the path", "#CC79A7"),
}


def all_figures(result: Result) -> dict[str, Figure]:
    """Every figure of a run, by name.

    Args:
      result: tables of a run, not empty.

    Returns:
      paths, terms, bounds and gain.
    """
    return {
        "paths": _panels(result, _paths, "regret over Bayes (units of cost)"),
        "terms": _panels(result, _terms, "two-path bound, stacked (units of cost)"),
        "bounds": _panels(result, _bounds, "expected cost (units of cost)"),
        "gain": _panels(result, _gain, "cost saved over pretrained (units of cost)"),
    }


def _panels(result: Result, draw: Callable[..., None], label: str) -> Figure:
    """One panel a part, a row a world, and one legend for all."""
    names = list(dict.fromkeys(part.world for part in result.facts))
    rows = [[p for p in result.facts if p.world == name] for name in names]
    columns = max(map(len, rows))
    figure = Figure(figsize=(4.1 * columns + 2.9, 3.5 * len(rows) + 0.6), dpi=150)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    handles: dict[str, Any] = {}
    for line, parts in zip(axes, rows, strict=True):
        for axis, part in zip(line, parts, strict=False):
            draw(axis, result, part)
            _dress(axis, curves.curves(result, part)["tuned"].n)
            axis.set_title(f"{part.world}, mismatch {part.mismatch:g}", fontsize=10)
            found = axis.get_legend_handles_labels()
            handles |= dict(zip(found[1], found[0], strict=True))
        for axis in line[len(parts) :]:
            axis.set_visible(False)
        line[0].set_ylabel(label, fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("instances n")
    look = {"frameon": False, "fontsize": 8, "handlelength": 3.0}
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", **look)
    return figure


def _line(axis, curve: Curve, **look: Any) -> None:
    """A curve with error bars, without what a logarithmic scale cannot show."""
    kept = curve.mean > 0.0
    n, mean = np.array(curve.n)[kept], curve.mean[kept]
    error = np.minimum(np.nan_to_num(curve.error[kept]), 0.9 * mean)
    plain = {"ms": 4, "lw": 1.3, "capsize": 2, "elinewidth": 1}
    axis.errorbar(n, mean, yerr=error, **(plain | look))


def _paths(axis, result: Result, part: Part) -> None:
    found = curves.curves(result, part)
    for method, (label, look) in MEASURED.items():
        if method in found:
            _line(axis, found[method], label=label, **look)
    laws = curves.totals(result, part)
    for name, (label, dashes) in LAWS.items():
        curve = laws[name]
        axis.plot(curve.n, curve.mean, color="black", ls=dashes, lw=1.4, label=label)
    at = result.facts[part]["crossover_law"]
    if found["tuned"].n[0] <= at <= found["tuned"].n[-1]:
        axis.axvline(at, color="0.6", lw=1, ls=":", label="n* of the law")
    axis.set(xscale="log", yscale="log")


def _terms(axis, result: Result, part: Part) -> None:
    rows = [r for r in result.bounds if (r["world"], r["mismatch"]) == part]
    rows = [r for r in rows if r["bound"] == "two_path"]
    found = curves.terms(rows, "value", "term", None)
    n = found["total"].n
    heights = [found[name].mean for name in two_path.TERMS]
    names = [name.replace("_", " ") for name in two_path.TERMS]
    colors = ("#0072B2", "#56B4E9", *THIN[:1], "#009E73", "#F0E442", "#D55E00")
    colors = (*colors, "#E69F00", "0.6")
    axis.stackplot(n, heights, labels=names, colors=colors, alpha=0.85)
    axis.plot(n, found["trivial"].mean, color="black", lw=1, label="trivial bound B")
    risk = curves.terms(rows, "risk", "term", "total")["total"]
    text = f"true regret at n = {n[-1]}: {risk.mean[-1]:.2g}"
    axis.annotate(text, (0.03, 0.94), xycoords="axes fraction", fontsize=7)
    axis.set(xscale="log", ylim=(0.0, 2.2 * found["trivial"].mean[0]))


def _bounds(axis, result: Result, part: Part) -> None:
    found = curves.totals(result, part)
    own = [name for name in found if is_own(name) and name.startswith("tuned_")]
    shown = dict(zip(own, zip(own, itertools.cycle(OWN), strict=False), strict=True))
    for name, (label, color) in (CERTIFIED | shown).items():
        marker = "*" if name in shown else "."
        _line(axis, found[name], label=label, color=color, ls=":", marker=marker)
    bayes = result.facts[part]["bayes"]
    tuned = curves.curves(result, part)["tuned"]
    cost = tuned._replace(mean=tuned.mean + bayes)
    _line(axis, cost, label="tuned, true cost", color="#D55E00", marker="s", lw=2)
    plain = {"color": "0.4", "lw": 1.2}
    for name, label, ls in (
        ("floor", "floor of any bound", (0, (1, 1))),
        ("clt", "CLT, pretrained", (0, (4, 2))),
    ):
        axis.plot(tuned.n, found[name].mean, ls=ls, label=label, **plain)
    axis.axhline(bayes, color="black", lw=1, label="Bayes risk")
    ends = np.array([tuned.n[0], tuned.n[-1]], float)
    start = found["pretrained_hoeffding"].mean[0]
    for slope, dashes in ((-0.5, (0, (1, 3))), (-1.0, (0, (3, 3)))):
        guide = start * (ends / ends[0]) ** slope
        axis.plot(ends, guide, color="0.75", ls=dashes, lw=1, label=f"slope {slope:g}")
    axis.set(xscale="log", yscale="log", ylim=(0.8 * bayes, None))


def _gain(axis, result: Result, part: Part) -> None:
    facts, found = result.facts[part], curves.totals(result, part)
    tuned = curves.curves(result, part)["tuned"]
    gain = tuned._replace(mean=facts["pretrain"] - tuned.mean)
    look = {"color": "#D55E00", "marker": "s", "lw": 2}
    axis.errorbar(gain.n, gain.mean, yerr=gain.error, label="true gain", **look)
    law = facts["pretrain"] - found["harmonic"].mean
    axis.plot(gain.n, law, color="black", ls="--", lw=1.3, label="harmonic law")
    certified = found["tuned_gain"]
    look = {"color": "#0072B2", "ls": ":", "marker": "."}
    axis.errorbar(
        certified.n, certified.mean, yerr=certified.error, label="certified", **look
    )
    axis.axhline(0.0, color="0.5", lw=0.8)
    # a whole decade, so that no two labels touch at 0
    threshold = 10.0 ** math.ceil(math.log10(max(facts["pretrain"], 1e-12)))
    axis.set_yscale("symlog", linthresh=threshold)
    axis.set(xscale="log")


def _dress(axis, sizes: tuple[int, ...]) -> None:
    ticks = sizes if len(sizes) <= 6 else sizes[::2]
    axis.set_xticks(ticks, [str(n) for n in ticks], fontsize=8)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(axis="x", which="minor", length=0)
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(visible=True, which="major", color="0.9", lw=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_yscale() == "log":
        low, high = axis.get_ylim()
        if math.log10(high / low) > 1.5:
            axis.yaxis.set_minor_formatter(NullFormatter())
