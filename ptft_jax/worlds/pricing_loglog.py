"""Products of constant elasticity whose Bayes price is known exactly given the law.

log units = a − ε log p − σ²/2 + σz, (a, ε) jointly normal across products: given the
data the two are normal again, and E d(p) = exp(E[a − ε log p] + Var[a − ε log p]/2).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax.pricing import demand_law
from ptft_jax.pricing.demand_law import Seen
from ptft_jax.problems.problem import ProblemWorld
from ptft_jax.worlds import pricing_truth, transforms
from ptft_jax.worlds.pricing_truth import Products

NUM_POINTS = 5
NUM_MENU = 16


class Law(NamedTuple):
    """The normal law of (log level, elasticity), noise, and the pattern of prices."""

    mean: Float[Array, "2"]
    root: Float[Array, "2 2"]  # covariance = root rootᵀ
    noise: Float[Array, ""]
    depth: Float[Array, ""]  # of the deepest discount, in log price
    cost_share: Float[Array, ""]


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws the law of a portfolio.

    Args:
      key: typed PRNG key.

    Returns:
      The law; prices are near 1.
    """
    u = jax.random.uniform(key, (8,))
    spread = jnp.array([0.2 + u[0], transforms.log_between(u[1], 0.1, 1.5)])
    correlation = 1.6 * u[2] - 0.8
    across = jnp.sqrt(1.0 - correlation**2)
    return Law(
        mean=jnp.array([1.0 + 4.0 * u[3], 1.0 + 2.5 * u[4]]),
        root=spread[:, None] * jnp.array([[1.0, 0.0], [correlation, across]]),
        noise=transforms.log_between(u[5], 0.1, 0.8),
        depth=transforms.log_between(u[6], 0.1, 0.6),
        cost_share=0.3 + 0.3 * u[7],
    )


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Products:
    """Draws n products.

    Args:
      key: typed PRNG key.
      law: of their portfolio.
      num_instances: n ≥ 1.

    Returns:
      One row a product; an elasticity may be negative, as the normal law has it.
    """
    n = num_instances
    own_key, price_key, point_key = jax.random.split(key, 3)
    log_level, elasticity = law.mean[:, None] + law.root @ jax.random.normal(
        own_key, (2, n)
    )
    regular = 0.1 * jax.random.normal(price_key, (n, 1))
    point = regular - law.depth * jax.random.uniform(point_key, (n, NUM_POINTS))
    low, high = jnp.exp(regular[:, 0] - law.depth - 0.1), jnp.exp(regular[:, 0] + 0.1)
    full = lambda value: jnp.full(n, value)
    return Products(
        family=jnp.zeros(n, int),
        reference=full(1.0),
        level=jnp.exp(log_level),
        elasticity=elasticity,
        shape=full(0.0),
        kink=full(0.0),
        lift=full(0.0),
        threshold=full(0.0),
        noise=jnp.broadcast_to(law.noise, (n,)),
        noise_growth=full(0.0),
        has_outliers=jnp.zeros(n, bool),
        is_count=jnp.zeros(n, bool),
        point=jnp.exp(point),
        effect=jnp.zeros_like(point),
        share=jnp.broadcast_to(jnp.linspace(0.2, 1.0, NUM_POINTS), point.shape),
        jitter=full(0.0),
        frequency=full(1.0),
        unit_cost=law.cost_share * low,
        menu=demand_law.menu_between(low, high, NUM_MENU),
    )


def bayes(law: Law, seen: Seen) -> Float[Array, "n"]:
    """The allowed price of greatest posterior expected profit, exact.

    Posterior precision Λ = Σ⁻¹ + Σ_j f_j f_jᵀ/σ², f = (1, −log p).

    Args:
      law: of the portfolio.
      seen: n products.

    Returns:
      Prices.
    """
    variance = law.noise**2
    ones = jnp.where(seen.valid, 1.0, 0.0)
    f = jnp.stack([ones, -ones * demand_law.log_price(seen.price)], -1)
    # the smallest positive number keeps a padded zero from being −∞
    y = jnp.log(jnp.maximum(seen.units, 1e-30)) + variance / 2.0
    root = law.root
    # θ = mean + root φ, φ ~ N(0, I): no covariance is inverted
    g = f @ root
    error = jnp.where(seen.valid, y, 0.0) - f @ law.mean
    precision = jnp.eye(2) + jnp.einsum("nmi,nmj->nij", g, g) / variance
    covariance = jnp.linalg.inv(precision)
    phi = jnp.einsum("nij,nmj,nm->ni", covariance, g, error) / variance
    x = jnp.stack([jnp.ones_like(seen.menu), -demand_law.log_price(seen.menu)], -1)
    h = x @ root
    log_units = x @ law.mean + jnp.einsum("ngi,ni->ng", h, phi)
    log_units += 0.5 * jnp.einsum("ngi,nij,ngj->ng", h, covariance, h)
    profit = (seen.menu - seen.unit_cost[:, None]) * jnp.exp(log_units)
    profit = jnp.where(seen.menu > 0.0, profit, -jnp.inf)
    return demand_law.best_price(profit, seen.menu)


WORLD = ProblemWorld(
    name="pricing_loglog",
    description="constant elasticities, jointly normal with levels: Bayes is exact",
    problem=pricing_truth.PROBLEM,
    sample_law=sample_law,
    sample_instances=sample_instances,
    observe=pricing_truth.observe,
    outcome=pricing_truth.outcome,
    expected_cost=pricing_truth.expected_cost,
    full_information=pricing_truth.full_information,
    bayes=bayes,
)
