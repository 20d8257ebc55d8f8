"""Empirical Bayes baselines of the newsvendor for count demand."""

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float

from ptft_jax import shapes, summaries
from ptft_jax.types import Portfolio

NUM_RATES = 60
DISPERSIONS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 100.0)
# few, as stopping EM early keeps G smooth
NUM_EM_STEPS = 50
BLOCK = 1024  # instances at a time: their likelihoods stay in the processor's cache


def negbin_quantile(
    quantile: Float[Array, "n"], size: Float[Array, "n"], success: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Quantile of the negative binomial: min{k : I_p(r, k + 1) ≥ q}.

    Args:
      quantile: q in (0, 1).
      size: r > 0.
      success: p in (0, 1); the mean is r (1 − p)/p.

    Returns:
      The quantile, a whole number ≥ 0.
    """
    mean = size * (1.0 - success) / success
    # Markov: P(ξ > mean/(1 − q)) ≤ 1 − q
    high = mean / (1.0 - quantile) + 1.0
    is_above = lambda k: special.betainc(size, jnp.floor(k) + 1.0, success) >= quantile
    return jnp.floor(summaries.bisect(is_above, jnp.zeros_like(mean), high))


@jax.jit
def gamma_poisson_eb(portfolio: Portfolio) -> Float[Array, "n"]:
    """Gamma–Poisson empirical Bayes: the predictive quantile of a negative binomial.

    ξ_ij ~ Poisson(λ_i), λ_i ~ Gamma(a, b) with a/b = μ = mean x̄ and a/b² = τ² =
    (Var x̄ − mean x̄/m)⁺; given S_i = Σ_j ξ_ij, the next count is negative binomial of
    size a + S_i and success probability (b + m_i)/(b + m_i + 1).

    Args:
      portfolio: n instances of counts.

    Returns:
      The decisions, [n], whole numbers ≥ 0. τ² is held at or above 10⁻⁴ μ².

    Source:
      Robbins 1956; moments as in Gelman et al., Bayesian Data Analysis, ch. 2.
    """
    mean, m = summaries.mean(portfolio), portfolio.num_observed
    count = jnp.maximum(portfolio.present.sum().astype(mean.dtype), 1.0)
    average = lambda value: jnp.where(portfolio.present, value, 0.0).sum() / count
    centre = jnp.maximum(average(mean), 1e-6)
    spread = average(jnp.square(mean - centre)) * count / jnp.maximum(count - 1.0, 1.0)
    noise = average(mean / jnp.maximum(m, 1.0))
    between = jnp.maximum(spread - noise, 1e-4 * jnp.square(centre))
    shape, rate = jnp.square(centre) / between, centre / between
    size, total = shape + mean * m, rate + m
    x = negbin_quantile(portfolio.quantile, size, total / (total + 1.0))
    return jnp.where(portfolio.present, x, 0.0)


def _likelihood(
    portfolio: Portfolio, rate: Float[Array, "k"], size: Float[Array, "s"]
) -> Float[Array, "n k"]:
    """Of each instance at each rate and size, the largest of an instance being 1."""
    counts = jnp.where(portfolio.valid, portfolio.observations, 0.0)
    total, m = counts.sum(1), portfolio.num_observed
    rising = jax.lax.map(
        lambda r: jnp.where(
            portfolio.valid, special.gammaln(counts + r) - special.gammaln(r), 0.0
        ).sum(1),
        size,
    )
    size = jnp.tile(size, NUM_RATES)
    log_likelihood = jnp.tile(rising.T, (1, NUM_RATES))
    log_likelihood += jnp.outer(total, jnp.log(rate / (size + rate)))
    log_likelihood += jnp.outer(m, size * jnp.log(size / (size + rate)))
    return jnp.exp(log_likelihood - log_likelihood.max(1, keepdims=True))


def _mixture_weights(
    likelihood: Float[Array, "p b k"], counted: Float[Array, "p b"]
) -> Float[Array, "k"]:
    """Mixing weights by EM from the uniform: w_k ← mean_i w_k ℓ_ik / Σ_l w_l ℓ_il."""
    k = likelihood.shape[-1]

    def step(_, weights):
        def add(total, part):
            own, present = part
            return total + (present / (own @ weights)) @ own, None

        zero = jnp.zeros(k, likelihood.dtype)
        total, _ = jax.lax.scan(add, zero, (likelihood, counted))
        return weights * total / jnp.maximum(counted.sum(), 1.0)

    start = jnp.full(k, 1.0 / k, likelihood.dtype)
    return jax.lax.fori_loop(0, NUM_EM_STEPS, step, start)


def _mixture_quantile(
    quantile: Float[Array, "n"],
    posterior: Float[Array, "n k"],
    rate: Float[Array, "k"],
    size: Float[Array, "k"],
) -> Float[Array, "n"]:
    """Quantile of Σ_k posterior_ik NegBin(mean rate_k, size_k), counting up from 0."""
    # Markov, as the sum of the masses may stop short of q in floating point
    limit = jnp.max((posterior @ rate) / (1.0 - quantile)) + 1.0

    def step(state):
        k, cdf, x = state
        log_mass = special.gammaln(k + size) - special.gammaln(size)
        log_mass += size * jnp.log(size / (size + rate)) - special.gammaln(k + 1.0)
        log_mass += k * jnp.log(rate / (size + rate))
        cdf = cdf + posterior @ jnp.exp(log_mass)
        return k + 1.0, cdf, x + (cdf < quantile).astype(x.dtype)

    zero = jnp.zeros_like(quantile)
    go_on = lambda state: (state[1] < quantile).any() & (state[0] < limit)
    return jax.lax.while_loop(go_on, step, (jnp.zeros((), zero.dtype), zero, zero))[2]


@jax.jit
def npmle_negbin(portfolio: Portfolio) -> Float[Array, "n"]:
    """Nonparametric empirical Bayes: a mixture of negative binomials fitted by EM.

    ξ_ij ~ NegBin(mean λ_i, size r_i), (λ_i, r_i) ~ G, G on a grid of rates and sizes,
    by `NUM_EM_STEPS` of EM from the uniform; x_i = q_i-quantile of the posterior
    predictive.

    Args:
      portfolio: n instances of counts; time grows with the largest decision.

    Returns:
      The decisions, [n], whole numbers ≥ 0.

    Source:
      Kiefer & Wolfowitz 1956; Laird 1978 (EM on a grid).
    """
    n, m = portfolio.valid.shape[0], portfolio.num_observed
    low = 0.5 / jnp.maximum(m.max(), 1.0)
    high = jnp.maximum(1.5 * summaries.mean(portfolio).max(), 4.0 * low)
    share = jnp.linspace(0.0, 1.0, NUM_RATES, dtype=low.dtype)
    size = jnp.asarray(DISPERSIONS, low.dtype)
    rate = jnp.repeat(low ** (1.0 - share) * high**share, len(size))
    block = min(n, BLOCK)
    longer = shapes.extend(portfolio, -(-n // block) * block)
    parts = jax.tree.map(lambda x: x.reshape(-1, block, *x.shape[1:]), longer)
    likelihood = jax.lax.map(lambda part: _likelihood(part, rate, size), parts)
    present = parts.present.astype(low.dtype)
    weights = _mixture_weights(likelihood, present)
    size = jnp.tile(size, NUM_RATES)

    def decide(part):
        own, quantile = part
        posterior = own * weights
        posterior = posterior / posterior.sum(1, keepdims=True)
        return _mixture_quantile(quantile, posterior, rate, size)

    x = jax.lax.map(decide, (likelihood, parts.quantile)).reshape(-1)[:n]
    return jnp.where(portfolio.present, x, 0.0)
