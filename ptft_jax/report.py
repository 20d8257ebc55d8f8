"""The report of a run: its figure, and one HTML file that needs nothing else."""

import base64
import html
import math
from typing import Any

from ptft_jax import aggregate, plotting, store, verdicts
from ptft_jax.aggregate import Mean
from ptft_jax.certify import MEANING
from ptft_jax.experiment import Result
from ptft_jax.result_tables import BOUNDS, RISKS, Row

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-size:13px;margin:1rem 0}
th,td{padding:.2rem .6rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child,td.text{text-align:left}
img{max-width:100%}summary{cursor:pointer;margin:1rem 0}
:target{background:#fff3bf}a{color:#0b5394;text-decoration:none}
"""

CLAIMS = (
    "C1–C4 are the claims of the abstract of Zhang, Han, Hu and Peng (arXiv "
    "2602.03690), in our words; the theorem of the paper is not available to us. A "
    "verdict rests on the differences between paired seeds of this run only: it is "
    "supported or contradicted where Student's 95% interval excludes 0."
)
READING = (
    "Excess is Σ cost / Σ cost of full information − 1 over the portfolio, under each "
    "instance's true demand law. Solid lines are measured, dashed ones know the law of "
    "the world, dotted ones are certified bounds divided by the mean cost of full "
    "information, less 1. Cells of one seed share instances, so errors along n are "
    "correlated. Error bars are standard errors over seeds."
)
ROLLING = (
    "Under the rolling protocol a policy is judged on the next 10 periods, a bound is "
    "made from the periods before: a change between them, or a shock that instances "
    "have in common, is covered by no certificate."
)


def write(result: Result) -> None:
    """Writes `figures/risk.png`, `figures/risk.pdf` and `report.html`.

    Args:
      result: tables of a run; nothing is written where they are empty.
    """
    if not result.risks:
        return
    first = result.risks[0]
    title = f"{first['world']}, {first['protocol']}"
    figure = plotting.draw(result.risks, result.bounds, title)
    image = plotting.to_bytes(figure, "png")
    store.write_text(result.folder / "figures" / "risk.png", image)
    pdf = plotting.to_bytes(figure, "pdf")
    store.write_text(result.folder / "figures" / "risk.pdf", pdf)
    page = _page(result, title, base64.b64encode(image).decode())
    store.write_text(result.folder / "report.html", page)


def _page(result: Result, title: str, image: str) -> str:
    done = f"{result.finished} of {result.total} cells finished."
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{done} {READING}</p>",
        f'<img alt="excess cost against n" src="data:image/png;base64,{image}">',
        "<h2>Errors and certified bounds</h2>",
        *_summary_tables(result),
        f"<p><b>What the certificates mean.</b> {MEANING} {_caveat(result)}</p>",
        f"<h2>Claims</h2><p>{CLAIMS}</p>",
        _verdict_table(result),
        "<h2>Rows</h2><p>The numbers above are means of these rows.</p>",
        _row_table("risks", result.risks, RISKS),
        _row_table("bounds", result.bounds, BOUNDS),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _caveat(result: Result) -> str:
    return ROLLING if result.risks[0]["protocol"] == "rolling" else ""


def _links(rows: tuple[str, ...]) -> str:
    anchor = lambda row: f'<a href="#{row}">{row.split(":")[1]}</a>'
    kind = rows[0].split(":")[0]
    return f"{kind} {' '.join(anchor(row) for row in rows)}"


def _cell(mean: Mean | None, text: str) -> str:
    if mean is None:
        return "<td></td>"
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


def _summary_tables(result: Result) -> list[str]:
    out = []
    certified = aggregate.bound_values(result.bounds)
    truth = aggregate.bound_values(result.bounds, "risk")
    for panel, methods in aggregate.excesses(result.risks).items():
        sizes = sorted({n for series in methods.values() for n in series})
        head = "".join(f"<th>n = {n}</th>" for n in sizes)
        caption = f"m = {panel[0]} observations, q = {panel[1]:g}"
        rows = "".join(
            f"<tr><td>{name}</td>"
            + "".join(_cell(by_n.get(n), _percent(by_n.get(n))) for n in sizes)
            + "</tr>"
            for name, by_n in methods.items()
        )
        out.append(
            f"<h3>{caption}: excess cost in %</h3>"
            f"<table><tr><th>method</th>{head}</tr>{rows}</table>"
        )
        rows = "".join(
            f"<tr><td>{name}</td>"
            + "".join(
                _cell(by_n.get(n), _against(by_n.get(n), truth[panel][name].get(n)))
                for n in sizes
            )
            + "</tr>"
            for name, by_n in certified.get(panel, {}).items()
        )
        out.append(
            f"<h3>{caption}: certified bound (true value), in units of cost, or a "
            f"share</h3><table><tr><th>bound</th>{head}</tr>{rows}</table>"
        )
    return out


def _percent(mean: Mean | None) -> str:
    return "" if mean is None else percent(mean)


def _against(value: Mean | None, risk: Mean | None) -> str:
    if value is None or risk is None:
        return ""
    return f"{value.value:.5g} ({risk.value:.5g})"


def _verdict_table(result: Result) -> str:
    rows = "".join(
        f'<tr><td>{v.claim}</td><td class="text">{html.escape(v.statement)}</td>'
        f'<td class="text">{v.measured}</td><td class="text">{v.verdict}</td>'
        f'<td class="text">{_links(v.rows)}</td></tr>'
        for v in verdicts.all_claims(result.risks, result.bounds)
    )
    head = "<tr><th>claim</th><th>statement</th><th>measured</th><th>verdict</th>"
    return f"<table>{head}<th>rows</th></tr>{rows}</table>"


def _row_table(table: str, rows: list[Row], columns: tuple[str, ...]) -> str:
    def text(value: Any) -> str:
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        return html.escape(shown)

    body = "".join(
        f'<tr id="{table}:{i}"><td>{i}</td>'
        + "".join(f"<td>{text(row[name])}</td>" for name in columns)
        + "</tr>"
        for i, row in enumerate(rows, start=1)
    )
    head = "".join(f"<th>{name}</th>" for name in columns)
    return (
        f"<details open><summary>{table}.csv</summary>"
        f"<table><tr><th>row</th>{head}</tr>{body}</table></details>"
    )
