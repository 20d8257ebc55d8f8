"""Simulated products whose demand depends on covariates, and their exact costs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.contextual.records import Outcome, Seen
from ptft_jax.problems import newsvendor
from ptft_jax.worlds import transforms

NUM_FUTURE = 8  # demands of the next period in an outcome
MOST_EFFECT = 4.0  # of all covariates on log demand, before it bends
NUM_HALVINGS = 40


class Products(NamedTuple):
    """n products: log demand θ = level + e + bend·e|e|, e = slope·(context − centre).

    Log-normal about θ, one observation in 1/outlier_share being outlier_factor times as
    noisy; or negative binomial of mean exp(θ).

    Attributes:
      level: log demand at the reference, [n].
      slope: of log demand, [n, c]; 0 for covariates that do not exist.
      bend: [n].
      noise: sd σ of log demand, [n], > 0.
      outlier_share: [n], in [0, 1).
      outlier_factor: [n], ≥ 1.
      is_count: [n]; whether demands are whole numbers.
      size: r of the negative binomial, [n], > 0.
      exists: which covariates there are, [n, c].
      is_binary: which of them are 0 or 1, [n, c].
      share: of periods in which a binary one is 1, [n, c], in (0, 1).
      mean_context: mean of the continuous ones, [n, c]; their sd is 1.
      loading: correlation of each with what they have in common, [n, c].
      reference: the centre, [n, c].
      frequency: share of the m periods that are seen, [n].
      next_context: covariates of the period to stock for, [n, c].
      quantile: critical ratio, [n].
    """

    level: Float[Array, "n"]
    slope: Float[Array, "n c"]
    bend: Float[Array, "n"]
    noise: Float[Array, "n"]
    outlier_share: Float[Array, "n"]
    outlier_factor: Float[Array, "n"]
    is_count: Bool[Array, "n"]
    size: Float[Array, "n"]
    exists: Bool[Array, "n c"]
    is_binary: Bool[Array, "n c"]
    share: Float[Array, "n c"]
    mean_context: Float[Array, "n c"]
    loading: Float[Array, "n c"]
    reference: Float[Array, "n c"]
    frequency: Float[Array, "n"]
    next_context: Float[Array, "n c"]
    quantile: Float[Array, "n"]


def location(truth: Products, context: Float[Array, "n k c"]) -> Float[Array, "n k"]:
    """θ: log of the median of continuous demand, of the mean of counts.

    Args:
      truth: n products.
      context: covariates of k periods.

    Returns:
      Log demand.
    """
    off = context - truth.reference[:, None]
    effect = jnp.einsum("nkc,nc->nk", off, truth.slope)
    effect = effect.clip(-MOST_EFFECT, MOST_EFFECT)
    bent = truth.bend[:, None] * effect * jnp.abs(effect)
    return truth.level[:, None] + effect + bent


def sample_context(
    key: Key[Array, ""], truth: Products, num_periods: int
) -> Float[Array, "n k c"]:
    """Covariates of periods: a Gaussian copula of one common factor.

    Args:
      key: typed PRNG key.
      truth: n products; their next periods are not used.
      num_periods: k.

    Returns:
      Independent over products and periods.
    """
    common_key, own_key = jax.random.split(key)
    shape = (len(truth.level), num_periods)
    common = jax.random.normal(common_key, shape)[..., None]
    own = jax.random.normal(own_key, (*shape, truth.slope.shape[1]))
    a = truth.loading[:, None]
    g = a * common + jnp.sqrt(1.0 - a**2) * own
    binary = (g < ndtri(truth.share)[:, None]).astype(g.dtype)
    drawn = jnp.where(truth.is_binary[:, None], binary, truth.mean_context[:, None] + g)
    return jnp.where(truth.exists[:, None], drawn, 0.0)


def sample_demand(
    key: Key[Array, ""], truth: Products, context: Float[Array, "n k c"]
) -> Float[Array, "n k"]:
    """Demands in periods of given covariates.

    Args:
      key: typed PRNG key.
      truth: n products.
      context: of k periods.

    Returns:
      Demands ≥ 0, independent of each other.
    """
    noise_key, outlier_key, rate_key, count_key = jax.random.split(key, 4)
    theta = location(truth, context)
    z = jax.random.normal(noise_key, theta.shape)
    u = jax.random.uniform(outlier_key, theta.shape)
    is_outlier = u < truth.outlier_share[:, None]
    sd = truth.noise[:, None]
    sd = jnp.where(is_outlier, sd * truth.outlier_factor[:, None], sd)
    size = jnp.broadcast_to(truth.size[:, None], theta.shape)
    rate = jnp.exp(theta) * transforms.gamma(rate_key, size, num_tries=4) / size
    count = transforms.poisson_quantile(
        jax.random.uniform(count_key, theta.shape), rate
    )
    return jnp.where(truth.is_count[:, None], count, jnp.exp(theta + sd * z))


def observe(key: Key[Array, ""], truth: Products, num_observations: int) -> Seen:
    """Observes demands in periods of random covariates.

    Args:
      key: typed PRNG key.
      truth: n products.
      num_observations: m ≥ 2.

    Returns:
      The products as they are seen; each has max(2, ⌈frequency · m⌉) observations.
    """
    context_key, demand_key = jax.random.split(key)
    context = sample_context(context_key, truth, num_observations)
    demand = sample_demand(demand_key, truth, context)
    count = jnp.maximum(jnp.ceil(truth.frequency * num_observations), 2.0)
    valid = jnp.arange(num_observations) < count[:, None]
    return Seen(
        demand=jnp.where(valid, demand, 0.0),
        valid=valid,
        context=jnp.where(valid[..., None], context, 0.0),
        next_context=truth.next_context,
        quantile=truth.quantile,
    )


def outcome(key: Key[Array, ""], truth: Products) -> Outcome:
    """Independent demands of the next period.

    Args:
      key: typed PRNG key.
      truth: n products.

    Returns:
      `NUM_FUTURE` demands of each.
    """
    shape = (len(truth.level), NUM_FUTURE, truth.slope.shape[1])
    context = jnp.broadcast_to(truth.next_context[:, None], shape)
    return Outcome(sample_demand(key, truth, context), truth.quantile)


def asked(truth: Products, seen: Seen) -> Products:
    """The products in the period that `seen` is to be stocked for.

    Args:
      truth: n products.
      seen: the same, with other next periods.

    Returns:
      The truth of those.
    """
    return truth._replace(next_context=seen.next_context)


def _next(truth: Products) -> Float[Array, "n"]:
    return location(truth, truth.next_context[:, None])[:, 0]


def expected_cost(truth: Products, stock: Float[Array, "n"]) -> Float[Array, "n"]:
    """E c(x, ξ) in the next period, in closed form.

    Args:
      truth: n products.
      stock: decisions ≥ 0.

    Returns:
      The expected cost, in units of demand.
    """
    theta, q = _next(truth), truth.quantile
    wide = truth.noise * truth.outlier_factor
    usual = newsvendor.expected_cost_lognormal(stock, theta, truth.noise, q)
    outlying = newsvendor.expected_cost_lognormal(stock, theta, wide, q)
    mixed = usual + truth.outlier_share * (outlying - usual)
    mean = jnp.exp(theta)
    counted = newsvendor.expected_cost_negbin(stock, mean, truth.size, q)
    return jnp.where(truth.is_count, counted, mixed)


def full_information(truth: Products) -> Float[Array, "n"]:
    """The q-quantile of the next period's demand.

    Args:
      truth: n products.

    Returns:
      Stocks of least expected cost.
    """
    theta, q = _next(truth), truth.quantile
    z, wide = ndtri(q), truth.outlier_factor

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2.0
        mass = ndtr(middle) * (1.0 - truth.outlier_share)
        above = mass + truth.outlier_share * ndtr(middle / wide) >= q
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    ends = jnp.minimum(z, wide * z), jnp.maximum(z, wide * z)
    at = jax.lax.fori_loop(0, NUM_HALVINGS, halve, ends)[1]
    counted = newsvendor.full_information_negbin(jnp.exp(theta), truth.size, q)
    return jnp.where(truth.is_count, counted, jnp.exp(theta + truth.noise * at))
