"""The nonparametric maximum likelihood estimate of a mixing law, and its decisions.

Kiefer–Wolfowitz on a grid: max_w Σ_i log Σ_g w_g L_ig, a concave problem, by EM steps
that SQUAREM extrapolates. Source: Koenker & Mizera 2014; Varadhan & Roland 2008.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ptft_jax.means import family as means_family
from ptft_jax.means import mixing

EVEN, QUANTILES = 200, 100
CYCLES = 300


def solve(
    likelihood: Float[Array, "n g"], present: Bool[Array, "n"], cycles: int = CYCLES
) -> Float[Array, "g"]:
    """Weights of nearly the highest likelihood; `gap` says how near.

    Args:
      likelihood: of instances at grid points, from `mixing.likelihood`.
      present: instances that count.
      cycles: of three EM steps each.

    Returns:
      The weights, sum 1; never less likely than the same number of EM steps.
    """
    step = lambda w: mixing.em_step(w, likelihood, present)

    def height(w):
        each = jnp.log((likelihood @ w).clip(1e-30))
        return jnp.where(present, each, 0.0).sum()

    def cycle(_, w):
        first = step(w)
        second = step(first)
        r, v = first - w, second - 2.0 * first + w
        length = jnp.sqrt((r**2).sum() / (v**2).sum().clip(1e-30)).clip(min=1.0)
        far = (w + 2.0 * length * r + length**2 * v).clip(0.0)
        # a weight of 0 would stay there
        far = step(0.999 * far / far.sum().clip(1e-30) + 0.001 * second)
        return jnp.where(height(far) > height(second), far, second)

    g = likelihood.shape[1]
    return jax.lax.fori_loop(0, cycles, cycle, jnp.full(g, 1.0 / g))


def gap(
    weights: Float[Array, "g"],
    likelihood: Float[Array, "n g"],
    present: Bool[Array, "n"],
) -> Float[Array, ""]:
    """At most this mean log-likelihood is missing: log max_g mean_i L_ig/f_i.

    Args:
      weights: of the grid points.
      likelihood: of instances at grid points.
      present: instances that count.

    Returns:
      The bound by duality, ≥ 0, 0 at the maximum.
    """
    inverse = jnp.where(present, 1.0 / (likelihood @ weights).clip(1e-30), 0.0)
    slope = (inverse @ likelihood) / jnp.maximum(present.sum(), 1)
    return jnp.log(slope.max())


def _grid(view: means_family.View) -> Float[Array, "g"]:
    """Even points over all estimates, and their quantiles."""
    ordered = jnp.sort(jnp.where(view.present, view.value, jnp.inf))
    last = jnp.maximum(view.present.sum() - 1, 0)
    low = jnp.where(view.present, view.value - view.noise, jnp.inf).min()
    high = ordered[last]
    even = low + (high - low) * jnp.linspace(0.0, 1.0, EVEN)
    rank = jnp.round(jnp.linspace(0.0, 1.0, QUANTILES) * last).astype(int)
    return jnp.concatenate([even, ordered[rank]])


def estimate(family: means_family.Family, seen) -> Float[Array, "n"]:
    """Posterior means under the estimated law.

    Args:
      family: of the means. Static.
      seen: n instances; estimates and precisions are taken for independent.

    Returns:
      The estimates; 0 for padding.
    """
    view = family.view(seen)
    theta = family.invert(_grid(view))[None]
    likelihood = mixing.likelihood(family.log_likelihood(seen, theta))
    weights = solve(likelihood, view.present)
    value = jnp.broadcast_to(theta, likelihood.shape)
    mean, _ = mixing.moments(weights[None], likelihood, value)
    return jnp.where(view.present, mean[0], 0.0)
