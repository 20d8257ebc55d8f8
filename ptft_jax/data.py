"""CSV or Parquet → portfolio, with every complaint about the file in one message."""

import os
import pathlib
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from ptft_jax.tables import draft, load, long, transposed, wide
from ptft_jax.tables.problems import DataError as DataError
from ptft_jax.tables.problems import Problems, counted
from ptft_jax.types import Portfolio


class Table(NamedTuple):
    """What a file holds: T periods of n instances, on the host in float64.

    Attributes:
      instances: names, [n].
      values: demand, NaN where missing, rows in time order.
      quantile: critical ratio of each instance in (0, 1), or None.
      price: price of each instance in each period, or None.
      periods: labels of the rows, or None.
      notes: what was decided while reading, for the user to see.
    """

    instances: list[str]
    values: Float64[np.ndarray, "T n"]
    quantile: Float64[np.ndarray, "n"] | None
    price: Float64[np.ndarray, "T n"] | None
    periods: list[str] | None
    notes: list[str]


def read(
    path: str | os.PathLike[str],
    *,
    drop_unusable: bool = False,
    complete_only: bool = False,
    min_positive: int = 0,
) -> Table:
    """Read demand from a CSV or Parquet file: wide, long or transposed.

    Wide: rows are periods, columns are instances, a blank cell is missing; a first
    column of dates or named as an index (`tables.wide.INDEX_NAMES`) labels the
    periods. Long: columns `instance` and `value`, optionally `time`, `price` and
    `quantile`. Transposed: rows are instances, columns `instance`, optionally
    `quantile`, and one of each period. Text such as NA is missing too, and counted in
    the notes.

    Args:
      path: the file; CSV in UTF-8 separated by comma, semicolon or tab.
      drop_unusable: leave out instances with fewer than 2 observations or with all
        observations equal, instead of complaining about them.
      complete_only: leave out instances with a missing period.
      min_positive: leave out instances with fewer positive observations.

    Returns:
      The table; its notes count all that was left out or read as missing.

    Raises:
      DataError: listing every problem in the file by row and column.
    """
    problems = Problems(pathlib.Path(path))
    grid = load.grid_of(problems.path, problems)
    form = next((f for f in (long, transposed) if f.is_form(grid)), wide)
    table = draft.note_total(form.read(grid, problems))
    if complete_only:
        complete = ~np.isnan(table.values).any(0)
        table = draft.keep(table, complete, "with a missing period")
    if min_positive > 0:
        enough = (table.values > 0).sum(0) >= min_positive
        few = f"with fewer than {min_positive} positive observations"
        table = draft.keep(table, enough, few)
    if drop_unusable:
        table = draft.usable(table)
    else:
        draft.report_unusable(table, grid.num_ragged, problems)
    if not table.instances:
        problems.add("no instance is left", "Leave out fewer instances.")
    problems.check()
    count = counted(len(table.instances), "instance")
    size = f"{count} × {counted(len(table.values), 'period')}"
    return Table(
        instances=table.instances,
        values=table.values,
        quantile=table.quantile,
        price=table.price,
        periods=table.periods,
        notes=[f"{form.NAME} form: {size}", *table.notes],
    )


def to_portfolio(table: Table, quantile: float | None = None) -> Portfolio:
    """The table as a portfolio: observations in time order, packed to the left.

    Args:
      table: n instances.
      quantile: critical ratio of all instances; None if the table has its own.

    Returns:
      Portfolio [n, m] with m the largest number of observations; the price of an
      instance is the last one given with an observation, NaN where there is none.

    Raises:
      DataError: no quantile is given, or two are, or it is outside (0, 1).
    """
    if (quantile is None) == (table.quantile is None):
        which = "no quantile is" if quantile is None else "two quantiles are"
        raise DataError(
            f"{which} given: give one, either for all instances or as a column "
            "'quantile' of a long file"
        )
    if quantile is not None and not 0 < quantile < 1:
        raise DataError(f"quantile must be in (0, 1), got {quantile}")
    seen = ~np.isnan(table.values)
    order = np.argsort(~seen, axis=0, kind="stable")
    count = seen.sum(0)
    packed = np.take_along_axis(table.values, order, 0)[: count.max()]
    valid = np.arange(len(packed))[:, None] < count
    price = None
    if table.price is not None:
        given = seen & ~np.isnan(table.price)
        last = len(given) - 1 - given[::-1].argmax(0)
        price = jnp.asarray(np.take_along_axis(table.price, last[None], 0)[0])
    shared = np.broadcast_to(
        table.quantile if quantile is None else quantile, len(table.instances)
    )
    return Portfolio(
        observations=jnp.asarray(np.where(valid, packed, 0.0).T),
        valid=jnp.asarray(valid.T),
        quantile=jnp.asarray(shared, dtype=float),
        price=price,
    )
