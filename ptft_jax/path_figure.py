"""The two paths against n: pretrained, from scratch, fine-tuned, and what laws say."""

import numpy as np
from matplotlib.figure import Figure

from ptft_jax import aggregate, bound_figures, path_excess
from ptft_jax.aggregate import Mean, Row, Series
from ptft_jax.path_excess import PATHS
from ptft_jax.plotting import LABELS, SHIFT, STYLES


def _points(series: dict[int, Mean]):
    kept = {n: m for n, m in series.items() if m.value > 0.0}
    value = [m.value for m in kept.values()]
    error = [min(np.nan_to_num(m.error), 0.9 * m.value) for m in kept.values()]
    return list(kept), value, error


def draw(risks: list[Row], bounds: list[Row], title: str) -> Figure:
    """Excess of the paths against n, one panel for each m and q.

    Measured solid with standard errors over seeds; the harmonic law dash-dotted; rates,
    each with its constant fitted to the fine-tuned curve, thin and loosely dotted.

    Args:
      risks: rows of `risks.csv`.
      bounds: rows of `bounds.csv`.
      title: above the panels.

    Returns:
      The figure.
    """
    reference, panels = path_excess.over_reference(risks)
    full = aggregate.full_costs(risks)
    laws = aggregate.bound_values(bounds, tier="law")
    rates = aggregate.bound_values(bounds, tier="rate")
    columns = min(3, len(panels))
    figure, axes = bound_figures.grid(-(-len(panels) // columns), columns)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for (panel, paths), axis in zip(panels.items(), axes.flat, strict=False):
        for path in PATHS:
            n, value, error = _points(paths[path])
            n = [SHIFT[path] * each for each in n]  # equal curves side by side
            look = {"capsize": 2, "ms": 5, "ls": "-", **STYLES[path]}
            label = f"measured: {LABELS[path]}"
            axis.errorbar(n, value, error, label=label, **look)
        law = laws.get(panel, {}).get("harmonic", {})
        scaled = lambda series, panel=panel: [
            m.value / full[panel][n] for n, m in series.items()
        ]
        style = {**bound_figures.LAW, "color": "black", "marker": "x", "ms": 5}
        axis.plot(list(law), scaled(law), label="law: harmonic of the two", **style)
        _draw_rates(axis, rates.get(panel, {}), scaled)
        star = path_excess.crossover(paths)
        if star is not None:
            axis.axvline(star, color="0.5", lw=0.9)
            axis.annotate(
                f"n* = {star:.0f}",
                (star, 0.98),
                xycoords=("data", "axes fraction"),
                va="top",
                fontsize=9,
            )
        bound_figures.dress(axis, sorted(paths["pretrained"]))
        axis.set_title(aggregate.name_of(panel), fontsize=10)
    over = "Bayes" if reference == "bayes" else "full information"
    axes[0, 0].set_ylabel(f"(cost − {over}) / full information")
    bound_figures.legend(figure, axes)
    bound_figures.head(figure, f"{title}: the two paths, excess over {over}")
    return figure


def _draw_rates(axis, rates: Series, scaled) -> None:
    names = {
        "rate_data_pooling": ("C/√n", "1"),
        "rate_universal_priors": ("C·ln³k/(k (ln ln k)²) for pretrained", "2"),
    }
    for name, series in rates.items():
        formula, marker = names[name]
        style = {**bound_figures.RATE, "marker": marker, "ms": 7}
        axis.plot(
            list(series), scaled(series), label=f"rate: {formula}, C fitted", **style
        )
