"""A prior over priors for demand: what a manager knows before seeing any data.

Each portfolio draws a `Law`: how its instances differ from each other. A portfolio's
laws hold for whatever is sold by the day, week or month; `knowledge.demand` narrows
them to what is known.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.worlds import transforms

NUM_DAY_TYPES = 3
NO_ZEROS = -30.0  # logit of a share of days without demand that is none
MIN_NOISE, MAX_NOISE = 0.02, 2.0


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
    day_spread: Float[Array, "day"]  # sd of its lift across instances
    share_spread: Float[Array, ""]  # sd of the logits of the days across instances
    zero_logit: Float[Array, ""]  # logit of the share of days without demand
    zero_spread: Float[Array, ""]
    lot_share: Float[Array, ""]  # share of instances that sell by the lot
    comovement: Float[Array, ""]  # how far instances share their days and noise
    stockout: Float[Array, ""]  # share of observed periods cut by a stock-out
    is_count: Bool[Array, ""]


def sample_law(key: Key[Array, ""], is_count: bool | None = None) -> Law:
    """Draws how the instances of a portfolio differ.

    Levels and noise vary across instances by orders of magnitude in some portfolios,
    hardly in others; there are types of day (weekdays, seasons), in two portfolios of
    five one of them a rare promotion; periods without demand; heavy and light tails.
    Half are counts, some of them in lots. Nothing is shared by period and nothing
    censored: that is for those who know it to say.

    Args:
      key: typed PRNG key.
      is_count: counts (True), amounts (False), or either with probability ½ (None).

    Returns:
      The portfolio's law; one kind's are the draws of both given that kind.
    """
    uniform_key, normal_key = jax.random.split(key)
    # One block each: a call per field would cost forty generators to compile.
    draws = iter(jax.random.uniform(uniform_key, (48,)))
    normals = iter(jax.random.normal(normal_key, (16,)))
    u, z = lambda: next(draws), lambda: next(normals)
    sometimes = lambda probability, on, off=0.0: jnp.where(u() < probability, on, off)
    between = lambda low, high: low + (high - low) * u()
    # drawn in any case: what follows has the same uniforms
    either = u() < 0.5
    is_count = either if is_count is None else jnp.full_like(either, is_count)
    is_pure = is_count & (u() < 0.3)
    # Slow movers sell a few a period at most: their observations say least of them.
    is_slow = u() < 0.4
    count_level = jnp.where(
        is_slow,
        transforms.log_between(u(), 0.1, 5.0),
        transforms.log_between(u(), 0.05, 300.0),
    )
    return Law(
        level=jnp.where(is_count, jnp.log(count_level), z()),
        spread=transforms.log_between(u(), 0.03, 2.0),
        level_skew=0.4 * z(),
        level_tail=transforms.log_between(u(), 0.8, 1.3),
        cluster_share=sometimes(0.3, between(0.05, 0.5)),
        cluster_level=z(),
        cluster_noise=0.5 * z(),
        noise=jnp.log(
            jnp.where(is_pure, MIN_NOISE, transforms.log_between(u(), 0.05, 1.5))
        ),
        noise_spread=sometimes(0.8, between(0.0, 0.7)),
        noise_slope=sometimes(0.6, between(-0.5, 0.2)),
        # Half of all demand is multiplicative: prices, promotions and days are factors.
        power=sometimes(0.5, 0.0, u()),
        skew=sometimes(0.6, 0.35 * z()),
        tail=sometimes(0.6, transforms.log_between(u(), 0.6, 1.6), 1.0),
        shape_spread=sometimes(0.5, between(0.0, 0.3)),
        **_days(u, z, sometimes, between),
        zero_logit=sometimes(0.35, between(-3.5, 2.0), NO_ZEROS),
        zero_spread=between(0.0, 1.3),
        lot_share=is_count * sometimes(0.2, u()),
        comovement=jnp.zeros(()),
        stockout=jnp.zeros(()),
        is_count=is_count,
    )


def _days(u, z, sometimes, between) -> dict[str, Array]:
    """Types of day, the last a rare promotion in two portfolios of five."""
    sd = sometimes(0.6, transforms.log_between(u(), 0.05, 0.8))
    trend = z()
    logit = trend * jnp.arange(NUM_DAY_TYPES) + jnp.stack([z(), z(), z()])
    lift = sd * jnp.stack([z(), z(), z()])
    spread = jnp.full(NUM_DAY_TYPES, sd * sometimes(0.5, u(), 0.3 * u()))
    is_last = jnp.arange(NUM_DAY_TYPES) == NUM_DAY_TYPES - 1
    is_promotion = is_last & (u() < 0.4)
    promoted = between(0.2, 1.8)
    rare = jax.nn.logsumexp(logit[:-1]) + between(-3.5, 0.0)
    return {
        "day_logit": jnp.where(is_promotion, rare, logit),
        "day_lift": jnp.where(is_promotion, promoted, lift),
        "day_spread": jnp.where(is_promotion, 0.5 * u() * promoted, spread),
        "share_spread": sometimes(0.5, between(0.2, 1.2), 0.3),
    }
