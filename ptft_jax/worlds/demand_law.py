"""A prior over priors for demand: what a manager knows before seeing any data.

Each portfolio draws a `Law` (how its instances differ from each other), each instance
its `Instances` row (how its own demand varies), each observation a demand.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.worlds import transforms

NUM_DAY_TYPES = 3
MIN_NOISE = 0.02


class Law(NamedTuple):
    """How the instances of one portfolio differ: a draw of the hyper-prior."""

    level: Float[Array, ""]  # log of the typical demand
    spread: Float[Array, ""]  # sd of log level across instances
    level_skew: Float[Array, ""]
    level_tail: Float[Array, ""]
    cluster_share: Float[Array, ""]  # share of instances of a second kind
    cluster_level: Float[Array, ""]  # its log level, relative
    cluster_noise: Float[Array, ""]  # its log noise, relative
    noise: Float[Array, ""]  # log of the typical relative noise
    noise_spread: Float[Array, ""]  # sd of log noise across instances
    noise_slope: Float[Array, ""]  # change of log noise by log level (Taylor's law)
    power: Float[Array, ""]  # Box–Cox λ: 0 multiplicative, 1 additive noise
    skew: Float[Array, ""]
    tail: Float[Array, ""]
    shape_spread: Float[Array, ""]  # sd of skew and log tail across instances
    day_logit: Float[Array, "day"]  # how common each type of day is
    day_lift: Float[Array, "day"]  # its log demand, relative
    day_spread: Float[Array, ""]  # differences of the lifts across instances
    zero_logit: Float[Array, ""]  # logit of the share of days without demand
    zero_spread: Float[Array, ""]
    is_count: Bool[Array, ""]


class Instances(NamedTuple):
    """How the demand of each instance varies."""

    level: Float[Array, "n"]
    noise: Float[Array, "n"]
    power: Float[Array, "n"]
    skew: Float[Array, "n"]
    tail: Float[Array, "n"]
    day_share: Float[Array, "n day"]  # cumulative
    day_lift: Float[Array, "n day"]
    zero_share: Float[Array, "n"]
    is_count: Bool[Array, "n"]


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws how the instances of a portfolio differ.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law.
    """
    uniform_key, normal_key = jax.random.split(key)
    # One block each: a call per field would cost forty generators to compile.
    draws = iter(jax.random.uniform(uniform_key, (32,)))
    normals = iter(jax.random.normal(normal_key, (16,)))
    u, z = lambda: next(draws), lambda: next(normals)
    sometimes = lambda probability, on, off=0.0: jnp.where(u() < probability, on, off)
    between = lambda low, high: low + (high - low) * u()
    is_count = u() < 0.5
    is_pure = is_count & (u() < 0.3)
    # Slow movers sell a few a period at most: their observations say least of them.
    is_slow = u() < 0.4
    count_level = jnp.where(
        is_slow,
        transforms.log_between(u(), 0.1, 5.0),
        transforms.log_between(u(), 0.05, 300.0),
    )
    day_sd = sometimes(0.6, transforms.log_between(u(), 0.05, 0.8))
    day_trend = z()
    return Law(
        level=jnp.where(is_count, jnp.log(count_level), z()),
        spread=transforms.log_between(u(), 0.03, 2.0),
        level_skew=0.4 * z(),
        level_tail=transforms.log_between(u(), 0.8, 1.3),
        cluster_share=sometimes(0.3, between(0.05, 0.5)),
        cluster_level=z(),
        cluster_noise=0.5 * z(),
        noise=jnp.log(
            jnp.where(is_pure, MIN_NOISE, transforms.log_between(u(), 0.05, 1.4))
        ),
        noise_spread=sometimes(0.8, between(0.0, 0.6)),
        noise_slope=sometimes(0.6, between(-0.5, 0.2)),
        # Half of all demand is multiplicative: prices, promotions and days are factors.
        power=sometimes(0.5, 0.0, u()),
        skew=sometimes(0.6, 0.35 * z()),
        tail=sometimes(0.6, transforms.log_between(u(), 0.6, 1.6), 1.0),
        shape_spread=sometimes(0.5, between(0.0, 0.25)),
        day_logit=day_trend * jnp.arange(NUM_DAY_TYPES) + jnp.stack([z(), z(), z()]),
        day_lift=day_sd * jnp.stack([z(), z(), z()]),
        day_spread=0.3 * day_sd * u(),
        zero_logit=sometimes(0.3, between(-3.5, 1.5), -30.0),
        zero_spread=u(),
        is_count=is_count,
    )


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Instances:
    """Draws how the demand of each of n instances varies.

    Args:
      key: typed PRNG key.
      law: the portfolio's law.
      num_instances: n ≥ 1.

    Returns:
      One row an instance.
    """
    row_key, day_key, share_key, cluster_key = jax.random.split(key, 4)
    level_z, noise_z, skew_z, tail_z, zero_z = jax.random.normal(
        row_key, (5, num_instances)
    )
    is_second = jax.random.bernoulli(cluster_key, law.cluster_share, (num_instances,))
    relative = (
        law.spread * transforms.sinh_arcsinh(level_z, law.level_skew, law.level_tail)
        + is_second * law.cluster_level * law.spread
    ).clip(-6.0, 6.0)
    noise = (
        law.noise
        + law.noise_spread * noise_z
        + law.noise_slope * relative
        + is_second * law.cluster_noise
    )
    day_z = jax.random.normal(day_key, (num_instances, NUM_DAY_TYPES))
    logits = law.day_logit + 0.3 * jax.random.normal(share_key, day_z.shape)
    broadcast = lambda value: jnp.broadcast_to(value, (num_instances,))
    return Instances(
        level=jnp.exp(law.level + relative),
        noise=jnp.exp(noise).clip(MIN_NOISE, 1.5),
        power=broadcast(law.power),
        skew=law.skew + law.shape_spread * skew_z,
        tail=law.tail * jnp.exp(law.shape_spread * tail_z),
        day_share=jnp.cumsum(jax.nn.softmax(logits), axis=-1),
        day_lift=law.day_lift + law.day_spread * day_z,
        zero_share=jax.nn.sigmoid(law.zero_logit + law.zero_spread * zero_z),
        is_count=broadcast(law.is_count),
    )


