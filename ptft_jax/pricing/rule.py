"""The rule that the network corrects: shrunk regressions with price points."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.pricing import demand_law, points, regression
from ptft_jax.pricing.demand_law import DemandLaw, Seen
from ptft_jax.pricing.regression import Fits, Population, Shrunk


class Told(NamedTuple):
    """What a product is told of its portfolio."""

    population: Population
    points: points.Shared


class Rule(NamedTuple):
    """Of n products: fits, their posterior, the demand law it makes, residuals."""

    fits: Fits
    shrunk: Shrunk
    law: DemandLaw
    left: Float[Array, "n m"]  # log units less the shrunk regression


def _regressions(seen: Seen, fits: Fits, population: Population) -> Rule:
    shrunk = regression.shrink(fits, population)
    law = regression.plug_in(fits, shrunk)
    left = jnp.where(seen.valid, fits.y + law.elasticity[:, None] * fits.x, 0.0)
    return Rule(fits, shrunk, law, left)


def _loading(fits: Fits, shrunk: Shrunk, noise) -> Float[Array, "n 2 m"]:
    """How far the fitted level and slope follow each pair: h_jj' = Σ_k b_kj b_kj'."""
    level = jnp.sqrt(1.0 / jnp.maximum(fits.count, 1.0))[:, None]
    # the posterior sd of a slope, over that of noise
    slope = (shrunk.elasticity_sd / noise)[:, None] * fits.x
    return jnp.stack([jnp.broadcast_to(level, slope.shape), slope], 1)


def summarize(seen: Seen) -> Told:
    """The laws of the products' regressions, and the price points.

    Args:
      seen: n products; those without a menu are padding.

    Returns:
      What products are told.
    """
    fits, present = regression.fit(seen), demand_law.present(seen)
    population = regression.population(fits, present)
    rule = _regressions(seen, fits, population)
    found = points.shared(
        demand_law.log_price(seen.price),
        rule.left,
        seen.valid & present[:, None],
        _loading(fits, rule.shrunk, population.noise),
        population.noise**2,
        population.log_price,
    )
    return Told(population, found)


def plug_in(seen: Seen, told: Told) -> Rule:
    """Shrunk regressions and price points of products.

    Args:
      seen: n products.
      told: of their portfolio, or of another.

    Returns:
      The rule, the effects of price points in its law.
    """
    rule = _regressions(seen, regression.fit(seen), told.population)
    log_p = demand_law.log_price(seen.price)
    effects = points.effects(told.points, log_p, rule.left, seen.valid)
    return rule._replace(law=rule.law._replace(effects=effects))
