"""A long table of logged prices and sales → products, with every complaint at once."""

import pathlib

import jax.numpy as jnp
import numpy as np
import polars as pl

from ptft_jax.pricing import demand_law
from ptft_jax.pricing.demand_law import Seen
from ptft_jax.tables import rows
from ptft_jax.tables.problems import Problems, listing, quoted

LISTED_AS = pathlib.Path("prices and sales")
NEEDED = ("instance", "price", "units")
NUMBERS = {  # column: least value, whether it may be equal to it, remedy
    "price": (0.0, False, "Prices are above 0: leave out rows of free goods."),
    "units": (0.0, True, "Units sold are at least 0: net returns out of them."),
    "unit_cost": (0.0, True, "A unit cost is at least 0; leave the column out for 0."),
    "low": (0.0, False, "The lowest allowed price is above 0."),
    "high": (0.0, False, "The highest allowed price is above 0."),
}
OF_PRODUCT = ("unit_cost", "low", "high")
NUM_PRICES = 64
SIZES = 1e-12, 1e12  # of numbers, so that squares of revenue are in single precision


def read(table: pl.DataFrame) -> tuple[Seen, list[str]]:
    """Products from rows of instance, price, units[, time, unit_cost, low, high].

    Pairs are ordered by `time` (numbers or dates; else as it first appears), or as they
    come. With `low` and `high` a product may be priced between them (64 prices of equal
    ratios), else at its logged prices.

    Args:
      table: one row a product and period; other columns are not used.

    Returns:
      The products in order of appearance, and their names.

    Raises:
      DataError: listing every bad row and what to do about it.
    """
    problems = Problems(LISTED_AS)
    _check_columns(table, problems)
    columns = {
        name: _numbers(table, name, problems) for name in NUMBERS if name in table
    }
    codes, names = rows.instances(table["instance"], problems)
    order = np.arange(len(codes))
    if "time" in table:
        rows.check_time(table["time"], codes, names, problems)
        order = rows.time_order(table["time"], problems)
    of_product = {
        name: rows.of_instance(name, columns[name], codes, names, problems)
        for name in OF_PRODUCT
        if name in columns
    }
    if "low" in of_product:
        _check_interval(of_product["low"], of_product["high"], names, problems)
    problems.check()
    return _pack(columns, of_product, codes, order, len(names)), names


def _check_columns(table: pl.DataFrame, problems: Problems) -> None:
    missing = [name for name in NEEDED if name not in table]
    if missing:
        problems.add(
            f"no column {listing(missing)} among {listing(table.columns)}",
            "Give the columns instance, price and units.",
        )
    if ("low" in table) != ("high" in table):
        problems.add(
            "one of the columns 'low' and 'high' without the other",
            "Give both ends of the allowed interval, or neither.",
        )
    problems.check()
    if table.height == 0:
        problems.add("there are no rows", "Give a row for each product and period.")
    problems.check()


def _numbers(table: pl.DataFrame, name: str, problems: Problems) -> np.ndarray:
    least, may_equal, remedy = NUMBERS[name]
    values = rows.floats(table[name])
    wrong = ~np.isfinite(values)
    low = ~wrong & ((values < least) | ((values == least) & (not may_equal)))
    bad = np.flatnonzero(wrong)
    problems.add_many(
        len(bad),
        (f"{rows.at(r)}: {name} is {table[name][int(r)]!r}, no number" for r in bad),
        "Give a finite number in each row, or leave the row out.",
    )
    bad = np.flatnonzero(low)
    problems.add_many(
        len(bad), (f"{rows.at(r)}: {name} is {values[r]:g}" for r in bad), remedy
    )
    rows.check_size(name, values, problems, *SIZES)
    return np.where(wrong, 0.0, values)


def _check_interval(low, high, names, problems: Problems) -> None:
    wrong = np.flatnonzero(low > high)
    problems.add_many(
        len(wrong),
        (
            f"instance {quoted(names[i])}: low {low[i]:g} is above high {high[i]:g}"
            for i in wrong
        ),
        "The lowest allowed price is at most the highest.",
    )


def _pack(columns, of_product, codes, order, n: int) -> Seen:
    codes = codes[order]
    by_product = np.argsort(codes, kind="stable")
    count = np.bincount(codes, minlength=n)
    row = codes[by_product]
    place = np.arange(len(row)) - (np.cumsum(count) - count)[row]

    def spread(name: str) -> np.ndarray:
        block = np.zeros((n, count.max()))
        block[row, place] = columns[name][order][by_product]
        return block

    price = spread("price")
    if "low" in of_product:
        low, high = (jnp.asarray(of_product[name]) for name in ("low", "high"))
        menu = demand_law.menu_between(low, high, NUM_PRICES)
    else:
        falling = -np.sort(-price, 1)
        again = np.diff(falling, axis=1, prepend=np.inf) == 0.0
        once = -np.sort(-np.where(again, 0.0, falling), 1)
        menu = jnp.asarray(once[:, : (once > 0.0).sum(1).max()])
    return Seen(
        price=jnp.asarray(price),
        units=jnp.asarray(spread("units")),
        valid=jnp.asarray(np.arange(count.max()) < count[:, None]),
        unit_cost=jnp.asarray(of_product.get("unit_cost", np.zeros(n))),
        menu=menu,
    )
