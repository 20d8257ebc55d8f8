"""Empirical Bayes of estimates with known precisions: a common mean, or a curve.

θ_j ~ N(g_j, A) with g the same for all items (A by SURE), or moving with the precision
or with the cost per unit of weight, fitted by a kernel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NUM_KNOTS = 16
SPREADS = (0.0, *(10.0 ** (k / 6.0) for k in range(-18, 19)))  # over the usual variance
MOST_VARIANCE = 1e6  # of an item without data, relative to that of a usual one
TINY = 1e-30


class Items(NamedTuple):
    """n items of a knapsack; all 0 is padding.

    Attributes:
      estimate: μ̂_j ~ N(θ_j, 1/ν_j), of the value of a unit of weight.
      precision: ν_j > 0 (0: nothing is known of the item).
      cost: c_j > 0, as (1/n) Σ c_j x_j ≤ 1.
      weight: w_j > 0; taking the item is worth w_j θ_j.
    """

    estimate: Float[Array, "n"]
    precision: Float[Array, "n"]
    cost: Float[Array, "n"]
    weight: Float[Array, "n"]


class Curve(NamedTuple):
    """Prior mean of θ as a function of one covariate t, and the variance around it.

    g(t) = (κμ₀ + Σ_k φ_k(t) M_k)/(κ + Σ_k φ_k(t) S_k), φ_k Gaussian around knots.
    """

    low: Float[Array, ""]  # least t
    width: Float[Array, ""]  # between knots
    mass: Float[Array, "k"]  # S_k
    total: Float[Array, "k"]  # M_k
    spread: Float[Array, ""]  # variance of θ around g


def variance(items: Items, noise: Float[Array, ""]) -> Float[Array, "n"]:
    """1/ν_j, at most `MOST_VARIANCE` times the usual one.

    Args:
      items: n items.
      noise: the usual variance.

    Returns:
      The variances, > 0.
    """
    return 1.0 / jnp.maximum(items.precision, 1.0 / (MOST_VARIANCE * noise + TINY))


def average(values: Float[Array, "n"], weights: Float[Array, "n"]) -> Float[Array, ""]:
    """Weighted mean, 0 where there is no weight.

    Args:
      values: [n].
      weights: ≥ 0, [n].

    Returns:
      Σ weights·values/Σ weights.
    """
    return (weights * values).sum() / jnp.maximum(weights.sum(), TINY)


def sure(
    items: Items, noise: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Common mean μ₀ and variance A of θ that minimise an unbiased estimate of risk.

    SURE(A) = Σ_j a_j [(1−B_j)²(μ̂_j−μ₀)² + v_j(2B_j − 1)], B_j = A/(A+v_j), μ₀ the mean
    weighted by 1/(A+v_j), a_j = 1/(v+v_j) with v the usual variance.

    Args:
      items: n items.
      noise: v, the geometric mean of v_j = 1/ν_j.

    Returns:
      μ₀ and A, on a grid of A.

    Source:
      Xie, Kou & Brown 2012.
    """
    v, known = variance(items, noise), items.precision > 0.0

    def risk(spread):
        keep = spread / (spread + v)
        centre = average(items.estimate, jnp.where(known, 1.0 / (spread + v), 0.0))
        each = (1.0 - keep) ** 2 * (items.estimate - centre) ** 2
        each = each + v * (2.0 * keep - 1.0)
        return average(each, jnp.where(known, 1.0 / (noise + v), 0.0)), centre

    spreads = noise * jnp.asarray(SPREADS, noise.dtype)
    risks, centres = jax.vmap(risk)(spreads)
    least = jnp.argmin(risks)
    return centres[least], spreads[least]


def _bumps(t: Float[Array, "n"], curve: Curve) -> Float[Array, "n k"]:
    place = (t - curve.low) / curve.width
    return jnp.exp(-0.5 * (place[:, None] - jnp.arange(NUM_KNOTS)) ** 2)


def level(
    t: Float[Array, "n"], curve: Curve, centre: Float[Array, ""], noise, spread
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Prior mean g(t_j) and the mass Σ_k φ_k(t_j) S_k behind it.

    Args:
      t: covariate, [n].
      curve: the fit.
      centre: μ₀, which counts for one usual item.
      noise: the usual variance.
      spread: A.

    Returns:
      g, in units of θ, and the mass, ≥ 0, in those of a precision.
    """
    bumps = _bumps(t, curve)
    mass, one = bumps @ curve.mass, 1.0 / (noise + spread + TINY)
    return (one * centre + bumps @ curve.total) / (one + mass), mass


def fit_curve(
    t: Float[Array, "n"], items: Items, centre, spread, noise: Float[Array, ""]
) -> Curve:
    """Kernel fit of the estimates by a covariate, weighted by 1/(A + v_j).

    Args:
      t: covariate, [n].
      items: n items.
      centre: μ₀.
      spread: A.
      noise: the usual variance.

    Returns:
      The curve; its variance is that of the residuals less the noise, ≥ 0.
    """
    v, known = variance(items, noise), items.precision > 0.0
    low = jnp.where(known, t, jnp.inf).min()
    high = jnp.where(known, t, -jnp.inf).max()
    low, high = (jnp.where(known.any(), end, 0.0) for end in (low, high))
    width = jnp.maximum((high - low) / (NUM_KNOTS - 1), 0.05)
    weights = jnp.where(known, 1.0 / (spread + v), 0.0)
    empty = Curve(low, width, jnp.zeros(NUM_KNOTS), jnp.zeros(NUM_KNOTS), spread)
    bumps = _bumps(t, empty) * weights[:, None]
    curve = empty._replace(mass=bumps.sum(0), total=items.estimate @ bumps)
    mean, _ = level(t, curve, centre, noise, spread)
    around = average((items.estimate - mean) ** 2 - v, weights**2)
    return curve._replace(spread=jnp.maximum(around, 0.0))


def covariates(items: Items) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Log precision, and log cost per unit of weight; 0 where there is none.

    Args:
      items: n items.

    Returns:
      The two covariates, [n] each.
    """
    log = lambda x: jnp.log(jnp.where(x > 0.0, x, 1.0))
    return log(items.precision), log(items.cost) - log(items.weight)
