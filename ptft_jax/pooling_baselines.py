"""Distribution-free newsvendor baselines that pool observations across instances."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax import summaries
from ptft_jax.problems import newsvendor
from ptft_jax.types import Portfolio

# 1/α: from the anchor alone (0) to the data alone (1000)
INVERSE_STRENGTHS = (0.0, *(10.0 ** (k / 10.0) for k in range(-30, 11)), 1e3)


@jax.jit
def pooled_mean(portfolio: Portfolio) -> Float[Array, "n"]:
    """Mean-rescaled pool: x_i = x̄_i · (q_i-quantile of all ξ_kj / x̄_k).

    Scale equivariant instance by instance. The ratios contain their own observation in
    the denominator, so the pool is too narrow at small m; `pooled_loo` repairs that.

    Args:
      portfolio: n instances, demand ≥ 0; those with x̄_k = 0 have no ratio.

    Returns:
      The decisions, [n], ≥ 0; 0 where x̄_i = 0.
    """
    mean = summaries.mean(portfolio)[:, None]
    used = portfolio.valid & (mean > 0.0)
    pool = summaries.pool(portfolio.observations / jnp.where(used, mean, 1.0), used)
    return mean[:, 0] * pool.quantile(portfolio.quantile)


def _loo_ratios(portfolio: Portfolio) -> summaries.Pool:
    """The pool of ξ_kj / mean_{l≠j} ξ_kl, where the others are not all 0."""
    others = summaries.mean_of_others(portfolio)
    used = others > 0.0
    return summaries.pool(portfolio.observations / jnp.where(used, others, 1.0), used)


@jax.jit
def pooled_loo(portfolio: Portfolio) -> Float[Array, "n"]:
    """Leave-one-out pool: x_i = x̄_i · (q_i-quantile of ξ_kj / mean_{l≠j} ξ_kl).

    Scale equivariant instance by instance.

    Args:
      portfolio: n instances, demand ≥ 0; an observation whose others are all 0 (or
        none) has no ratio and is left out.

    Returns:
      The decisions, [n], ≥ 0; 0 where x̄_i = 0, and x̄_i where no ratio exists at all.
    """
    ratio = _loo_ratios(portfolio).quantile(portfolio.quantile)
    return summaries.mean(portfolio) * ratio


def _mixture_quantile(
    own: Float[Array, "*s l"], anchor: Float[Array, "*s l+1"]
) -> Float[Array, "*s"]:
    """min_l max(ξ_(l), anchor_l), l = 0, …, m: the quantile of (α F₀ + counts)/(α + m).

    With l own points at or below x the rest of the mass must come from the anchor:
    anchor_l = F₀⁻¹(q + (q m − l)/α), and ξ_(0) = 0.
    """
    from_data = jnp.maximum(own, anchor[..., 1:]).min(-1, initial=jnp.inf)
    return jnp.minimum(anchor[..., 0], from_data)


@functools.partial(jax.jit, static_argnames="rescale")
def shrunken_saa(portfolio: Portfolio, rescale: bool = True) -> Float[Array, "n"]:
    """Shrunken-SAA: x_i(α) = q_i-quantile of (α F₀(·/x̄_i) + Σ_j 1{ξ_ij ≤ ·})/(α + m_i).

    F₀ pools the instances (grand-mean anchor) and α minimises the leave-one-out cost
    over a grid, F₀ fixed in the loop. Two choices beside the source, both for the
    rescaling: F₀ pools leave-one-out ratios, as ξ_kj/x̄_k are too narrow at small m, and
    the loop rescales by the mean of the others, without which it always takes α = ∞.

    Args:
      portfolio: n instances, demand ≥ 0.
      rescale: False shares the support points themselves, F₀ the pool of the ξ_kj:
        for intermittent counts, whose means are too often 0. Static.

    Returns:
      The decisions, [n], ≥ 0; equivariant to each instance's unit if rescaled, else to
      a common one. Time and memory O(n m²).

    Source:
      Gupta & Kallus 2022, Data pooling in stochastic optimization.
    """
    own, present = summaries.ordered(portfolio), portfolio.present
    q, m = portfolio.quantile[:, None], portfolio.num_observed[:, None]
    seen = jnp.arange(own.shape[1], dtype=own.dtype)[None] < m
    demand = jnp.where(seen, own, 0.0)
    if rescale:
        pool = _loo_ratios(portfolio)
        scale = summaries.mean(portfolio)
        others = (demand.sum(1)[:, None] - demand) / jnp.maximum(m - 1.0, 1.0)
    else:
        pool = summaries.pool(portfolio.observations, portfolio.valid)
        scale, others = jnp.ones_like(q[:, 0]), jnp.ones_like(own)

    def decide(own, scale, level):
        # 0 · ∞: an instance of mean 0 has its whole anchor at 0
        anchor = jnp.where(scale > 0.0, scale * pool.quantile(level), 0.0)
        return _mixture_quantile(own, anchor)

    l = jnp.arange(own.shape[1] + 1, dtype=own.dtype)[None]
    before = (l[:, :-2] < l[0, :-1, None])[None]
    rest = jnp.where(before, own[:, None, :-1], own[:, None, 1:])

    def loo_cost(inverse_strength):
        level = q + (q * (m - 1.0) - l[:, :-1]) * inverse_strength
        x = decide(rest, others[..., None], level[:, None])
        x = jnp.where(seen, x, 0.0)
        return newsvendor.cost(x, demand, jnp.broadcast_to(q, own.shape)).sum()

    grid = jnp.asarray(INVERSE_STRENGTHS, own.dtype)
    best = grid[jnp.argmin(jax.lax.map(loo_cost, grid))]
    x = decide(own, scale[:, None], q + (q * m - l) * best)
    return jnp.where(present, x, 0.0)
