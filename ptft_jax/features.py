"""What the network sees: unit-free summaries of a portfolio, streamable over instances."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ptft_jax.types import Portfolio


class Statistics(NamedTuple):
    """Portfolio-wide summaries; all means over present instances."""

    num_instances: Float[Array, ""]  # n
    center: Float[Array, ""]  # geometric mean of the positive instance means
    unit: Float[Array, ""]  # smallest difference of two observations of an instance
    moments: Float[Array, "f"]  # means and sds of unit-free instance summaries


class Features(NamedTuple):
    """Inputs of the network, and the scale its decisions are multiplied by."""

    scale: Float[Array, "n"]
    noise: Float[Array, "n"]  # plug-in relative standard deviation
    observation: Float[Array, "n m g"]
    instance: Float[Array, "n f"]


def _masked_mean(x, mask, axis=None):
    total = jnp.where(mask, x, 0.0).sum(axis)
    return total / jnp.maximum(mask.sum(axis), 1)


def smallest_gap(
    observations: Float[Array, "n m"], valid: Bool[Array, "n m"]
) -> Float[Array, ""]:
    """Smallest positive difference between two observations of one instance, or from 0.

    It is the unit of counts, and next to nothing for continuous demand.

    Args:
      observations: demand, [n, m].
      valid: which exist, [n, m].

    Returns:
      The gap; infinite where all observations of every instance are 0.
    """
    tolerance = 1e-5 * jnp.where(valid, observations, 0.0).max(-1, keepdims=True)
    positive = lambda gap, ok: jnp.where(ok & (gap > tolerance), gap, jnp.inf).min()

    def narrow(shift, smallest):
        other = jnp.roll(observations, shift, axis=1)
        both = valid & jnp.roll(valid, shift, axis=1)
        return jnp.minimum(smallest, positive(jnp.abs(observations - other), both))

    # Cyclic shifts by 1 … m/2 meet every pair, so the order of observations is nothing.
    num_shifts = observations.shape[1] // 2
    return jax.lax.fori_loop(
        1, num_shifts + 1, narrow, positive(observations, valid), unroll=True
    )


def _scale(portfolio, center):
    count = portfolio.num_observed
    mean = jnp.where(portfolio.valid, portfolio.observations, 0.0).sum(
        -1
    ) / jnp.maximum(count, 1.0)
    # An instance that has sold nothing yet is taken to sell one typical amount next.
    return jnp.where(mean > 0, mean, center / (count + 1.0))


def _summaries(portfolio, scale, unit):
    """Unit-free summaries of each instance from its own observations, [n, f]."""
    valid, count = portfolio.valid, portfolio.num_observed
    ratio = portfolio.observations / jnp.maximum(scale, 1e-30)[:, None]
    mean = _masked_mean(ratio, valid, -1)
    deviation = jnp.where(valid, ratio - mean[:, None], 0.0)
    spare = jnp.maximum(count - 1.0, 1.0)
    sd = jnp.sqrt((deviation**2).sum(-1) / spare)
    log_ratio = jnp.log(ratio + 0.1)
    log_mean = _masked_mean(log_ratio, valid, -1)
    log_deviation = jnp.where(valid, log_ratio - log_mean[:, None], 0.0)
    log_sd = jnp.sqrt((log_deviation**2).sum(-1) / spare)
    third = jnp.cbrt((deviation**3).sum(-1) / jnp.maximum(count, 1.0))
    log_unit = jnp.log(scale / unit).clip(-3.0, 5.0)
    top = jnp.where(valid, ratio, 0.0).max(-1)
    low = jnp.where(valid, ratio, jnp.inf).min(-1)
    low = jnp.where(jnp.isfinite(low), low, 0.0)
    zeros = _masked_mean((portfolio.observations <= 0).astype(ratio.dtype), valid, -1)
    middle = _masked_mean(jnp.abs(deviation), valid, -1)
    return ratio, jnp.stack(
        [
            jnp.log(sd + 0.02),
            sd.clip(0.0, 6.0),
            log_sd,
            third.clip(-6.0, 6.0),
            jnp.log(top + 0.1),
            jnp.log(low + 0.1),
            zeros,
            log_unit / 3.0,
            middle,
        ],
        axis=-1,
    )


def statistics(portfolio: Portfolio) -> Statistics:
    """Summaries of the whole portfolio.

    Args:
      portfolio: n instances.

    Returns:
      Statistics; scaling all observations scales `center` and `unit` alone.
    """
    present, count = portfolio.present, portfolio.num_observed
    mean = portfolio.observations.sum(-1) / jnp.maximum(count, 1.0)
    log_mean = jnp.log(jnp.maximum(mean, 1e-30))
    center = jnp.exp(_masked_mean(log_mean, present & (mean > 0)))
    unit = smallest_gap(portfolio.observations, portfolio.valid)
    unit = jnp.where(jnp.isfinite(unit), unit, center)
    scale = _scale(portfolio, center)
    _, rows = _summaries(portfolio, scale, unit)
    level = jnp.log(jnp.maximum(scale, 1e-30) / center).clip(-6.0, 6.0)
    rows = jnp.concatenate([rows[:, :4], rows[:, 6:8], level[:, None]], axis=-1)
    weight = present[:, None]
    average = _masked_mean(rows, weight, 0)
    spread = jnp.sqrt(_masked_mean((rows - average) ** 2, weight, 0))
    moments = jnp.concatenate([average[:6], spread[:4], spread[6:]])
    return Statistics(present.sum().astype(mean.dtype), center, unit, moments)


def features(portfolio: Portfolio, stats: Statistics) -> Features:
    """Inputs of the network for each instance, seen in the light of its portfolio.

    Args:
      portfolio: the instances to decide on; they need not be those of `stats`.
      stats: summaries of the context portfolio.

    Returns:
      Features; scaling all observations of both portfolios scales `scale` alone.
    """
    scale = _scale(portfolio, stats.center)
    count = portfolio.num_observed
    ratio, rows = _summaries(portfolio, scale, stats.unit)
    level = jnp.log(jnp.maximum(scale, 1e-30) / stats.center).clip(-6.0, 6.0)
    units = jnp.log1p(portfolio.observations / stats.unit).clip(0.0, 5.0)
    observation = jnp.stack(
        [
            ratio.clip(0.0, 20.0) / (1.0 + ratio.clip(0.0, 20.0)) * 2.0 - 1.0,
            jnp.log(ratio + 0.1),
            jnp.sqrt(ratio.clip(0.0, 40.0)),
            (portfolio.observations <= 0).astype(ratio.dtype),
            units / 3.0,
            jnp.log(ratio + 0.1) + 0.5 * level[:, None],
        ],
        axis=-1,
    )
    instance = jnp.concatenate(
        [
            rows,
            level[:, None],
            (level**2)[:, None] / 4.0,
            jax.lax.rsqrt(count)[:, None].clip(0.0, 1.0),
            jnp.log(jnp.maximum(count, 1.0))[:, None] / 3.0,
        ],
        axis=-1,
    )
    return Features(scale, rows[:, 1], observation, instance)


def portfolio_features(stats: Statistics) -> Float[Array, "f"]:
    """The portfolio summaries as one unit-free vector.

    Args:
      stats: summaries of the context portfolio.

    Returns:
      The moments, log n and n^{-1/2}.
    """
    n = jnp.maximum(stats.num_instances, 1.0)
    size = jnp.stack([jnp.log(n) / 6.0, jax.lax.rsqrt(n)])
    return jnp.concatenate([stats.moments, size])
