"""Wide tables: rows are periods, columns are instances."""

import numpy as np
from jaxtyping import Float64, Int

from ptft_jax.tables import cells, times
from ptft_jax.tables.draft import Draft
from ptft_jax.tables.grid import Grid
from ptft_jax.tables.problems import Problems, listing, quoted

NAME = "wide"
FEW_COLUMNS = 20  # a long file has no more
INDEX_NAMES = {
    *("", "unnamed: 0", "t", "index", "date", "time", "datetime", "timestamp"),
    *("period", "day", "week", "month", "quarter", "year"),
}


def read(grid: Grid, problems: Problems) -> Draft:
    """Rows are periods, columns are instances.

    The first column labels the periods, and is no instance, if its name is one of
    `INDEX_NAMES` (in any case) or more than half of its cells look like dates.

    Args:
      grid: the file.
      problems: collects what is wrong in its cells.

    Returns:
      The table, rows in time order where the labels tell it, else as in the file.
    """
    notes = list(grid.notes)
    first = int(_has_index(grid))
    _refuse_long(grid, first, problems)
    count = len(grid.header) - first
    if count == 0:
        problems.add(
            f"{grid.column_place(0)}: labels the rows, and no other column follows",
            "Add a column for each instance.",
        )
        problems.check()
    numbers = cells.numbers(grid, first, count, cells.DEMAND, problems)
    column = np.broadcast_to(np.arange(count), numbers.values.shape)
    cells.report_thousands(grid, first, column, problems)
    _explain_text(grid, first, numbers, problems)
    values, periods = numbers.values, None
    if first:
        notes.append(f"{grid.column_place(0)} labels the periods, it is no instance")
        order, periods = _row_order(grid, problems, notes)
        values = values[order]
    else:
        _note_counter(grid, values[:, 0], notes)
    return Draft(
        instances=grid.header[first:],
        values=np.ascontiguousarray(values),
        num_reported=numbers.unreadable.sum(0),
        price=None,
        quantile=None,
        periods=periods,
        place=lambda i: grid.column_place(first + i),
        notes=notes + numbers.notes("demand"),
    )


def _has_index(grid: Grid) -> bool:
    by_name = grid.header[0].lower() in INDEX_NAMES
    return by_name or times.looks_like_dates(grid.labels(0))


def _refuse_long(grid: Grid, first: int, problems: Problems) -> None:
    """Complains of a column of dates among those of demand: these are not instances."""
    if len(grid.header) > FEW_COLUMNS:
        return
    for j in range(first, len(grid.header)):
        if times.looks_like_dates(grid.labels(j)):
            problems.add(
                f"{grid.column_place(j)}: dates where a wide file has the demand of an "
                f"instance; the columns are {listing(grid.header)}",
                "Where a row is an observation, name the columns 'instance', 'value' "
                "and 'time'; where it is a period, put its date first and delete other "
                "dates.",
            )
            problems.check()


def _explain_text(
    grid: Grid, first: int, numbers: cells.Numbers, problems: Problems
) -> None:
    letters = grid.labels(first).str.contains(r"\p{L}").to_numpy()
    if 2 * (numbers.unreadable[:, 0] & letters).sum() > len(grid.rows):
        problems.add(
            f"{grid.column_place(first)}: text instead of demand",
            "Delete columns that are no demand. If the first column labels the "
            "periods, its name is 'date' or 't'; if a column names the instances, name "
            "it 'instance', and where each of them has several rows the other columns "
            "'value' and 'time'.",
        )


def _note_counter(
    grid: Grid, column: Float64[np.ndarray, "T"], notes: list[str]
) -> None:
    if len(column) > 2 and np.array_equal(column[1:], column[:-1] + 1):
        notes.append(
            f"{grid.column_place(0)} counts up by 1 and is read as an instance; "
            "name it 't' if it labels the periods"
        )


def _row_order(
    grid: Grid, problems: Problems, notes: list[str]
) -> tuple[Int[np.ndarray, "T"], list[str]]:
    when = times.read(grid, 0, problems)
    if when.kind != "text":
        times.report_blank(grid, 0, problems, "Label every period, or delete the row.")
    in_file = [when.labels[code] for code in when.codes]
    order = np.arange(len(in_file))
    _, first_of = np.unique(when.codes, return_index=True)
    repeats = np.setdiff1d(order, first_of)
    if when.kind == "date":
        problems.add_many(
            len(repeats),
            (
                f"{grid.place(int(row), 0)}: {quoted(in_file[row])} is already on row "
                f"{grid.rows[first_of[when.codes[row]]]}"
                for row in repeats
            ),
            "Keep one row a period.",
        )
    steps = np.diff(when.codes)
    # A week number falls where the year ends, so numbers are only ever reversed.
    if when.kind == "date" or (when.kind == "number" and (steps < 0).all()):
        if (steps < 0).any():
            order = np.argsort(when.codes, kind="stable")
            notes.append(f"rows put in the order of {quoted(grid.header[0])}")
    elif when.kind == "text" or (steps <= 0).any():
        notes.append(
            f"the order of {quoted(grid.header[0])} is not clear (neither increasing "
            "numbers nor dates such as 2025-01-31): rows kept in file order"
        )
    return order, [in_file[row] for row in order]
