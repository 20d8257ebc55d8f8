"""The report of a run: its figures, and one HTML file that needs nothing else."""

import base64
import html
from typing import Any

from matplotlib.figure import Figure

from ptft_jax import (
    bound_figures,
    divergence_figure,
    meanings,
    path_figure,
    plotting,
    store,
    summary_tables,
    tightness_figure,
    verdicts,
)
from ptft_jax.experiment import Result
from ptft_jax.result_tables import BOUNDS, RISKS, Row, to_text

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
    "instance's truth; costs that may be 0 or less are counted from where full "
    "information costs what the column cost_full says. Solid lines are measured, "
    "dashed ones know the law of the world, dotted ones are certified bounds, "
    "dash-dotted ones laws, thin loosely dotted ones rates with a fitted constant, all "
    "in units of the mean cost of full information. Cells of one seed share instances, "
    "so errors along n are correlated. Error bars are standard errors over seeds."
)
FIGURES = {
    "risk": "excess cost against n",
    "bounds": "certified bounds, the floor and the risk against n",
    "terms": "terms of certified bounds at each n",
    "divergence": "certified bounds against the divergence and the radius",
    "paths": "excess of the two paths, the harmonic law and fitted rates against n",
    "tightness": "tightness of certified bounds against n",
}
ROLLING = (
    "Under the rolling protocol a policy is judged on the next 10 periods, a bound is "
    "made from the periods before: a change between them, or a shock that instances "
    "have in common, is covered by no certificate."
)


def figures(risks: list[Row], bounds: list[Row], title: str) -> dict[str, Figure]:
    """The figures of a run by name, those it has rows for.

    Args:
      risks: rows of `risks.csv`.
      bounds: rows of `bounds.csv`.
      title: above each.

    Returns:
      Figures, in the order of `FIGURES`.
    """
    made = {
        "risk": plotting.draw(risks, bounds, title),
        "bounds": bound_figures.draw_bounds(bounds, title),
        "terms": bound_figures.draw_terms(bounds, title),
        "divergence": divergence_figure.draw(bounds, title),
        "paths": path_figure.draw(risks, bounds, title),
        "tightness": tightness_figure.draw(bounds, title),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def write(result: Result) -> None:
    """Writes the figures, as PNG and PDF, and `report.html`.

    Args:
      result: tables of a run; nothing is written where they are empty.
    """
    if not result.risks:
        return
    first = result.risks[0]
    title, images = f"{first['world']}, {first['protocol']}", {}
    for name, figure in figures(result.risks, result.bounds, title).items():
        for form in ("png", "pdf"):
            content = plotting.to_bytes(figure, form)
            store.write_text(result.folder / "figures" / f"{name}.{form}", content)
            if form == "png":
                images[name] = base64.b64encode(content).decode()
    store.write_text(result.folder / "report.html", _page(result, title, images))


def _page(result: Result, title: str, images: dict[str, str]) -> str:
    done = f"{result.finished} of {result.total} cells finished."
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{done} {READING}</p>",
        *(
            f'<img alt="{FIGURES[name]}" src="data:image/png;base64,{image}">'
            for name, image in images.items()
        ),
        "<h2>Errors, bounds, laws and rates</h2>",
        *summary_tables.tables(result.risks, result.bounds),
        f"<p><b>What the certificates mean.</b> "
        f"{html.escape(result.meaning[meanings.CERTIFICATES])} {_caveat(result)}</p>",
        "<p><b>What each further row says.</b></p><ul>",
        *(
            f"<li><b>{html.escape(name)}</b>: {html.escape(text)}</li>"
            for name, text in result.meaning.items()
            if name != meanings.CERTIFICATES
        ),
        "</ul>",
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
        shown = f"{value:.6g}" if isinstance(value, float) else to_text(value)
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
