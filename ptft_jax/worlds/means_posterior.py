"""What the data tell of normal means: with the law known, and with it unknown.

An instance's mean x̄_i has variance v_i = s²/m_i, s known.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special
from jaxtyping import Array, Float

from ptft_jax.types import Portfolio
from ptft_jax.worlds.world import total

SPREAD_RANGE = (0.2, 3.0)
NUM_NODES = 256  # of the hyper-prior: closer than its posterior's sd up to n = 10⁴


class Law(NamedTuple):
    """Of the portfolio: the means' mean μ and sd τ, an observation's sd s."""

    center: Float[Array, "*#s"]
    spread: Float[Array, "*#s"]
    noise: Float[Array, "*#s"]


def averages(
    portfolio: Portfolio, noise: float | Float[Array, ""] | Float[Array, "n"]
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Mean x̄_i of each instance's observations, and its variance v_i = s²/m_i.

    Args:
      portfolio: n instances.
      noise: s > 0 of one observation, one for all instances or one each.

    Returns:
      x̄, 0 for padding, and v, that of one observation for padding.
    """
    count = jnp.maximum(portfolio.num_observed, 1.0)
    variance = jnp.asarray(noise, count.dtype) ** 2 / count
    return total(portfolio) / count, variance


def _posterior(law: Law, portfolio: Portfolio):
    """Posterior mean of θ_i and the share B_i = v/(v+τ²) of its pull to μ."""
    mean, variance = averages(portfolio, law.noise)
    share = variance / (variance + law.spread**2)
    share = jnp.where(portfolio.present, share, 1.0)
    return mean + share * (law.center - mean), share


def bayes_decision(law: Law, portfolio: Portfolio) -> Float[Array, "n"]:
    """x̄ + B(μ − x̄), B = v/(v+τ²): least expected cost given μ, τ, s.

    Args:
      law: of the portfolio.
      portfolio: n instances.

    Returns:
      The decisions; μ where there is no observation.
    """
    return _posterior(law, portfolio)[0]


def predictive_cdf(
    law: Law, portfolio: Portfolio, x: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Law of the next observation: N(x*, s² + B τ²), x* the Bayes decision.

    Args:
      law: of the portfolio.
      portfolio: n instances.
      x: where to evaluate it.

    Returns:
      Probabilities P(ξ ≤ x_i | data of instance i).
    """
    theta, share = _posterior(law, portfolio)
    return special.ndtr((x - theta) / jnp.sqrt(law.noise**2 + share * law.spread**2))


def log_evidence(law: Law, portfolio: Portfolio) -> Float[Array, "n"]:
    """Log p(ξ_i1..ξ_im | μ, τ, s), the mean θ_i integrated out.

    Args:
      law: of the portfolio.
      portfolio: n instances.

    Returns:
      The log densities, 0 for padding.
    """
    mean, variance = averages(portfolio, law.noise)
    m = portfolio.num_observed
    deviation = portfolio.observations - mean[:, None]
    scatter = jnp.where(portfolio.valid, deviation**2, 0.0).sum(-1) / law.noise**2
    mixed = variance + law.spread**2
    log_det = m * jnp.log(2.0 * jnp.pi * law.noise**2) + jnp.log(mixed / variance)
    log_p = -(scatter + (mean - law.center) ** 2 / mixed + log_det) / 2.0
    return jnp.where(portfolio.present, log_p, 0.0)


def hierarchical_bayes(
    portfolio: Portfolio,
    noise: float | Float[Array, ""] | Float[Array, "n"],
    spread_range: tuple[float, float] = SPREAD_RANGE,
) -> Float[Array, "n"]:
    """E[θ | the whole portfolio]: μ flat and in closed form, τ by quadrature.

    Σ_g p_g [x̄_i + B_gi (μ̂_g − x̄_i)], μ̂_g = Σ w x̄/W, w_i = 1/(v_i+τ_g²), W = Σ w_i,
    log p_g = ½ Σ log w_i − ½ log W − ½ Σ w_i (x̄_i − μ̂_g)² + constant, on 256
    Gauss–Legendre nodes of log τ. Of least average regret among the rules that are
    equivariant to translation. In float32 the evidence of many instances loses digits:
    `oracle.hierarchical_bayes` computes in float64.

    Args:
      portfolio: n ≥ 1 instances.
      noise: s > 0, one for all instances or one each.
      spread_range: of τ, a priori log-uniform.

    Returns:
      The decisions; those of `bayes_decision` as n grows.
    """
    mean, variance = averages(portfolio, noise)
    present, dtype = portfolio.present, mean.dtype
    x, w = np.polynomial.legendre.leggauss(NUM_NODES)
    low, high = np.log(spread_range)
    spread2 = jnp.asarray(np.exp(low + high + (high - low) * x), dtype)[:, None]
    precision = jnp.where(present, 1.0 / (variance + spread2), 0.0)
    mass = precision.sum(-1)
    # Sums of squares about the mean of all keep their digits far from the origin.
    origin = jnp.where(present, mean, 0.0).sum() / jnp.maximum(present.sum(), 1)
    moved = mean - origin
    center = (precision @ moved) / mass
    misfit = (precision * (moved - center[:, None]) ** 2).sum(-1)
    log_det = jnp.log(jnp.where(present, precision, 1.0)).sum(-1) - jnp.log(mass)
    weight = jax.nn.softmax((log_det - misfit) / 2.0 + jnp.asarray(np.log(w), dtype))
    share = jnp.where(present, variance * precision, 1.0)
    return (
        mean + (weight @ share) * (origin - mean) + weight @ (share * center[:, None])
    )
