"""What a user would pick instead: newsvendor decisions without a network.

Every baseline is a pure function of a portfolio, jitted, and may be `vmap`ped over
portfolios. An instance with no valid observation is padding: it gets 0 and changes no
other decision. Quantiles may differ from instance to instance.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float

from ptft_jax import summaries
from ptft_jax.count_baselines import gamma_poisson_eb as gamma_poisson_eb
from ptft_jax.count_baselines import npmle_negbin as npmle_negbin
from ptft_jax.pooling_baselines import pooled_loo as pooled_loo
from ptft_jax.pooling_baselines import pooled_mean as pooled_mean
from ptft_jax.pooling_baselines import shrunken_saa as shrunken_saa
from ptft_jax.regression_baselines import global_qr as global_qr
from ptft_jax.types import Portfolio

# above, the prior variance is as good as known; below, its predictive has no mean
PRIOR_FREEDOM = (1.0, 1e3)


@jax.jit
def saa(portfolio: Portfolio) -> Float[Array, "n"]:
    """Sample average approximation: x_i = ξ_(⌈q_i m_i⌉), each instance alone.

    Args:
      portfolio: n instances.

    Returns:
      The decisions, [n]; scale equivariant instance by instance.
    """
    rank = summaries.rank(portfolio.quantile * portfolio.num_observed)
    index = jnp.clip(rank - 1.0, 0.0).astype(int)[:, None]
    x = jnp.take_along_axis(summaries.ordered(portfolio), index, axis=1)[:, 0]
    return jnp.where(portfolio.present, x, 0.0)


@jax.jit
def normal_t(portfolio: Portfolio) -> Float[Array, "n"]:
    """Normal predictive quantile: x_i = (x̄_i + t_{q_i, m_i−1} s_i √(1 + 1/m_i))⁺.

    Args:
      portfolio: n instances.

    Returns:
      The decisions, [n], ≥ 0; x̄_i where m_i < 2, which says nothing of the spread;
      scale equivariant instance by instance.
    """
    m = portfolio.num_observed
    demand = jnp.where(portfolio.valid, portfolio.observations, 0.0)
    unit = summaries.unit(demand.max(1, initial=0.0))
    portfolio = portfolio._replace(observations=demand / unit[:, None])
    deviation = jnp.sqrt(summaries.variance(portfolio))
    freedom = jnp.maximum(m - 1.0, 1.0)
    t = summaries.student_t_quantile(portfolio.quantile, freedom)
    spread = t * deviation * jnp.sqrt(1.0 + 1.0 / jnp.maximum(m, 1.0))
    return unit * jnp.maximum(summaries.mean(portfolio) + spread, 0.0)


def _variance_prior(
    variance: Float[Array, "n"], freedom: Float[Array, "n"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Scaled inverse χ² prior (d₀, s₀²) of the variances, by moments of log s².

    e_i = log s²_i − ψ(d_i/2) + log(d_i/2); ψ'(d₀/2) = Var e − mean ψ'(d_i/2);
    log s₀² = mean e + ψ(d₀/2) − log(d₀/2).

    Args:
      variance: s²_i ≥ 0.
      freedom: d_i = m_i − 1; instances with d_i < 1 are left out.

    Returns:
      d₀, within PRIOR_FREEDOM, and s₀².

    Source:
      Smyth 2004, Linear models and empirical Bayes methods.
    """
    used = freedom >= 1.0
    count = jnp.maximum(used.sum().astype(variance.dtype), 1.0)
    average = lambda value: jnp.where(used, value, 0.0).sum() / count
    # a variance of 0 (tied observations) would have log −∞
    floor = jnp.maximum(1e-5 * average(variance), jnp.finfo(variance.dtype).tiny)
    half = jnp.where(used, freedom, 1.0) / 2.0
    e = jnp.log(jnp.maximum(variance, floor)) - special.digamma(half) + jnp.log(half)
    spread = average(jnp.square(e - average(e))) * count / jnp.maximum(count - 1.0, 1.0)
    excess = spread - average(special.polygamma(1, half))
    low, high = jnp.log(jnp.asarray(PRIOR_FREEDOM, variance.dtype) / 2.0)
    log_half = summaries.bisect(
        lambda y: special.polygamma(1, jnp.exp(y)) <= excess, low, high
    )
    prior_half = jnp.exp(log_half)
    log_scale = average(e) + special.digamma(prior_half) - log_half
    return 2.0 * prior_half, jnp.exp(log_scale)


