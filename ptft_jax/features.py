"""What the network sees: unit-free summaries of a portfolio and its instances."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import nn
from jaxtyping import Array, Bool, Float

from ptft_jax.types import Portfolio

ABOUT = (-1.0, -0.5, 0.0, 0.5, 1.0, 2.0)  # of a decision, in units of noise
MAX_INSTANCES = 512.0  # the network is told of at most this many


class Statistics(NamedTuple):
    """Portfolio-wide summaries; all means over present instances."""

    num_instances: Float[Array, ""]  # n
    center: Float[Array, ""]  # geometric mean of the positive instance means
    unit: Float[Array, ""]  # smallest difference of two observations of an instance
    is_lattice: Bool[Array, ""]  # whether all observations are multiples of the unit
    noise: Float[Array, ""]  # pooled relative standard deviation
    prior_count: Float[Array, ""]  # observations it counts for, by empirical Bayes
    spread: Float[Array, ""]  # sd of log level across instances, noise taken out
    moments: Float[Array, "f"]  # means and sds of unit-free instance summaries


class Features(NamedTuple):
    """Inputs of the network, and what its decision link starts from."""

    scale: Float[Array, "n"]  # observed mean
    noise: Float[Array, "n"]  # relative standard deviation, shrunk to the portfolio's
    shrinkage: Float[Array, "n"]  # empirical-Bayes move of the level, in units of noise
    unit: Float[Array, "n"]  # of the lattice demand lives on, 0 where it is continuous
    observation: Float[Array, "n g"]  # means over an instance's observations
    instance: Float[Array, "n f"]
    residual: Float[Array, "n m"]  # from the mean, in units of noise
    valid: Bool[Array, "n m"]


def _masked_mean(x, mask, axis=None):
    total = jnp.where(mask, x, 0.0).sum(axis)
    return total / jnp.maximum(mask.sum(axis), 1)


def scales(portfolio: Portfolio, center: Float[Array, ""]) -> Float[Array, "n"]:
    """Observed means; for those that are 0, a share of the portfolio's center.

    Args:
      portfolio: n instances.
      center: geometric mean of the positive instance means.

    Returns:
      Scales, > 0 where the center is.
    """
    count = portfolio.num_observed
    mean = jnp.where(portfolio.valid, portfolio.observations, 0.0).sum(
        -1
    ) / jnp.maximum(count, 1.0)
    # An instance that has sold nothing yet is taken to sell one typical amount next.
    return jnp.where(mean > 0, mean, center / (count + 1.0))


class Own(NamedTuple):
    """Unit-free summaries of each instance from its own observations."""

    ratio: Float[Array, "n m"]
    level: Float[Array, "n"]
    sd: Float[Array, "n"]


def own(
    portfolio: Portfolio, scale: Float[Array, "n"], center: Float[Array, ""]
) -> Own:
    """Summaries of each instance that need no other but for the center.

    Args:
      portfolio: n instances.
      scale: of `scales`.
      center: as for `scales`.

    Returns:
      Ratios to the scale, log level and relative standard deviation.
    """
    ratio = portfolio.observations / jnp.maximum(scale, 1e-30)[:, None]
    deviation = jnp.where(portfolio.valid, ratio - 1.0, 0.0)
    spare = jnp.maximum(portfolio.num_observed - 1.0, 1.0)
    sd = jnp.sqrt((deviation**2).sum(-1) / spare).clip(0.0, 4.0)
    level = jnp.log(jnp.maximum(scale, 1e-30) / jnp.maximum(center, 1e-30))
    return Own(ratio, level.clip(-6.0, 6.0), sd)


def _shrunk_noise(portfolio, own, stats):
    spare = jnp.maximum(portfolio.num_observed - 1.0, 0.0)
    prior = stats.prior_count
    return jnp.sqrt((spare * own.sd**2 + prior * stats.noise**2) / (spare + prior))


def summaries(portfolio: Portfolio, own: Own, stats: Statistics):
    """What the network is told of each instance, in units of noise.

    Args:
      portfolio: n instances.
      own: their own summaries.
      stats: of the context portfolio, moments aside.

    Returns:
      Noise, shrinkage, residuals and the rows of instance features.
    """
    valid, count = portfolio.valid, portfolio.num_observed
    noise = _shrunk_noise(portfolio, own, stats)
    residual = jnp.where(valid, (own.ratio - 1.0) / noise[:, None], 0.0).clip(-8.0, 8.0)
    per_count = 1.0 / jnp.maximum(count, 1.0)
    zeros = _masked_mean((portfolio.observations <= 0).astype(noise.dtype), valid, -1)
    log_unit = own.level + jnp.log(jnp.maximum(stats.center, 1e-30) / stats.unit)
    variance = noise**2 * per_count
    pull = variance / (variance + stats.spread**2)
    shrinkage = (-pull * own.level / noise).clip(-3.0, 3.0)
    rows = [
        jnp.log(noise),
        jnp.log((own.sd + 0.02) / (stats.noise + 0.02)).clip(-3.0, 3.0),
        jnp.cbrt((residual**3).sum(-1) * per_count),
        jnp.abs(residual).sum(-1) * per_count,
        residual.max(-1) / 2.0,
        residual.min(-1) / 2.0,
        zeros,
        log_unit.clip(-3.0, 5.0) / 3.0,
        own.level,
        pull,
        shrinkage,
        jnp.sqrt(per_count),
        jnp.log(jnp.maximum(count, 1.0)) / 3.0,
    ]
    return noise, shrinkage, residual, jnp.stack(rows, axis=-1)


def features(portfolio: Portfolio, stats: Statistics) -> Features:
    """Inputs of the network for each instance, seen in the light of its portfolio.

    Args:
      portfolio: the instances to decide on; they need not be those of `stats`.
      stats: summaries of the context portfolio.

    Returns:
      Features; scaling all observations of both portfolios scales `scale` alone.
    """
    scale = scales(portfolio, stats.center)
    alone = own(portfolio, scale, stats.center)
    noise, shrinkage, residual, instance = summaries(portfolio, alone, stats)
    units = jnp.log1p(portfolio.observations / stats.unit).clip(0.0, 5.0)
    log_ratio = jnp.log(alone.ratio + 0.1).clip(-3.0, 4.0)
    observation = [
        residual / 2.0,
        jnp.tanh(residual),
        log_ratio,
        jnp.sqrt(alone.ratio.clip(0.0, 30.0)),
        (portfolio.observations <= 0).astype(scale.dtype),
        units / 3.0,
        log_ratio + 0.5 * alone.level[:, None],
    ]
    # Each by itself: stacked first, they would be written out interleaved.
    pooled = jnp.stack([_masked_mean(x, portfolio.valid, -1) for x in observation], -1)
    unit = jnp.broadcast_to(jnp.where(stats.is_lattice, stats.unit, 0.0), scale.shape)
    seen = residual, portfolio.valid
    return Features(scale, noise, shrinkage, unit, pooled, instance, *seen)


def exceedances(inputs: Features, start: Float[Array, "n"]) -> Float[Array, "n c"]:
    """Smoothed shares of an instance's observations above levels about a decision.

    mean_j sigmoid(4 (r_ij − t_i − δ)), r the residuals, δ in `ABOUT`: the sample's own
    law where it matters for the decision, which no fixed set of moments holds.

    Args:
      inputs: features of n instances.
      start: t, a decision in units of noise from the observed mean.

    Returns:
      Shares in (0, 1), [n, c].
    """
    levels = start[:, None] + jnp.asarray(ABOUT)
    above = nn.sigmoid(4.0 * (inputs.residual[..., None] - levels[:, None]))
    return _masked_mean(above, inputs.valid[..., None], 1)


def portfolio_features(stats: Statistics) -> Float[Array, "f"]:
    """The portfolio summaries as one unit-free vector.

    Args:
      stats: summaries of the context portfolio.

    Returns:
      The moments and logs of noise, its prior count, spread and n, and n^{-1/2}.
    """
    n = stats.num_instances.clip(1.0, MAX_INSTANCES)
    logs = jnp.log(jnp.stack([stats.noise, stats.prior_count, stats.spread, n])) / 3.0
    return jnp.concatenate([stats.moments, logs, jax.lax.rsqrt(n)[None]])