def demand(
    instances: Instances,
    z: Float[Array, "n k"],
    day: Float[Array, "n k"],
    count: Float[Array, "n k"],
) -> Float[Array, "n k"]:
    """Demand by inverse transform: level · lift(day) · boxcox⁻¹(σ S(z)), or its counts.

    Args:
      instances: how each instance varies.
      z: standard normals: the noise.
      day: uniforms: the type of day, and whether there is any demand on it.
      count: uniforms: the Poisson draw where demand comes in counts.

    Returns:
      Demand ≥ 0.
    """
    column = jax.tree.map(lambda leaf: leaf[:, None], instances)
    is_zero = day < column.zero_share
    share = (day - column.zero_share) / jnp.maximum(1.0 - column.zero_share, 1e-6)
    kind = (share[..., None] > instances.day_share[:, None, :-1]).sum(-1)
    lift = (jax.nn.one_hot(kind, NUM_DAY_TYPES) * column.day_lift).sum(-1)
    shaped = transforms.sinh_arcsinh(z, column.skew, column.tail)
    noise = transforms.box_cox_inverse(
        (column.noise * shaped).clip(-5.0, 5.0), column.power
    )
    rate = jnp.where(is_zero, 0.0, column.level * jnp.exp(lift) * noise)
    counts = transforms.poisson_quantile(count, rate)
    return jnp.where(column.is_count, counts, rate)


def sample_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Independent demands of every instance.

    Args:
      key: typed PRNG key.
      instances: how each instance varies.
      num_draws: k ≥ 1.

    Returns:
      Demand, [n, k].
    """
    z_key, day_key, count_key = jax.random.split(key, 3)
    shape = (*instances.level.shape, num_draws)
    z = jax.random.normal(z_key, shape)
    day = jax.random.uniform(day_key, shape)
    count = jax.random.uniform(count_key, shape, minval=1e-7)
    return demand(instances, z, day, count)


def future_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Evenly spread future demands: averages over them are unbiased and sharp.

    Args:
      key: typed PRNG key.
      instances: how each instance varies.
      num_draws: k ≥ 1.

    Returns:
      Demand, [n, k]; each column has each instance's law, columns are not independent.
    """
    u, day, count = transforms.even_uniforms(key, len(instances.level), num_draws, 3)
    return demand(instances, jax.scipy.special.ndtri(u), day, count)
