"""A broad prior over portfolios of demand curves: what a manager knows beforehand."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.problems.problem import ProblemWorld
from ptft_jax.worlds import pricing_truth, transforms
from ptft_jax.worlds.pricing_truth import FAMILIES, Products

NUM_CLUSTERS = 8
NUM_POINTS = 8
NUM_MENU = 16
LEAST_ELASTICITY, GREATEST_ELASTICITY = 0.05, 9.0


class Law(NamedTuple):
    """How the products of one portfolio differ; arrays [C] are of its clusters."""

    family_logit: Float[Array, "f"]
    cluster_share: Float[Array, "C"]  # cumulative
    elasticity: Float[Array, "C"]  # log of the typical one
    elasticity_spread: Float[Array, ""]  # sd of log within a cluster
    by_level: Float[Array, ""]  # change of log elasticity by log level
    by_price: Float[Array, ""]  # and by log price
    level: Float[Array, "C"]
    level_spread: Float[Array, ""]
    reference: Float[Array, "C"]  # log regular price
    reference_spread: Float[Array, ""]
    shape: Float[Array, ""]
    shape_spread: Float[Array, ""]
    kink: Float[Array, "C"]
    lift: Float[Array, "C"]
    lift_spread: Float[Array, ""]
    threshold: Float[Array, "C"]
    noise: Float[Array, "C"]  # log sd
    noise_spread: Float[Array, ""]
    noise_growth: Float[Array, ""]  # of the log sd, per unit of log discount
    has_outliers: Bool[Array, ""]
    is_count: Bool[Array, ""]
    point: Float[Array, "C K"]  # log price / regular price
    point_spread: Float[Array, ""]
    point_logit: Float[Array, "C K"]
    point_effect: Float[Array, "C K"]  # log units beyond the curve
    own_effect: Float[Array, ""]  # sd of the same across products
    jitter: Float[Array, ""]
    frequency: Float[Array, ""]
    frequency_spread: Float[Array, ""]
    cost_share: Float[Array, ""]  # of the regular price
    cost_spread: Float[Array, ""]
    has_interval: Bool[Array, ""]
    margin: Float[Array, ""]  # of the allowed interval beyond the price points


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws how the products of a portfolio differ.

    Args:
      key: typed PRNG key.

    Returns:
      The law.
    """
    keys = jax.random.split(key, 4)
    draws = iter(jax.random.uniform(keys[0], (64,)))
    by_cluster = iter(jax.random.normal(keys[1], (8, NUM_CLUSTERS)))
    u = lambda: next(draws)
    z = lambda: next(by_cluster)
    between = lambda low, high: low + (high - low) * u()
    log_between = lambda low, high: transforms.log_between(u(), low, high)
    sometimes = lambda probability, on, off=0.0: jnp.where(u() < probability, on, off)
    is_pure = u() < 0.5
    pure = 30.0 * jax.nn.one_hot((4.0 * u()).astype(int), len(FAMILIES))
    # from one cluster to eight of like size
    evenness = jnp.minimum(1.5 * u(), 1.0)
    share = jax.nn.softmax(-jnp.arange(NUM_CLUSTERS) * (0.05 / (evenness + 0.01)))
    spread = log_between(0.05, 0.7)
    apart = u()  # share of the variance of elasticities that is between clusters
    level_spread = log_between(0.1, 1.5)
    discounts = log_between(0.06, 0.7)
    points = jax.random.uniform(keys[2], (2, NUM_CLUSTERS, NUM_POINTS))
    effects = jax.random.normal(keys[3], (NUM_CLUSTERS, NUM_POINTS))
    num_points = jnp.floor(between(2.0, NUM_POINTS + 1.0))
    exists = jnp.arange(NUM_POINTS) < num_points
    logit = jnp.where(exists, 3.0 * u() * points[1], -30.0)
    return Law(
        family_logit=jnp.where(is_pure, pure, 1.5 * next(by_cluster)[:4]),
        cluster_share=jnp.cumsum(share),
        elasticity=jnp.log(log_between(0.5, 4.5)) + jnp.sqrt(apart) * spread * z(),
        elasticity_spread=jnp.sqrt(1.0 - apart) * spread,
        by_level=sometimes(0.4, between(-0.3, 0.3)),
        by_price=sometimes(0.4, between(-1.0, 1.0)),
        level=jnp.log(log_between(2.0, 3e3)) + level_spread * z(),
        level_spread=log_between(0.1, 1.2),
        reference=between(-3.0, 3.0) + log_between(0.02, 0.8) * z(),
        reference_spread=sometimes(0.5, log_between(0.01, 0.3), 0.002),
        shape=between(-3.0, 1.0),
        shape_spread=log_between(0.1, 1.0),
        kink=0.15 * z(),
        lift=sometimes(0.5, log_between(0.05, 1.0)) * jnp.exp(0.3 * z()),
        lift_spread=between(0.0, 0.5),
        threshold=-log_between(0.03, 0.3) * jnp.ones(NUM_CLUSTERS),
        noise=jnp.log(log_between(0.08, 1.1)) + 0.15 * z(),
        noise_spread=sometimes(0.6, between(0.0, 0.4)),
        # some deals are advertised and others are not
        noise_growth=sometimes(0.5, between(0.0, 2.5)),
        has_outliers=u() < 0.3,
        is_count=u() < 0.6,
        # the first is the regular price, most others are discounts
        point=(discounts * (0.15 - points[0])).at[:, 0].set(0.0),
        point_spread=sometimes(0.6, log_between(0.01, 0.15)),
        point_logit=logit.at[:, 0].set(sometimes(0.6, between(1.0, 5.0), 1.5)),
        # deals, displays and thresholds that go with a price
        point_effect=sometimes(0.4, log_between(0.03, 0.4)) * effects,
        own_effect=sometimes(0.4, log_between(0.03, 0.3)),
        jitter=sometimes(0.3, log_between(0.003, 0.05)),
        frequency=sometimes(0.5, log_between(0.15, 1.0), 1.0),
        frequency_spread=sometimes(0.4, between(0.0, 0.5)),
        cost_share=sometimes(0.5, between(0.1, 0.75)),
        cost_spread=between(0.0, 0.3),
        has_interval=u() < 0.4,
        margin=sometimes(0.5, between(0.0, 0.25)),
    )


