"""Log–log regressions of units on price, each product's and shrunk to the others'."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ptft_jax.pricing import demand_law
from ptft_jax.pricing.demand_law import DemandLaw, Seen

GREATEST_ELASTICITY = 10.0
# what is believed of the mean elasticity before any data, and how firmly
USUAL_ELASTICITY, USUAL_SPREAD = 1.5, 1.0
USUAL_NOISE = 0.5  # sd of log units where no product has three pairs
SPREADS = np.concatenate([np.zeros(1), np.geomspace(0.02, 5.0, 40)])


class Fits(NamedTuple):
    """Least squares y_ij = a_i − ε_i x_ij of each product, y = log units.

    Attributes:
      x: log price less the product's mean, [n, m]; 0 where not valid.
      y: log units less the product's mean, [n, m]; a zero as half the product's
        smallest sale, that of the portfolio where it sold nothing.
      log_reference: mean log price; of the menu where there is no pair.
      level: a_i, mean log units; 0 where there is no pair.
      count: pairs m_i.
      information: S_i = Σ x².
      elasticity: ε_i; 0 where S_i = 0.
      residual: sum of squares.
      zeros: share of pairs without a sale.
    """

    x: Float[Array, "n m"]
    y: Float[Array, "n m"]
    log_reference: Float[Array, "n"]
    level: Float[Array, "n"]
    count: Float[Array, "n"]
    information: Float[Array, "n"]
    elasticity: Float[Array, "n"]
    residual: Float[Array, "n"]
    zeros: Float[Array, "n"]


class Population(NamedTuple):
    """What a product is told of its portfolio's regressions: scalars."""

    noise: Float[Array, ""]  # sd of log units given the price
    elasticity: Float[Array, ""]  # mean
    elasticity_spread: Float[Array, ""]  # sd across products
    level: Float[Array, ""]
    level_spread: Float[Array, ""]
    log_price: Float[Array, ""]  # mean of the log references
    price_spread: Float[Array, ""]
    variation: Float[Array, ""]  # mean of S_i / m_i
    zeros: Float[Array, ""]
    count: Float[Array, ""]  # products
    num_pairs: Float[Array, ""]  # mean of m_i
    value: Float[Array, ""]  # typical revenue, money a period


def log_units(seen: Seen) -> Float[Array, "n m"]:
    """Log units, a zero standing for half the smallest sale above it.

    Args:
      seen: n products.

    Returns:
      log u, finite; 0 where not valid.
    """
    sold = jnp.where(seen.valid & (seen.units > 0.0), seen.units, jnp.inf)
    smallest = sold.min(1)
    smallest = jnp.where(jnp.isinf(smallest), smallest.min(), smallest)
    smallest = jnp.where(jnp.isinf(smallest), 1.0, smallest)
    filled = jnp.where(jnp.isinf(sold), smallest[:, None] / 2.0, sold)
    return jnp.where(seen.valid, jnp.log(filled), 0.0)


def fit(seen: Seen) -> Fits:
    """Regression of each product alone.

    Args:
      seen: n products.

    Returns:
      The fits; zeros for padding.
    """
    valid = seen.valid
    m = valid.sum(1).astype(seen.price.dtype)
    row_mean = lambda v, w: jnp.where(w, v, 0.0).sum(1) / jnp.maximum(w.sum(1), 1)
    log_p, log_u = demand_law.log_price(seen.price), log_units(seen)
    on_menu = row_mean(demand_law.log_price(seen.menu), seen.menu > 0.0)
    reference = jnp.where(m > 0.0, row_mean(log_p, valid), on_menu)
    level = row_mean(log_u, valid)
    x = jnp.where(valid, log_p - reference[:, None], 0.0)
    # a price that never changes has no information, whatever rounding says
    x = jnp.where(jnp.abs(x).max(1, keepdims=True) > 1e-4, x, 0.0)
    y = jnp.where(valid, log_u - level[:, None], 0.0)
    information = (x * x).sum(1)
    safe = jnp.where(information > 0.0, information, 1.0)
    elasticity = -(x * y).sum(1) / safe
    residual = jnp.square(y + elasticity[:, None] * x).sum(1)
    zeros = row_mean((seen.units <= 0.0).astype(x.dtype), valid)
    return Fits(x, y, reference, level, m, information, elasticity, residual, zeros)


