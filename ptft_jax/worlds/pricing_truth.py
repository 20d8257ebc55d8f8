"""Demand curves of simulated products, and their exact expected profits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from ptft_jax.pricing import demand_law
from ptft_jax.pricing.demand_law import Seen
from ptft_jax.problems import pricing
from ptft_jax.problems.pricing import Outcome
from ptft_jax.worlds import transforms

FAMILIES = ("constant elasticity", "linear", "logit", "kinked")
OUTLIER_SHARE, OUTLIER_FACTOR = 0.05, 2.5
MOST_DISCOUNT = 0.7  # log price from the regular one beyond which noise grows no more
POINT_WIDTH = 0.015  # log price at which a price point's effect is 60% of it
STEEPNESS = 30.0  # of the threshold of a promotion, per unit of log price


class Products(NamedTuple):
    """n products: demand curves, noise, and the prices charged of them.

    Attributes:
      family: index into `FAMILIES`, [n].
      reference: regular price r, [n].
      level: expected units at r without a promotion's lift, [n].
      elasticity: ε of the curve at r, [n].
      shape: [n]; logit: log-odds of the share of buyers at r; kinked: log of the ratio
        of elasticities above and below the kink; else not used.
      kink: log(price/r) of the kink, [n].
      lift: log units that a promotion adds, [n].
      threshold: log(price/r) below which a price counts as a promotion, [n].
      noise: sd of log units at the regular price, [n]; the factor has mean 1.
      noise_growth: of the log of that sd, per unit of log discount, [n].
      has_outliers: whether one period in 20 is 2.5 times as noisy, [n].
      is_count: whether units are Poisson given their rate, [n].
      point: prices charged, [n, K].
      effect: log units that sell at them beyond the curve, [n, K].
      share: how often, cumulative, [n, K].
      jitter: sd of log prices about the points, [n].
      frequency: share of the m periods that the product was on sale, [n].
      unit_cost: c, [n].
      menu: allowed prices, [n, g].
    """

    family: Int[Array, "n"]
    reference: Float[Array, "n"]
    level: Float[Array, "n"]
    elasticity: Float[Array, "n"]
    shape: Float[Array, "n"]
    kink: Float[Array, "n"]
    lift: Float[Array, "n"]
    threshold: Float[Array, "n"]
    noise: Float[Array, "n"]
    noise_growth: Float[Array, "n"]
    has_outliers: Bool[Array, "n"]
    is_count: Bool[Array, "n"]
    point: Float[Array, "n K"]
    effect: Float[Array, "n K"]
    share: Float[Array, "n K"]
    jitter: Float[Array, "n"]
    frequency: Float[Array, "n"]
    unit_cost: Float[Array, "n"]
    menu: Float[Array, "n g"]


def mean_units(truth: Products, price: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Expected units at a price: level · curve(p/r) · lifts of promotion and point.

    With z = p/r, x = log z: e^{−εx}; (1 − ε(z−1))⁺; σ(a − bz)/σ(a − b) with
    b = ε/(1 − σ(a − b)); e^{−ε(x + (e^s − 1)(x − k)⁺)}. All have elasticity ε at r
    (the kinked one where k ≥ 0).

    Args:
      truth: n products.
      price: [n, k], 0 where there is none.

    Returns:
      Units, ≥ 0; meaningless where there is no price.
    """
    t = jax.tree.map(lambda leaf: leaf[:, None] if leaf.ndim == 1 else leaf, truth)
    x = demand_law.log_price(price) - jnp.log(t.reference)
    z = jnp.exp(x)
    steep = t.elasticity * (1.0 + jnp.exp(t.shape))  # ε / (1 − σ(shape))
    log_share = jax.nn.log_sigmoid(t.shape - steep * (z - 1.0))
    beyond = jnp.expm1(t.shape) * jnp.maximum(x - t.kink, 0.0)
    curves = [
        jnp.exp(-t.elasticity * x),
        jnp.maximum(1.0 - t.elasticity * (z - 1.0), 0.0),
        jnp.exp(log_share - jax.nn.log_sigmoid(t.shape)),
        jnp.exp(-t.elasticity * (x + beyond)),
    ]
    curve = jnp.select([t.family == k for k in range(len(FAMILIES))], curves)
    lift = jnp.exp(t.lift * jax.nn.sigmoid(STEEPNESS * (t.threshold - x)))
    return t.level * curve * lift * jnp.exp(_point_effect(truth, price))