def _menu(law: Law, point: Float[Array, "n K"]) -> Float[Array, "n g"]:
    """Log prices: the product's points, or an interval around them."""
    low = point.min(1, keepdims=True) - law.margin
    high = point.max(1, keepdims=True) + law.margin
    interval = low + (high - low) * jnp.linspace(0.0, 1.0, NUM_MENU)
    points = jnp.pad(point, ((0, 0), (0, NUM_MENU - NUM_POINTS)), mode="edge")
    return jnp.where(law.has_interval, interval, points)


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Products:
    """Draws n products.

    Args:
      key: typed PRNG key.
      law: of their portfolio.
      num_instances: n ≥ 1.

    Returns:
      One row a product.
    """
    n = num_instances
    own_key, uniform_key, point_key, family_key, effect_key = jax.random.split(key, 5)
    own = iter(jax.random.normal(own_key, (8, n)))
    u = jax.random.uniform(uniform_key, (n,))
    cluster = (u[:, None] > law.cluster_share[:-1]).sum(1)
    reference = law.reference[cluster] + law.reference_spread * next(own)
    log_level = law.level[cluster] + law.level_spread * next(own)
    elasticity = law.elasticity[cluster] + law.elasticity_spread * next(own)
    elasticity += law.by_level * (log_level - law.level.mean())
    elasticity += law.by_price * (reference - law.reference.mean())
    log_noise = law.noise[cluster] + law.noise_spread * next(own)
    own_points = law.point_spread * jax.random.normal(point_key, (n, NUM_POINTS))
    exists = law.point_logit[cluster] > -20.0
    relative = law.point[cluster] + own_points.at[:, 0].set(0.0)
    # a price that is never charged stands for the regular one
    point = reference[:, None] + jnp.where(exists, relative, 0.0)
    cost = law.cost_share * jnp.exp(law.cost_spread * next(own) - 0.1)
    frequency = law.frequency * jnp.exp(-law.frequency_spread * jnp.abs(next(own)))
    broadcast = lambda leaf: jnp.broadcast_to(leaf, (n,))
    return Products(
        family=jax.random.categorical(family_key, law.family_logit, shape=(n,)),
        reference=jnp.exp(reference),
        level=jnp.exp(log_level.clip(-1.0, 13.0)),
        elasticity=jnp.exp(elasticity).clip(LEAST_ELASTICITY, GREATEST_ELASTICITY),
        shape=(law.shape + law.shape_spread * next(own)).clip(-4.0, 1.5),
        kink=law.kink[cluster],
        lift=law.lift[cluster] * jnp.exp(law.lift_spread * next(own)),
        threshold=law.threshold[cluster],
        noise=jnp.exp(log_noise).clip(0.03, 1.5),
        noise_growth=broadcast(law.noise_growth),
        has_outliers=broadcast(law.has_outliers),
        is_count=broadcast(law.is_count),
        point=jnp.exp(point),
        effect=_effects(effect_key, law, cluster),
        share=jnp.cumsum(jax.nn.softmax(law.point_logit[cluster]), axis=1),
        jitter=broadcast(law.jitter),
        frequency=frequency.clip(0.0, 1.0),
        unit_cost=jnp.exp(reference) * cost.clip(0.0, 0.9),
        menu=jnp.exp(_menu(law, point)),
    )


def _effects(key, law: Law, cluster) -> Float[Array, "n K"]:
    own = law.own_effect * jax.random.normal(key, (len(cluster), NUM_POINTS))
    effect = law.point_effect[cluster] + own
    # points that are never charged stand for the first, and have its effect
    exists = law.point_logit[cluster] > -20.0
    return jnp.where(exists, effect, effect[:, :1])


WORLD = ProblemWorld(
    name="pricing",
    description="clusters of products with constant, linear, logit or kinked demand",
    problem=pricing_truth.PROBLEM,
    sample_law=sample_law,
    sample_instances=sample_instances,
    observe=pricing_truth.observe,
    outcome=pricing_truth.outcome,
    expected_cost=pricing_truth.expected_cost,
    full_information=pricing_truth.full_information,
)
