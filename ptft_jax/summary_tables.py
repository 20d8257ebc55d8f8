"""The tables of a report: means over seeds, one tier at a time."""

import html
import math

from ptft_jax import aggregate
from ptft_jax.aggregate import Mean, Row

TIERS = {
    "certified": (
        "certified bound (true value), in units of cost, or a share",
        "Each holds with probability at least 1 − δ, every constant included.",
    ),
    "law": (
        "law (measured), in units of cost",
        "Exact statements about expectations or about the truth; none is certified "
        "for this run.",
    ),
    "rate": (
        "rate with a fitted constant (measured), in units of cost",
        "Only the shape is the rate's: the constant was fitted to these errors.",
    ),
}


def _cell(mean: Mean, text: str) -> str:
    return (
        f'<td title="{" ".join(mean.rows)}"><a href="#{mean.rows[0]}">{text}</a></td>'
    )


def percent(mean: Mean) -> str:
    """A mean excess in percent, with its standard error.

    Args:
      mean: over seeds.

    Returns:
      Such as "7.3 ± 0.2".
    """
    error = "" if math.isnan(mean.error) else f" ± {100.0 * mean.error:.1f}"
    return f"{100.0 * mean.value:.1f}{error}"


def _table(corner: str, sizes: list[int], rows: dict[str, dict[int, str]]) -> str:
    head = "".join(f"<th>n = {n}</th>" for n in sizes)
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(by_n.get(n, "<td></td>") for n in sizes)
        + "</tr>"
        for name, by_n in rows.items()
    )
    return f"<table><tr><th>{corner}</th>{head}</tr>{body}</table>"


def tables(risks: list[Row], bounds: list[Row]) -> list[str]:
    """Means over seeds by n: excesses, then each tier on its own, then all terms.

    Args:
      risks: rows of `risks.csv`.
      bounds: rows of `bounds.csv`.

    Returns:
      Pieces of HTML; every number links to the first of its rows and names them all.
    """
    out = []
    terms = aggregate.term_values(bounds)
    for panel, methods in aggregate.excesses(risks).items():
        sizes = sorted({n for series in methods.values() for n in series})
        caption = aggregate.name_of(panel)
        rows = {
            name: {n: _cell(mean, percent(mean)) for n, mean in by_n.items()}
            for name, by_n in methods.items()
        }
        out += [
            f"<h3>{caption}: excess cost in %</h3>",
            _table("method", sizes, rows),
        ]
        for tier in TIERS:
            out += _tier_table(bounds, tier, panel, caption, sizes)
        rows = {
            f"{bound}: {term}": {n: _cell(m, f"{m.value:.5g}") for n, m in by_n.items()}
            for bound, series in terms.get(panel, {}).items()
            for term, by_n in series.items()
        }
        shown = _table("bound: term", sizes, rows)
        out.append(f"<details><summary>{caption}: terms</summary>{shown}</details>")
    return out


def _tier_table(bounds: list[Row], tier: str, panel, caption, sizes) -> list[str]:
    """One tier's rows: no column has those of two."""
    heading, note = TIERS[tier]
    found = aggregate.bound_values(bounds, tier=tier).get(panel, {})
    if not found:
        return []
    truth = aggregate.bound_values(bounds, "risk", tier)[panel]
    rows = {
        name: {
            n: _cell(mean, _against(mean, truth[name][n])) for n, mean in by_n.items()
        }
        for name, by_n in found.items()
    }
    return [
        f"<h3>{caption}: {heading}</h3><p>{note}</p>",
        _table(tier, sizes, rows),
    ]


def _against(value: Mean, risk: Mean) -> str:
    return f"{value.value:.5g} ({risk.value:.5g})"