def _point_effect(truth: Products, price: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Of the price points near a price, their mean where there are several."""
    away = demand_law.log_price(price)[:, :, None] - jnp.log(truth.point)[:, None, :]
    near = jnp.exp(-0.5 * jnp.square(away / POINT_WIDTH))
    total = (near * truth.effect[:, None, :]).sum(-1)
    return total / jnp.maximum(near.sum(-1), 1.0)


def sample_units(
    key: Key[Array, ""], truth: Products, price: Float[Array, "n k"]
) -> Float[Array, "n k"]:
    """Units sold at prices: the expectation times lognormal noise of mean 1, or counts.

    Noise has sd σe^{gδ} of log units, δ the log discount from the regular price.

    Args:
      key: typed PRNG key.
      truth: n products.
      price: [n, k].

    Returns:
      Units ≥ 0, independent of each other.
    """
    noise_key, outlier_key, count_key = jax.random.split(key, 3)
    z = jax.random.normal(noise_key, price.shape)
    outlier = jax.random.bernoulli(outlier_key, OUTLIER_SHARE, price.shape)
    outlier = outlier & truth.has_outliers[:, None]
    discount = jnp.log(truth.reference)[:, None] - demand_law.log_price(price)
    discount = discount.clip(-MOST_DISCOUNT, MOST_DISCOUNT)
    sd = truth.noise[:, None] * jnp.exp(truth.noise_growth[:, None] * discount)
    sd = sd * jnp.where(outlier, OUTLIER_FACTOR, 1.0)
    # each component of the mixture has mean 1
    rate = mean_units(truth, price) * jnp.exp(sd * z - sd**2 / 2.0)
    u = jax.random.uniform(count_key, price.shape)
    counts = transforms.poisson_quantile(u, rate)
    return jnp.where(truth.is_count[:, None], counts, rate)


def observe(key: Key[Array, ""], truth: Products, num_observations: int) -> Seen:
    """Logs prices, drawn of the product's points alone, and what sold at them.

    Args:
      key: typed PRNG key.
      truth: n products.
      num_observations: m ≥ 2.

    Returns:
      The products as they are seen; each has ⌈frequency · m⌉ pairs.
    """
    price_key, jitter_key, units_key = jax.random.split(key, 3)
    shape = (truth.level.shape[0], num_observations)
    u = jax.random.uniform(price_key, shape)
    index = (u[..., None] > truth.share[:, None, :-1]).sum(-1)
    wobble = truth.jitter[:, None] * jax.random.normal(jitter_key, shape)
    price = jnp.take_along_axis(truth.point, index, 1) * jnp.exp(wobble)
    count = jnp.ceil(truth.frequency * num_observations)
    valid = jnp.arange(num_observations) < count[:, None]
    units = sample_units(units_key, truth, price)
    return Seen(
        price=jnp.where(valid, price, 0.0),
        units=jnp.where(valid, units, 0.0),
        valid=valid,
        unit_cost=truth.unit_cost,
        menu=truth.menu,
    )


def outcome(key: Key[Array, ""], truth: Products) -> Outcome:
    """Expected units at all allowed prices: the label without its noise.

    Args:
      key: not used.
      truth: n products.

    Returns:
      The outcome.
    """
    units = mean_units(truth, truth.menu)
    return Outcome(truth.menu, units, truth.unit_cost)


def expected_cost(truth: Products, price: Float[Array, "n"]) -> Float[Array, "n"]:
    """−(p − c) d(p), money a period, exact at every price.

    Args:
      truth: n products.
      price: decisions > 0.

    Returns:
      The expected cost, negative where something is earned.
    """
    return -(price - truth.unit_cost) * mean_units(truth, price[:, None])[:, 0]


def full_information(truth: Products) -> Float[Array, "n"]:
    """The allowed price of greatest expected profit.

    Args:
      truth: n products.

    Returns:
      Prices.
    """
    profit = (truth.menu - truth.unit_cost[:, None]) * mean_units(truth, truth.menu)
    profit = jnp.where(truth.menu > 0.0, profit, -jnp.inf)
    return demand_law.best_price(profit, truth.menu)


PROBLEM = pricing.PROBLEM
