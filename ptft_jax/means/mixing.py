"""Mixing laws on a grid: EM steps, and posterior moments under them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

STRETCH = 3.0  # grid spacing has doubled at √3 · 3 units from the centre


def warped(
    low: Float[Array, ""],
    high: Float[Array, ""],
    centre: Float[Array, ""],
    scale: Float[Array, ""],
    num_points: int,
) -> Float[Array, "g"]:
    """A grid from low to high, even in asinh((x − centre)/(3·scale)).

    One wild instance widens the grid and hardly thins it where the others are.

    Args:
      low: first point.
      high: last point, ≥ low.
      centre: where the grid is densest.
      scale: > 0.
      num_points: g.

    Returns:
      The grid, not decreasing.
    """
    unit = STRETCH * scale
    ends = jnp.arcsinh((jnp.stack([low, high]) - centre) / unit)
    even = ends[0] + (ends[1] - ends[0]) * jnp.linspace(0.0, 1.0, num_points)
    return centre + unit * jnp.sinh(even)


def normal_weights(
    grid: Float[Array, "g"], mean: Float[Array, ""], variance: Float[Array, ""]
) -> Float[Array, "g"]:
    """Weights of a grid that stand for N(mean, variance).

    Args:
      grid: not decreasing.
      mean: of the normal law.
      variance: > 0.

    Returns:
      Weights, > 0 and of sum 1, the density times the spacing.
    """
    spacing = jnp.gradient(grid) + 1e-6 * (grid[-1] - grid[0]) + 1e-30
    log_weights = -0.5 * jnp.square(grid - mean) / variance + jnp.log(spacing)
    return jax.nn.softmax(log_weights) * (1.0 - 1e-4) + 1e-4 / grid.shape[0]


def likelihood(log_likelihood: Float[Array, "n g"]) -> Float[Array, "n g"]:
    """Likelihoods of largest value 1 in each row: factors of a row change nothing.

    Args:
      log_likelihood: of each instance at each grid point.

    Returns:
      Values in [0, 1].
    """
    return jnp.exp(log_likelihood - log_likelihood.max(1, keepdims=True))


def em_step(
    weights: Float[Array, "g"],
    likelihood: Float[Array, "n g"],
    present: Bool[Array, "n"],
) -> Float[Array, "g"]:
    """One EM step: the mean of the posteriors of all instances.

    Args:
      weights: of the grid points, sum 1.
      likelihood: from `likelihood`.
      present: instances that count.

    Returns:
      Weights whose likelihood is not lower.
    """
    inverse = jnp.where(present, 1.0 / (likelihood @ weights).clip(1e-30), 0.0)
    found = weights * (inverse @ likelihood)
    return found / found.sum().clip(1e-30)


def em(
    weights: Float[Array, "g"],
    likelihood: Float[Array, "n g"],
    present: Bool[Array, "n"],
    num_steps: int,
) -> Float[Array, "g"]:
    """EM steps in a row; few of them keep the law near the first one.

    Args:
      weights: of the grid points, sum 1.
      likelihood: from `likelihood`.
      present: instances that count.
      num_steps: ≥ 0.

    Returns:
      The weights.
    """
    step = lambda _, w: em_step(w, likelihood, present)
    return jax.lax.fori_loop(0, num_steps, step, weights)


def log_evidence(
    weights: Float[Array, "k g"], likelihood: Float[Array, "n g"]
) -> Float[Array, "k n"]:
    """Logarithm of Σ_g w_g L_ig, of each instance under each of k laws.

    Args:
      weights: of k laws.
      likelihood: from `likelihood`.

    Returns:
      The logarithms, ≤ 0.
    """
    return jnp.log((weights @ likelihood.T).clip(1e-30))


def moments(
    weights: Float[Array, "k g"],
    likelihood: Float[Array, "n g"],
    value: Float[Array, "n g"],
) -> tuple[Float[Array, "k n"], Float[Array, "k n"]]:
    """Posterior means and standard deviations under each of k laws.

    Args:
      weights: of k laws.
      likelihood: from `likelihood`.
      value: θ at each grid point, for each instance.

    Returns:
      Both, in units of θ.
    """
    centre = (likelihood * value).sum(1) / likelihood.sum(1)
    from_centre = value - centre[:, None]  # of the data alone: no cancellation
    total = (weights @ likelihood.T).clip(1e-30)
    first = weights @ (likelihood * from_centre).T / total
    second = weights @ (likelihood * from_centre**2).T / total
    return centre + first, jnp.sqrt((second - first**2).clip(0.0))
