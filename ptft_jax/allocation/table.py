"""Items of an allocation from a table."""

import pathlib
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import polars as pl

from ptft_jax.allocation.shrinkage import Items
from ptft_jax.tables import rows
from ptft_jax.tables.problems import Problems, quoted

PLACE = pathlib.Path("table")
NUMBER = "Give a number in every row, or leave the row out."
POSITIVE = "Costs, weights, precisions and variances must be above 0."
COLUMNS = (
    "The table needs the columns instance, estimate, cost, and precision or variance "
    "(the square of a standard error); "
    "weight (1 where it is absent) and budget are optional."
)
BUDGET = "Give a column budget (or the argument) with one value in all rows, above 0."
# sums of fourth powers of estimates and of squared precisions stay in single precision
SIZES = {
    "estimate": (0.0, 1e7),
    "precision": (1e-14, 1e14),
    "variance": (1e-14, 1e14),
}


def numbers(table: pl.DataFrame, name: str, least: float, problems: Problems):
    """A column of finite numbers above `least`; bad rows go to `problems`.

    Args:
      table: with the column.
      name: of the column.
      least: every number must be above it.
      problems: collects what is wrong.

    Returns:
      The numbers, float64, NaN where they are bad.
    """
    values = rows.floats(table[name])
    cells = table[name].to_list()
    say = lambda i: f"{rows.at(i)}: {name} is {quoted(str(cells[i]))}"
    odd = np.flatnonzero(~np.isfinite(values))
    problems.add_many(len(odd), map(say, odd), NUMBER)
    low = np.flatnonzero(values <= least)
    problems.add_many(len(low), map(say, low), POSITIVE)
    rows.check_size(name, values, problems, *SIZES.get(name, ()))
    return values


def need(table: pl.DataFrame, names: Sequence[str], problems: Problems) -> None:
    """Stops where a column is missing.

    Args:
      table: any.
      names: of columns; `a|b` for one of two.
      problems: collects what is wrong.

    Raises:
      DataError: naming the columns that are missing.
    """
    for name in names:
        if not any(one in table.columns for one in name.split("|")):
            problems.add(f"no column {name.replace('|', ' or ')}", COLUMNS)
    if table.height == 0:
        problems.add("there are no rows", COLUMNS)
    problems.check()


def relative_costs(
    table: pl.DataFrame, budget: float | None, problems: Problems
) -> np.ndarray:
    """Costs over the budget per item, c_j = n·cost_j/budget.

    Args:
      table: with the column `cost`, and `budget` where the argument is None.
      budget: what the chosen items may cost in all.
      problems: collects what is wrong.

    Returns:
      The costs.
    """
    cost = numbers(table, "cost", 0.0, problems)
    if budget is None and "budget" in table.columns:
        values = numbers(table, "budget", 0.0, problems)
        if len(np.unique(values[np.isfinite(values)])) > 1:
            problems.add("column budget has several values", BUDGET)
        budget = float(values[0])
    if budget is None or not budget > 0.0:
        said = "there is no budget" if budget is None else f"the budget is {budget:g}"
        problems.add(said, BUDGET)
        return cost
    return cost * len(cost) / budget


def read_items(
    table: pl.DataFrame, budget: float | None = None
) -> tuple[Items, list[str]]:
    """Items from the columns instance, estimate, cost, and precision or variance.

    Args:
      table: one row an item; `weight` is optional, `budget` a column or the argument.
      budget: what the chosen items may cost in all, in the unit of the costs.

    Returns:
      The items and their names.

    Raises:
      DataError: one message naming all bad rows.
    """
    problems = Problems(PLACE)
    need(table, ("instance", "estimate", "cost", "precision|variance"), problems)
    names = rows.one_each(table["instance"], problems)
    estimate = numbers(table, "estimate", -np.inf, problems)
    if "precision" in table.columns:
        precision = numbers(table, "precision", 0.0, problems)
    else:
        variance = numbers(table, "variance", 0.0, problems)
        precision = 1.0 / np.where(variance > 0.0, variance, 1.0)
    weight = weights(table, problems)
    cost = relative_costs(table, budget, problems)
    problems.check()
    columns = (estimate, precision, cost, weight)
    return Items(*(jnp.asarray(x, jnp.float32) for x in columns)), names


def weights(table: pl.DataFrame, problems: Problems) -> np.ndarray:
    """The column `weight`, 1 where there is none.

    Args:
      table: any.
      problems: collects what is wrong.

    Returns:
      The weights.
    """
    if "weight" not in table.columns:
        return np.ones(table.height)
    return numbers(table, "weight", 0.0, problems)
