"""Log-normal demand with normal slopes, whose Bayes stock is known given the law.

log ξ = θ·f + σz, f = (1, context), θ ~ N(mean, root rootᵀ) across products: given the
data θ is normal again, the next log demand is normal, and the stock is its q-quantile.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.contextual import regression
from ptft_jax.contextual import truth as truth_
from ptft_jax.contextual.records import NUM_COVARIATES, Seen
from ptft_jax.contextual.truth import Products
from ptft_jax.problems import contextual
from ptft_jax.problems.problem import ProblemWorld
from ptft_jax.worlds import transforms

SIZE = 1 + NUM_COVARIATES
# of slopes: the total effect on log demand stays where `truth.location` bends nothing
MOST_SLOPE = 0.25


class Law(NamedTuple):
    """The normal law of (level, slopes), the noise, and the covariates."""

    mean: Float[Array, "p"]
    root: Float[Array, "p"]  # sds, independent
    noise: Float[Array, ""]
    exists: Bool[Array, "c"]
    is_binary: Bool[Array, "c"]
    share: Float[Array, "c"]
    quantile: Float[Array, ""]


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws the law of a portfolio.

    Args:
      key: typed PRNG key.

    Returns:
      The law, of 0 to `NUM_COVARIATES` covariates.
    """
    keys = jax.random.split(key, 5)
    u = jax.random.uniform(keys[0], (6,))
    columns = jax.random.uniform(keys[1], (4, NUM_COVARIATES))
    exists = jnp.arange(NUM_COVARIATES) < jnp.floor((NUM_COVARIATES + 1) * u[0])
    mean = MOST_SLOPE * u[1] * (2.0 * columns[0] - 1.0)
    spread = 0.5 * MOST_SLOPE * u[2] * columns[1]
    return Law(
        mean=jnp.concatenate([2.0 + 4.0 * u[3:4], jnp.where(exists, mean, 0.0)]),
        root=jnp.concatenate(
            [transforms.log_between(u[4:5], 0.1, 1.0), jnp.where(exists, spread, 0.0)]
        ),
        noise=transforms.log_between(u[5], 0.1, 0.7),
        exists=exists,
        is_binary=columns[2] < 0.5,
        share=0.1 + 0.4 * columns[3],
        quantile=0.5 + 0.48 * jax.random.uniform(keys[2]),
    )


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
    own_key, next_key = jax.random.split(key)
    theta = law.mean + law.root * jax.random.normal(own_key, (n, SIZE))
    full = lambda value: jnp.full(n, value)
    wide = (n, NUM_COVARIATES)
    columns = lambda leaf: jnp.broadcast_to(leaf, wide)
    truth = Products(
        level=theta[:, 0],
        slope=theta[:, 1:],
        bend=full(0.0),
        noise=jnp.broadcast_to(law.noise, (n,)),
        outlier_share=full(0.0),
        outlier_factor=full(1.0),
        is_count=jnp.zeros(n, bool),
        size=full(1.0),
        exists=columns(law.exists),
        is_binary=columns(law.is_binary),
        share=columns(law.share),
        mean_context=jnp.zeros(wide),
        loading=jnp.zeros(wide),
        reference=jnp.zeros(wide),
        frequency=full(1.0),
        next_context=jnp.zeros(wide),
        quantile=jnp.broadcast_to(law.quantile, (n,)),
    )
    following = truth_.sample_context(next_key, truth, 1)[:, 0]
    return truth._replace(next_context=following)


def bayes(law: Law, seen: Seen) -> Float[Array, "n"]:
    """The q-quantile of the posterior predictive law, by conjugate regression.

    θ = mean + root φ, φ ~ N(0, I): precision I + Σ_j g_j g_jᵀ/σ², g = root f.

    Args:
      law: of the portfolio.
      seen: n products.

    Returns:
      Stocks of least posterior expected cost.
    """
    variance = law.noise**2
    ones = seen.valid[..., None].astype(law.mean.dtype)
    f = jnp.concatenate([ones, jnp.where(seen.valid[..., None], seen.context, 0.0)], -1)
    g = f * law.root
    # the smallest positive number keeps a padded zero from being −∞
    y = jnp.log(jnp.maximum(seen.demand, 1e-30))
    error = jnp.where(seen.valid, y - f @ law.mean, 0.0)
    precision = jnp.eye(SIZE) + jnp.einsum("nmi,nmj->nij", g, g) / variance
    covariance = regression.inverse(precision)
    phi = jnp.einsum("nij,nmj,nm->ni", covariance, g, error) / variance
    following = jnp.concatenate([jnp.ones_like(y[:, :1]), seen.next_context], -1)
    h = following * law.root
    mean = following @ law.mean + (h * phi).sum(1)
    wide = jnp.einsum("ni,nij,nj->n", h, covariance, h) + variance
    q = jnp.where(seen.quantile > 0.0, seen.quantile, 0.5)
    stock = jnp.exp(mean + ndtri(q) * jnp.sqrt(wide))
    return jnp.where(seen.quantile > 0.0, stock, 0.0)


WORLD = ProblemWorld(
    name="contextual_normal",
    description="log-normal demand, normal slopes of the covariates: Bayes is exact",
    problem=contextual.PROBLEM,
    sample_law=sample_law,
    sample_instances=sample_instances,
    observe=truth_.observe,
    outcome=truth_.outcome,
    expected_cost=truth_.expected_cost,
    full_information=truth_.full_information,
    bayes=bayes,
    asked=truth_.asked,
)
