"""The result of a run as a terminal or another program wants it."""

from typing import Any

from ptft_jax import aggregate, verdicts
from ptft_jax.experiment import Result
from ptft_jax.own_bounds import is_own
from ptft_jax.summary_tables import percent

SHOWN = ("pretrained", "finetuned")


def summary(result: Result) -> dict[str, Any]:
    """The run in few numbers, JSON-serialisable.

    Args:
      result: tables of a run.

    Returns:
      Mean excess of each method and mean value of each certified bound, by m, q and n,
      and the verdicts on the claims.
    """
    certified = aggregate.bound_values(result.bounds)
    panels = []
    for panel, methods in aggregate.excesses(result.risks).items():
        tables = (("excess", methods), ("bounds", certified.get(panel, {})))
        found = {
            field: {
                name: {str(n): mean.value for n, mean in by_n.items()}
                for name, by_n in series.items()
            }
            for field, series in tables
        }
        panels.append({"observations": panel[0], "quantile": panel[1], **found})
    held = _held(result)
    claims = [
        {k: v for k, v in verdict._asdict().items() if k not in ("rows", "short")}
        for verdict in verdicts.all_claims(result.risks, result.bounds)
    ]
    return {
        "out": str(result.folder),
        "report": str(result.folder / "report.html"),
        "cells": {"finished": result.finished, "total": result.total},
        "bounds_held": {"held": sum(held), "of": len(held)},
        "claims": claims,
        "results": panels,
    }


def _held(result: Result) -> list[bool]:
    """Whether each certified bound holds."""
    return [
        row["holds"]
        for row in result.bounds
        if row["term"] == "total" and row["tier"] == "certified"
    ]


def _own(found: aggregate.Series) -> list[str]:
    """Bounds of one's own on the policies that are shown."""
    starts = tuple(f"{policy}_" for policy in SHOWN)
    return [name for name in found if is_own(name) and name.startswith(starts)]


def print_table(result: Result) -> None:
    """Prints excesses, certified bounds and verdicts, and where the report is.

    Args:
      result: tables of a run.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console()
    certified = aggregate.bound_values(result.bounds)
    full = aggregate.full_costs(result.risks)
    for panel, methods in aggregate.excesses(result.risks).items():
        sizes = sorted({n for series in methods.values() for n in series})
        name = result.risks[0]["world"]
        title = f"{name}: {aggregate.name_of(panel)}"
        table = Table(title=title, caption="excess cost over full information, in %")
        table.add_column("method", no_wrap=True)
        for n in sizes:
            table.add_column(f"n = {n}", justify="right", no_wrap=True)
        for method, by_n in methods.items():
            style = "bold" if method == "finetuned" else None
            cells = [percent(by_n[n]) if n in by_n else "" for n in sizes]
            table.add_row(method, *cells, style=style)
        table.add_section()
        found = certified.get(panel, {})
        named = {f"{policy}_betting": f"certified {policy}" for policy in SHOWN}
        named |= {name: name.replace("_", ", ", 1) for name in _own(found)}
        for name, label in named.items():
            by_n = found.get(name, {})
            excess = {n: m.value / full[panel][n] - 1.0 for n, m in by_n.items()}
            cells = [f"≤ {100.0 * excess[n]:.1f}" if n in excess else "" for n in sizes]
            table.add_row(label, *cells)
        console.print(table)
    table = Table(title="claims C1–C4 (abstract of arXiv 2602.03690, in our words)")
    for name in ("claim", "compared", "measured", "verdict"):
        table.add_column(name, overflow="fold")
    for v in verdicts.brief(verdicts.all_claims(result.risks, result.bounds)):
        table.add_row(v.claim, v.short, v.measured, v.verdict)
    console.print(table)
    held = _held(result)
    console.print(f"{sum(held)} of {len(held)} certified bounds hold.", highlight=False)
    where = result.folder / "report.html"
    console.print(f"report: {where}", highlight=False, soft_wrap=True)