def _positive_logs(portfolio: Portfolio) -> Portfolio:
    """Log demand, a zero standing for half the smallest demand seen above it.

    That of the instance, or of the portfolio where the instance has only zeros: zeros
    are read as demand below what was observed, and other instances are not touched.
    """
    positive = jnp.where(
        portfolio.valid & (portfolio.observations > 0.0),
        portfolio.observations,
        jnp.inf,
    )
    smallest = positive.min(1)
    smallest = jnp.where(jnp.isinf(smallest), smallest.min(), smallest)
    smallest = jnp.where(jnp.isinf(smallest), 1.0, smallest)
    filled = jnp.minimum(
        positive, jnp.where(jnp.isinf(positive), smallest[:, None] / 2, positive)
    )
    tiny = jnp.finfo(filled.dtype).tiny
    return portfolio._replace(observations=jnp.log(jnp.maximum(filled, tiny)))


@jax.jit
def lognormal_eb(portfolio: Portfolio) -> Float[Array, "n"]:
    """Lognormal empirical Bayes: both the level and the spread of log demand shrunk.

    With y = log ξ: s̃² = (d₀ s₀² + (m−1) s²)/(d₀ + m − 1); θ̂ = Bμ + (1−B) ȳ,
    B = (s̃²/m)/(s̃²/m + τ²); x = exp(θ̂ + t_{q, d₀+m−1} √(s̃² + (1−B) s̃²/m)).
    μ = mean ȳ and τ² = (Var ȳ − mean s̃²/m)⁺ over the portfolio.

    Args:
      portfolio: n instances, demand ≥ 0; zeros by `_positive_logs`.

    Returns:
      The decisions, [n], > 0 and finite, or 0 if no demand is positive; equivariant to
      a common change of unit.

    Source:
      Efron & Morris 1973 (level); Smyth 2004 (spread).
    """
    logs = _positive_logs(portfolio)
    level, variance = summaries.mean(logs), summaries.variance(logs)
    m = jnp.maximum(portfolio.num_observed, 1.0)
    prior_freedom, prior_variance = _variance_prior(
        variance, portfolio.num_observed - 1
    )
    freedom = prior_freedom + m - 1.0
    variance = (prior_freedom * prior_variance + (m - 1.0) * variance) / freedom
    count = jnp.maximum(portfolio.present.sum().astype(level.dtype), 1.0)
    average = lambda value: jnp.where(portfolio.present, value, 0.0).sum() / count
    centre = average(level)
    between = (
        average(jnp.square(level - centre)) * count / jnp.maximum(count - 1.0, 1.0)
    )
    between = jnp.maximum(between - average(variance / m), 0.0)
    tiny = jnp.finfo(level.dtype).tiny
    keep = between / jnp.maximum(variance / m + between, tiny)
    t = summaries.student_t_quantile(portfolio.quantile, freedom)
    spread = t * jnp.sqrt(variance * (1.0 + keep / m))
    log_x = centre + keep * (level - centre) + spread
    x = jnp.exp(jnp.minimum(log_x, -jnp.log(tiny)))
    positive = (portfolio.valid & (portfolio.observations > 0.0)).any()
    return jnp.where(portfolio.present & positive, x, 0.0)


NEWSVENDOR: dict[str, Callable] = {
    "saa": saa,
    "pooled_mean": pooled_mean,
    "pooled_loo": pooled_loo,
    "shrunken_saa": shrunken_saa,
    "lognormal_eb": lognormal_eb,
    "global_qr": global_qr,
    "normal_t": normal_t,
}
COUNTS: dict[str, Callable] = {
    **NEWSVENDOR,
    "shrunken_saa": functools.partial(shrunken_saa, rescale=False),
    "gamma_poisson_eb": gamma_poisson_eb,
    "npmle_negbin": npmle_negbin,
}
