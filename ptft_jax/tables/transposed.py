"""Transposed tables: rows are instances, columns are periods."""

import numpy as np
from jaxtyping import Bool, Float64, Int

from ptft_jax.tables import cells, times
from ptft_jax.tables.draft import Draft
from ptft_jax.tables.grid import Grid
from ptft_jax.tables.problems import Problems, listing, quoted

NAME = "transposed"
NO_PERIODS = ("time", "price")
OF_OTHERS = {
    ("price", "units"): "pricing",
    ("estimate", "cost"): "allocation",
    ("estimate", "variance"): "gaussian_means",
    ("successes", "trials"): "binomial_means",
    ("count", "exposure"): "poisson_means",
}


def is_form(grid: Grid) -> bool:
    """Whether the header has a column `instance` and none called `value`."""
    names = {name.lower() for name in grid.header}
    return "instance" in names and "value" not in names


def read(grid: Grid, problems: Problems) -> Draft:
    """Column `instance`, optionally `quantile`, and a column of each period.

    Args:
      grid: the file.
      problems: collects what is wrong in its cells.

    Returns:
      The table, columns in time order where their names tell it, else as in the file.
    """
    names = [name.lower() for name in grid.header]
    _refuse_others(names, problems)
    own = names.index("instance")
    instances = grid.labels(own).to_list()
    _report_names(grid, own, problems)
    place = lambda i: f"row {grid.rows[i]}: instance {quoted(instances[i])}"
    no_period = {own}
    quantile = None
    if "quantile" in names:
        no_period.add(names.index("quantile"))
        quantile = _quantile(grid, names.index("quantile"), problems)
    periods = np.array([j for j in range(len(names)) if j not in no_period], int)
    _report_columns(grid, own, periods, problems)
    values, unreadable, notes = _values(grid, periods, problems)
    order, note = _column_order([grid.header[j] for j in periods])
    return Draft(
        instances=instances,
        values=np.ascontiguousarray(values[:, order].T),
        num_reported=unreadable.sum(1),
        price=None,
        quantile=quantile,
        periods=[grid.header[periods[k]] for k in order],
        place=place,
        notes=[*grid.notes, *note, *notes],
    )


def _refuse_others(names: list[str], problems: Problems) -> None:
    """Complains of the columns of another problem than the newsvendor's."""
    for columns, problem in OF_OTHERS.items():
        if set(columns) <= set(names):
            problems.add(
                f"there is no demand, but the columns {listing(columns)}",
                f"Decide with --problem {problem}, or name demand 'value'.",
            )
            problems.check()


def _report_names(grid: Grid, own: int, problems: Problems) -> None:
    times.report_blank(grid, own, problems, "Name the instance of each row.")
    text = grid.labels(own)
    again = np.flatnonzero((~text.is_first_distinct() & (text != "")).to_numpy())
    first = lambda row: int((text == text[row]).arg_true()[0])
    lines = (
        f"{grid.place(row, own)}: {quoted(text[row])} is already on row "
        f"{grid.rows[first(row)]}"
        for row in again.tolist()
    )
    problems.add_many(
        len(again),
        lines,
        "Where a row is an observation, name the columns 'instance', 'value' and "
        "'time'; else keep one row an instance.",
    )


def _report_columns(
    grid: Grid, own: int, periods: Int[np.ndarray, "T"], problems: Problems
) -> None:
    if len(periods) == 0:
        problems.add(
            f"{grid.column_place(own)}: names the instances, and no period follows",
            "Add a column for each period, or the columns 'time' and 'value'.",
        )
        problems.check()
    for j in periods:
        if grid.header[j].lower() in NO_PERIODS:
            problems.add(
                f"{grid.column_place(int(j))}: is no period",
                "Where rows are instances all columns but 'instance' and 'quantile' "
                "are periods; 'time' and 'price' go with a column 'value'.",
            )


def _quantile(grid: Grid, column: int, problems: Problems) -> Float64[np.ndarray, "n"]:
    found = cells.numbers(grid, column, 1, cells.QUANTILE, problems)
    values, unreadable = found.values[:, 0], found.unreadable[:, 0]
    blank = np.flatnonzero(np.isnan(values) & ~unreadable)
    lines = (f"{grid.place(int(row), column)}: it is blank" for row in blank)
    problems.add_many(len(blank), lines, "Give each instance its quantile.")
    return values


def _values(
    grid: Grid, periods: Int[np.ndarray, "T"], problems: Problems
) -> tuple[Float64[np.ndarray, "n T"], Bool[np.ndarray, "n T"], list[str]]:
    runs = np.split(periods, np.flatnonzero(np.diff(periods) > 1) + 1)
    row, found = np.arange(len(grid.rows))[:, None], []
    for run in runs:
        block = int(run[0]), len(run)
        found.append(cells.numbers(grid, *block, cells.DEMAND, problems))
        instance = np.broadcast_to(row, found[-1].values.shape)
        cells.report_thousands(grid, block[0], instance, problems)
    blank, text = (sum(counts) for counts in zip(*(f[2:] for f in found), strict=True))
    values = np.hstack([f.values for f in found])
    unreadable = np.hstack([f.unreadable for f in found])
    whole = cells.Numbers(values, unreadable, blank, text)
    return values, unreadable, whole.notes("demand")


def _column_order(labels: list[str]) -> tuple[Int[np.ndarray, "T"], list[str]]:
    kinds = {times.kind_of(label) for label in labels}
    if kinds == {"number"}:
        key = np.array([float(label) for label in labels])
    elif kinds == {"date"} and len({len(label) for label in labels}) == 1:
        key = np.array(labels)
    else:
        return np.arange(len(labels)), [
            "the order of the periods is not clear from the names of the columns "
            "(neither numbers nor dates such as 2025-01-31): columns kept in file order"
        ]
    order = np.argsort(key, kind="stable")
    is_sorted = (order == np.arange(len(order))).all()
    return order, [] if is_sorted else ["columns put in the order of their names"]
