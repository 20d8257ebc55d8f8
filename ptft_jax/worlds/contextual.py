"""A broad prior over portfolios whose demand depends on covariates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.contextual import truth as truth_
from ptft_jax.contextual.records import NUM_COVARIATES
from ptft_jax.contextual.truth import Products
from ptft_jax.problems import contextual
from ptft_jax.problems.problem import ProblemWorld
from ptft_jax.worlds import transforms

MOST_SD = 1.5  # of what the covariates of a product do to its log demand, about
MOST_COUNT = 100.0  # usual mean of counts: float32 keeps their costs exact


class Law(NamedTuple):
    """How the products of one portfolio differ; arrays [c] are of covariates."""

    exists: Bool[Array, "c"]
    is_binary: Bool[Array, "c"]
    slope: Float[Array, "c"]  # mean effect on log demand
    slope_spread: Float[Array, "c"]  # sd across products
    by_level: Float[Array, ""]  # change of all effects by log level, relative
    share: Float[Array, "c"]  # log-odds that a binary one is 1
    share_spread: Float[Array, ""]
    context_spread: Float[Array, "c"]  # of the means of continuous ones
    by_context: Float[Array, "c"]  # change of log level by those means
    is_own: Bool[Array, ""]  # whether effects are about a product's own means
    loading: Float[Array, "c"]
    bend: Float[Array, ""]
    level: Float[Array, ""]
    level_spread: Float[Array, ""]
    noise: Float[Array, ""]  # log sd
    noise_spread: Float[Array, ""]
    outlier_share: Float[Array, ""]
    outlier_factor: Float[Array, ""]
    is_count: Bool[Array, ""]
    size: Float[Array, ""]  # log r
    size_spread: Float[Array, ""]
    frequency: Float[Array, ""]
    frequency_spread: Float[Array, ""]
    quantile: Float[Array, ""]  # log-odds
    quantile_spread: Float[Array, ""]


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws how the products of a portfolio differ.

    Args:
      key: typed PRNG key.

    Returns:
      The law; from no covariate to `NUM_COVARIATES`, of effects from none to large.
    """
    scalar_key, uniform_key, normal_key = jax.random.split(key, 3)
    draws = iter(jax.random.uniform(scalar_key, (48,)))
    columns = iter(jax.random.uniform(uniform_key, (8, NUM_COVARIATES)))
    z = iter(jax.random.normal(normal_key, (4, NUM_COVARIATES)))
    u, each = lambda: next(draws), lambda: next(columns)
    between = lambda low, high: low + (high - low) * u()
    log_between = lambda low, high: transforms.log_between(u(), low, high)
    sometimes = lambda probability, on, off=0.0: jnp.where(u() < probability, on, off)
    is_binary = each() < between(0.0, 1.0)
    # a binary covariate that is rare has a larger effect
    usual = jnp.where(is_binary, log_between(0.05, 1.5), log_between(0.02, 0.6))
    slope = jnp.where(each() < 0.15, 0.0, usual * next(z))
    spread = sometimes(0.85, log_between(0.01, 1.0), 0.0)
    is_count = u() < 0.35
    level = jnp.where(is_count, log_between(0.5, MOST_COUNT), log_between(2.0, 3e3))
    return Law(
        exists=jnp.arange(NUM_COVARIATES) < jnp.floor(between(0.0, NUM_COVARIATES + 1)),
        is_binary=is_binary,
        slope=slope,
        slope_spread=spread * (0.3 * usual + 0.7 * jnp.abs(slope)) * 2.0 * each(),
        by_level=sometimes(0.3, between(-0.3, 0.3)),
        share=-2.0 + 1.5 * next(z),
        share_spread=sometimes(0.5, between(0.0, 1.0)),
        context_spread=jnp.where(each() < 0.5, 0.0, 4.0 * each() ** 2),
        by_context=sometimes(0.5, 0.5) * next(z),
        is_own=u() < 0.5,
        loading=sometimes(0.5, 0.95) * (2.0 * each() - 1.0),
        bend=sometimes(0.3, between(-0.3, 0.3)),
        level=jnp.log(level),
        level_spread=log_between(0.1, 1.5),
        noise=jnp.log(log_between(0.06, 1.0)),
        noise_spread=sometimes(0.6, between(0.0, 0.5)),
        outlier_share=sometimes(0.35, between(0.02, 0.15)),
        outlier_factor=between(1.5, 3.5),
        is_count=is_count,
        size=jnp.log(log_between(0.7, 60.0)),
        size_spread=between(0.0, 0.5),
        frequency=sometimes(0.5, log_between(0.15, 1.0), 1.0),
        frequency_spread=sometimes(0.4, between(0.0, 0.5)),
        quantile=between(-0.5, 4.2),
        quantile_spread=sometimes(0.3, between(0.0, 1.0)),
    )


