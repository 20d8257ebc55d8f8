"""What the data tell of lognormal demand: with the law known, and with it unknown.

log ξ_ij ~ N(θ_i, σ²), θ_i ~ N(μ, τ²).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float

from ptft_jax.problems import newsvendor
from ptft_jax.types import Portfolio
from ptft_jax.worlds import hyper_posterior

LEVEL_MEAN, LEVEL_SD = 2.0, 1.5
SPREAD_RANGE = (0.05, 2.0)
NOISE_RANGE = (0.05, 1.5)
NUM_BISECTIONS = 50


class Law(NamedTuple):
    """Of log demand: the levels' mean μ and sd τ, the noise's sd σ."""

    level: Float[Array, "*#s"]
    spread: Float[Array, "*#s"]
    noise: Float[Array, "*#s"]


def _logs(portfolio: Portfolio):
    return jnp.log(jnp.where(portfolio.valid, portfolio.observations, 1.0))


def _log_mean(portfolio: Portfolio):
    return _logs(portfolio).sum(-1) / jnp.maximum(portfolio.num_observed, 1.0)


def _predictive(law: Law, portfolio: Portfolio):
    """θ̂ = Bμ + (1−B)ȳ, sd √(σ²+v) and the share B = σ²/(σ²+mτ²), v = Bτ²."""
    mixed = law.noise**2 + portfolio.num_observed * law.spread**2
    share = law.noise**2 / mixed
    theta = share * law.level + (1.0 - share) * _log_mean(portfolio)
    return theta, jnp.sqrt(law.noise**2 + share * law.spread**2), share


def predictive_cdf(
    law: Law, portfolio: Portfolio, x: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Law of the next demand: log ξ ~ N(θ̂_i, σ² + v_i).

    Args:
      law: of the portfolio.
      portfolio: n instances of positive demand.
      x: where to evaluate it, any real numbers.

    Returns:
      Probabilities P(ξ ≤ x_i | data of instance i).
    """
    theta, sd, _ = _predictive(law, portfolio)
    below = special.ndtr((jnp.log(jnp.where(x > 0.0, x, 1.0)) - theta) / sd)
    return jnp.where(x > 0.0, below, 0.0)


def bayes_decision(law: Law, portfolio: Portfolio) -> Float[Array, "n"]:
    """exp(θ̂ + z_q √(σ²+v)): least expected cost given μ, τ, σ.

    Args:
      law: of the portfolio.
      portfolio: n instances of positive demand.

    Returns:
      The decisions; of the prior where there is no observation.
    """
    theta, sd, _ = _predictive(law, portfolio)
    return newsvendor.full_information_lognormal(theta, sd, portfolio.quantile)


def _log_evidence_within(law: Law, portfolio: Portfolio):
    """Log p up to the term in ȳ − μ, and that term's weight W = m/(σ²+mτ²)."""
    m, variance = portfolio.num_observed, law.noise**2
    mixed = variance + m * law.spread**2
    deviation = _logs(portfolio) - _log_mean(portfolio)[:, None]
    scatter = jnp.where(portfolio.valid, deviation**2, 0.0).sum(-1)
    log_det = (m - 1.0) * jnp.log(variance) + jnp.log(mixed)
    return -(scatter / variance + log_det) / 2.0, m / mixed


def log_evidence(law: Law, portfolio: Portfolio) -> Float[Array, "n"]:
    """Log p(ξ_i1..ξ_im | μ, τ, σ), the level integrated out.

    Args:
      law: of the portfolio.
      portfolio: n instances of positive demand.

    Returns:
      The log densities, of demand and not of its log; 0 for padding.
    """
    within, weight = _log_evidence_within(law, portfolio)
    between = weight * (_log_mean(portfolio) - law.level) ** 2 / 2.0
    constant = portfolio.num_observed * jnp.log(2.0 * jnp.pi) / 2.0
    return within - between - constant - _logs(portfolio).sum(-1)


def _level_posterior(spread, noise, portfolio: Portfolio):
    """Posterior mean and variance of μ given τ, σ and all data, and their evidence."""
    law = Law(jnp.zeros_like(spread), spread, noise)
    within, weight = _log_evidence_within(law, portfolio)
    mean = _log_mean(portfolio)
    precision = 1.0 / LEVEL_SD**2 + weight.sum()
    level = (LEVEL_MEAN / LEVEL_SD**2 + weight @ mean) / precision
    misfit = (level - LEVEL_MEAN) ** 2 / LEVEL_SD**2 + weight @ (mean - level) ** 2
    return level, 1.0 / precision, within.sum() - (misfit + jnp.log(precision)) / 2.0


def hierarchical_bayes(portfolio: Portfolio) -> Float[Array, "n"]:
    """Least expected cost given the whole portfolio, μ, τ and σ integrated out.

    μ in closed form, (τ, σ) by `hyper_posterior.posterior`: the predictive of log ξ is
    a mixture of N(θ̂_ig, σ_g² + v_ig + B_ig² Var_g μ), whose quantile is bisected.

    Args:
      portfolio: n instances of positive demand.

    Returns:
      The decisions; those of `bayes_decision` as n grows if two observations an
      instance tell τ from σ. With one each, and n above 100, 6% off.
    """
    solve = jax.vmap(lambda tau, sigma: _level_posterior(tau, sigma, portfolio))
    nodes = hyper_posterior.posterior(
        lambda tau, sigma: solve(tau, sigma)[2],
        SPREAD_RANGE,
        NOISE_RANGE,
        portfolio.observations,
    )
    level, variance, _ = solve(nodes.first, nodes.second)
    law = Law(level, nodes.first, nodes.second)
    theta, sd, share = jax.vmap(lambda law: _predictive(law, portfolio))(law)
    sd = jnp.sqrt(sd**2 + share**2 * variance[:, None])
    ends = theta + sd * special.ndtri(portfolio.quantile)

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2.0
        is_above = nodes.weight @ special.ndtr((middle - theta) / sd) >= (
            portfolio.quantile
        )
        return jnp.where(is_above, low, middle), jnp.where(is_above, middle, high)

    # The quantile of a mixture lies between those of its components.
    bracket = jax.lax.fori_loop(0, NUM_BISECTIONS, halve, (ends.min(0), ends.max(0)))
    return jnp.exp(bracket[1])
