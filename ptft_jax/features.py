"""What the network sees: unit-free summaries of a portfolio and its instances."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ptft_jax import accumulators
from ptft_jax.types import Portfolio

MAX_INSTANCES = 512.0  # the network is told of at most this many
MAX_MULTIPLE = 1e4  # float32 cannot tell multiples of a smaller unit from others
DEFAULT_NOISE = 0.5  # relative noise assumed where no instance has two observations
PRIOR_COUNTS = (0.5, 200.0)  # observations that the portfolio's noise may count for


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
    return jax.lax.fori_loop(1, num_shifts + 1, narrow, positive(observations, valid))


def _scale(portfolio, center):
    count = portfolio.num_observed
    mean = jnp.where(portfolio.valid, portfolio.observations, 0.0).sum(
        -1
    ) / jnp.maximum(count, 1.0)
    # An instance that has sold nothing yet is taken to sell one typical amount next.
    return jnp.where(mean > 0, mean, center / (count + 1.0))


class _Own(NamedTuple):
    """Unit-free summaries of each instance from its own observations."""

    ratio: Float[Array, "n m"]
    level: Float[Array, "n"]
    sd: Float[Array, "n"]


def _own(portfolio, scale, center):
    ratio = portfolio.observations / jnp.maximum(scale, 1e-30)[:, None]
    deviation = jnp.where(portfolio.valid, ratio - 1.0, 0.0)
    spare = jnp.maximum(portfolio.num_observed - 1.0, 1.0)
    sd = jnp.sqrt((deviation**2).sum(-1) / spare).clip(0.0, 4.0)
    level = jnp.log(jnp.maximum(scale, 1e-30) / jnp.maximum(center, 1e-30))
    return _Own(ratio, level.clip(-6.0, 6.0), sd)


def _trigamma(x):
    y = x + 1.0
    return 1.0 / x**2 + 1.0 / y + 1.0 / (2.0 * y**2) + 1.0 / (6.0 * y**3)


def _prior_count(log_variance, expected):
    """d₀ of a scaled inverse χ² prior of the variances, by moments (Smyth, 2004)."""
    excess = jnp.maximum(log_variance.variance - expected.mean, 1e-3)
    # Solves 1/x + 1/(2x²) = excess, which is ψ′(x) = excess to second order.
    half = (1.0 + jnp.sqrt(1.0 + 2.0 * excess)) / (2.0 * excess)
    return (2.0 * half).clip(*PRIOR_COUNTS)


def _shrunk_noise(portfolio, own, stats):
    spare = jnp.maximum(portfolio.num_observed - 1.0, 0.0)
    prior = stats.prior_count
    return jnp.sqrt((spare * own.sd**2 + prior * stats.noise**2) / (spare + prior))


def _summaries(portfolio, own, stats):
    """What the network is told of each instance, in units of noise."""
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
    own = _own(part, _scale(part, center), center)
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
    own = _own(part, _scale(part, stats.center), stats.center)
    *_, rows = _summaries(part, own, stats)
    return accumulators.moments(rows, part.present.astype(rows.dtype))


def statistics(portfolio: Portfolio) -> Statistics:
    """Summaries of the whole portfolio.

    Args:
      portfolio: n instances.

    Returns:
      Statistics; scaling all observations scales `center` and `unit` alone.
    """
    return gathered_statistics(lambda summarize: summarize(portfolio))


def gathered_statistics(
    gather: Callable[[Callable[[Portfolio], Any]], Any],
) -> Statistics:
    """`statistics` of a portfolio that is only ever seen in parts, in three passes.

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


def features(portfolio: Portfolio, stats: Statistics) -> Features:
    """Inputs of the network for each instance, seen in the light of its portfolio.

    Args:
      portfolio: the instances to decide on; they need not be those of `stats`.
      stats: summaries of the context portfolio.

    Returns:
      Features; scaling all observations of both portfolios scales `scale` alone.
    """
    scale = _scale(portfolio, stats.center)
    own = _own(portfolio, scale, stats.center)
    noise, shrinkage, residual, instance = _summaries(portfolio, own, stats)
    units = jnp.log1p(portfolio.observations / stats.unit).clip(0.0, 5.0)
    log_ratio = jnp.log(own.ratio + 0.1).clip(-3.0, 4.0)
    observation = jnp.stack(
        [
            residual / 2.0,
            jnp.tanh(residual),
            log_ratio,
            jnp.sqrt(own.ratio.clip(0.0, 30.0)),
            (portfolio.observations <= 0).astype(scale.dtype),
            units / 3.0,
            log_ratio + 0.5 * own.level[:, None],
        ],
        axis=-1,
    )
    pooled = _masked_mean(observation, portfolio.valid[..., None], 1)
    unit = jnp.broadcast_to(jnp.where(stats.is_lattice, stats.unit, 0.0), scale.shape)
    return Features(scale, noise, shrinkage, unit, pooled, instance)


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
