"""Cells of text to numbers, with what is wrong in each."""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int

from ptft_jax.tables.grid import Grid
from ptft_jax.tables.problems import Problems, counted, quoted

MISSING = ["nan", "na", "n/a", "#n/a", "null", "none"]
LARGEST = 1e30  # so that sums of demand stay finite in float32


class Rule(NamedTuple):
    """What a number must satisfy, beside being a finite number."""

    broken: Callable[[Float64[np.ndarray, "..."]], Bool[np.ndarray, "..."]]
    complaint: str
    remedy: str


DEMAND = Rule(
    lambda x: x < 0,
    "is negative",
    "Demand is at least 0: add returns back where they are taken off it, and leave a "
    "cell blank only if its demand is not known.",
)
PRICE = Rule(
    lambda x: x < 0, "is a negative price", "Correct negative prices, or leave blank."
)
QUANTILE = Rule(
    lambda x: (x <= 0) | (x >= 1),
    "is not strictly between 0 and 1",
    "A quantile is a critical ratio in (0, 1): write 0.95, not 95.",
)


class Numbers(NamedTuple):
    """Numbers of a block of columns.

    Attributes:
      values: NaN where a cell is missing or unreadable.
      unreadable: cells that hold something other than a number.
      num_blank: cells that are blank.
      num_text: cells that say they are missing, such as NA.
    """

    values: Float64[np.ndarray, "T k"]
    unreadable: Bool[np.ndarray, "T k"]
    num_blank: int
    num_text: int

    def notes(self, what: str) -> list[str]:
        """What was read as missing, for the user."""
        notes = []
        if self.num_blank:
            cells = counted(self.num_blank, "blank cell")
            notes.append(f"{cells} of {what} read as missing")
        if self.num_text:
            cells = counted(self.num_text, "cell")
            notes.append(f"{cells} of {what} read as missing (text such as NA)")
        return notes


def numbers(
    grid: Grid, first: int, count: int, rule: Rule, problems: Problems
) -> Numbers:
    """Numbers of `count` neighbouring columns.

    Args:
      grid: the file.
      first: first column, from 0.
      count: number of columns, at least 1.
      rule: what a number must satisfy.
      problems: collects cells that are no number, infinite or break the rule.

    Returns:
      The numbers, and the count of what is missing.
    """
    text = grid.columns(first, count).str.strip_chars()
    parsed = text.cast(pl.Float64, strict=False)
    blank = (text.is_null() | (text == "")).fill_null(True)
    says_missing = text.str.to_lowercase().is_in(MISSING) | parsed.is_nan()
    says_missing = says_missing.fill_null(False)
    unreadable = parsed.is_null() & ~blank & ~says_missing

    def as_block(series: pl.Series) -> np.ndarray:
        return series.to_numpy().reshape(count, len(grid.rows)).T

    values = as_block(parsed)
    unreadable = as_block(unreadable)
    infinite = np.isinf(values)
    _report_unreadable(grid, first, unreadable, text, problems)
    report(
        *(grid, first, infinite, text, problems),
        "is infinite",
        "Replace infinite values by numbers, or leave them blank.",
    )
    huge = (np.abs(values) > LARGEST) & ~infinite
    report(
        *(grid, first, huge, text, problems),
        f"is larger than {LARGEST:g}",
        "Use a larger unit of demand.",
    )
    broken = rule.broken(values) & ~infinite
    report(grid, first, broken, text, problems, rule.complaint, rule.remedy)
    return Numbers(values, unreadable, int(blank.sum()), int(says_missing.sum()))


def _cells(grid: Grid, first: int, mask: Bool[np.ndarray, "T k"], text: pl.Series):
    for row, column in np.argwhere(mask):
        cell = text[int(column) * len(grid.rows) + int(row)]
        yield grid.place(int(row), first + int(column)), cell


def report(
    grid: Grid,
    first: int,
    mask: Bool[np.ndarray, "T k"],
    text: pl.Series,
    problems: Problems,
    complaint: str,
    remedy: str,
) -> None:
    """Report the cells of a block of columns that `mask` marks.

    Args:
      grid: the file.
      first: first column of the block.
      mask: which cells are wrong.
      text: the cells of the block, one column after the other.
      problems: collects them.
      complaint: what is wrong, to read after the cell.
      remedy: what the user can do.
    """
    cells = _cells(grid, first, mask, text)
    lines = (f"{place}: {quoted(cell)} {complaint}" for place, cell in cells)
    problems.add_many(int(mask.sum()), lines, remedy)


def report_thousands(
    grid: Grid,
    first: int,
    instance: Int[np.ndarray, "T k"],
    problems: Problems,
) -> None:
    """Complains of 1.000 beside 800: no program writes whole numbers in both ways.

    Args:
      grid: the file.
      first: first column of the block of demand.
      instance: whose each cell is; an instance is written in one way.
      problems: collects its cells with a dot.
    """
    text = grid.columns(first, instance.shape[1])
    if not text.str.contains(r"\.\d\d0\s*$").any():
        return
    text = text.str.strip_chars().fill_null("")
    cells = pl.DataFrame({"text": text, "instance": instance.T.ravel()})
    with_dot = pl.col("text").str.contains(".", literal=True)
    by_three = pl.col("text").str.contains(r"^[1-9]\d{0,2}\.\d{3}$")
    is_odd = (
        (by_three == with_dot).all()
        & (by_three & pl.col("text").str.ends_with("0")).any()
        & pl.col("text").str.contains(r"^[1-9]\d{0,2}$").any()
    )
    odd = cells.select(with_dot & is_odd.over("instance")).to_series()
    report(
        *(grid, first, odd.to_numpy().reshape(instance.T.shape).T, text, problems),
        "may be a thousand times as much: other cells have no dot",
        "Write 1.000 as 1000 where the dot separates thousands, and with another "
        "number of decimals (1.00) where it does not.",
    )


def _report_unreadable(
    grid: Grid,
    first: int,
    mask: Bool[np.ndarray, "T k"],
    text: pl.Series,
    problems: Problems,
) -> None:
    def complaint(cell: str) -> str:
        if re.fullmatch(r"[-+]?\d+([.,'_\s]\d+)+", cell):
            return "has a decimal comma or a thousands separator"
        return "is not a number"

    cells = _cells(grid, first, mask, text)
    lines = (f"{place}: {quoted(cell)} {complaint(cell)}" for place, cell in cells)
    problems.add_many(
        int(mask.sum()),
        lines,
        "Write numbers as 1234.5 (decimal point, no thousands separator, no unit), "
        "and leave a missing cell blank; where a mark such as - means none, write 0.",
    )
