"""The arena's figure: violation rates against δ, and sizes against n."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from scipy import stats

from ptft_jax.plotting import MARKERS, THIN
from theory.sizes import SHIPPED
from theory.verdict import Case, Size, Verdict

OWN = {"color": "#D55E00", "lw": 2.4, "marker": "s", "ms": 6, "zorder": 4}
LEAST = {"color": "black", "ls": (0, (6, 1.5)), "lw": 1.3, "zorder": 3}
LOWEST_RATE = 1e-3

# Side by side over this range of factors, so that rates of 1 can be told apart.
DODGE = (0.88, 1.12)


def _styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """There are more names than hues: lines of the second round are dotted."""
    return {
        name: {
            "color": THIN[i % len(THIN)],
            "marker": MARKERS[i % len(MARKERS)],
            "ls": ":" if i >= len(THIN) else "-",
            "lw": 1.1,
            "ms": 4.5,
        }
        for i, name in enumerate(names)
    }


SHIPPED_STYLES = _styles(SHIPPED)


def draw(verdict: Verdict, controls: dict[str, list[Case]], name: str) -> Figure:
    """Violation rates with the negative controls, and ρ and gap on each law.

    Args:
      verdict: of `theory.arena.run`.
      controls: cases of the negative controls, by name.
      name: of the bound.

    Returns:
      The figure, its legends below the panels.
    """
    worlds = list(dict.fromkeys(size.world for size in verdict.sizes))
    figure = Figure(figsize=(5.6 + 3.1 * len(worlds), 6.6), dpi=150)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(5.6, 3.1 * len(worlds)))
    axis = left.subplots()
    _draw_rates(axis, verdict.cases, controls)
    handles, labels = axis.get_legend_handles_labels()
    left.legend(handles, labels, loc="outside lower center", ncols=2, **_SMALL)
    axes = right.subplots(2, len(worlds), squeeze=False, sharex=True)
    for column, world in zip(axes.T, worlds, strict=True):
        rows = [size for size in verdict.sizes if size.world == world]
        _draw_sizes(column, rows, name)
        column[0].set_title(f"{world}\nrisk {rows[0].risk:.3g}", fontsize=10)
        column[1].set_xlabel("instances n")
    axes[0, 0].set_ylabel("ρ = bound / risk (no unit)")
    axes[1, 0].set_ylabel("gap = bound − risk (loss in [0, 1])")
    found = {}
    for one in axes.flat:
        found |= dict(zip(*reversed(one.get_legend_handles_labels()), strict=True))
    right.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=4, **_SMALL
    )
    state = "valid" if verdict.valid else "rejected"
    figure.suptitle(f"{name}: {state}", fontsize=12)
    return figure


_SMALL: dict[str, Any] = {"frameon": False, "fontsize": 8, "handlelength": 2.4}


def largest(cases: Sequence[Case]) -> dict[float, float]:
    """Largest violation rate at each δ.

    Args:
      cases: exact, or observed.

    Returns:
      Rate by δ, from the smallest δ.
    """
    deltas = sorted({case.delta for case in cases})
    return {d: max(case.rate for case in cases if case.delta == d) for d in deltas}


def _draw_rates(axis, cases: Sequence[Case], controls: dict[str, list[Case]]) -> None:
    diagonal = (LOWEST_RATE, 1.0)
    axis.plot(diagonal, diagonal, label="rate = δ", **LEAST)
    axis.fill_between(diagonal, diagonal, 1.3, color="0.93", zorder=0)
    dodges = np.geomspace(*DODGE, len(controls))
    for (control, look), dodge in zip(_styles(controls).items(), dodges, strict=True):
        rates = largest(controls[control])
        at = [dodge * delta for delta in rates]
        axis.plot(at, _shown(rates), label=f"control: {control}", **look)
    exact = largest([case for case in cases if not case.replications])
    axis.plot(list(exact), _shown(exact), label="this bound, exact", **OWN)
    sampled = [case for case in cases if case.replications]
    for delta in sorted({case.delta for case in sampled}):
        at_delta = [case for case in sampled if case.delta == delta]
        # not the largest rate, which few samples may have by chance
        worst = min(at_delta, key=lambda case: (case.p_value, -case.rate))
        misses = round(worst.rate * worst.replications)
        test = stats.binomtest(misses, worst.replications)
        low, high = test.proportion_ci(0.95, "exact")
        shown = max(worst.rate, LOWEST_RATE)
        reach = [[shown - max(low, LOWEST_RATE)], [max(high, shown) - shown]]
        first = delta == min(case.delta for case in sampled)
        look = {"color": OWN["color"], "mfc": "white", "marker": "o", "zorder": 5}
        label = "this bound, observed (95 %, beside δ)" if first else None
        # beside the exact rate, so that both can be seen
        axis.errorbar(
            [1.2 * delta], [shown], reach, ls="", capsize=3, label=label, **look
        )
    axis.set(xscale="log", yscale="log", xlim=(0.007, 0.75), ylim=(LOWEST_RATE, 1.3))
    ticks = sorted({case.delta for case in cases})
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("nominal failure probability δ")
    axis.set_ylabel("largest violation rate found (probability; ≤ 10⁻³ at the edge)")
    axis.set_title("above the line a bound does not hold", fontsize=10)
    _dress(axis)


def _shown(rates: dict[float, float]) -> list[float]:
    return [max(rate, LOWEST_RATE) for rate in rates.values()]


def _draw_sizes(axes, rows: Sequence[Size], name: str) -> None:
    for bound in dict.fromkeys(size.bound for size in rows):
        shown = [size for size in rows if size.bound == bound]
        look = OWN if bound == name else SHIPPED_STYLES[bound]
        n = [size.n for size in shown]
        axes[0].plot(
            n,
            [size.ratio for size in shown],
            label="this bound" if bound == name else bound,
            **look,
        )
        axes[1].plot(n, [size.gap for size in shown], **look)
    own = [size for size in rows if size.bound == name]
    n, risk = [size.n for size in own], own[0].risk
    least = [size.value / size.over_floor for size in own]
    axes[0].plot(n, [x / risk for x in least], label="max(floor, CLT)", **LEAST)
    axes[1].plot(n, [x - risk for x in least], **LEAST)
    for axis in axes:
        axis.set(xscale="log", yscale="log")
        axis.set_xticks(n, [str(each) for each in n], fontsize=8)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.tick_params(axis="x", which="minor", length=0)
        _dress(axis)
    for each in (axes[0].yaxis.set_major_formatter, axes[0].yaxis.set_minor_formatter):
        each(FuncFormatter(_sparse))


def _sparse(value: float, _: object = None) -> str:
    """Labels of 1, 2, 3 and 5 times a power of ten only, so that none touch."""
    digit = value / 10.0 ** math.floor(math.log10(value) + 1e-9)
    return f"{value:g}" if round(digit, 6) in (1.0, 2.0, 3.0, 5.0) else ""


def _dress(axis) -> None:
    axis.grid(visible=True, which="major", color="0.88", lw=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
