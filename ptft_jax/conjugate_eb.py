"""Parametric empirical Bayes of means by maximum likelihood, for three conjugate pairs.

Each prior has a mean and one more number. The likelihood is profiled: the mean solves
its own (score) equation, the other number is found on a lattice, twice refined.
Instances that are not present count for nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Bool, Float

SHIFT = 4  # Stirling's series has an error below 10⁻⁷ from here on
ROUNDS = 2
LATTICE = 17


class Prior(NamedTuple):
    """A conjugate prior.

    Attributes:
      mean: of θ.
      size: its other number: the variance τ² of a normal prior, the number of trials
        (exposure) that a beta (gamma) prior is worth.
    """

    mean: Float[Array, ""]
    size: Float[Array, ""]


def log_rising(start: Float[Array, "*#s"], steps: Float[Array, "*#s"]):
    """Logarithm of Γ(a + c)/Γ(a), without cancellation for large a.

    Args:
      start: a > 0.
      steps: c ≥ 0.

    Returns:
      The logarithm, by Stirling's series at a + 4.
    """
    a = start + SHIFT
    ratio = steps / a
    series = lambda y: (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * y**2)) / y**2) / y
    stirling = (a + steps - 0.5) * jnp.log1p(ratio) + steps * (jnp.log(a) - 1.0)
    below = 1.0
    for j in range(SHIFT):
        below = below * (1.0 + steps / (start + j))
    return stirling + series(a + steps) - series(a) - jnp.log(below)


def best_on_lattice(
    value: Callable[[Float[Array, "k"]], Float[Array, "k"]],
    low: Float[Array, ""],
    high: Float[Array, ""],
) -> Float[Array, ""]:
    """The maximiser of a smooth function of one number, on a lattice that is refined.

    Args:
      value: of k numbers at once.
      low: least argument.
      high: largest.

    Returns:
      The best lattice point; after each round the lattice spans its two neighbours.
    """
    unit = jnp.linspace(0.0, 1.0, LATTICE)
    for _ in range(ROUNDS + 1):
        points = low + (high - low) * unit
        best = points[jnp.argmax(value(points))]
        step = (high - low) / (LATTICE - 1)
        low, high = jnp.maximum(best - step, low), jnp.minimum(best + step, high)
    return best


def _total(value, present):
    return jnp.where(present[:, None], value, 0.0).sum(0)


def normal(
    estimate: Float[Array, "n"], variance: Float[Array, "n"], present: Bool[Array, "n"]
) -> Prior:
    """θ ~ N(μ, τ²) from y_i ~ N(θ_i, v_i): μ̂ = Σ w y / Σ w, w = 1/(τ² + v).

    Args:
      estimate: y, any real.
      variance: v, > 0 where present.
      present: instances that count.

    Returns:
      μ̂ and τ̂², exactly 0 where the likelihood falls from there.
    """
    v = jnp.where(present, variance, 1.0)
    count = jnp.maximum(present.sum(), 1)
    average = lambda x: jnp.where(present, x, 0.0).sum() / count
    unit = average(v)
    centre = average(estimate)
    y = jnp.where(present, estimate - centre, 0.0)[:, None]
    low = jnp.log(1e-3)
    high = jnp.log(average(y[:, 0] ** 2) / unit + 1.0) + 1.0
    between = lambda t: unit * (jnp.exp(t) - jnp.exp(low))

    def mean(t):
        w = 1.0 / (between(t) + v[:, None])
        return _total(w * y, present) / jnp.maximum(_total(w, present), 1e-30)

    def value(t):
        total = between(t) + v[:, None]
        fit = jnp.square(y - mean(t)) / total + jnp.log(total / unit)
        return -_total(fit, present)

    best = best_on_lattice(value, low, high)[None]
    return Prior(centre + mean(best)[0], between(best)[0])


def beta_binomial(
    successes: Float[Array, "n"], trials: Float[Array, "n"], present: Bool[Array, "n"]
) -> Prior:
    """θ ~ Beta(κm, κ(1−m)) from y_i ~ Binomial(N_i, θ_i); m̂ = Σ w y/N / Σ w.

    w = N(κ+1)/(κ+N), the inverse variance of y/N up to a factor.

    Args:
      successes: y, in [0, N].
      trials: N, > 0 where present.
      present: instances that count.

    Returns:
      m̂ and κ̂ in [0.05, 10⁶].
    """
    size = jnp.where(present, trials, 1.0)[:, None]
    y = successes[:, None]

    def mean(kappa):
        w = 1.0 / (kappa + size)  # of successes, w/N of their share
        m = _total(w * y, present) / jnp.maximum(_total(w * size, present), 1e-30)
        return m.clip(1e-6, 1.0 - 1e-6)

    def value(t):
        kappa = jnp.exp(t)
        m = mean(kappa)
        fit = log_rising(kappa * m, y) + log_rising(kappa * (1.0 - m), size - y)
        return _total(fit - log_rising(kappa, size), present)

    kappa = jnp.exp(best_on_lattice(value, jnp.log(0.05), jnp.log(1e6)))
    return Prior(mean(kappa[None])[0], kappa)


def gamma_poisson(
    count: Float[Array, "n"], exposure: Float[Array, "n"], present: Bool[Array, "n"]
) -> Prior:
    """λ ~ Gamma of mean μ and shape α from y_i ~ Poisson(e_i λ_i).

    μ̂ = Σ w y / Σ w e, w = 1/(1 + e μ/α), which is its likelihood equation.

    Args:
      count: y ≥ 0.
      exposure: e, > 0 where present.
      present: instances that count.

    Returns:
      μ̂ and β̂ = α̂/μ̂, the exposure that the prior is worth; α̂ in [0.02, 10⁶].
    """
    e = jnp.where(present, exposure, 1.0)[:, None]
    y = count[:, None]

    def mean(alpha):
        mu = jnp.ones_like(alpha) * y.sum() / _total(e, present).clip(1e-30)
        for _ in range(4):
            w = 1.0 / (1.0 + e * mu / alpha)
            mu = _total(w * y, present) / _total(w * e, present).clip(1e-30)
        return mu.clip(1e-12)

    def value(t):
        alpha = jnp.exp(t)
        load = e * mean(alpha) / alpha
        fit = log_rising(alpha, y) + special.xlogy(y, load / (1.0 + load))
        return _total(fit - alpha * jnp.log1p(load), present)

    alpha = jnp.exp(best_on_lattice(value, jnp.log(0.02), jnp.log(1e6)))
    mu = mean(alpha[None])[0]
    return Prior(mu, alpha / mu)


def counted_mean(total, size, prior: Prior) -> Float[Array, "n"]:
    """E[θ | y] = (y + κ m)/(N + κ), of the beta and of the gamma prior alike.

    Args:
      total: y, successes or a count.
      size: N ≥ 0, trials or exposure.
      prior: mean m, worth κ trials or exposure.

    Returns:
      The posterior means; m where N = 0.
    """
    return (total + prior.size * prior.mean) / (size + prior.size)
