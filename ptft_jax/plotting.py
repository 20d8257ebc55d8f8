"""The figure of a run: measured errors and certified bounds against n."""

import io
import itertools
import math
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ptft_jax import aggregate
from ptft_jax.aggregate import Mean, Panel, Row, Series

# Okabe & Ito's palette, told apart by the colour blind; the remaining hues of it and
# greys, thin and with a marker each, are the baselines'.
STYLES: dict[str, dict[str, Any]] = {
    "pretrained": {"color": "#0072B2", "marker": "o", "lw": 2},
    "finetuned": {"color": "#D55E00", "marker": "s", "lw": 2.4},
    "scratch": {"color": "#009E73", "marker": "^", "lw": 2},
    "bayes": {"color": "black", "ls": (0, (6, 1.5)), "lw": 1.3},
    "hierarchical_bayes": {"color": "black", "ls": (0, (3, 1.5, 1, 1.5)), "lw": 1.3},
}
LABELS = {
    "pretrained": "pretrained",
    "finetuned": "pretrained, then fine-tuned",
    "scratch": "same network from scratch",
    "bayes": "Bayes, law known",
    "hierarchical_bayes": "Bayes, law unknown",
    "saa": "SAA",
    "pooled_loo": "pooled, leave-one-out",
    "pooled_mean": "pooled, mean",
    "shrunken_saa": "Shrunken-SAA",
    "lognormal_eb": "lognormal EB",
    "global_qr": "global quantile regression",
    "normal_t": "normal-t",
    "gamma_poisson_eb": "Gamma–Poisson EB",
    "npmle_negbin": "NPMLE NegBin",
}
THIN = ("#CC79A7", "#56B4E9", "#E69F00", "0.45", "#B8A600", "0.65")
SHIFT = {"pretrained": 0.975, "finetuned": 1.0, "scratch": 1.025}
MARKERS = "vDPX<>*hd"
CERTIFIED = {
    "pretrained_betting": ("pretrained", "certified: pretrained, betting"),
    "finetuned_betting": ("finetuned", "certified: fine-tuned, betting"),
    "finetuned_hoeffding": ("finetuned", "certified: fine-tuned, Hoeffding"),
}


def draw(risks: list[Row], bounds: list[Row], title: str) -> Figure:
    """Excess cost against n, one panel for each m and q, all on one scale.

    Line styles tell the tiers apart: measured solid, references dashed, bounds dotted.

    Args:
      risks: rows of `risks.csv`.
      bounds: rows of `bounds.csv`.
      title: above the panels.

    Returns:
      The figure, its legend beside the panels.
    """
    measured = aggregate.excesses(risks)
    certified = aggregate.bound_values(bounds)
    full = aggregate.full_costs(risks)
    panels = list(measured)
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    size = (4.3 * columns + 2.9, 4.0 * lines + 0.7)
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for panel, axis in zip(panels, axes.flat, strict=False):
        _draw_measured(axis, measured[panel])
        _draw_certified(axis, certified.get(panel, {}), full[panel])
        _dress(axis, panel, measured[panel])
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for row in axes:
        row[0].set_ylabel("excess cost over full information")
    for axis in axes[-1]:
        axis.set_xlabel("instances n")
    handles = _handles(axes.flat[: len(panels)])
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside right upper",
        frameon=False,
        fontsize=8,
        handlelength=3.2,
    )
    figure.suptitle(title, fontsize=11)
    return figure


def _handles(axes) -> dict[str, Any]:
    """Legend entries by label, once each: networks, references, baselines, bounds."""
    found: dict[str, Any] = {}
    for axis in axes:
        pairs = axis.get_legend_handles_labels()
        found |= dict(zip(pairs[1], pairs[0], strict=True))
    first = [LABELS[method] for method in STYLES]
    last = [label for _, label in CERTIFIED.values()]
    middle = [label for label in found if label not in (*first, *last)]
    return {x: found[x] for x in (*first, *middle, *last) if x in found}


