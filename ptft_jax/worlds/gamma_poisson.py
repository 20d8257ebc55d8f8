"""Counts: Poisson demand whose rates differ across instances by a gamma law.

ξ_ij ~ Poisson(λ_i), λ_i ~ Gamma(shape a, mean μ); a log-uniform on [.3, 20], μ on
[.3, 60]. Given the law, an instance's next demand is negative binomial.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float, Key

from ptft_jax.problems import newsvendor
from ptft_jax.types import Portfolio
from ptft_jax.worlds import hyper_posterior, transforms
from ptft_jax.worlds.world import World, total

SHAPE_RANGE = (0.3, 20.0)
MEAN_RANGE = (0.3, 60.0)


class Law(NamedTuple):
    """Gamma law of the rates: variance μ²/a."""

    shape: Float[Array, "*#s"]
    mean: Float[Array, "*#s"]  # demand per period


class Instances(NamedTuple):
    """Poisson rate of each instance, demand per period."""

    rate: Float[Array, "n"]


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws a and μ, log-uniform.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law.
    """
    u = jax.random.uniform(key, (2,))
    return Law(
        transforms.log_between(u[0], *SHAPE_RANGE),
        transforms.log_between(u[1], *MEAN_RANGE),
    )


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Instances:
    """Draws the rates of n instances.

    Args:
      key: typed PRNG key.
      law: the portfolio's law.
      num_instances: n ≥ 1.

    Returns:
      Rates ≥ 0.
    """
    shape = jnp.broadcast_to(law.shape, (num_instances,))
    return Instances(law.mean / law.shape * transforms.gamma(key, shape))


def sample_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Independent demands of every instance.

    Args:
      key: typed PRNG key.
      instances: n rates.
      num_draws: k ≥ 1.

    Returns:
      Counts, as floats.
    """
    u = jax.random.uniform(key, (*instances.rate.shape, num_draws), minval=1e-7)
    rate = jnp.broadcast_to(instances.rate[:, None], u.shape)
    return transforms.poisson_quantile(u, rate)


def future_demand(
    key: Key[Array, ""], instances: Instances, num_draws: int
) -> Float[Array, "n k"]:
    """Evenly spread future demands: averages over them are unbiased and sharp.

    Args:
      key: typed PRNG key.
      instances: n rates.
      num_draws: k ≥ 1.

    Returns:
      Counts, as floats; columns are not independent.
    """
    u = transforms.even_uniforms(key, len(instances.rate), num_draws, 1)[0]
    rate = jnp.broadcast_to(instances.rate[:, None], u.shape)
    return transforms.poisson_quantile(u, rate)


def expected_cost(
    instances: Instances, x: Float[Array, "n"], quantile: Float[Array, "*#s"]
) -> Float[Array, "n"]:
    """Exact expected newsvendor cost of each decision.

    Args:
      instances: n rates.
      x: decisions, any real numbers.
      quantile: critical ratios in (0, 1).

    Returns:
      The costs.
    """
    return newsvendor.expected_cost_poisson(x, instances.rate, quantile)


def full_information(
    instances: Instances, quantile: Float[Array, "*#s"]
) -> Float[Array, "n"]:
    """Decisions of someone who knows the rates: the Poisson quantiles.

    Args:
      instances: n rates.
      quantile: critical ratios in (0, 1).

    Returns:
      The decisions, whole numbers.
    """
    return newsvendor.full_information_poisson(instances.rate, quantile)


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


WORLD = World(
    name="gamma_poisson",
    description="Poisson counts, gamma rates: shape in [.3, 20], mean in [.3, 60]",
    sample_law=sample_law,
    sample_instances=sample_instances,
    sample_demand=sample_demand,
    future_demand=future_demand,
    expected_cost=expected_cost,
    full_information=full_information,
    bayes_decision=bayes_decision,
    hierarchical_bayes=hierarchical_bayes,
    predictive_cdf=predictive_cdf,
    log_evidence=log_evidence,
)
