"""A long table of demand and covariates → products, with every complaint at once."""

import pathlib

import jax.numpy as jnp
import numpy as np
import polars as pl

from ptft_jax.contextual.records import NUM_COVARIATES, Seen
from ptft_jax.tables import cells, rows
from ptft_jax.tables.problems import Problems, listing, quoted

LISTED_AS = pathlib.Path("demand and covariates")
NEEDED = ("instance", "value")
KNOWN = (*NEEDED, "time", "quantile")
USUAL_QUANTILE = 0.9


def read(table: pl.DataFrame) -> tuple[Seen, list[str]]:
    """Products from rows of instance, value[, time, quantile] and covariates.

    Every other column is a covariate, a number in each row. The one row of an instance
    with a blank value is the period to stock for. Without a column `quantile` the
    critical ratio is `USUAL_QUANTILE`. `time` only shows rows given twice.

    Args:
      table: one row a product and period.

    Returns:
      The products in order of appearance, and their names.

    Raises:
      DataError: listing every bad row and what to do about it.
    """
    problems = Problems(LISTED_AS)
    covariates = _check_columns(table, problems)
    value, blank = _values(table["value"], problems)
    context = np.zeros((table.height, NUM_COVARIATES))
    for k, name in enumerate(covariates[:NUM_COVARIATES]):
        context[:, k] = _numbers(table[name], problems)
    codes, names = rows.instances(table["instance"], problems)
    quantile = np.full(len(names), USUAL_QUANTILE)
    if "quantile" in table:
        quantile = _quantiles(table["quantile"], codes, names, problems)
    if "time" in table:
        rows.check_time(table["time"], codes, names, problems)
    _check_next(blank, codes, names, problems)
    problems.check()
    return _pack(value, blank, context, quantile, codes), names


def _check_columns(table: pl.DataFrame, problems: Problems) -> list[str]:
    missing = [name for name in NEEDED if name not in table]
    if missing:
        problems.add(
            f"no column {listing(missing)} among {listing(table.columns)}",
            "Give the columns instance and value, and one of each covariate.",
        )
    if table.height == 0:
        problems.add("there are no rows", "Give a row for each product and period.")
    problems.check()
    covariates = [name for name in table.columns if name not in KNOWN]
    if len(covariates) > NUM_COVARIATES:
        problems.add(
            f"{len(covariates)} covariates: {', '.join(map(quoted, covariates))}",
            f"Keep at most {NUM_COVARIATES} columns beside {', '.join(KNOWN)}.",
        )
    return covariates


def _values(column: pl.Series, problems: Problems) -> tuple[np.ndarray, np.ndarray]:
    blank = rows.is_blank(column, ("", *cells.MISSING))
    values = rows.floats(column)
    wrong = np.flatnonzero(~np.isfinite(values) & ~blank)
    problems.add_many(
        len(wrong),
        (f"{rows.at(r)}: value is {column[int(r)]!r}, no number" for r in wrong),
        "Give the demand as a number; leave it blank in the row to stock for.",
    )
    low = np.flatnonzero(values < 0.0)
    problems.add_many(
        len(low),
        (f"{rows.at(r)}: value is {values[r]:g}" for r in low),
        "Demand is at least 0: net returns out of it.",
    )
    rows.check_size("value", values, problems)
    if np.isfinite(values).any() and not (values > 0.0).any():
        problems.add("no demand is above 0", "Give demand of past periods.")
    return np.where(np.isfinite(values), values, 0.0), blank


def _numbers(column: pl.Series, problems: Problems) -> np.ndarray:
    values = rows.floats(column)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong) == len(values):
        problems.add(
            f"column {quoted(column.name)} holds no numbers",
            "Turn such a column into columns of 0 and 1, or leave it out.",
        )
        return np.zeros(len(values))
    problems.add_many(
        len(wrong),
        (
            f"{rows.at(r)}: {quoted(column.name)} is {column[int(r)]!r}, no number"
            for r in wrong
        ),
        "Give every covariate in each row, that of the period to stock for included.",
    )
    return np.where(np.isfinite(values), values, 0.0)


def _quantiles(column: pl.Series, codes, names, problems: Problems) -> np.ndarray:
    values = rows.floats(column)
    inside = (values > 0.0) & (values < 1.0)
    wrong = np.flatnonzero(~inside)
    problems.add_many(
        len(wrong),
        (f"{rows.at(r)}: quantile is {column[int(r)]!r}" for r in wrong),
        "A critical ratio is between 0 and 1: underage / (underage + overage).",
    )
    within = np.where(inside, values, np.nan)
    return rows.of_instance("quantile", within, codes, names, problems)


def _check_next(blank, codes, names, problems: Problems) -> None:
    count = np.bincount(codes[blank], minlength=len(names))
    remedy = (
        "Give each instance one row with a blank value, of the covariates to stock for."
    )
    for wrong in (np.flatnonzero(count == 0), np.flatnonzero(count > 1)):
        problems.add_many(
            len(wrong),
            (
                f"instance {quoted(names[i])}: {count[i]} rows with a blank value"
                for i in wrong
            ),
            remedy,
        )


def _pack(value, blank, context, quantile, codes) -> Seen:
    n = len(quantile)
    # in double precision, whatever the units; decisions do not depend on them
    sd = context.std(0)
    context = (context - context.mean(0)) / np.where(sd > 0.0, sd, 1.0)
    following = np.zeros((n, NUM_COVARIATES))
    following[codes[blank]] = context[blank]
    past = np.flatnonzero(~blank)
    past = past[np.argsort(codes[past], kind="stable")]
    row = codes[past]
    count = np.bincount(row, minlength=n)
    place = np.arange(len(row)) - (np.cumsum(count) - count)[row]
    demand = np.zeros((n, count.max()))
    contexts = np.zeros((n, count.max(), NUM_COVARIATES))
    demand[row, place] = value[past]
    contexts[row, place] = context[past]
    return Seen(
        demand=jnp.asarray(demand),
        valid=jnp.asarray(np.arange(count.max()) < count[:, None]),
        context=jnp.asarray(contexts),
        next_context=jnp.asarray(following),
        quantile=jnp.asarray(quantile),
    )
