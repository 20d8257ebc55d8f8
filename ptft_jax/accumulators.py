"""What a pass over a portfolio keeps, part by part: the parts pool to the whole.

Each accumulator of a part is a few numbers; stacked along a leading axis, those of
many parts pool to the accumulator of all of them, in any order. Parts may be blocks of
instances in turn, or the shares of several devices.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Moments(NamedTuple):
    """Weighted mean and scatter Σ w (x − mean)² of the values of a part."""

    weight: Float[Array, "*b"]
    mean: Float[Array, "*s"]
    scatter: Float[Array, "*s"]

    @property
    def variance(self) -> Float[Array, "*s"]:
        """Mean squared distance from the mean."""
        return self.scatter / jnp.maximum(self.weight, 1.0)

    def pooled(self) -> "Moments":
        """Of all parts together (Chan, Golub & LeVeque, 1983)."""
        own = self.weight.reshape(-1, *[1] * (self.mean.ndim - 1))
        weight = self.weight.sum(0)
        mean = (own * self.mean).sum(0) / jnp.maximum(weight, 1.0)
        between = (own * (self.mean - mean) ** 2).sum(0)
        return Moments(weight, mean, self.scatter.sum(0) + between)


class Largest(NamedTuple):
    """Largest value of a part."""

    value: Float[Array, "*b"]

    def pooled(self) -> "Largest":
        """Of all parts together."""
        return Largest(self.value.max(0))


class Attention(NamedTuple):
    """Softmax attention of l queries to the keys of a part.

    Attributes:
      top: largest score.
      total: Σ_j exp(score_j − top).
      mixed: Σ_j exp(score_j − top) value_j.
    """

    top: Float[Array, "*b l"]
    total: Float[Array, "*b l"]
    mixed: Float[Array, "*b l d"]

    @property
    def mean(self) -> Float[Array, "*b l d"]:
        """What softmax attention returns."""
        return self.mixed / self.total[..., None]

    def pooled(self) -> "Attention":
        """To the keys of all parts together."""
        top = self.top.max(0)
        share = jnp.exp(self.top - top)
        total = (share * self.total).sum(0)
        return Attention(top, total, (share[..., None] * self.mixed).sum(0))


def moments(x: Float[Array, "n *s"], weight: Float[Array, "n"]) -> Moments:
    """Moments over the first axis.

    Args:
      x: values; they may be anything where the weight is 0.
      weight: ≥ 0, of counts: a total below 1 is taken to be 0.

    Returns:
      The moments; all 0 where nothing has weight.
    """
    w = weight.reshape(-1, *[1] * (x.ndim - 1))
    total = weight.sum()
    sum_of = lambda y: jnp.where(w > 0.0, w * y, 0.0).sum(0)
    mean = sum_of(x) / jnp.maximum(total, 1.0)
    return Moments(total, mean, sum_of((x - mean) ** 2))


def attention(
    scores: Float[Array, "l n"], values: Float[Array, "n d"], valid: Bool[Array, "n"]
) -> Attention:
    """Softmax attention to the keys that are valid.

    Args:
      scores: of each query and key.
      values: of the keys.
      valid: keys that exist.

    Returns:
      The accumulator; one without valid keys adds nothing to one with some.
    """
    scores = jnp.where(valid, scores, -1e30)
    # a constant in exact arithmetic, so that gradients need not pass through it
    top = jax.lax.stop_gradient(scores.max(-1))
    weights = jnp.exp(scores - top[:, None])
    return Attention(top, weights.sum(-1), weights @ values)


def pooled(stacked: Any) -> Any:
    """A tree of accumulators of all parts together.

    Args:
      stacked: a tree of accumulators, every leaf with a leading axis of parts.

    Returns:
      The tree without that axis.
    """
    kinds = (Moments, Largest, Attention)
    is_leaf = lambda node: isinstance(node, kinds)
    return jax.tree.map(lambda each: each.pooled(), stacked, is_leaf=is_leaf)
