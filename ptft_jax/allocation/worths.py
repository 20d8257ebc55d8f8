"""Estimated worths of the items of an allocation, and decisions along a shrinkage.

With a prior N(0, A) of the worth, the posterior means are, but for a common factor,
r_j = μ̂_j (A + v_max)/(A + v_j) with v_j = 1/ν_j; τ = 1/A is the prior precision.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ptft_jax.allocation import knapsack
from ptft_jax.allocation.shrinkage import Items

# τ of the searches, in units of the median precision (1 in the published experiments)
TAUS = (5.0, 101)


class Worths(NamedTuple):
    """Estimated worths of the items, with their variances, and the costs."""

    estimate: Float[Array, "n"]  # w μ̂
    variance: Float[Array, "n"]  # w²/ν, 1 for padding
    cost: Float[Array, "n"]
    known: Bool[Array, "n"]

    def mean(self, values: Float[Array, "n"]) -> Float[Array, ""]:
        """Mean over the items about which something is known."""
        count = jnp.maximum(self.known.sum(), 1).astype(values.dtype)
        return jnp.where(self.known, values, 0.0).sum() / count

    def usual(self) -> Float[Array, ""]:
        """Geometric mean of the variances."""
        return jnp.exp(self.mean(jnp.log(self.variance)))


def worths(items: Items) -> Worths:
    """Estimates of what the items are worth.

    Args:
      items: n items.

    Returns:
      The worths; items of precision 0 have estimate 0.
    """
    known = items.precision > 0.0
    ratio = items.weight**2 / jnp.where(known, items.precision, 1.0)
    estimate = jnp.where(known, items.weight * items.estimate, 0.0)
    return Worths(estimate, jnp.where(known, ratio, 1.0), items.cost, known)


def shrunk(of: Worths, spread: Float[Array, ""]) -> Float[Array, "n"]:
    """r_j = μ̂_j (A + v_max)/(A + v_j), A = 1/τ the prior variance.

    Args:
      of: n worths.
      spread: A ≥ 0; the limit A = ∞ is μ̂ itself.

    Returns:
      The scores.
    """
    largest = jnp.where(of.known, of.variance, 0.0).max()
    return of.estimate * (spread + largest) / (spread + of.variance)


class Path(NamedTuple):
    """The exact solutions along a grid of τ."""

    slope: Float[Array, "k n"]  # a_j = dr_j/dμ̂_j
    score: Float[Array, "k n"]
    price: Float[Array, "k"]
    x: Float[Array, "k n"]


def path(of: Worths) -> Path:
    """Solutions for τ = 0, .05, …, 5 times the median precision.

    Args:
      of: n worths.

    Returns:
      Scores, prices and decisions of every τ.
    """
    precision = jnp.where(of.known, 1.0 / of.variance, jnp.nan)
    unit = jnp.nan_to_num(jnp.nanmedian(precision), nan=1.0)
    largest = jnp.where(of.known, of.variance, 0.0).max()

    def one(tau):
        slope = (1.0 + tau * largest) / (1.0 + tau * of.variance)
        price = knapsack.solve(slope * of.estimate, of.cost)
        score = slope * of.estimate
        return Path(slope, score, price.price, knapsack.take(score, of.cost, price))

    high, count = TAUS
    return jax.vmap(one)(unit * jnp.linspace(0.0, high, count, dtype=unit.dtype))
