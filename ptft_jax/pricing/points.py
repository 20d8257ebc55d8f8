"""Price points: what sells at a price beyond the curve, deals and thresholds among it.

log d_i(p) = curve_i(p) + s(p) + o_i(p): s is shared by all products that charge p, o is
a product's own, both normal and independent from one price point to the next, with
variances found by moments of the residuals of the curves. Both are shrunk, so that
without price points next to nothing is added. What is not known of an effect counts as
well: E e^s = e^{mean + variance/2}, so that a price that was never tried is not worth
less than one that disappointed by chance.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

SPACING = 0.01  # log price between two points of the lattice of shared effects
HALF = 400  # points of that lattice on either side of the portfolio's mean
NEAR = 0.02  # log price from which on two periods do not share a price point
BLOCK = 2**22  # pairs of periods at a time
LEAST = 1e-3  # of a variance of effects, relative to that of noise: less is none


class Shared(NamedTuple):
    """What a portfolio says of price points.

    Attributes:
      effect: posterior mean of s on the lattice, [2·HALF + 1].
      periods: at each point of the lattice, of all products.
      origin: log price of the lattice's middle.
      shared_variance: of s over that of noise, 0 where nothing is shared.
      own_variance: of o over that of noise, 0 where there is none.
      noise: σ², variance of log units about the curves.
    """

    effect: Float[Array, "g"]
    periods: Float[Array, "g"]
    origin: Float[Array, ""]
    shared_variance: Float[Array, ""]
    own_variance: Float[Array, ""]
    noise: Float[Array, ""]


class Effects(NamedTuple):
    """Price points of n products, to be looked up at any price.

    Attributes:
      shared: of the portfolio.
      log_price: of the pairs, [n, m].
      left: residuals of the pairs, shared effects taken off, [n, m].
      valid: which pairs exist, [n, m].
      shared_weight: of s, [n], 1 by empirical Bayes.
      own_weight: of o, [n], 1 by empirical Bayes.
    """

    shared: Shared
    log_price: Float[Array, "n m"]
    left: Float[Array, "n m"]
    valid: Bool[Array, "n m"]
    shared_weight: Float[Array, "n"]
    own_weight: Float[Array, "n"]


def _position(log_price, origin):
    """Lower point of the lattice, and the share of the one above it."""
    at = ((log_price - origin) / SPACING + HALF).clip(0.0, 2.0 * HALF - 1e-3)
    below = jnp.floor(at)
    return below.astype(int), at - below


def _overlap(origin):
    """Σ of the products of what two periods leave at each point of the lattice."""

    def overlap(log_price, other):
        below, share = _position(log_price, origin)
        under, rest = _position(other, origin)
        same = (1.0 - share) * (1.0 - rest) + share * rest
        up, down = share * (1.0 - rest), (1.0 - share) * rest
        return jnp.select(
            [under == below, under == below + 1, under == below - 1], [same, up, down]
        )

    return overlap


def _at(effect, log_price, origin):
    below, share = _position(log_price, origin)
    return (1.0 - share) * effect[below] + share * effect[below + 1]


def nearness(log_price, other):
    """Whether two periods share a price point: 1 at one price, 0 from `NEAR` on."""
    return jnp.maximum(1.0 - jnp.abs(log_price - other) / NEAR, 0.0)


def _by_product(function: Callable[..., Any], pairs: int, *leaves: Any) -> Any:
    """`vmap` of a function of one product, few enough at a time for the memory."""
    together = max(1, BLOCK // max(pairs, 1))
    if len(leaves[0]) <= together:
        return jax.vmap(function)(*leaves)
    return jax.lax.map(lambda row: function(*row), leaves, batch_size=together)


def alike(
    log_price: Float[Array, "n m"],
    left: Float[Array, "n m"],
    valid: Bool[Array, "n m"],
    near: Callable[..., Any] = nearness,
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Σ w r r' over pairs of periods of a product at one price, and Σ w.

    Args:
      log_price: of n products' pairs.
      left: r, their residuals.
      valid: which exist.
      near: w of two log prices.

    Returns:
      Both sums, a pair counting twice.
    """

    def one(log_p, r, used):
        weight = near(log_p[:, None], log_p) * used[:, None] * used
        weight = weight * (1.0 - jnp.eye(len(r)))
        return r @ weight @ r, weight.sum()

    m = left.shape[1]
    return _by_product(one, m * m, log_price, left, valid.astype(left.dtype))


