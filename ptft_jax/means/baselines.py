"""What a user would pick instead: estimates of many means without a network.

Every baseline is a pure function of what is seen, jitted, and may be `vmap`ped over
portfolios. Padding gets 0 and changes no other estimate.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ptft_jax import npmle
from ptft_jax.means import family as means_family


def shared(family: means_family.Family) -> dict[str, Callable]:
    """The baselines that a family brings all parts of.

    Args:
      family: of the means.

    Returns:
      Parametric empirical Bayes by maximum likelihood, and the NPMLE.
    """

    @jax.jit
    def parametric_eb(seen: Any) -> Float[Array, "n"]:
        estimate = family.posterior_mean(seen, family.prior(seen))
        return jnp.where(family.view(seen).present, estimate, 0.0)

    by_npmle = jax.jit(functools.partial(npmle.estimate, family))
    return {"parametric_eb": parametric_eb, "npmle": by_npmle}


@jax.jit
def gaussian_mle(seen: Any) -> Float[Array, "n"]:
    """Each instance alone: x = y.

    Args:
      seen: `estimate` and `variance` of n instances.

    Returns:
      The estimates.
    """
    return jnp.where(seen.variance > 0.0, seen.estimate, 0.0)


@jax.jit
def gaussian_grand_mean(seen: Any) -> Float[Array, "n"]:
    """One mean for all, x = Σ y/v / Σ 1/v.

    Args:
      seen: `estimate` and `variance` of n instances.

    Returns:
      The estimates.
    """
    present = seen.variance > 0.0
    w = jnp.where(present, 1.0 / jnp.where(present, seen.variance, 1.0), 0.0)
    return jnp.where(present, (w * seen.estimate).sum() / w.sum().clip(1e-30), 0.0)


def _stein(
    estimate: Float[Array, "n"], variance: Float[Array, "n"], present: Bool[Array, "n"]
) -> Float[Array, "n"]:
    """μ + (1 − (n − 3)/Σ (y − μ)²/v)₊ (y − μ), μ the precision-weighted mean."""
    w = jnp.where(present, 1.0 / jnp.where(present, variance, 1.0), 0.0)
    mean = (w * estimate).sum() / w.sum().clip(1e-30)
    away = estimate - mean
    excess = present.sum() - 3.0
    keep = 1.0 - excess.clip(0.0) / (w * away**2).sum().clip(1e-30)
    return jnp.where(present, mean + keep.clip(0.0) * away, 0.0)


@jax.jit
def gaussian_james_stein(seen: Any) -> Float[Array, "n"]:
    """James–Stein to the grand mean, positive part: `_stein` with unequal variances.

    Args:
      seen: `estimate` and `variance` of n instances.

    Returns:
      The estimates; y where n ≤ 3.

    Source:
      Brown 2008, In-season prediction of batting averages, eq. 3.9.
    """
    return _stein(seen.estimate, seen.variance, seen.variance > 0.0)


@jax.jit
def binomial_mle(seen: Any) -> Float[Array, "n"]:
    """Each instance alone: x = y/N.

    Args:
      seen: `successes` and `trials` of n instances.

    Returns:
      The estimates.
    """
    return seen.successes / seen.trials.clip(1.0)


@jax.jit
def binomial_grand_mean(seen: Any) -> Float[Array, "n"]:
    """One mean for all, x = Σ y / Σ N.

    Args:
      seen: `successes` and `trials` of n instances.

    Returns:
      The estimates.
    """
    mean = seen.successes.sum() / seen.trials.sum().clip(1.0)
    return jnp.where(seen.trials > 0.0, mean, 0.0)


@jax.jit
def binomial_james_stein(seen: Any) -> Float[Array, "n"]:
    """James–Stein on the scale arcsin √((y + 1/4)/(N + 1/2)), of variance 1/(4N).

    Args:
      seen: `successes` and `trials` of n instances.

    Returns:
      sin² of the estimates there.

    Source:
      Brown 2008, In-season prediction of batting averages.
    """
    present = seen.trials > 0.0
    trials = seen.trials.clip(1.0)
    angle = jnp.arcsin(jnp.sqrt((seen.successes + 0.25) / (trials + 0.5)))
    return jnp.sin(_stein(angle, 0.25 / trials, present)) ** 2


@jax.jit
def poisson_mle(seen: Any) -> Float[Array, "n"]:
    """Each instance alone: x = y/e.

    Args:
      seen: `count` and `exposure` of n instances.

    Returns:
      The estimates.
    """
    return seen.count / jnp.where(seen.exposure > 0.0, seen.exposure, 1.0)


@jax.jit
def poisson_grand_mean(seen: Any) -> Float[Array, "n"]:
    """One rate for all, x = Σ y / Σ e.

    Args:
      seen: `count` and `exposure` of n instances.

    Returns:
      The estimates.
    """
    mean = seen.count.sum() / seen.exposure.sum().clip(1e-30)
    return jnp.where(seen.exposure > 0.0, mean, 0.0)


GAUSSIAN: dict[str, Callable] = {
    "mle": gaussian_mle,
    "grand_mean": gaussian_grand_mean,
    "james_stein": gaussian_james_stein,
}
BINOMIAL: dict[str, Callable] = {
    "mle": binomial_mle,
    "grand_mean": binomial_grand_mean,
    "james_stein": binomial_james_stein,
}
POISSON: dict[str, Callable] = {
    "mle": poisson_mle,
    "grand_mean": poisson_grand_mean,
}
