"""Instances of the demand worlds: how the demand of each varies, and draws of it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.worlds import transforms
from ptft_jax.worlds.demand_prior import MAX_NOISE, MIN_NOISE, NUM_DAY_TYPES, Law

LOTS = (2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 12.0)
LEAST_SOLD = 0.2  # share of a period's demand, before the earliest stock-out


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
    lot: Float[Array, "n"]  # units that are sold together
    comovement: Float[Array, "n"]
    stockout: Float[Array, "n"]
    is_count: Bool[Array, "n"]


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Instances:
    """Draws how the demand of each of n instances varies.

    Args:
      key: typed PRNG key.
      law: the portfolio's law.
      num_instances: n ≥ 1.

    Returns:
      One row an instance.
    """
    row_key, day_key, share_key, uniform_key = jax.random.split(key, 4)
    level_z, noise_z, skew_z, tail_z, zero_z = jax.random.normal(
        row_key, (5, num_instances)
    )
    second_u, lot_u, size_u = jax.random.uniform(uniform_key, (3, num_instances))
    is_second = second_u < law.cluster_share
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
    share_z = jax.random.normal(share_key, day_z.shape)
    logits = law.day_logit + law.share_spread * share_z
    size = jnp.asarray(LOTS)[jnp.floor(size_u * len(LOTS)).astype(int)]
    broadcast = lambda value: jnp.broadcast_to(value, (num_instances,))
    return Instances(
        level=jnp.exp(law.level + relative),
        noise=jnp.exp(noise).clip(MIN_NOISE, MAX_NOISE),
        power=broadcast(law.power),
        skew=law.skew + law.shape_spread * skew_z,
        tail=law.tail * jnp.exp(law.shape_spread * tail_z),
        day_share=jnp.cumsum(jax.nn.softmax(logits), axis=-1),
        day_lift=law.day_lift + law.day_spread * day_z,
        zero_share=jax.nn.sigmoid(law.zero_logit + law.zero_spread * zero_z),
        lot=jnp.where(lot_u < law.lot_share, size, 1.0),
        comovement=broadcast(law.comovement),
        stockout=broadcast(law.stockout),
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
      count: uniforms: the Poisson draw of lots where demand comes in counts.

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
    counts = column.lot * transforms.poisson_quantile(count, rate / column.lot)
    return jnp.where(column.is_count, counts, rate)


def _together(key, instances, z, day):
    """Noise and days that instances share by period; the law of each is unchanged.

    z ← √κ z̄_t + √(1−κ) z; the type of day is the period's with probability κ, by
    instance; whether there is any demand stays each instance's own.
    """
    noise_key, day_key, mix_key = jax.random.split(key, 3)
    share = instances.comovement[:, None]
    common = jax.random.normal(noise_key, z.shape[1:])
    z = jnp.sqrt(share) * common + jnp.sqrt(1.0 - share) * z
    zero = instances.zero_share[:, None]
    period = jnp.maximum(jax.random.uniform(day_key, z.shape[1:]), 1e-6)
    is_common = jax.random.uniform(mix_key, day.shape) < share
    return z, jnp.where(is_common & (day >= zero), zero + (1.0 - zero) * period, day)


def _sold(key, instances, demand):
    """What is sold of it: in some periods stock runs out before the period ends."""
    out_key, share_key = jax.random.split(key)
    is_out = jax.random.uniform(out_key, demand.shape) < instances.stockout[:, None]
    share = jax.random.uniform(share_key, demand.shape, minval=LEAST_SOLD)
    lot = instances.lot[:, None]
    left = share * demand
    left = jnp.where(instances.is_count[:, None], lot * jnp.floor(left / lot), left)
    return jnp.where(is_out, left, demand)


def sample_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """What is observed in k periods; draws of one period move together if any do.

    Args:
      key: typed PRNG key.
      instances: how each instance varies.
      num_draws: k ≥ 1.

    Returns:
      Demand, [n, k]; what was sold of it where stock ran out.
    """
    z_key, day_key, count_key, period_key, stock_key = jax.random.split(key, 5)
    shape = (*instances.level.shape, num_draws)
    z = jax.random.normal(z_key, shape)
    day = jax.random.uniform(day_key, shape)
    count = jax.random.uniform(count_key, shape, minval=1e-7)
    z, day = _together(period_key, instances, z, day)
    return _sold(stock_key, instances, demand(instances, z, day, count))


def future_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Evenly spread future demands: averages over them are unbiased and sharp.

    Args:
      key: typed PRNG key.
      instances: how each instance varies.
      num_draws: k ≥ 1.

    Returns:
      Demand, [n, k], nothing cut by stock-outs; each column has each instance's law,
      columns are not independent.
    """
    u, day, count = transforms.even_uniforms(key, len(instances.level), num_draws, 3)
    return demand(instances, jax.scipy.special.ndtri(u), day, count)
