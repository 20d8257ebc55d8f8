"""Allocations that choose their shrinkage by a debiased estimate of their own value.

The in-sample value (1/n) Σ μ̂_j x_j is too high by (1/n) Σ E ξ_j x_j, ξ = μ̂ − θ. Each
rule estimates that bias in another way and maximises what is left of the value. All are
pure functions of items; padding gets 0 and changes nothing.
"""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from ptft_jax import summaries
from ptft_jax.allocation import worths as worths_
from ptft_jax.allocation.shrinkage import Items
from ptft_jax.allocation.worths import Worths

# Γ of `stein_reg`: least, largest, how many; nearer to 0 the bias is all noise
STRENGTHS = (1.0, 20.0, 191)


def _count(of: Worths) -> Float[Array, ""]:
    return jnp.maximum(of.known.sum(), 1).astype(of.cost.dtype)


def box_stein(items: Items) -> Float[Array, "n"]:
    """τ by Stein's lemma with the derivative of 1{r_j > λc_j} smoothed by a box.

    Bias(τ) = mean_j √v_j 1{|r_j − λc_j| ≤ h_j}/(2h), h_j = h a_j √v_j, a_j = dr_j/dμ̂_j,
    h = n^{−1/6}; τ on 0, .05, …, 5 times the median precision.

    Args:
      items: n items.

    Returns:
      x in [0, 1].

    Source:
      Gupta & Rusmevichientong 2021.
    """
    of = worths_.worths(items)
    found, sd = worths_.path(of), jnp.sqrt(of.variance)
    h = _count(of) ** (-1.0 / 6.0)

    def value(slope, score, price, x):
        near = jnp.abs(score - price * of.cost) <= h * slope * sd
        return of.mean(of.estimate * x) - of.mean(jnp.where(near, sd, 0.0)) / (2.0 * h)

    return found.x[jnp.argmax(jax.vmap(value)(*found))]


def vgc(items: Items) -> Float[Array, "n"]:
    """τ by the variance gradient correction, the price of the budget held.

    Bias(τ) = mean_j (1/(a_j h)) E[(r_j + a_jδ_j − λc_j)⁺ − (r_j − λc_j)⁺], a_j =
    dr_j/dμ̂_j, δ_j ~ N(0, (2h + h²) v_j), h = n^{−1/4}: μ̂ + hξ has the law of μ̂ + δ, and
    by the envelope theorem the slope of the optimal value in h is Σ a_jξ_jx_j. One item
    moves λ by O(1/n) only, so the value is replaced by its dual at the λ of the data;
    the expectation is then exact.

    Args:
      items: n items.

    Returns:
      x in [0, 1].

    Source:
      Gupta, Huang & Rusmevichientong 2024, Debiasing in-sample policy performance.
    """
    of = worths_.worths(items)
    found = worths_.path(of)
    h = _count(of) ** -0.25
    sd = jnp.sqrt((2.0 * h + h**2) * of.variance)

    def value(slope, score, price, x):
        margin, spread = score - price * of.cost, slope * sd
        z = margin / spread
        after = margin * norm.cdf(z) + spread * norm.pdf(z)
        bias = (after - jnp.maximum(margin, 0.0)) / (slope * h)
        return of.mean(of.estimate * x) - of.mean(bias)

    return found.x[jnp.argmax(jax.vmap(value)(*found))]


def stein_reg(items: Items) -> Float[Array, "n"]:
    """Regularised programme, its strength Γ by Stein's lemma.

    x_j = clip((μ̂_j − λc_j)/(Γ u_j), 0, 1), u_j = v_j √ν_min, maximises Σ μ̂_jx_j −
    Γ/2 Σ u_jx_j² under the budget; Bias(Γ) = mean_j 1{0 ≤ μ̂_j − λc_j ≤ Γu_j}/(Γ√ν_min).
    Γ on 1, 1.1, …, 20.

    Args:
      items: n items.

    Returns:
      x in [0, 1].

    Source:
      Gupta & Rusmevichientong 2021.
    """
    of = worths_.worths(items)
    root = jnp.sqrt(1.0 / jnp.where(of.known, of.variance, 0.0).max())
    top = jnp.where(of.known, of.estimate / jnp.where(of.known, of.cost, 1.0), 0.0)
    top = jnp.maximum(top.max(), 0.0)

    def one(strength):
        width = jnp.where(of.known, strength * of.variance * root, 1.0)

        def solution(price):
            x = jnp.clip((of.estimate - price * of.cost) / width, 0.0, 1.0)
            return jnp.where(of.known, x, 0.0)

        fits = lambda price: (of.cost * solution(price)).sum() <= count
        low = jnp.zeros_like(top)
        found = summaries.bisect(fits, low, top)
        price = jnp.where(fits(low), low, found)
        margin = of.estimate - price * of.cost
        inside = (margin >= 0.0) & (margin <= width)
        bias = of.mean(inside.astype(top.dtype)) / (strength * root)
        x = solution(price)
        return of.mean(of.estimate * x) - bias, x

    count = (of.cost > 0.0).sum().astype(top.dtype)
    values, x = jax.lax.map(one, jnp.linspace(*STRENGTHS, dtype=top.dtype))
    return x[jnp.argmax(values)]
