"""Laws of a portfolio of means: how θ and precision differ between its instances.

The law of θ is drawn from `means_laws.sample_law`. Half of the portfolios have one
precision for all instances; where precision differs, θ may also depend on it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax.worlds import means_laws, transforms
from ptft_jax.worlds.means_laws import Law


class Portfolio(NamedTuple):
    """The law of a portfolio.

    Attributes:
      law: of θ, its logit or a rate, at an instance of average precision.
      level: variance, trials or exposure of such an instance.
      spread: standard deviation of the logarithm of those.
      slope: of θ, its logit or a log rate, on that logarithm less its mean.
    """

    law: Law
    level: Float[Array, ""]
    spread: Float[Array, ""]
    slope: Float[Array, ""]


def _between(key, low, high):
    return transforms.log_between(jax.random.uniform(key), low, high)


def _portfolio(key, law: Law, level, slope_sd, widest) -> Portfolio:
    """Adds what concerns precision."""
    spread_key, is_key, slope_key, has_key = jax.random.split(key, 4)
    spread = widest * jax.random.uniform(spread_key)
    spread = jnp.where(jax.random.bernoulli(is_key), spread, 0.0)
    slope = slope_sd * jax.random.normal(slope_key)
    slope = jnp.where(jax.random.bernoulli(has_key), slope, 0.0)
    return Portfolio(law, level, spread, slope)


def gaussian_law(key: Key[Array, ""]) -> Portfolio:
    """Normal means: sd between instances from .1 to 8 times the noise.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law.
    """
    law_key, scale_key, level_key, centre_key, more_key = jax.random.split(key, 5)
    noise = _between(level_key, 0.1, 10.0)
    scale = noise * _between(scale_key, 0.1, 8.0)
    centre = 3.0 * scale * jax.random.normal(centre_key)
    law = means_laws.sample_law(law_key)
    law = means_laws.mapped(law, lambda x: centre + scale * x)
    return _portfolio(more_key, law, noise**2, 0.4 * scale, 2.0)


def binomial_law(key: Key[Array, ""]) -> Portfolio:
    """Binomial means: sd of logits from .03 to 1.5, some 3 to 400 trials.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law, of logits.
    """
    law_key, scale_key, level_key, centre_key, more_key = jax.random.split(key, 5)
    scale = _between(scale_key, 0.03, 1.5)
    centre = 1.3 * jax.random.normal(centre_key)
    law = means_laws.sample_law(law_key)
    law = means_laws.mapped(law, lambda x: (centre + scale * x).clip(-7.0, 7.0))
    return _portfolio(more_key, law, _between(level_key, 3.0, 400.0), 0.4 * scale, 1.5)


def poisson_law(key: Key[Array, ""]) -> Portfolio:
    """Poisson rates: mean counts of .1 to 100 or so, rates that differ by 5 to 150 %.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law, of rates; exposures have median 1.
    """
    law_key, scale_key, level_key, power_key, more_key = jax.random.split(key, 5)
    scale = _between(scale_key, 0.05, 1.5)
    level = _between(level_key, 0.1, 100.0)
    power = jax.random.choice(power_key, jnp.array([0.0, 1.0 / 3.0, 1.0]))
    law = means_laws.sample_law(law_key)
    rate = lambda x: level * transforms.box_cox_inverse(scale * x, power).clip(max=40.0)
    law = means_laws.mapped(law, rate)
    return _portfolio(more_key, law, jnp.ones(()), 0.3 * scale, 1.5)


def sizes(key: Key[Array, ""], law: Portfolio, num_instances: int) -> Float[Array, "n"]:
    """Variances, trials or exposures, log-normal.

    Args:
      key: typed PRNG key.
      law: of the portfolio.
      num_instances: n.

    Returns:
      A draw of each.
    """
    return law.level * jnp.exp(law.spread * jax.random.normal(key, (num_instances,)))


def shift(law: Portfolio, size: Float[Array, "n"]) -> Float[Array, "n"]:
    """How far the law of θ, its logit or a log rate is moved at each instance.

    Args:
      law: of the portfolio.
      size: variances, trials or exposures; 0 for padding.

    Returns:
      Shifts, 0 for padding.
    """
    return law.slope * jnp.log(jnp.where(size > 0.0, size / law.level, 1.0))
