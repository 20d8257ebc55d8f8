"""Records of the pricing problem: what is seen, demand laws, and profits on a menu."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ptft_jax.pricing import points
from ptft_jax.pricing.points import Effects

FARTHEST = 1.0  # log price beyond which the bend of a law stays as it is


class Seen(NamedTuple):
    """n products: logged (price, units) pairs and the prices that may be charged.

    Attributes:
      price: logged prices, [n, m], > 0 where `valid`.
      units: units sold at them, [n, m], ≥ 0.
      valid: which pairs exist, in time order.
      unit_cost: cost of a unit, [n], ≥ 0; 0 where revenue is to be maximised.
      menu: allowed prices, [n, g], > 0; 0 where there are fewer. A product without
        any is padding; one with a menu and no pair is a new product.
    """

    price: Float[Array, "n m"]
    units: Float[Array, "n m"]
    valid: Bool[Array, "n m"]
    unit_cost: Float[Array, "n"]
    menu: Float[Array, "n g"]


class DemandLaw(NamedTuple):
    """Expected units by price: log d = a − εx + bx̃² + s x̃|x̃| + e, x = log p − log r.

    x̃ is x cut to ±`FARTHEST`; b = s = e = 0 is constant elasticity ε.

    Attributes:
      log_reference: log r, [n].
      log_level: a, [n], log units at the reference price.
      elasticity: ε, [n].
      bend: b, [n]; negative where demand is more elastic at higher prices.
      skew: s, [n]; how the bend differs above and below the reference.
      effects: of price points, e(p), or None.
    """

    log_reference: Float[Array, "n"]
    log_level: Float[Array, "n"]
    elasticity: Float[Array, "n"]
    bend: Float[Array, "n"]
    skew: Float[Array, "n"]
    effects: Effects | None = None


def present(seen: Seen) -> Bool[Array, "n"]:
    """Products that are not padding: those with an allowed price.

    Args:
      seen: n products.

    Returns:
      The mask.
    """
    return (seen.menu > 0.0).any(-1)


def log_price(price: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Log of a price, 0 where there is none.

    Args:
      price: ≥ 0; 0 stands for none.

    Returns:
      log p.
    """
    return jnp.log(jnp.where(price > 0.0, price, 1.0))


def log_demand(law: DemandLaw, price: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Log expected units at some prices.

    Args:
      law: of n products.
      price: [n, k], 0 where there is none.

    Returns:
      log d(p), meaningless where there is no price.
    """
    curve = law._replace(effects=None)
    column = jax.tree.map(lambda leaf: leaf[:, None], curve)
    log_p = log_price(price)
    x = log_p - column.log_reference
    near = x.clip(-FARTHEST, FARTHEST)
    bend = column.bend * near**2 + column.skew * near * jnp.abs(near)
    value = column.log_level - column.elasticity * x + bend
    return value if law.effects is None else value + points.at(law.effects, log_p)


def relative_profit(
    law: DemandLaw, price: Float[Array, "n k"], unit_cost: Float[Array, "n"]
) -> Float[Array, "n k"]:
    """Profit (p − c)·d(p) at some prices, over its greatest size among them.

    Args:
      law: of n products.
      price: [n, k], 0 where there is none.
      unit_cost: c ≥ 0.

    Returns:
      Values in [−1, 1], the greatest size being 1; −∞ where there is no price.
    """
    some = price > 0.0
    margin = jnp.where(some, price - unit_cost[:, None], 0.0)
    log_units = jnp.where(some, log_demand(law, price), -jnp.inf)
    top = log_units.max(1, keepdims=True)
    units = jnp.exp(log_units - jnp.where(jnp.isfinite(top), top, 0.0))
    profit = margin * units
    size = jnp.abs(profit).max(1, keepdims=True)
    return jnp.where(some, profit / jnp.where(size > 0.0, size, 1.0), -jnp.inf)


def best_price(
    value: Float[Array, "n g"], menu: Float[Array, "n g"]
) -> Float[Array, "n"]:
    """The price of a menu that has the greatest value, the first among equals.

    Args:
      value: of each price, −∞ where it must not be chosen.
      menu: allowed prices.

    Returns:
      Prices; 0 for padding.
    """
    return pick(menu, value.argmax(1))


def pick(menu: Float[Array, "n g"], index: Int[Array, "n"]) -> Float[Array, "n"]:
    """One entry a row.

    Args:
      menu: [n, g].
      index: column of each row.

    Returns:
      menu[i, index_i].
    """
    return jnp.take_along_axis(menu, index[:, None], 1)[:, 0]


def nearest(price: Float[Array, "n k"], menu: Float[Array, "n g"]) -> Int[Array, "n k"]:
    """Which price of a menu is nearest, by ratio.

    Args:
      price: [n, k], > 0.
      menu: allowed prices, 0 where there are fewer.

    Returns:
      Columns of the menu; 0 for padding.
    """
    distance = jnp.abs(log_price(price)[:, :, None] - log_price(menu)[:, None, :])
    return jnp.where(menu[:, None, :] > 0.0, distance, jnp.inf).argmin(-1)


def menu_between(
    low: Float[Array, "n"], high: Float[Array, "n"], num_prices: int = 64
) -> Float[Array, "n g"]:
    """An allowed interval as a menu of equal ratios, its ends included.

    With 64 prices and high = 3·low, neighbours are 1.8% apart: a maximiser of
    constant-elasticity profit in between loses less than ε·10⁻⁴ of it.

    Args:
      low: > 0; 0 for padding.
      high: ≥ low.
      num_prices: g ≥ 2.

    Returns:
      The menu, ascending; a zero row for padding.
    """
    share = jnp.linspace(0.0, 1.0, num_prices)[None]
    start, stop = log_price(low)[:, None], log_price(high)[:, None]
    prices = jnp.exp(start + (stop - start) * share)
    return jnp.where(low[:, None] > 0.0, prices, 0.0)