def spread_by_likelihood(
    estimate: Float[Array, "n"],
    precision: Float[Array, "n"],
    prior: tuple[float, float] | None = None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and sd of θ_i ~ N(μ, τ²) from θ̂_i ~ N(θ_i, 1/h_i), by maximum likelihood.

    Args:
      estimate: θ̂_i.
      precision: h_i ≥ 0; 0 where there is no estimate.
      prior: mean and sd of a normal prior of μ, or None.

    Returns:
      μ and τ, the likelihood with μ at its maximum greatest over `SPREADS`.
    """
    centre, firmness = (0.0, 0.0) if prior is None else (prior[0], prior[1] ** -2)
    used = precision > 0.0

    def at(spread):
        weight = precision / (1.0 + spread**2 * precision)
        total = weight.sum() + firmness
        mean = (weight @ estimate + firmness * centre) / jnp.maximum(total, 1e-30)
        log_weight = jnp.log(jnp.where(used, weight, 1.0))
        square = weight * jnp.square(estimate - mean)
        penalty = firmness * jnp.square(mean - centre)
        return mean, 0.5 * (log_weight - square).sum() - 0.5 * penalty

    spreads = jnp.asarray(SPREADS, estimate.dtype)
    mean, likelihood = jax.vmap(at)(spreads)
    best = likelihood.argmax()
    return mean[best], spreads[best]


def population(fits: Fits, present: Bool[Array, "n"]) -> Population:
    """Noise, and the normal laws of elasticities and levels across products.

    σ² = Σ residuals / Σ degrees of freedom; ε̂_i has variance σ²/S_i, a_i has σ²/m_i.

    Args:
      fits: of n products.
      present: which are not padding.

    Returns:
      The population; a product alone is shrunk to `USUAL_ELASTICITY`.
    """
    n = jnp.maximum(present.sum(), 1).astype(fits.x.dtype)
    average = lambda v: jnp.where(present, v, 0.0).sum() / n
    sd = lambda v: jnp.sqrt(average(jnp.square(v - average(v))))
    freedom = jnp.maximum(fits.count - 1.0 - (fits.information > 0.0), 0.0).sum()
    # one observation of the usual noise keeps it from 0 in portfolios of few pairs
    variance = (fits.residual.sum() + USUAL_NOISE**2) / (freedom + 1.0)
    usual = (USUAL_ELASTICITY, USUAL_SPREAD)
    elasticity, elasticity_spread = spread_by_likelihood(
        fits.elasticity, fits.information / variance, usual
    )
    level, level_spread = spread_by_likelihood(fits.level, fits.count / variance)
    typical = jnp.exp((fits.level + fits.log_reference).clip(-60.0, 60.0))
    return Population(
        noise=jnp.sqrt(variance),
        elasticity=elasticity,
        elasticity_spread=elasticity_spread,
        level=level,
        level_spread=level_spread,
        log_price=average(fits.log_reference),
        price_spread=sd(fits.log_reference),
        variation=average(fits.information / jnp.maximum(fits.count, 1.0)),
        zeros=average(fits.zeros),
        count=n,
        num_pairs=average(fits.count),
        value=average(jnp.where(fits.count > 0.0, typical, 0.0)),
    )


class Shrunk(NamedTuple):
    """Posterior means and sds of the regressions under the population's laws."""

    level: Float[Array, "n"]
    level_sd: Float[Array, "n"]
    elasticity: Float[Array, "n"]
    elasticity_sd: Float[Array, "n"]


def shrink(fits: Fits, told: Population) -> Shrunk:
    """θ̃_i = μ + k_i(θ̂_i − μ), k_i = τ²/(τ² + v_i), of level and elasticity.

    Args:
      fits: of n products.
      told: of their portfolio, or of another.

    Returns:
      The posterior; that of the population where a product has no data.
    """

    def towards(estimate, information, mean, spread):
        signal = spread**2 * information
        keep = signal / (told.noise**2 + signal)
        return mean + keep * (estimate - mean), spread * jnp.sqrt(1.0 - keep)

    return Shrunk(
        *towards(fits.level, fits.count, told.level, told.level_spread),
        *towards(
            fits.elasticity,
            fits.information,
            told.elasticity,
            told.elasticity_spread,
        ),
    )


def plug_in(fits: Fits, shrunk: Shrunk) -> DemandLaw:
    """The shrunk regression as a demand law of constant elasticity.

    Args:
      fits: of n products.
      shrunk: their posterior.

    Returns:
      The law, elasticities cut to [0, `GREATEST_ELASTICITY`].
    """
    flat = jnp.zeros_like(shrunk.level)
    elasticity = shrunk.elasticity.clip(0.0, GREATEST_ELASTICITY)
    return DemandLaw(fits.log_reference, shrunk.level, elasticity, flat, flat)
