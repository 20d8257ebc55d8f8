"""The result of a run as a terminal or another program wants it."""

from typing import Any

from ptft_jax import aggregate
from ptft_jax.experiment import Result
from ptft_jax.report import percent

SHOWN = ("pretrained", "finetuned")


def summary(result: Result) -> dict[str, Any]:
    """The run in few numbers, JSON-serialisable.

    Args:
      result: tables of a run.

    Returns:
      Mean excess of each method and mean value of each bound, by m, q and n.
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
    held = [row["holds"] for row in result.bounds if row["term"] == "total"]
    return {
        "out": str(result.folder),
        "report": str(result.folder / "report.html"),
        "cells": {"finished": result.finished, "total": result.total},
        "bounds_held": {"held": sum(held), "of": len(held)},
        "results": panels,
    }


def print_table(result: Result) -> None:
    """Prints excesses and certified bounds, and where the report is.

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
        title = f"{name}: m = {panel[0]}, q = {panel[1]:g}"
        table = Table(title=title, caption="excess cost over full information, in %")
        table.add_column("method", no_wrap=True)
        for n in sizes:
            table.add_column(f"n = {n}", justify="right", no_wrap=True)
        for method, by_n in methods.items():
            style = "bold" if method == "finetuned" else None
            cells = [percent(by_n[n]) if n in by_n else "" for n in sizes]
            table.add_row(method, *cells, style=style)
        table.add_section()
        for policy in SHOWN:
            by_n = certified.get(panel, {}).get(f"{policy}_betting", {})
            excess = {n: m.value / full[panel][n] - 1.0 for n, m in by_n.items()}
            cells = [f"≤ {100.0 * excess[n]:.1f}" if n in excess else "" for n in sizes]
            table.add_row(f"certified {policy}", *cells)
        console.print(table)
    held = [row["holds"] for row in result.bounds if row["term"] == "total"]
    console.print(f"{sum(held)} of {len(held)} certified bounds hold.", highlight=False)
    where = result.folder / "report.html"
    console.print(f"report: {where}", highlight=False, soft_wrap=True)
