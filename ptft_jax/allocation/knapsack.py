"""The fractional knapsack: max Σ v_j x_j, (1/n) Σ c_j x_j ≤ 1, 0 ≤ x_j ≤ 1.

n is the number of items that are not padding (cost > 0). The best decision takes every
item of positive value whose value per unit of cost exceeds a price λ, and a fraction of
those that are exactly worth it, so that items share two numbers only.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# Ratios this near to the price are at it: programs that compute a value in different
# places may round it differently.
TIE = 4e-6

# Of certificates of policies that charge a price of the budget.
CAUTION = (
    "The budget's price is that which the items of the other fold pay, so that what is "
    "certified keeps the budget about, not exactly."
)


class Price(NamedTuple):
    """What the budget makes items share.

    Attributes:
      price: λ ≥ 0, value per unit of cost; 0 where the budget does not bind.
      fraction: of the items with v_j = λ c_j that is taken, in [0, 1].
    """

    price: Float[Array, ""]
    fraction: Float[Array, ""]


def ratio(value: Float[Array, "n"], cost: Float[Array, "n"]) -> Float[Array, "n"]:
    """Value per unit of cost, −1 for items that are never taken.

    Args:
      value: v_j, any real number.
      cost: c_j ≥ 0; 0 for padding.

    Returns:
      v_j / c_j where v_j > 0 and c_j > 0, else −1.
    """
    taken = (value > 0.0) & (cost > 0.0)
    return jnp.where(taken, value / jnp.where(taken, cost, 1.0), -1.0)


def _above_and_at(
    ratio: Float[Array, "n"], price: Float[Array, ""]
) -> tuple[Bool[Array, "n"], Bool[Array, "n"]]:
    near = jnp.abs(ratio - price) <= TIE * price
    at = near & (price > 0.0)
    return (ratio > price) & ~at, at


def solve(value: Float[Array, "n"], cost: Float[Array, "n"]) -> Price:
    """The dual solution: λ is the ratio of the first item that the budget cuts.

    Args:
      value: v_j, any real number.
      cost: c_j ≥ 0, relative to the budget per item; 0 for padding.

    Returns:
      The price and the fraction of items at it; `take` gives the decision.
    """
    each = ratio(value, cost)
    order = jnp.argsort(-each)
    spent = jnp.cumsum(jnp.where(each > 0.0, cost, 0.0)[order])
    budget = (cost > 0.0).sum().astype(cost.dtype)
    over = spent > budget * (1.0 + TIE)
    price = jnp.where(over.any(), each[order][jnp.argmax(over)], 0.0)
    above, at = _above_and_at(each, price)
    total = lambda which: jnp.where(which, cost, 0.0).sum()
    left = (budget - total(above)) / jnp.where(price > 0.0, total(at), 1.0)
    return Price(price, jnp.where(price > 0.0, jnp.clip(left, 0.0, 1.0), 0.0))


def take(
    value: Float[Array, "n"], cost: Float[Array, "n"], price: Price
) -> Float[Array, "n"]:
    """x_j = 1{v_j > λ c_j}, and the fraction where v_j = λ c_j > 0.

    Args:
      value: v_j.
      cost: c_j ≥ 0; 0 for padding, which is never taken.
      price: of these items by `solve`, or of others.

    Returns:
      x in [0, 1]; an optimum of the linear programme if the price is of these items.
    """
    above, at = _above_and_at(ratio(value, cost), price.price)
    return jnp.where(at, price.fraction, above.astype(value.dtype))


def best(value: Float[Array, "n"], cost: Float[Array, "n"]) -> Float[Array, "n"]:
    """An exact solution of the linear programme.

    Items of equal ratio are treated alike, so permuting items permutes the solution.

    Args:
      value: v_j, any real number.
      cost: c_j ≥ 0, relative to the budget per item; 0 for padding.

    Returns:
      x in [0, 1].
    """
    return take(value, cost, solve(value, cost))
