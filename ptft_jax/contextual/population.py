"""The law of products' regressions, and each product's regression shrunk to it.

y_ij = a_i + b_i·x_ij + σ_i z_ij with b_ik ~ N(μ_k, τ_k²), a_i ~ N(A + κ μ·x̄_i, τ²),
σ_i² inverse gamma about σ²: the empirical Bayes estimates of all but the a, b and σ_i.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ptft_jax.contextual import regression
from ptft_jax.contextual.records import Seen, present
from ptft_jax.contextual.regression import Fits, Scaling

# believed before any data; of spreads and noise with the weight of so many values
USUAL_SLOPE, USUAL_SPREAD, USUAL_NOISE = 0.5, 0.05, 0.5
PRIOR_WEIGHT = 0.5
NUM_ROUNDS = 8
LEAST_SPREAD, MOST_SPREAD = 0.01, 3.0
LEAST_FIRMNESS, MOST_FIRMNESS = 1.0, 200.0
TAILS = (1.28, 1.64, 2.33)


class Population(NamedTuple):
    """What a product is told of its portfolio, of a size that does not depend on n.

    Attributes:
      units: of covariates and demand.
      slope: μ, mean effect of each standardised covariate on log demand, [c].
      slope_spread: τ_k, sd of the effects across products, [c].
      noise: σ, sd of log demand given the covariates.
      firmness: observations that σ is worth as a guess of a product's own sd.
      level: A, mean log demand.
      level_spread: sd across products.
      between: κ, share of the effect of covariates in differences between products.
      shape: of the pooled residuals: shares in the `TAILS`, skewness and kurtosis
        less those of a normal law.
      zeros: share of observations without demand.
      num_observations: mean of m_i.
      count: products.
    """

    units: Scaling
    slope: Float[Array, "c"]
    slope_spread: Float[Array, "c"]
    noise: Float[Array, ""]
    firmness: Float[Array, ""]
    level: Float[Array, ""]
    level_spread: Float[Array, ""]
    between: Float[Array, ""]
    shape: Float[Array, "8"]
    zeros: Float[Array, ""]
    num_observations: Float[Array, ""]
    count: Float[Array, ""]


class Slopes(NamedTuple):
    """Posterior of the products' slopes.

    Attributes:
      mean: b̃_i, [n, c].
      covariance: V_i, [n, c, c].
      used: 1 − V_ikk/τ_k², how far each slope was learnt, [n, c].
    """

    mean: Float[Array, "n c"]
    covariance: Float[Array, "n c c"]
    used: Float[Array, "n c"]


def _kernel(fits: Fits, spread: Float[Array, "c"], variance) -> Float[Array, "n c c"]:
    """Q_i = (σ²I + D S_i D)⁻¹, D = diag τ: well conditioned whatever τ."""
    eye = jnp.eye(spread.shape[0])
    return regression.inverse(variance * eye + spread[:, None] * fits.gram * spread)


def shrunk_slopes(fits: Fits, slope, spread, variance) -> Slopes:
    """b̃_i = μ + D Q_i D (r_i − S_i μ), V_i = σ² D Q_i D.

    Args:
      fits: of n products.
      slope: μ, [c].
      spread: τ, [c].
      variance: σ².

    Returns:
      The posterior; that of the population where a product has no data.
    """
    return _shrunk(fits, slope, spread, variance, _kernel(fits, spread, variance))


def times(matrix: Float[Array, "n c c"], vector: Float[Array, "#n c"]):
    """Products of many small matrices with vectors, as one elementwise product."""
    return (matrix * vector[:, None, :]).sum(-1)


def _shrunk(fits: Fits, slope, spread, variance, kernel) -> Slopes:
    posterior = spread[:, None] * kernel * spread
    rest = fits.moment - times(fits.gram, slope[None])
    return Slopes(
        mean=slope + times(posterior, rest),
        covariance=variance * posterior,
        used=1.0 - variance * jnp.diagonal(kernel, axis1=1, axis2=2),
    )


def _mean_slope(fits: Fits, spread, variance, kernel):
    """μ by generalised least squares, and how many of its numbers were learnt.

    Xᵀ(σ²I + X D² Xᵀ)⁻¹X = D⁻¹(I − σ²Q)D⁻¹, and so for y: nothing larger is inverted.
    """
    eye = jnp.eye(spread.shape[0])
    information = (eye - variance * kernel).sum(0) / spread[:, None] / spread
    moment = times(kernel, spread * fits.moment).sum(0) / spread
    ridge = USUAL_SLOPE**-2.0
    cover = regression.inverse(information + ridge * eye)
    return cover @ moment, spread.shape[0] - ridge * jnp.trace(cover)


def components(fits: Fits) -> tuple[Float[Array, "c"], Float[Array, "c"], Array]:
    """Mean slopes, their spreads and the noise, by scoring of restricted likelihood.

    With u_ik = 1 − V_ikk/τ_k²: τ_k² += Σ_i [(b̃_ik − μ_k)² − u_ik τ_k²] / Σ_i u_ik²,
    σ² = Σ residual² / (Σ(m_i − 1) − numbers learnt), each with a weak prior.

    Args:
      fits: of n products.

    Returns:
      μ, τ and σ².
    """
    freedom = jnp.maximum(fits.count - 1.0, 0.0).sum()
    usual = PRIOR_WEIGHT * USUAL_NOISE**2
    first = (fits.square.sum() + usual) / (freedom + PRIOR_WEIGHT)

    def update(_, state):
        spread, variance = state
        kernel = _kernel(fits, spread, variance)
        slope, learnt = _mean_slope(fits, spread, variance, kernel)
        own = _shrunk(fits, slope, spread, variance, kernel)
        score = ((own.mean - slope) ** 2 - own.used * spread**2).sum(0)
        score += PRIOR_WEIGHT * (USUAL_SPREAD**2 - spread**2)
        step = score / ((own.used**2).sum(0) + PRIOR_WEIGHT)
        wider = jnp.sqrt((spread**2 + step).clip(LEAST_SPREAD**2, MOST_SPREAD**2))
        explained = own.mean * (2.0 * fits.moment - times(fits.gram, own.mean))
        left = jnp.maximum(fits.square - explained.sum(1), 0.0).sum() + usual
        free = jnp.maximum(freedom - own.used.sum() - learnt, 0.0) + PRIOR_WEIGHT
        return wider, left / free

    start = jnp.full(fits.ahead.shape[1], 0.1), first
    spread, variance = jax.lax.fori_loop(0, NUM_ROUNDS, update, start)
    kernel = _kernel(fits, spread, variance)
    return _mean_slope(fits, spread, variance, kernel)[0], spread, variance


def _levels(fits: Fits, seen_any: Bool[Array, "n"], slope, variance):
    """A, its spread (DerSimonian & Laird) and κ, by moments."""
    n = jnp.maximum(seen_any.sum(), 1)
    average = lambda v: jnp.where(seen_any, v, 0.0).sum() / n
    effect = fits.mean_context @ slope
    off_effect = effect - average(effect)
    off_level = fits.level - average(fits.level)
    spread = average(off_level**2) + variance / n
    # as good as one product of usual effect, that differences between products are
    # caused by covariates as those within products are
    covered = n * average(off_effect * off_level) + spread
    between = covered / (n * average(off_effect**2) + spread)
    own = fits.level - between * effect
    weight = jnp.where(seen_any, fits.count / variance, 0.0)
    total = jnp.maximum(weight.sum(), 1e-30)
    centre = (weight @ own) / total
    excess = weight @ (own - centre) ** 2 - (n - 1)
    between_variance = excess / jnp.maximum(total - weight @ weight / total, 1e-30)
    variance_of_levels = jnp.where(n > 1, between_variance, 1.0).clip(1e-4, 100.0)
    weight = weight / (1.0 + variance_of_levels * weight)
    level = (weight @ own) / jnp.maximum(weight.sum(), 1e-30)
    return level, jnp.sqrt(variance_of_levels), between


def _firmness(square, freedom, variance) -> Float[Array, ""]:
    """ν of σ_i² about σ², by moments: Var(v_i/σ²) = 2/f_i + (1 + 2/f_i) 2/ν."""
    ratio = square / jnp.maximum(freedom, 1e-3) / variance
    weight = jnp.where(freedom > 0.5, freedom, 0.0)
    two = 2.0 / jnp.maximum(freedom, 0.5)
    excess = weight * (jnp.square(ratio.clip(0.0, 8.0) - 1.0) - two)
    spread = (excess.sum() + 0.2) / ((weight * (1.0 + two)).sum() + 1.0)
    return (2.0 / jnp.maximum(spread, 1e-6)).clip(LEAST_FIRMNESS, MOST_FIRMNESS)


def _shape(fits: Fits, valid, slope, sd, freedom) -> Float[Array, "8"]:
    """Shares of standardised residuals in the tails, their skewness and kurtosis."""
    left = fits.y - jnp.einsum("nmi,ni->nm", fits.x, slope)
    widen = jnp.sqrt(fits.count / jnp.maximum(freedom, 0.3 * fits.count + 0.1))
    r = (left * (widen / sd)[:, None]).clip(-5.0, 5.0)
    counted = valid & (fits.count >= 3.0)[:, None]
    total = counted.sum() + 10.0
    # ten normal residuals beside them
    mean = lambda v, usual: (jnp.where(counted, v, 0.0).sum() + 10.0 * usual) / total
    normal = [jax.scipy.special.ndtr(-t) for t in TAILS]
    above = [mean(r > t, p) / p - 1.0 for t, p in zip(TAILS, normal, strict=True)]
    below = [mean(r < -t, p) / p - 1.0 for t, p in zip(TAILS, normal, strict=True)]
    return jnp.stack([*above, *below, mean(r**3, 0.0), mean(r**4, 3.0) - 3.0])


def summarize(seen: Seen) -> Population:
    """The population of a portfolio.

    Args:
      seen: n products.

    Returns:
      Scalars and vectors [c].
    """
    units = regression.scaling(seen)
    fits = regression.fit(seen, units)
    exists = present(seen)
    n = jnp.maximum(exists.sum(), 1).astype(fits.y.dtype)
    average = lambda v: jnp.where(exists, v, 0.0).sum() / n
    slope, spread, variance = components(fits)
    own = shrunk_slopes(fits, slope, spread, variance)
    square, freedom = own_noise(fits, own)
    firmness = _firmness(square, freedom, variance)
    sd = jnp.sqrt((firmness * variance + square) / (firmness + freedom))
    level, level_spread, between = _levels(fits, fits.count > 0.0, slope, variance)
    return Population(
        units=units,
        slope=slope,
        slope_spread=spread,
        noise=jnp.sqrt(variance),
        firmness=firmness,
        level=level,
        level_spread=level_spread,
        between=between,
        shape=_shape(fits, seen.valid, own.mean, sd, freedom),
        zeros=average(fits.zeros),
        num_observations=average(fits.count),
        count=n,
    )


def own_noise(fits: Fits, own: Slopes) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Residual sums of squares of the products, and their degrees of freedom.

    Args:
      fits: of n products.
      own: their slopes.

    Returns:
      The sums and m_i − 1 − Σ_k used_ik, ≥ 0.
    """
    freedom = jnp.maximum(fits.count - 1.0 - own.used.sum(1), 0.0)
    return regression.residual_square(fits, own.mean), freedom