def _slopes(key, law: Law, off_level: Float[Array, "n"]) -> Float[Array, "n c"]:
    shape = (len(off_level), NUM_COVARIATES)
    own = law.slope + law.slope_spread * jax.random.normal(key, shape)
    by_level = 1.0 + law.by_level * off_level.clip(-2.0, 2.0)
    slope = jnp.where(law.exists, own * by_level[:, None], 0.0)
    sd = jnp.sqrt((slope**2).sum(1, keepdims=True))
    return slope * jnp.minimum(1.0, MOST_SD / jnp.maximum(sd, 1e-6))


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Products:
    """Draws n products and the covariates of their next periods.

    Args:
      key: typed PRNG key.
      law: of their portfolio.
      num_instances: n ≥ 1.

    Returns:
      One row a product.
    """
    n = num_instances
    own_key, slope_key, context_key, share_key, next_key = jax.random.split(key, 5)
    own = iter(jax.random.normal(own_key, (6, n)))
    wide = (n, NUM_COVARIATES)
    off_level = law.level_spread * next(own)
    off_context = law.context_spread * jax.random.normal(context_key, wide)
    mean_context = jnp.where(law.exists & ~law.is_binary, off_context, 0.0)
    level = law.level + off_level + mean_context @ law.by_context
    most = jnp.where(law.is_count, jnp.log(2.0 * MOST_COUNT), 12.0)
    share = law.share + law.share_spread * jax.random.normal(share_key, wide)
    quantile = law.quantile + law.quantile_spread * next(own)
    spread = lambda leaf: jnp.broadcast_to(leaf, (n,))
    columns = lambda leaf: jnp.broadcast_to(leaf, wide)
    truth = Products(
        level=level.clip(-1.0, most),
        slope=_slopes(slope_key, law, off_level),
        bend=spread(law.bend),
        noise=jnp.exp(law.noise + law.noise_spread * next(own)).clip(0.03, 1.3),
        outlier_share=spread(law.outlier_share),
        outlier_factor=spread(law.outlier_factor),
        is_count=spread(law.is_count),
        size=jnp.exp(law.size + law.size_spread * next(own)).clip(0.3, 200.0),
        exists=columns(law.exists),
        is_binary=columns(law.is_binary),
        share=jax.nn.sigmoid(share.clip(-4.0, 2.0)),
        mean_context=mean_context,
        loading=columns(law.loading),
        reference=jnp.where(law.is_own, mean_context, 0.0),
        frequency=(
            law.frequency * jnp.exp(-law.frequency_spread * jnp.abs(next(own)))
        ).clip(0.0, 1.0),
        next_context=jnp.zeros(wide),
        quantile=jax.nn.sigmoid(quantile.clip(-3.0, 4.6)),
    )
    following = truth_.sample_context(next_key, truth, 1)[:, 0]
    return truth._replace(next_context=following)


WORLD = ProblemWorld(
    name="promotions",
    description="demand of promotions, prices and weather: log-normal, wild or counts",
    problem=contextual.PROBLEM,
    sample_law=sample_law,
    sample_instances=sample_instances,
    observe=truth_.observe,
    outcome=truth_.outcome,
    expected_cost=truth_.expected_cost,
    full_information=truth_.full_information,
    asked=truth_.asked,
)
