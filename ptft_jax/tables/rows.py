"""What long tables share: whose a row is, its time, what an instance has in common."""

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int

from ptft_jax.tables.problems import Problems, quoted


def is_blank(column: pl.Series) -> Bool[np.ndarray, "rows"]:
    """Rows in which a column says nothing.

    Args:
      column: of any type.

    Returns:
      A mask; null and white space are blank.
    """
    text = column.cast(pl.String).fill_null("")
    return (text.str.strip_chars() == "").to_numpy()


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
    blank = np.flatnonzero(is_blank(column))
    problems.add_many(
        len(blank),
        (f"row {row + 1}: its instance is blank" for row in blank),
        "Name the instance of each row.",
    )
    labels = column.cast(pl.String).fill_null("")
    names = labels.unique(maintain_order=True).to_list()
    codes = labels.cast(pl.Enum(names)).to_physical().to_numpy()
    return codes.astype(int), names


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
    blank = np.flatnonzero(times.is_null().to_numpy())
    problems.add_many(
        len(blank),
        (f"row {row + 1}: its time is blank" for row in blank),
        "Give every row its time, or leave the column out.",
    )
    pairs = pl.DataFrame({"code": codes, "time": times})
    again = np.flatnonzero(~pairs.to_struct().is_first_distinct().to_numpy())
    problems.add_many(
        len(again),
        (
            f"row {row + 1}: instance {quoted(names[codes[row]])} has a row of the "
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
            f"row {row + 1}: {name} of {quoted(names[codes[row]])} is "
            f"{values[row]:g}, but {own[codes[row]]:g} in row {first[codes[row]] + 1}"
            for row in wrong
        ),
        f"Give an instance the same {name} in all its rows.",
    )
    return own
