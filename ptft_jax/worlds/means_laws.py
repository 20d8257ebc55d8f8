"""Laws of means: mixtures of uniform intervals, their prior and their quadrature.

Each normal-like part is cut into 20 intervals, so that any law is a list of intervals
(points among them) that is sampled exactly and integrated by Gauss–Legendre points.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Key

from ptft_jax.worlds import transforms

PARTS, CUTS = 4, 20
WIDEST = 3.2  # standard normal quantiles at which parts end


class Law(NamedTuple):
    """A mixture of uniform laws on [low, high]; low = high is a point mass."""

    low: Float[Array, "k"]
    high: Float[Array, "k"]
    mass: Float[Array, "k"]


def moments(law: Law) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation.

    Args:
      law: masses of sum 1.

    Returns:
      Both.
    """
    middle = (law.low + law.high) / 2.0
    mean = (law.mass * middle).sum()
    within = jnp.square(law.high - law.low) / 12.0
    return mean, jnp.sqrt((law.mass * (jnp.square(middle - mean) + within)).sum())


def mapped(law: Law, function: Callable[[Array], Array]) -> Law:
    """The law whose intervals end where an increasing function takes their ends.

    Args:
      law: any.
      function: increasing; inside an interval it is replaced by a line.

    Returns:
      The law.
    """
    return law._replace(low=function(law.low), high=function(law.high))


def sample(key: Key[Array, ""], law: Law, num: int) -> Float[Array, "n"]:
    """Independent draws.

    Args:
      key: typed PRNG key.
      law: any.
      num: n.

    Returns:
      The draws.
    """
    which_key, where_key = jax.random.split(key)
    which = jax.random.choice(which_key, len(law.mass), (num,), p=law.mass)
    low, high = law.low[which], law.high[which]
    return low + (high - low) * jax.random.uniform(where_key, (num,))


def g_and_h(z: Float[Array, "*#s"], g: Float[Array, "*#s"], h: Float[Array, "*#s"]):
    """Tukey's transform (e^{gz} − 1)/g · e^{hz²/2}: g skews, h ≥ 0 lengthens tails.

    Args:
      z: standard normal.
      g: any real; z itself as g → 0.
      h: ≥ 0.

    Returns:
      Values, increasing in z.
    """
    safe = jnp.where(jnp.abs(g) < 1e-3, 1e-3, g)
    return jnp.expm1(safe * z) / safe * jnp.exp(h * z**2 / 2.0)


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws a law of mean 0 and standard deviation 1 (0 if it is a point) or so.

    One to four parts of random weights: normal, skewed, heavy-tailed, uniform or a
    point; parts that lie apart make modes, a heavy point makes a sparse law. In a
    quarter of laws all parts are narrow, in an eighth all are points.

    Args:
      key: typed PRNG key.

    Returns:
      A law of PARTS · CUTS intervals.
    """
    keys = jax.random.split(key, 10)
    z = jnp.linspace(-WIDEST, WIDEST, CUTS + 1)[None]
    mass = jnp.diff(norm.cdf(z[0]))
    each = lambda key: jax.random.uniform(key, (PARTS, 1))
    is_bent = each(keys[0]) < 0.5
    g = jnp.where(is_bent, 0.6 * jax.random.normal(keys[1], (PARTS, 1)), 0.0)
    h = jnp.where(is_bent, 0.3 * each(keys[2]) ** 2, 0.0)
    even = jnp.sqrt(3.0) * (2.0 * norm.cdf(z) - 1.0)
    is_narrow, are_points = jax.random.uniform(keys[9], (2,)) < jnp.array([0.25, 0.125])
    kind = jnp.where(are_points, 1.0, each(keys[3]))
    shape = jnp.where(kind < 0.5, g_and_h(z, g, h), even)
    shape = jnp.where(kind < 0.7, shape, 0.0)  # else a point
    widest = jnp.where(is_narrow, 0.2, 1.0)
    scale = widest * transforms.log_between(each(keys[4]), 0.05, 1.0)
    apart = transforms.log_between(jax.random.uniform(keys[5]), 0.3, 4.0)
    edges = apart * jax.random.normal(keys[6], (PARTS, 1)) + scale * shape
    count = 1 + jax.random.choice(keys[7], PARTS, p=jnp.array([0.35, 0.3, 0.2, 0.15]))
    # from nearly even to nearly all on one part
    weight = jax.random.exponential(keys[8], (PARTS,)) ** 1.5
    weight = jnp.where(jnp.arange(PARTS) < count, weight, 0.0)
    weight = weight / weight.sum()
    masses = (weight[:, None] * (mass / mass.sum())[None]).ravel()
    law = Law(edges[:, :-1].ravel(), edges[:, 1:].ravel(), masses)
    mean, deviation = moments(law)
    return mapped(law, lambda x: (x - mean) / deviation.clip(0.02))


def posterior_mean(
    low: Float[Array, "n k"],
    high: Float[Array, "n k"],
    mass: Float[Array, "k"],
    window: tuple[Float[Array, "n"], Float[Array, "n"]],
    log_likelihood: Callable[[Array], Array],
    value: Callable[[Array], Array],
    num_points: int,
) -> Float[Array, "n"]:
    """E[value(x) | y] = Σ_k mass_k ∫ value L / Σ_k mass_k ∫ L over uniform intervals.

    Gauss–Legendre on the part of each interval inside of the window, on the whole of
    those outside.

    Args:
      low: ends of the intervals, as instance i sees them.
      high: other ends.
      mass: of the intervals.
      window: where an instance's likelihood is not negligible.
      log_likelihood: of points [n, q].
      value: of points.
      num_points: for an interval.

    Returns:
      The posterior means.
    """
    points, weights = np.polynomial.legendre.leggauss(num_points)
    start = jnp.clip(window[0][:, None], low, high)
    end = jnp.clip(window[1][:, None], low, high)
    is_outside = end <= start
    start, end = jnp.where(is_outside, low, start), jnp.where(is_outside, high, end)
    wide = high > low
    share = jnp.where(wide, (end - start) / jnp.where(wide, high - low, 1.0), 1.0)
    unit = jnp.asarray((points + 1.0) / 2.0, low.dtype)
    x = (start[..., None] + (end - start)[..., None] * unit).reshape(len(low), -1)
    each = (mass * share)[..., None] * jnp.asarray(weights / 2.0, low.dtype)
    log_terms = jnp.log(each.clip(1e-37)).reshape(x.shape) + log_likelihood(x)
    found = jax.nn.softmax(jnp.where(each.reshape(x.shape) > 0, log_terms, -jnp.inf), 1)
    return (found * value(x)).sum(1)
