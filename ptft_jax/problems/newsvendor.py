"""The newsvendor: choose a stock x before demand ξ is seen.

Expected costs are exact for every real x, by E c(x, ξ) = q(Eξ − x) + E(x − ξ)⁺. For
counts near 1000, float32 keeps three digits of them: judge risks in float64.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy import special
from jax.scipy.stats import norm
from jaxtyping import Array, Float


def cost(
    x: Float[Array, "*#s"], demand: Float[Array, "*#s"], quantile: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """Pinball cost c(x, ξ) = q(ξ−x)⁺ + (1−q)(x−ξ)⁺.

    Args:
      x: stock, in units of demand.
      demand: ξ, in units of demand.
      quantile: critical ratio q in (0, 1), underage / (underage + overage).

    Returns:
      The cost, ≥ 0, convex in x, max(q, 1−q)-Lipschitz in x.
    """
    short = demand - x
    return jnp.maximum(quantile * short, (quantile - 1.0) * short)


def expected_cost_normal(
    x: Float[Array, "*#s"],
    mean: Float[Array, "*#s"],
    sd: Float[Array, "*#s"],
    quantile: Float[Array, "*#s"],
) -> Float[Array, "*#s"]:
    """E c(x, ξ) for ξ ~ N(μ, σ²): E(x−ξ)⁺ = σ(zΦ(z) + φ(z)), z = (x−μ)/σ.

    Args:
      x: stock, in units of demand.
      mean: μ.
      sd: σ > 0.
      quantile: critical ratio q in (0, 1).

    Returns:
      The cost, convex in x, least at μ + σz_q where it is σφ(z_q).
    """
    z = (x - mean) / sd
    over = sd * (z * norm.cdf(z) + norm.pdf(z))
    return quantile * (mean - x) + over


def full_information_normal(
    mean: Float[Array, "*#s"], sd: Float[Array, "*#s"], quantile: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """The minimiser μ + σz_q of `expected_cost_normal`.

    Args:
      mean: μ.
      sd: σ > 0.
      quantile: critical ratio q in (0, 1).

    Returns:
      The decision.
    """
    return mean + sd * special.ndtri(quantile)


def expected_cost_lognormal(
    x: Float[Array, "*#s"],
    theta: Float[Array, "*#s"],
    sigma: Float[Array, "*#s"],
    quantile: Float[Array, "*#s"],
) -> Float[Array, "*#s"]:
    """E c(x, ξ) for log ξ ~ N(θ, σ²).

    E(x−ξ)⁺ = xΦ(z) − e^{θ+σ²/2}Φ(z−σ), z = (log x − θ)/σ; 0 for x ≤ 0.

    Args:
      x: stock, in units of demand.
      theta: θ.
      sigma: σ > 0.
      quantile: critical ratio q in (0, 1).

    Returns:
      The cost, convex in x, least at e^{θ+σz_q}.
    """
    # log of a positive number in both branches keeps the gradient finite
    z = (jnp.log(jnp.where(x > 0.0, x, 1.0)) - theta) / sigma
    mean = jnp.exp(theta + sigma**2 / 2.0)
    over = x * special.ndtr(z) - mean * special.ndtr(z - sigma)
    return quantile * (mean - x) + jnp.where(x > 0.0, over, 0.0)


def full_information_lognormal(
    theta: Float[Array, "*#s"],
    sigma: Float[Array, "*#s"],
    quantile: Float[Array, "*#s"],
) -> Float[Array, "*#s"]:
    """The minimiser e^{θ+σz_q} of `expected_cost_lognormal`.

    Args:
      theta: θ.
      sigma: σ > 0.
      quantile: critical ratio q in (0, 1).

    Returns:
      The decision, > 0.
    """
    return jnp.exp(theta + sigma * special.ndtri(quantile))


def _poisson_cdf(k, rate):
    return jnp.where(k < 0.0, 0.0, special.gammaincc(jnp.maximum(k, 0.0) + 1.0, rate))


def expected_cost_poisson(
    x: Float[Array, "*#s"], rate: Float[Array, "*#s"], quantile: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """E c(x, ξ) for ξ ~ Poisson(λ): E(x−ξ)⁺ = (x−λ)F(k) + λf(k), k = ⌊x⌋; 0 for x < 0.

    Args:
      x: stock, any real number, in units of demand.
      rate: λ ≥ 0.
      quantile: critical ratio q in (0, 1).

    Returns:
      The cost, convex and piecewise linear in x between the integers.
    """
    k = jnp.floor(x)
    n = jnp.maximum(k, 0.0)
    pmf = jnp.exp(special.xlogy(n, rate) - rate - special.gammaln(n + 1.0))
    over = (x - rate) * _poisson_cdf(k, rate) + rate * pmf
    return quantile * (rate - x) + jnp.where(k < 0.0, 0.0, over)


def full_information_poisson(
    rate: Float[Array, "*#s"], quantile: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """The least minimiser min{k : F(k) ≥ q} of `expected_cost_poisson`.

    Args:
      rate: λ ≥ 0.
      quantile: critical ratio q in (0, 1).

    Returns:
      The decision, a whole number.
    """
    return count_quantile(lambda k: _poisson_cdf(k, rate), rate, rate, quantile)


def negbin_cdf(
    k: Float[Array, "*#s"], mean: Float[Array, "*#s"], size: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """F(k) = I_p(r, k+1), p = r/(r+μ), of the negative binomial at a whole number.

    Args:
      k: whole number; F is 0 where it is negative.
      mean: μ ≥ 0.
      size: r > 0; the variance is μ + μ²/r.

    Returns:
      Probability in [0, 1].
    """
    success = size / (size + mean)
    inside = special.betainc(size, jnp.maximum(k, 0.0) + 1.0, success)
    return jnp.where(k < 0.0, 0.0, inside)


def expected_cost_negbin(
    x: Float[Array, "*#s"],
    mean: Float[Array, "*#s"],
    size: Float[Array, "*#s"],
    quantile: Float[Array, "*#s"],
) -> Float[Array, "*#s"]:
    """E c(x, ξ) for a negative binomial ξ, the law of a Poisson with a gamma rate.

    E(x−ξ)⁺ = (x−μ)F(k) + μ(1+k/r)f(k), k = ⌊x⌋; 0 for x < 0.

    Args:
      x: stock, any real number, in units of demand.
      mean: μ ≥ 0.
      size: r > 0; the variance is μ + μ²/r.
      quantile: critical ratio q in (0, 1).

    Returns:
      The cost; tends to that of Poisson(μ) as r → ∞.
    """
    k = jnp.floor(x)
    n = jnp.maximum(k, 0.0)
    log_pmf = special.gammaln(n + size) - special.gammaln(size)
    log_pmf -= special.gammaln(n + 1.0) + size * jnp.log1p(mean / size)
    log_pmf += special.xlogy(n, mean / (size + mean))
    over = (x - mean) * negbin_cdf(k, mean, size)
    over += mean * (1.0 + n / size) * jnp.exp(log_pmf)
    return quantile * (mean - x) + jnp.where(k < 0.0, 0.0, over)


def full_information_negbin(
    mean: Float[Array, "*#s"], size: Float[Array, "*#s"], quantile: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """The least minimiser min{k : F(k) ≥ q} of `expected_cost_negbin`.

    Args:
      mean: μ ≥ 0.
      size: r > 0.
      quantile: critical ratio q in (0, 1).

    Returns:
      The decision, a whole number.
    """
    cdf = lambda k: negbin_cdf(k, mean, size)
    return count_quantile(cdf, mean, mean + mean**2 / size, quantile)


def count_quantile(
    cdf: Callable[[Float[Array, "*#s"]], Float[Array, "*#s"]],
    mean: Float[Array, "*#s"],
    variance: Float[Array, "*#s"],
    quantile: Float[Array, "*#s"],
) -> Float[Array, "*#s"]:
    """min{k : F(k) ≥ q} by bisection over the whole numbers.

    Cantelli's inequality brackets it: μ − σ√((1−q)/q) ≤ k ≤ μ + σ√(q/(1−q)) + 1.

    Args:
      cdf: F at whole numbers, 0 at −1.
      mean: μ ≥ 0.
      variance: σ² ≥ 0.
      quantile: q in (0, 1).

    Returns:
      The quantile, a whole number.
    """
    odds = quantile / (1.0 - quantile)
    low = jnp.floor(jnp.maximum(mean - jnp.sqrt(variance / odds), 0.0)) - 1.0
    high = jnp.floor(mean + jnp.sqrt(variance * odds)) + 1.0

    def halve(state):
        low, high = state
        middle = jnp.floor((low + high) / 2.0)
        is_above = cdf(middle) >= quantile
        return jnp.where(is_above, low, middle), jnp.where(is_above, middle, high)

    is_open = lambda state: (state[1] - state[0] > 1.0).any()
    return jax.lax.while_loop(is_open, halve, (low, high))[1]
