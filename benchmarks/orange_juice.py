"""Dominick's orange juice as pricing decisions, and how a price is scored on it.

A product is a brand in a store. Of its weeks, m are drawn as data; the others are the
test. Its allowed prices are those charged in at least `LEAST_WEEKS` test weeks, and a
price is scored by the mean of (price − unit cost) · units over the test weeks in which
it was charged: unbiased for what a week earns in which the store charges that price,
with the deals, features and seasons that go with it. All methods share that
confounding, and none sees a test week.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int

from benchmarks import datasets
from ptft_jax import streams
from ptft_jax.pricing.demand_law import Seen

LEAST_WEEKS = 3
MOST_POINTS = 40  # 121 weeks have no more prices of three weeks each


class Weeks(NamedTuple):
    """n products by W weeks; NaN where a week is missing.

    Attributes:
      price: dollars an ounce.
      units: ounces sold.
      unit_cost: dollars an ounce, from the chain's own margin.
      index: sales of the other brands in that week over their usual sales, 1 on
        average.
    """

    price: Float64[np.ndarray, "n W"]
    units: Float64[np.ndarray, "n W"]
    unit_cost: Float64[np.ndarray, "n W"]
    index: Float64[np.ndarray, "n W"]


def load() -> Weeks:
    """All 913 store-brands.

    Returns:
      Their weeks.
    """
    table = pl.read_csv(datasets.find("orangejuice_pricing.csv"))
    rows, row = np.unique(table.select("store", "brand"), axis=0, return_inverse=True)
    weeks, column = np.unique(table["week"], return_inverse=True)

    def spread(values) -> np.ndarray:
        block = np.full((len(rows), len(weeks)), np.nan)
        block[row.ravel(), column] = values
        return block

    price, units = spread(table["price_per_oz"]), spread(table["units"])
    cost = price * (1.0 - spread(table["profit"]) / 100.0)
    return Weeks(price, units, cost, other_brands(units, rows[:, 1]))


def other_brands(
    units: Float64[np.ndarray, "n W"], brand: Int[np.ndarray, "n"]
) -> Float64[np.ndarray, "n W"]:
    """Mean of units over their usual, in each week, over products of other brands.

    A brand has the same deal in all stores, so its own sales elsewhere would adjust
    the effect of its price away.

    Args:
      units: NaN where missing.
      brand: of each product.

    Returns:
      The index of each product and week.
    """
    ratio = units / np.nanmean(units, 1, keepdims=True)
    seen = ~np.isnan(ratio)
    filled = np.where(seen, ratio, 0.0)
    same = (brand[:, None] == brand).astype(float)
    total = filled.sum(0) - same @ filled
    return total / (seen.sum(0) - same @ seen)


class Split(NamedTuple):
    """What is seen of a portfolio, and what an allowed price earned in the test weeks.

    Attributes:
      seen: the products.
      earned: [n, g], by the columns of `seen.menu`.
      adjusted: the same of units divided by the week's index.
    """

    seen: Seen
    earned: Float64[np.ndarray, "n g"]
    adjusted: Float64[np.ndarray, "n g"]


def split(
    weeks: Weeks, seed: int, n: int, m: int, has_cost: bool, apart: bool = False
) -> Split:
    """Draws n products, m weeks of each as data, and scores the allowed prices.

    A chain has its deals in all stores at once: what is a test week of one product may
    be among the data of another. With `apart` the data of all are drawn from one half
    of the calendar, and the weeks of the other half are the test.

    Args:
      weeks: all products.
      seed: of the draw.
      n: products.
      m: weeks of data.
      has_cost: profit at the mean unit cost of the weeks of data; else revenue.
      apart: whether no week is data of one product and test of another.

    Returns:
      The split.
    """
    rng = streams.generator(seed, f"orange juice {n} {m}{' apart' if apart else ''}")
    if apart:
        num_weeks = weeks.price.shape[1]
        early = rng.permutation(num_weeks) < num_weeks / 2
    chosen = rng.permutation(len(weeks.price))[:n]
    price, units = np.zeros((2, n, m))
    menu, earned, adjusted = np.zeros((3, n, MOST_POINTS))
    unit_cost = np.zeros(n)
    for i, product in enumerate(chosen):
        own = Weeks(*(leaf[product] for leaf in weeks))
        known = rng.permutation(np.flatnonzero(~np.isnan(own.price)))
        data, test = known[:m], known[m:]
        if apart:
            data, test = known[early[known]][:m], known[~early[known]]
        data = np.sort(data)
        price[i], units[i] = own.price[data], own.units[data]
        unit_cost[i] = own.unit_cost[data].mean() if has_cost else 0.0
        points, which, count = np.unique(
            own.price[test], return_inverse=True, return_counts=True
        )
        for k, at in enumerate(np.flatnonzero(count >= LEAST_WEEKS)):
            week = test[which == at]
            margin = points[at] - unit_cost[i]
            menu[i, k] = points[at]
            earned[i, k] = margin * own.units[week].mean()
            adjusted[i, k] = margin * (own.units / own.index)[week].mean()
    valid: Bool[np.ndarray, "n m"] = np.ones((n, m), bool)
    single = lambda block: jnp.asarray(block, jnp.float32)
    seen = Seen(
        price=single(price),
        units=single(units),
        valid=jnp.asarray(valid),
        unit_cost=single(unit_cost),
        menu=single(menu),
    )
    return Split(seen, earned, adjusted)


def score(price, part: Split) -> tuple[float, float]:
    """What decisions earned, in dollars a week, plainly and adjusted.

    Args:
      price: decisions; that of the menu which is nearest is charged.
      part: of the same products.

    Returns:
      Both sums over products.
    """
    menu = np.asarray(part.seen.menu, float)
    log = np.log(np.where(menu > 0.0, menu, np.inf))
    distance = np.abs(log - np.log(np.asarray(price, float))[:, None])
    at = distance.argmin(1)[:, None]
    take = lambda block: float(np.take_along_axis(block, at, 1).sum())
    return take(part.earned), take(part.adjusted)
