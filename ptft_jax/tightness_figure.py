"""How close certified bounds are to the risk: ρ, gap and τ against n."""

import math

from matplotlib.figure import Figure

from ptft_jax import aggregate, bound_figures
from ptft_jax.aggregate import Row, Series
from theory import scaling

GAIN = "pretrained_gain_over_saa"


def _baseline(truth: Series, n: int) -> float | None:
    """Risk of SAA, from the pretrained risk and the true gain over it."""
    gain = truth.get(GAIN, {})
    return truth["pretrained_betting"][n].value + gain[n].value if n in gain else None


def draw(bounds: list[Row], title: str) -> Figure | None:
    """ρ = bound/risk, gap and τ = gap/(risk of SAA − risk) of certified bounds.

    Args:
      bounds: rows of `bounds.csv`.
      title: above the panels.

    Returns:
      The figure, one row for each m and q; None where there is no bound.
    """
    certified = aggregate.bound_values(bounds)
    truth = aggregate.bound_values(bounds, "risk")
    if not any(map(bound_figures.certified_in, certified.values())):
        return None
    fields = {"ratio": "ρ = bound / risk", "gap": "gap, units of cost"}
    text = "tightness"
    if any(GAIN in found for found in truth.values()):
        fields["tau"] = "τ = gap / (SAA − risk)"
        text = "tightness (below τ = 1 the bound certifies a gain over SAA)"
    figure, axes = bound_figures.grid(len(certified), len(fields))
    for (panel, found), row in zip(certified.items(), axes, strict=True):
        sizes = sorted({n for series in found.values() for n in series})
        for name, (label, style) in bound_figures.certified_in(found).items():
            made = {
                n: scaling.tightness(
                    mean.value, truth[panel][name][n].value, _baseline(truth[panel], n)
                )
                for n, mean in found[name].items()
            }
            look = {**bound_figures.DOTTED, **style, "label": f"certified: {label}"}
            for axis, field in zip(row, fields, strict=True):
                points = {n: getattr(t, field) for n, t in made.items()}
                points = {n: y for n, y in points.items() if math.isfinite(y) and y > 0}
                axis.plot(list(points), list(points.values()), **look)
        for axis, (field, meaning) in zip(row, fields.items(), strict=True):
            if not any(len(line.get_ydata()) for line in axis.get_lines()):
                axis.set_visible(False)
                continue
            if field == "tau":
                axis.axhline(1.0, color="black", lw=0.8)
            bound_figures.dress(axis, sizes)
            axis.set_title(f"{meaning}; {aggregate.name_of(panel)}", fontsize=10)
    bound_figures.legend(figure, axes)
    bound_figures.head(figure, f"{title}: {text}")
    return figure
