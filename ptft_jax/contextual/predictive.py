"""The normal law of a product's next log demand, and a network's corrections of it."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

from ptft_jax.contextual import population
from ptft_jax.contextual.population import Population
from ptft_jax.contextual.regression import Fits

NUM_OUTPUTS = 4
MOST_STRETCH = 3.0  # of log sd
FARTHEST = 8.0  # log units from its level that a decision may lie


class Predictive(NamedTuple):
    """log ξ ~ N(level + common + own, sd²) in the next period, parts [n].

    Attributes:
      level: ã, shrunk log demand at the product's mean covariates.
      common: μ·Δ, effect of the mean slopes, Δ the covariates less that mean.
      own: (b̃ − μ)·Δ, of the product's own.
      sd: of all that is not known: noise, level and slopes.
      noise: the product's shrunk sd of log demand given the covariates.
      level_variance: of ã.
      slope_variance: Δᵀ V Δ.
    """

    level: Float[Array, "n"]
    common: Float[Array, "n"]
    own: Float[Array, "n"]
    sd: Float[Array, "n"]
    noise: Float[Array, "n"]
    level_variance: Float[Array, "n"]
    slope_variance: Float[Array, "n"]


def predict(fits: Fits, told: Population) -> Predictive:
    """Shrinks each product's level, slopes and sd to its portfolio's.

    ã = A_i + k(ȳ − A_i), A_i = A + κ μ·x̄_i, k = τ²/(τ² + σ²/m);
    s² = (νσ² + residual²)/(ν + freedom); sd² = s² + τ²(1 − k) + Δᵀ V Δ.

    Args:
      fits: of n products.
      told: of their portfolio, or of another.

    Returns:
      The law; that of the population where a product has no data.
    """
    variance = told.noise**2
    own = population.shrunk_slopes(fits, told.slope, told.slope_spread, variance)
    square, freedom = population.own_noise(fits, own)
    noise = (told.firmness * variance + square) / (told.firmness + freedom)
    usual = told.level + told.between * (fits.mean_context @ told.slope)
    signal = told.level_spread**2 * fits.count
    keep = signal / (signal + variance)
    level_variance = told.level_spread**2 * (1.0 - keep)
    slope_variance = jnp.einsum("ni,nij,nj->n", fits.ahead, own.covariance, fits.ahead)
    return Predictive(
        level=usual + keep * (fits.level - usual),
        common=fits.ahead @ told.slope,
        own=((own.mean - told.slope) * fits.ahead).sum(1),
        sd=jnp.sqrt(noise + level_variance + slope_variance),
        noise=jnp.sqrt(noise),
        level_variance=level_variance,
        slope_variance=slope_variance,
    )


def normal_quantile(quantile: Float[Array, "n"]) -> Float[Array, "n"]:
    """z_q, finite for padding.

    Args:
      quantile: q; 0 is padding.

    Returns:
      Φ⁻¹(q); 0 for padding.
    """
    safe = jnp.where(quantile > 0.0, quantile, 0.5)
    return ndtri(safe.clip(1e-6, 1.0 - 1e-6))


def corrected(
    rule: Predictive, quantile: Float[Array, "n"], output: Float[Array, "n 4"]
) -> Float[Array, "n"]:
    """Stock exp(ã + (1 + o₂) common + (1 + o₃) own + sd (z_q e^{o₁} + o₀)).

    Args:
      rule: the law of the next log demand.
      quantile: q; 0 is padding.
      output: o; 0 is the quantile of the law.

    Returns:
      The stock, > 0; 0 for padding.
    """
    stretch = jnp.exp(MOST_STRETCH * jnp.tanh(output[:, 1] / MOST_STRETCH))
    effect = (1.0 + output[:, 2]) * rule.common + (1.0 + output[:, 3]) * rule.own
    off = rule.sd * (normal_quantile(quantile) * stretch + output[:, 0])
    log_stock = rule.level + (effect + off).clip(-FARTHEST, FARTHEST)
    return jnp.where(quantile > 0.0, jnp.exp(log_stock), 0.0)
