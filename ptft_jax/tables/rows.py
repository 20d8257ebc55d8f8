"""What tables of rows share: whose a row is, its time and order, its numbers."""

import operator
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Float64, Int

from ptft_jax.tables import times as times_
from ptft_jax.tables.cells import LARGEST
from ptft_jax.tables.grid import Grid
from ptft_jax.tables.problems import Problems, quoted


def at(row: SupportsIndex) -> str:
    """Where a row is, the header being row 1.

    Args:
      row: from 0.

    Returns:
      Its place, for a message.
    """
    return f"row {operator.index(row) + 2}"


def _text(column: pl.Series) -> pl.Series:
    """A column as stripped text, blank where a cell is null."""
    return column.cast(pl.String).fill_null("").str.strip_chars()


def floats(column: pl.Series) -> Float64[np.ndarray, "rows"]:
    """A column as numbers.

    Args:
      column: of any type.

    Returns:
      The numbers, NaN where a cell holds none.
    """
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    numbers = column.cast(pl.Float64, strict=False).fill_null(np.nan)
    return numbers.to_numpy().astype(np.float64)


def check_size(
    name: str,
    values: Float64[np.ndarray, "rows"],
    problems: Problems,
    least: float = 1.0 / LARGEST,
    largest: float = LARGEST,
) -> None:
    """Complains of numbers that single precision would lose.

    Args:
      name: of the column.
      values: of the rows; 0 and what is no number are complained of elsewhere.
      problems: to add to.
      least: size below which a number other than 0 is refused.
      largest: size above which it is.
    """
    size = np.abs(values)
    lost = ((size > largest) & np.isfinite(size)) | ((size < least) & (size > 0.0))
    bad = np.flatnonzero(lost)
    problems.add_many(
        len(bad),
        (f"{at(row)}: {name} is {values[row]:g}" for row in bad),
        f"Use another unit of {name}, in which sizes are {least:g} to {largest:g}.",
    )


def is_blank(
    column: pl.Series, blank: Sequence[str] = ("",)
) -> Bool[np.ndarray, "rows"]:
    """Rows in which a column says nothing.

    Args:
      column: of any type.
      blank: what counts as nothing beside null, in small letters.

    Returns:
      A mask, whatever white space there is.
    """
    return _text(column).str.to_lowercase().is_in(blank).to_numpy()


def instances(
    column: pl.Series, problems: Problems
) -> tuple[Int[np.ndarray, "rows"], list[str]]:
    """Whose each row is.

    Args:
      column: names of instances; blank ones are complained of.
      problems: to add to.

    Returns:
      The position of each row's instance, and names in order of appearance.
    """
    _check_names(column, problems)
    labels = _text(column)
    names = labels.unique(maintain_order=True).to_list()
    codes = labels.cast(pl.Enum(names)).to_physical().to_numpy()
    return codes.astype(int), names


def _check_names(column: pl.Series, problems: Problems) -> None:
    blank = np.flatnonzero(is_blank(column))
    problems.add_many(
        len(blank),
        (f"{at(row)}: its instance is blank" for row in blank),
        "Name the instance of each row.",
    )


def one_each(column: pl.Series, problems: Problems) -> list[str]:
    """Names of instances that have a row each.

    Args:
      column: the names; blank ones and those that repeat are complained of.
      problems: to add to.

    Returns:
      The names.
    """
    _check_names(column, problems)
    names = _text(column).to_list()
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        if first.setdefault(name, row) != row and name:
            problems.add(
                f"{at(row)}: {quoted(name)} is also in {at(first[name])}",
                "Keep one row an instance: put together what is known of it.",
            )
    return names


def time_order(times: pl.Series, problems: Problems) -> Int[np.ndarray, "rows"]:
    """Rows in the order of their times.

    Args:
      times: numbers, dates, or labels that stand in the order of their appearance.
      problems: to add labels to that are unlike the others.

    Returns:
      Positions of rows, earliest first.
    """
    grid = Grid(["time"], _text(times), np.arange(len(times)) + 2, 0, [])
    return np.argsort(times_.read(grid, 0, problems).codes, kind="stable")


def check_time(
    times: pl.Series,
    codes: Int[np.ndarray, "rows"],
    names: list[str],
    problems: Problems,
) -> None:
    """Complains of rows without a time and of an instance's second row of one time.

    Args:
      times: of any type.
      codes: of `instances`.
      names: of `instances`.
      problems: to add to.
    """
    blank = np.flatnonzero(is_blank(times))
    problems.add_many(
        len(blank),
        (f"{at(row)}: its time is blank" for row in blank),
        "Give every row its time, or leave the column out.",
    )
    pairs = pl.DataFrame({"code": codes, "time": times})
    again = np.flatnonzero(~pairs.to_struct().is_first_distinct().to_numpy())
    problems.add_many(
        len(again),
        (
            f"{at(row)}: instance {quoted(names[codes[row]])} has a row of the "
            f"same time {times[int(row)]} above"
            for row in again
        ),
        "Keep one row for an instance and time.",
    )


def of_instance(
    name: str,
    values: Float[np.ndarray, "rows"],
    codes: Int[np.ndarray, "rows"],
    names: list[str],
    problems: Problems,
) -> Float[np.ndarray, "n"]:
    """The value of each instance, which all its rows must have.

    Args:
      name: of the column.
      values: of the rows; NaN is complained of elsewhere and not compared.
      codes: of `instances`.
      names: of `instances`.
      problems: to add to.

    Returns:
      The values of the first rows.
    """
    _, first = np.unique(codes, return_index=True)
    own = values[first]
    known = ~np.isnan(values) & ~np.isnan(own[codes])
    wrong = np.flatnonzero(known & (values != own[codes]))
    problems.add_many(
        len(wrong),
        (
            f"{at(row)}: {name} of {quoted(names[codes[row]])} is "
            f"{values[row]:g}, but {own[codes[row]]:g} in {at(first[codes[row]])}"
            for row in wrong
        ),
        f"Give an instance the same {name} in all its rows.",
    )
    return own
