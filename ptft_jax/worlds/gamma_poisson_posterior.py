"""What the data tell of Poisson demand: with the law known, and with it unknown.

ξ_ij ~ Poisson(λ_i), λ_i ~ Gamma(shape a, mean μ).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float

from ptft_jax.problems import newsvendor
from ptft_jax.types import Portfolio
from ptft_jax.worlds import hyper_posterior
from ptft_jax.worlds.world import total

SHAPE_RANGE = (0.3, 20.0)
MEAN_RANGE = (0.3, 60.0)


class Law(NamedTuple):
    """Gamma law of the rates: variance μ²/a."""

    shape: Float[Array, "*#s"]
    mean: Float[Array, "*#s"]  # demand per period


def _predictive(law: Law, portfolio: Portfolio):
    size = law.shape + total(portfolio)
    mean = size / (law.shape / law.mean + portfolio.num_observed)
    return mean, size


def predictive_cdf(
    law: Law, portfolio: Portfolio, x: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Law of the next demand: negative binomial, size a + S_i, mean (a+S_i)/(a/μ+m_i).

    Args:
      law: of the rates.
      portfolio: n instances.
      x: where to evaluate it, any real numbers.

    Returns:
      Probabilities P(ξ ≤ x_i | data of instance i).
    """
    return newsvendor.negbin_cdf(jnp.floor(x), *_predictive(law, portfolio))


def bayes_decision(law: Law, portfolio: Portfolio) -> Float[Array, "n"]:
    """The quantile of the negative binomial predictive: least expected cost given a, μ.

    Args:
      law: of the rates.
      portfolio: n instances.

    Returns:
      The decisions, whole numbers; of the prior where there is no observation.
    """
    mean, size = _predictive(law, portfolio)
    return newsvendor.full_information_negbin(mean, size, portfolio.quantile)


def log_evidence(law: Law, portfolio: Portfolio) -> Float[Array, "n"]:
    """Log p(ξ_i1..ξ_im | a, μ), the rate integrated out; b = a/μ.

    p = Γ(a+S)/Γ(a) · bᵃ/(b+m)^{a+S} / Πξ_ij!

    Args:
      law: of the rates.
      portfolio: n instances.

    Returns:
      The log probabilities, 0 for padding.
    """
    count, b, m = total(portfolio), law.shape / law.mean, portfolio.num_observed
    log_p = special.gammaln(law.shape + count) - special.gammaln(law.shape)
    log_p -= law.shape * jnp.log1p(m / b) + count * jnp.log(b + m)
    factorials = special.gammaln(portfolio.observations + 1.0)
    return log_p - jnp.where(portfolio.valid, factorials, 0.0).sum(-1)


def _mixture_quantile(quantile, weight, mean, size):
    """Quantile of Σ_g w_g NegBin(mean_ig, size_ig), adding masses up from below.

    Starts 8 sd below the mean: the lower tail of a negative binomial is sub-Gaussian,
    so less than 2·10⁻¹⁴ of it is left out.
    """
    centre = mean @ weight
    variance = (mean + mean**2 / size) @ weight + (mean - centre[:, None]) ** 2 @ weight
    sd, failure = jnp.sqrt(variance), mean / (mean + size)
    limit = centre + sd * jnp.sqrt(quantile / (1.0 - quantile)) + 1.0
    x = jnp.floor(jnp.maximum(centre - 8.0 * sd, 0.0))
    k = x[:, None]
    log_mass = special.gammaln(k + size) - special.gammaln(size)
    log_mass -= special.gammaln(k + 1.0) + size * jnp.log1p(mean / size)
    mass = jnp.exp(log_mass + k * jnp.log(failure))
    is_open = lambda state: (state[0] < quantile) & (state[1] < limit)

    def add(state):
        cdf, x, mass, k = state
        x = jnp.where(is_open(state), x + 1.0, x)
        mass = mass * failure * (k + size) / (k + 1.0)
        return cdf + mass @ weight, x, mass, k + 1.0

    start = (mass @ weight, x, mass, k)
    return jax.lax.while_loop(lambda state: is_open(state).any(), add, start)[1]


def hierarchical_bayes(portfolio: Portfolio) -> Float[Array, "n"]:
    """Least expected cost given the whole portfolio, a and μ integrated out.

    The posterior of (a, μ) is that of `hyper_posterior.posterior`, given all instances;
    the predictive is the mixture of its negative binomials. In float32 the likelihood
    of many instances loses its digits: see `oracle.hierarchical_bayes`.

    Args:
      portfolio: n instances.

    Returns:
      The decisions, whole numbers; those of `bayes_decision` as n grows.
    """
    likelihood = jax.vmap(lambda a, mu: log_evidence(Law(a, mu), portfolio).sum())
    nodes = hyper_posterior.posterior(
        likelihood, SHAPE_RANGE, MEAN_RANGE, portfolio.observations
    )
    mean, size = jax.vmap(lambda a, mu: _predictive(Law(a, mu), portfolio), 0, 1)(
        nodes.first, nodes.second
    )
    return _mixture_quantile(portfolio.quantile, nodes.weight, mean, size)