def _points(series: dict[int, Mean]) -> tuple[list[int], list[float], list[float]]:
    """Points that a logarithmic scale can show, and their standard errors."""
    shown = [(n, m) for n, m in series.items() if m.value > 0.0]
    error = [0.0 if math.isnan(m.error) else m.error for _, m in shown]
    # an error bar that reaches 0 has no place on the scale
    error = [min(e, 0.9 * m.value) for e, (_, m) in zip(error, shown, strict=True)]
    return [n for n, _ in shown], [m.value for _, m in shown], error


def _draw_measured(axis, methods: Series) -> None:
    looks = zip(itertools.cycle(THIN), itertools.cycle(MARKERS), strict=False)
    for method, series in methods.items():
        if method == "full_information":
            continue
        n, value, error = _points(series)
        style = STYLES.get(method)
        if style is None:
            color, marker = next(looks)
            style = {"color": color, "marker": marker, "lw": 0.9, "ms": 4}
        # only networks have error bars, side by side so that they can be told apart
        if method in SHIFT:
            n = [SHIFT[method] * each for each in n]
        else:
            error = None
        plain = {"ls": "-", "ms": 5, "label": LABELS.get(method, method)}
        front = 3 if method in STYLES else 2
        axis.errorbar(
            n,
            value,
            yerr=error,
            capsize=2,
            elinewidth=1.2,
            zorder=front,
            **(plain | style),
        )


def _draw_certified(axis, bounds: Series, full: dict[int, float]) -> None:
    for name, (policy, label) in CERTIFIED.items():
        if name not in bounds:
            continue
        excess = {
            n: m._replace(value=m.value / full[n] - 1.0, error=math.nan)
            for n, m in bounds[name].items()
        }
        n, value, _ = _points(excess)
        weight = 0.9 if "hoeffding" in name else 1.8
        look = {"color": STYLES[policy]["color"], "ls": ":", "lw": weight}
        axis.plot(n, value, marker=".", ms=4, label=label, zorder=3, **look)


def _percent(value: float, _: object = None) -> str:
    return f"{100.0 * value:g} %"


def _dress(axis, panel: Panel, methods: Series) -> None:
    axis.set(xscale="log", yscale="log")
    sizes = sorted({n for series in methods.values() for n in series})
    axis.set_xticks(sizes, [str(n) for n in sizes])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(axis="x", which="minor", length=0)
    axis.yaxis.set_major_formatter(FuncFormatter(_percent))
    # a baseline that is far off must not press the rest together
    shown = [line for line in axis.get_lines() if line.get_zorder() >= 3]
    top = max((max(line.get_ydata(), default=0.0) for line in shown), default=0.0)
    low, high = axis.get_ylim()
    if 0.0 < low < top:
        high = min(high, 1.5 * top)
        axis.set_ylim(low, high)
    if not low > 0.0:
        # nothing to show on a logarithmic scale
        axis.set_ylim(low := 1e-3, high := 1.0)
    if math.log10(high / low) < 2.0:
        axis.yaxis.set_minor_formatter(FuncFormatter(_sparse_percent))
        axis.tick_params(axis="y", which="minor", labelsize=7)
    axis.grid(visible=True, which="major", color="0.9", lw=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(aggregate.name_of(panel), fontsize=10)


def _sparse_percent(value: float, _: object = None) -> str:
    """Labels of the minor ticks 2 and 5 only, so that none touch."""
    digit = value / 10.0 ** math.floor(math.log10(value) + 1e-9)
    return _percent(value) if round(digit, 6) in (2.0, 5.0) else ""


def to_bytes(figure: Figure, form: str) -> bytes:
    """The figure as a file's contents, the same for the same rows.

    Args:
      figure: of `draw`.
      form: png or pdf.

    Returns:
      The bytes.
    """
    buffer = io.BytesIO()
    metadata = {"CreationDate": None} if form == "pdf" else {"Software": None}
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, metadata=metadata)
    return buffer.getvalue()
