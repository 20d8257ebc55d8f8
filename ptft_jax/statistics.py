"""Summaries of a portfolio, seen as a whole or part by part."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ptft_jax import accumulators, features
from ptft_jax.features import Statistics
from ptft_jax.types import Portfolio

MAX_MULTIPLE = 1e4  # float32 cannot tell multiples of a smaller unit from others
DEFAULT_NOISE = 0.5  # relative noise assumed where no instance has two observations
PRIOR_COUNTS = (0.5, 200.0)  # observations that the portfolio's noise may count for


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
    return jax.lax.fori_loop(1, num_shifts + 1, narrow, positive(observations, valid))


def _trigamma(x):
    y = x + 1.0
    return 1.0 / x**2 + 1.0 / y + 1.0 / (2.0 * y**2) + 1.0 / (6.0 * y**3)


def _prior_count(log_variance, expected):
    """d₀ of a scaled inverse χ² prior of the variances, by moments (Smyth, 2004)."""
    excess = jnp.maximum(log_variance.variance - expected.mean, 1e-3)
    # Solves 1/x + 1/(2x²) = excess, which is ψ′(x) = excess to second order.
    half = (1.0 + jnp.sqrt(1.0 + 2.0 * excess)) / (2.0 * excess)
    return (2.0 * half).clip(*PRIOR_COUNTS)


class _Levels(NamedTuple):
    present: accumulators.Moments  # its weight counts instances
    log_mean: accumulators.Moments
    closest: accumulators.Largest  # less the smallest difference


class _Noises(NamedTuple):
    fraction: accumulators.Largest  # distance of multiples of the unit from whole ones
    multiple: accumulators.Largest
    variance: accumulators.Moments
    level: accumulators.Moments
    per_count: accumulators.Moments
    log_variance: accumulators.Moments
    sampling: accumulators.Moments  # variance of the log variance by sampling alone


def _levels(part):
    count = part.num_observed
    mean = part.observations.sum(-1) / jnp.maximum(count, 1.0)
    log_mean = jnp.log(jnp.maximum(mean, 1e-30))
    weigh = lambda mask: mask.astype(count.dtype)
    return _Levels(
        accumulators.moments(mean, weigh(part.present)),
        accumulators.moments(log_mean, weigh(part.present & (mean > 0))),
        accumulators.Largest(-smallest_gap(part.observations, part.valid)),
    )


def _noises(part, center, unit):
    count, present = part.num_observed, part.present.astype(center.dtype)
    multiple = jnp.where(part.valid, part.observations / unit, 0.0)
    own = features.own(part, features.scales(part, center), center)
    spare = jnp.maximum(count - 1.0, 0.0)
    used = (spare >= 1.0).astype(center.dtype)
    sampling = _trigamma(jnp.maximum(spare, 1.0) / 2.0)
    return _Noises(
        accumulators.Largest(jnp.abs(multiple - jnp.round(multiple)).max()),
        accumulators.Largest(multiple.max()),
        accumulators.moments(own.sd**2, spare),
        accumulators.moments(own.level, present),
        accumulators.moments(1.0 / jnp.maximum(count, 1.0), present),
        accumulators.moments(jnp.log(own.sd**2 + 1e-5), used),
        accumulators.moments(sampling, used),
    )


def _rows(part, stats):
    scale = features.scales(part, stats.center)
    own = features.own(part, scale, stats.center)
    *_, rows = features.summaries(part, own, stats)
    return accumulators.moments(rows, part.present.astype(rows.dtype))


def whole(portfolio: Portfolio) -> Statistics:
    """Summaries of the whole portfolio.

    Args:
      portfolio: n instances.

    Returns:
      Statistics; scaling all observations scales `center` and `unit` alone.
    """
    return gathered(lambda summarize: summarize(portfolio))


def gathered(
    gather: Callable[[Callable[[Portfolio], Any]], Any],
) -> Statistics:
    """`whole` of a portfolio that is only ever seen in parts, in three passes.

    Args:
      gather: takes a function from a part to a tree of accumulators, and returns those
        of all parts pooled.

    Returns:
      Statistics of all parts together.
    """
    levels = gather(_levels)
    center, unit = jnp.exp(levels.log_mean.mean), -levels.closest.value
    # A smaller unit is as good as none, and dividing by it would overflow.
    unit = jnp.where(jnp.isfinite(unit), jnp.maximum(unit, 1e-6 * center), center)
    found = gather(lambda part: _noises(part, center, unit))
    is_lattice = (found.fraction.value < 0.02) & (unit > 0)
    is_lattice &= found.multiple.value < MAX_MULTIPLE
    pooled = jnp.sqrt(found.variance.mean + 1e-4)
    noise = jnp.where(found.variance.weight > 0, pooled, DEFAULT_NOISE)
    total, within = found.level.variance, noise**2 * found.per_count.mean
    spread = jnp.sqrt(jnp.maximum(total - within, 0.02 * total + 1e-4))
    prior_count = _prior_count(found.log_variance, found.sampling)
    num = levels.present.weight
    stats = Statistics(
        num, center, unit, is_lattice, noise, prior_count, spread, jnp.zeros(0)
    )
    rows = gather(lambda part: _rows(part, stats))
    spreads = jnp.sqrt(rows.variance + 1e-8)
    return stats._replace(moments=jnp.concatenate([rows.mean, spreads]))
