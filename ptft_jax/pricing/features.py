"""What the network is told of products: unit-free, whatever currency and unit."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.pricing import demand_law, points
from ptft_jax.pricing import rule as rule_
from ptft_jax.pricing.demand_law import Seen
from ptft_jax.pricing.regression import Fits, Population, Shrunk
from ptft_jax.pricing.rule import Rule, Told
from ptft_jax.problems.problem import Inputs

MOST = 6.0  # features are cut to ±6


def _log(value, least: float = 1e-3):
    return jnp.log(jnp.maximum(value, least))


def inputs(seen: Seen, told: Told) -> Inputs:
    """Features of products, of their portfolio and of each logged pair.

    Menus and unit costs are left out: a demand law depends on neither, so that what is
    learnt on few prices holds for all.

    Args:
      seen: n products.
      told: of their portfolio, or of another.

    Returns:
      The inputs.
    """
    rule, population = rule_.plug_in(seen, told), told.population
    cut = lambda columns: jnp.stack(columns, -1).clip(-MOST, MOST)
    products = _of_products(rule.fits, rule.shrunk, population)
    at_pairs, own = _of_points(seen, rule, population)
    return Inputs(
        instance=cut([*products, *own]),
        portfolio=cut([*_of_portfolio(population), *_of_strengths(told.points)]),
        observation=cut([*_of_pairs(seen, rule, population), *at_pairs]),
        valid=seen.valid,
    )


def _of_products(
    fits: Fits, shrunk: Shrunk, told: Population
) -> list[Float[Array, "n"]]:
    freedom = jnp.maximum(fits.count - 2.0, 0.0)
    noise = (fits.residual + told.noise**2) / (freedom + 1.0) / told.noise**2
    seen_any = fits.count > 0.0
    level = jnp.where(seen_any, fits.level - told.level, 0.0)
    alone = jnp.where(fits.information > 0.0, fits.elasticity - told.elasticity, 0.0)
    bend, bend_weight = _bend(fits, told)
    return [
        level / (told.level_spread + 0.3),
        level / 3.0,
        fits.log_reference - told.log_price,
        (fits.log_reference - told.log_price) / (told.price_spread + 0.03),
        shrunk.elasticity / 3.0,
        shrunk.elasticity - told.elasticity,
        shrunk.elasticity_sd,
        (alone / 3.0).clip(-3.0, 3.0),
        alone * jnp.sqrt(fits.information) / told.noise / 3.0,
        0.5 * _log(fits.information / told.noise**2),
        0.5 * _log(noise),
        bend / 3.0,
        bend_weight,
        fits.zeros,
        1.0 / jnp.sqrt(fits.count + 1.0),
        _log(fits.count + 1.0) / 2.0,
        seen_any.astype(level.dtype),
    ]


def _bend(fits: Fits, told: Population) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Coefficient of x² beside a line, shrunk to 0 by a unit prior, and its weight."""
    squares = fits.x**2
    used = (fits.y != 0.0) | (fits.x != 0.0)
    count = jnp.maximum(fits.count, 1.0)[:, None]
    centred = jnp.where(used, squares - squares.sum(1, keepdims=True) / count, 0.0)
    safe = jnp.where(fits.information > 0.0, fits.information, 1.0)[:, None]
    z = centred - fits.x * (centred * fits.x).sum(1, keepdims=True) / safe
    information = (z * z).sum(1) / told.noise**2
    bend = (z * fits.y).sum(1) / told.noise**2 / (information + 0.1)
    return bend, information / (information + 0.1)


def _of_portfolio(told: Population) -> list[Float[Array, ""]]:
    return [
        told.elasticity / 3.0,
        told.elasticity_spread,
        _log(told.elasticity_spread, 0.02) / 2.0,
        _log(told.noise, 0.02),
        told.level_spread / 2.0,
        told.price_spread * 2.0,
        _log(told.variation, 1e-5) / 4.0,
        _log(told.num_pairs, 0.1) / 2.0,
        _log(told.count) / 4.0,
        told.zeros,
    ]


def _of_strengths(known: points.Shared) -> list[Float[Array, ""]]:
    return [
        _log(known.shared_variance) / 4.0,
        _log(known.own_variance) / 4.0,
        jnp.sqrt(known.shared_variance),
        jnp.sqrt(known.own_variance),
    ]


def _of_points(
    seen: Seen, rule: Rule, told: Population
) -> tuple[list[Float[Array, "n m"]], list[Float[Array, "n"]]]:
    """Shared effects at the pairs, and how alike a product's periods at a price are."""
    effects = rule.law.effects
    log_p = demand_law.log_price(seen.price)
    none = effects._replace(own_weight=jnp.zeros_like(effects.own_weight))
    product, pairs = points.alike(log_p, effects.left / told.noise, seen.valid)
    of_pairs = [jnp.where(seen.valid, points.at(none, log_p), 0.0) / told.noise]
    return of_pairs, [product / (pairs + 3.0), _log(pairs + 1.0) / 4.0]


def _of_pairs(seen: Seen, rule: Rule, told: Population) -> list[Float[Array, "n m"]]:
    fits, left = rule.fits, rule.left
    lowest = fits.x.min(1, keepdims=True)
    return [
        4.0 * fits.x,
        fits.y,
        left / told.noise,
        4.0 * fits.x * left / told.noise,
        8.0 * fits.x**2,
        8.0 * fits.x**2 * left / told.noise,
        4.0 * (fits.x - lowest),
        (seen.units <= 0.0).astype(fits.x.dtype),
    ]
