"""Estimates of Poisson means from how often each count occurs: one exposure for all.

The Bayes estimate (y + 1) f(y + 1)/f(y) needs only the law f of a count. With exposures
that differ there is no such f; `equal_exposure` says whether these baselines apply.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def equal_exposure(seen: Any) -> Bool[Array, ""]:
    """Whether all instances have the same exposure.

    Args:
      seen: `count` and `exposure` of n instances.

    Returns:
      True also where there is none.
    """
    present = seen.exposure > 0.0
    largest = seen.exposure.max()
    return (jnp.where(present, seen.exposure, largest) >= largest * (1 - 1e-6)).all()


def _checked(seen: Any, load: Float[Array, "n"]) -> Float[Array, "n"]:
    """Mean counts to rates; NaN, not a wrong number, where exposures differ."""
    present = seen.exposure > 0.0
    rate = load / jnp.where(present, seen.exposure, 1.0)
    rate = jnp.where(equal_exposure(seen), rate, jnp.nan)
    return jnp.where(present, rate, 0.0)


@jax.jit
def robbins(seen: Any) -> Float[Array, "n"]:
    """Robbins: x = (y + 1) N(y + 1)/N(y), N(k) the instances of count k.

    Args:
      seen: `count` and `exposure` of n instances, one exposure for all.

    Returns:
      The rates, ≥ 0; NaN where exposures differ. Time and memory O(n log n).

    Source:
      Robbins 1956, An empirical Bayes approach to statistics.
    """
    present = seen.exposure > 0.0
    ordered = jnp.sort(jnp.where(present, seen.count, jnp.inf))
    above = lambda y, side: jnp.searchsorted(ordered, y, side=side)
    number = lambda y: above(y, "right") - above(y, "left")
    y = seen.count
    return _checked(seen, (y + 1.0) * number(y + 1.0) / number(y).clip(1))


@jax.jit
def monotone_erm(seen: Any) -> Float[Array, "n"]:
    """Monotone ERM: min over monotone f ≥ 0 of Σ_i f(y_i)² − 2 y_i f(y_i − 1).

    Its mean is the squared risk of f up to a constant. Each instance gives a point of
    weight 1 and target 0 at y_i, and one of weight 0 and product y_i at y_i − 1; the
    solution is isotonic: f(k) = max_{a ≤ k} min_{b ≥ k} Σ_{a..b} product / weight.

    Args:
      seen: `count` and `exposure` of n instances, one exposure for all.

    Returns:
      The rates, ≥ 0; NaN where exposures differ. Time and memory O(n²).

    Source:
      Jana, Polyanskiy, Teh & Wu 2023, Empirical Bayes via ERM, eq. (2).
    """
    present = seen.exposure > 0.0
    y = jnp.where(present, seen.count, jnp.inf)
    place = jnp.concatenate([y, y - 1.0])
    product = jnp.concatenate([jnp.zeros_like(y), jnp.where(present, y, 0.0)])
    weight = jnp.concatenate([jnp.where(present, 1.0, 0.0), jnp.zeros_like(y)])
    order = jnp.argsort(place)
    place, product, weight = place[order], product[order], weight[order]
    is_new = place[1:] > place[:-1]
    starts = jnp.concatenate([jnp.ones(1, bool), is_new])
    ends = jnp.concatenate([is_new, jnp.ones(1, bool)])
    sums = lambda x: jnp.concatenate([jnp.zeros(1), jnp.cumsum(x)])
    between = lambda s: s[None, 1:] - s[:-1, None]
    below = between(sums(weight))
    # a block without weight has no finite minimiser: it joins the next
    ratio = jnp.where(below > 0.5, between(sums(product)) / below.clip(0.5), jnp.inf)
    index = jnp.arange(len(place))
    is_block = starts[:, None] & ends[None] & (index[:, None] <= index[None])
    least = jax.lax.cummin(jnp.where(is_block, ratio, jnp.inf), 1, reverse=True)
    usable = starts[:, None] & (index[:, None] <= index[None])
    fitted = jnp.where(usable, least, -jnp.inf).max(0)
    return _checked(seen, fitted[jnp.searchsorted(place, seen.count, side="right") - 1])


EQUAL_EXPOSURE: dict[str, Callable] = {"robbins": robbins, "monotone_erm": monotone_erm}
