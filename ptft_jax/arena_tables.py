"""What the arena found, as text and as rows."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from theory.verdict import Case, Size, Verdict, describe


def to_csv(rows: Sequence[Case] | Sequence[Size], **first: Sequence[Any]) -> str:
    """Records as a CSV file.

    Args:
      rows: at least one, all of one type.
      **first: columns before those of the records, by name.

    Returns:
      The file; None is blank.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*first, *rows[0]._fields])
    columns = zip(*first.values(), strict=True) if first else [()] * len(rows)
    writer.writerows([*more, *row] for more, row in zip(columns, rows, strict=True))
    return buffer.getvalue()


def text(verdict: Verdict, name: str) -> str:
    """Violation rates, sizes and ranks, as a terminal shows them.

    Args:
      verdict: of `theory.arena.run`.
      name: of the bound.

    Returns:
      Lines; the verdict itself is not among them.
    """
    lines = [
        f"{name}: {verdict.calls:,} calls",
        "",
        "violation rate at the worst law (exact, or * observed)",
        *_rates(verdict.cases),
        f"worst: {describe(verdict.worst, verdict.p_value)}",
        "",
        "size at delta = 0.05: mean bound U, risk R, rho = U/R, gap = U - R,",
        "tau = gap/(baseline - R), U/least with least = max(floor, CLT)",
        *_sizes(verdict.sizes, name),
    ]
    return "\n".join(lines)


def worst_rates(cases: Sequence[Case]) -> dict[str, dict[float, Case]]:
    """The case with the smallest p-value, then the largest rate, of each test, by δ.

    Args:
      cases: of a verdict.

    Returns:
      By test, then by δ.
    """
    found: dict[str, dict[float, Case]] = {}
    for case in cases:
        by_delta = found.setdefault(case.test, {})
        kept = by_delta.get(case.delta)
        if kept is None or (case.p_value, -case.rate) < (kept.p_value, -kept.rate):
            by_delta[case.delta] = case
    return found


def _rates(cases: Sequence[Case]) -> list[str]:
    deltas = sorted({case.delta for case in cases})
    rows = [["", *(f"delta = {delta:g}" for delta in deltas)]]
    for test, by_delta in worst_rates(cases).items():
        shown = (by_delta.get(delta) for delta in deltas)
        rows.append([test, *("" if case is None else _rate(case) for case in shown)])
    return _aligned(rows)


def _rate(case: Case) -> str:
    return f"{case.rate:.4f}{'*' if case.replications else ' '}"


def _sizes(sizes: Sequence[Size], name: str) -> list[str]:
    rows = [
        ["", "n", "R", "U", "rho", "gap", "tau", "U/least", "rank", "smallest valid"]
    ]
    for world, n in dict.fromkeys((size.world, size.n) for size in sizes):
        group = [size for size in sizes if (size.world, size.n) == (world, n)]
        own = next(size for size in group if size.bound == name)
        # the size of a bound that does not hold is no measure for others
        sound = [size for size in group if size is not own or own.rank is not None]
        least = min(sound, key=lambda size: size.value)
        numbers = (own.risk, own.value, own.ratio, own.gap, own.tau, own.over_floor)
        rank = "-" if own.rank is None else f"{own.rank} of {len(group)}"
        smallest = f"{least.bound} {least.value:.4f}"
        rows.append([world, f"{n:,}", *(f"{x:.4f}" for x in numbers), rank, smallest])
    return _aligned(rows)


def _aligned(rows: list[list[str]]) -> list[str]:
    """The first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
