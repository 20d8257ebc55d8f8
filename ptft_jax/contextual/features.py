"""What the network is told of products and observations: unit-free, in no order."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.contextual import population, predictive, regression
from ptft_jax.contextual.population import Population
from ptft_jax.contextual.predictive import Predictive
from ptft_jax.contextual.records import Seen
from ptft_jax.contextual.regression import Fits
from ptft_jax.problems.problem import Inputs

MOST = 6.0  # features are cut to ±6


def _log(value, least: float = 1e-3):
    return jnp.log(jnp.maximum(value, least))


def inputs(seen: Seen, told: Population) -> Inputs:
    """Features of products, of their portfolio and of each observation.

    Covariates enter by what they do to demand and by how far periods are from the next
    one, so that neither their order nor their number matters.

    Args:
      seen: n products.
      told: of their portfolio, or of another.

    Returns:
      The inputs.
    """
    fits = regression.fit(seen, told.units)
    rule = predictive.predict(fits, told)
    own = population.shrunk_slopes(fits, told.slope, told.slope_spread, told.noise**2)
    cut = lambda columns: jnp.stack(columns, -1).clip(-MOST, MOST)
    return Inputs(
        instance=cut(_of_products(seen, fits, rule, own, told)),
        portfolio=cut(_of_portfolio(told)),
        observation=cut(_of_observations(seen, fits, rule, own, told)),
        valid=seen.valid,
    )


def _of_products(
    seen: Seen, fits: Fits, rule: Predictive, own, told: Population
) -> list[Float[Array, "n"]]:
    square, freedom = population.own_noise(fits, own)
    count = jnp.maximum(fits.count, 1.0)
    left = fits.y - jnp.einsum("nmi,ni->nm", fits.x, own.mean)
    r = left / rule.noise[:, None]
    seen_any = (fits.count > 0.0).astype(fits.y.dtype)
    # the mean demand in units of what stands for none: 2 is a single one
    counts = _log(_mean(seen) / jnp.exp(_floor(seen, told))) * seen_any
    z = predictive.normal_quantile(seen.quantile)
    return [
        z,
        z**2 - 1.0,
        seen_any * (rule.level - told.level) / (told.level_spread + 0.3),
        rule.common / told.noise / 2.0,
        rule.own / told.noise / 2.0,
        rule.common,
        rule.own,
        _log(rule.sd),
        _log(rule.sd / told.noise),
        _log(rule.noise / told.noise),
        0.5 * _log((square + told.noise**2) / (freedom + 1.0) / told.noise**2),
        rule.slope_variance / rule.sd**2,
        rule.level_variance / rule.sd**2,
        (r**3).sum(1) / count,
        ((r**4).sum(1) / count - 3.0) / 3.0,
        r.max(1),
        r.min(1),
        fits.zeros,
        counts / 2.0,
        own.used.sum(1),
        1.0 / jnp.sqrt(fits.count + 1.0),
        _log(fits.count + 1.0) / 2.0,
        jnp.sqrt((fits.ahead**2).mean(1)),
        seen_any,
    ]


def _mean(seen: Seen) -> Float[Array, "n"]:
    total = jnp.where(seen.valid, seen.demand, 0.0).sum(1)
    return total / jnp.maximum(seen.valid.sum(1), 1)


def _floor(seen: Seen, told: Population) -> Float[Array, "n"]:
    """Least log demand that the regression saw of each product."""
    log_d = regression.log_demand(seen, told.units)
    least = jnp.where(seen.valid, log_d, jnp.inf).min(1)
    return jnp.where(jnp.isinf(least), 0.0, least)


def _of_portfolio(told: Population) -> list[Float[Array, ""]]:
    effect = jnp.sqrt((told.slope**2).sum())
    spread = jnp.sqrt((told.slope_spread**2).sum())
    return [
        _log(told.noise, 0.02),
        _log(told.firmness) / 2.0,
        effect,
        _log(effect / told.noise, 0.02) / 2.0,
        _log(spread / told.noise, 0.02) / 2.0,
        (told.units.scale > 0.0).mean(dtype=effect.dtype),
        told.level_spread / 2.0,
        told.between,
        *(told.shape / 2.0),
        told.zeros,
        _log(told.num_observations, 0.1) / 2.0,
        _log(told.count) / 4.0,
    ]


def _of_observations(
    seen: Seen, fits: Fits, rule: Predictive, own, told: Population
) -> list[Float[Array, "n m"]]:
    away = fits.x - fits.ahead[:, None]
    common = away @ told.slope
    left = fits.y - jnp.einsum("nmi,ni->nm", fits.x, own.mean)
    pooled = fits.y - fits.x @ told.slope
    r = left / rule.noise[:, None]
    varies = jnp.maximum((told.units.scale > 0.0).sum(), 1)
    near = jnp.exp(-0.5 * (away**2).sum(-1) / varies)
    z = predictive.normal_quantile(seen.quantile)[:, None]
    return [
        r,
        pooled / told.noise,
        common / told.noise / 2.0,
        r * common / told.noise / 2.0,
        near,
        near * pooled / told.noise,
        jnp.abs(r),
        r - z,
        (seen.demand <= 0.0).astype(r.dtype),
    ]