def _positive(product, weight, variance):
    """Σ w r r'/Σ w over σ², 0 below `LEAST`."""
    ratio = product / jnp.maximum(weight, 1e-6) / variance
    return jnp.where((weight > 1.0) & (ratio > LEAST), ratio, 0.0)


def shared(
    log_price: Float[Array, "n m"],
    left: Float[Array, "n m"],
    valid: Bool[Array, "n m"],
    loading: Float[Array, "n 2 m"],
    variance: Float[Array, ""],
    origin: Float[Array, ""],
) -> Shared:
    """Variances of the effects by moments, and the posterior mean of those shared.

    τ_s² = Σ r r'/# over pairs of periods of two products at one price;
    s = Σ r/(# + σ²/τ_s²). τ_o² = Σ [(r − s)(r − s)' + σ² h]/# over those of one
    product, h_jj' = Σ_k b_kj b_kj' the leverage by which a fitted curve makes residuals
    go against each other.

    Args:
      log_price: of n products' pairs.
      left: r, log units less the curve.
      valid: which pairs exist.
      loading: b of level and slope, [n, 2, m].
      variance: σ² of log units about the curve.
      origin: log price in the middle of the lattice.

    Returns:
      The price points.
    """
    below, share = _position(log_price, origin)
    used = valid.astype(left.dtype)

    def spread(x):
        zero = jnp.zeros(2 * HALF + 1, left.dtype)
        lower = zero.at[below].add(used * (1.0 - share) * x)
        return lower.at[below + 1].add(used * share * x)

    total, weight = spread(left), spread(jnp.ones_like(left))
    itself = used * ((1.0 - share) ** 2 + share**2)
    own_product, own_pairs = alike(log_price, left, valid, _overlap(origin))
    product = (total**2).sum() - (itself * left**2).sum() - own_product.sum()
    pairs = (weight**2).sum() - itself.sum() - own_pairs.sum()
    strength = _positive(product, pairs, variance)
    effect = strength * total / (strength * weight + 1.0)
    rest = jnp.where(valid, left - _at(effect, log_price, origin), 0.0)
    product, pairs = alike(log_price, rest, valid)
    for k in range(loading.shape[1]):
        product = product + variance * alike(log_price, loading[:, k], valid)[0]
    of_own = _positive(product.sum(), pairs.sum(), variance)
    return Shared(effect, weight, origin, strength, of_own, variance)


def effects(
    known: Shared,
    log_price: Float[Array, "n m"],
    left: Float[Array, "n m"],
    valid: Bool[Array, "n m"],
) -> Effects:
    """The price points of products by empirical Bayes.

    Args:
      known: of their portfolio, or of another.
      log_price: of their pairs.
      left: residuals of the pairs.
      valid: which exist.

    Returns:
      Effects of weight 1.
    """
    rest = jnp.where(valid, left - _at(known.effect, log_price, known.origin), 0.0)
    one = jnp.ones(left.shape[0], left.dtype)
    return Effects(known, log_price, rest, valid, one, one)


def own(found: Effects, log_price: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Own effects at some prices: log E e^o, o of mean Σ r/(# + σ²/τ_o²).

    Args:
      found: of n products.
      log_price: where it is asked.

    Returns:
      Mean and half the variance τ_o²σ²/(σ² + #τ_o²), of the product's periods there.
    """
    strength, noise = found.shared.own_variance, found.shared.noise

    def one(asked, log_p, r, used):
        near = nearness(asked[:, None], log_p) * used
        return strength * (near @ r + noise / 2.0) / (strength * near.sum(-1) + 1.0)

    seen = found.log_price, found.left, found.valid.astype(found.left.dtype)
    return _by_product(one, log_price.shape[1] * seen[1].shape[1], log_price, *seen)


def of_all(known: Shared, log_price: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Shared effects at some prices: log E e^s.

    Args:
      known: of the portfolio.
      log_price: where it is asked.

    Returns:
      Mean and half the variance.
    """
    strength = known.shared_variance
    spread = strength * known.noise / (strength * known.periods + 1.0)
    return _at(known.effect + spread / 2.0, log_price, known.origin)


def at(found: Effects, log_price: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Shared and own effects at some prices, each by its weight.

    Args:
      found: of n products.
      log_price: where it is asked.

    Returns:
      What is added to log demand.
    """
    return found.shared_weight[:, None] * of_all(
        found.shared, log_price
    ) + found.own_weight[:, None] * own(found, log_price)
