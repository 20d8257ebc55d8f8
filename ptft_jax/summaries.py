"""What the baselines share: masked moments, order statistics, quantile functions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Bool, Float

from ptft_jax.types import Portfolio

UNIT_BITS = 60  # between one unit and the next


def unit(largest: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """A unit in which sums of squares neither overflow nor underflow: 2^(60 k).

    Args:
      largest: of what shares a unit, ≥ 0.

    Returns:
      The units; 1 from 2⁻³⁰ up to 2³⁰, whose decisions keep every bit, and for 0.
    """
    _, exponent = jnp.frexp(largest)
    steps = (exponent - 1 + UNIT_BITS // 2) // UNIT_BITS
    return jnp.ldexp(jnp.ones_like(largest), UNIT_BITS * steps)


def mean(portfolio: Portfolio) -> Float[Array, "n"]:
    """Sample mean x̄_i = Σ_j ξ_ij / m_i.

    Args:
      portfolio: n instances.

    Returns:
      The means, ≥ 0; 0 for padding.
    """
    total = jnp.where(portfolio.valid, portfolio.observations, 0.0).sum(-1)
    return total / jnp.maximum(portfolio.num_observed, 1.0)


def variance(portfolio: Portfolio) -> Float[Array, "n"]:
    """Unbiased sample variance s²_i = Σ_j (ξ_ij − x̄_i)² / (m_i − 1).

    Args:
      portfolio: n instances.

    Returns:
      The variances, ≥ 0; 0 where m_i < 2.
    """
    deviation = portfolio.observations - mean(portfolio)[:, None]
    total = jnp.square(jnp.where(portfolio.valid, deviation, 0.0)).sum(-1)
    return total / jnp.maximum(portfolio.num_observed - 1.0, 1.0)


def mean_of_others(portfolio: Portfolio) -> Float[Array, "n m"]:
    """Leave-one-out mean Σ_{k≠j} ξ_ik / (m_i − 1).

    Args:
      portfolio: n instances.

    Returns:
      The means, [n, m]; 0 where j is not valid or has no others.
    """
    observed = jnp.where(portfolio.valid, portfolio.observations, 0.0)
    m = portfolio.num_observed
    others = (observed.sum(-1)[:, None] - observed) / jnp.maximum(m - 1.0, 1.0)[:, None]
    return jnp.where(portfolio.valid & (m > 1.0)[:, None], others, 0.0)


def ordered(portfolio: Portfolio) -> Float[Array, "n m"]:
    """Order statistics ξ_(1) ≤ … ≤ ξ_(m_i), +∞ beyond m_i.

    Args:
      portfolio: n instances.

    Returns:
      The order statistics, [n, m].
    """
    return jnp.sort(jnp.where(portfolio.valid, portfolio.observations, jnp.inf), -1)


def rank(level: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """⌈level⌉, a level within rounding above an integer counting as that integer.

    The level is a quantile times a count, and .95 · 20 must give rank 19.

    Args:
      level: ≥ 0.

    Returns:
      The rank, a whole number.
    """
    return jnp.ceil(level * (1.0 - 4.0 * jnp.finfo(level.dtype).eps))


class Pool(NamedTuple):
    """Values of many instances taken as one empirical law.

    Attributes:
      ordered: order statistics, [M_max], +∞ beyond M.
      size: M ≥ 1.
    """

    ordered: Float[Array, "k"]
    size: Float[Array, ""]

    def quantile(self, level: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """The ⌈level·M⌉-th order statistic; 0 for level ≤ 0 and +∞ for level > 1."""
        position = rank(level * self.size)
        index = jnp.clip(position - 1.0, 0.0, self.size - 1.0).astype(int)
        value = jnp.where(position > self.size, jnp.inf, self.ordered[index])
        return jnp.where(position > 0.0, value, 0.0)


def pool(values: Float[Array, "n m"], used: Bool[Array, "n m"]) -> Pool:
    """The empirical law of all used values; that of a single 1 where none is used.

    Args:
      values: ≥ 0, [n, m], finite where used.
      used: which of the values count.

    Returns:
      The pool. Ratios have a mean near 1, hence the law without data.
    """
    flat = jnp.sort(jnp.where(used, values, jnp.inf), axis=None)
    first = jnp.where(used.any(), flat[0], 1.0)
    size = jnp.maximum(used.sum().astype(values.dtype), 1.0)
    return Pool(flat.at[0].set(first), size)


def bisect(
    is_above: Callable,
    low: Float[Array, "*s"],
    high: Float[Array, "*s"],
    num_steps: int = 40,
) -> Float[Array, "*s"]:
    """Where a predicate turns from False to True on [low, high], to 2^−steps of it.

    Args:
      is_above: nondecreasing predicate of an array like `low`.
      low: lower end, [*s].
      high: upper end, returned where the predicate is never True.
      num_steps: number of halvings.

    Returns:
      The upper end of the last bracket: the predicate holds there if anywhere.
    """

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2.0
        above = is_above(middle)
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    return jax.lax.fori_loop(0, num_steps, halve, (low, high))[1]


def student_t_quantile(
    quantile: Float[Array, "n"], freedom: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Quantile of Student's t: sign(q − ½)·√(ν u/(1−u)) with I_u(½, ν/2) = |2q − 1|.

    Args:
      quantile: q in (0, 1).
      freedom: ν > 0, degrees of freedom.

    Returns:
      The quantile, increasing in q.
    """
    half = jnp.full_like(freedom, 0.5)
    target = jnp.abs(2.0 * quantile - 1.0)
    u = bisect(
        lambda u: special.betainc(half, freedom / 2.0, u) >= target,
        jnp.zeros_like(freedom),
        jnp.ones_like(freedom),
    )
    u = jnp.minimum(u, 1.0 - jnp.finfo(u.dtype).eps)
    return jnp.sign(quantile - 0.5) * jnp.sqrt(freedom * u / (1.0 - u))
