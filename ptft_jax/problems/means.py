"""Estimating a mean: choose x before an observation ξ is seen, at squared cost.

All costs are exact given the instance's mean θ and noise s: E(x − ξ)² = (x − θ)² + s².
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def cost(
    x: Float[Array, "*#s"], observation: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """Squared cost c(x, ξ) = (x − ξ)².

    Args:
      x: decision, any real number, in units of the observations.
      observation: ξ, in the same units.

    Returns:
      The cost, ≥ 0, convex in x, in squared units.
    """
    return (x - observation) ** 2


def expected_cost(
    x: Float[Array, "*#s"], theta: Float[Array, "*#s"], noise: Float[Array, "*#s"]
) -> Float[Array, "*#s"]:
    """E c(x, ξ) = (x − θ)² + s² for any law of mean θ and standard deviation s.

    Args:
      x: decision, any real number.
      theta: θ.
      noise: s ≥ 0.

    Returns:
      The cost, least at θ where it is s².
    """
    return (x - theta) ** 2 + noise**2


def full_information(theta: Float[Array, "*#s"]) -> Float[Array, "*#s"]:
    """The minimiser θ of `expected_cost`.

    Args:
      theta: θ.

    Returns:
      The decision.
    """
    return jnp.asarray(theta)


def regret(x: Float[Array, "*#s"], bayes: Float[Array, "*#s"]) -> Float[Array, "*#s"]:
    """Excess cost (x − x*)² over the Bayes decision x*, given the data.

    E[(x − ξ)² − (x* − ξ)² | data] = (x − x*)², as x* is the posterior mean of ξ.

    Args:
      x: decision.
      bayes: x* = E[θ | law, data].

    Returns:
      The excess, ≥ 0: its mean over data is the excess risk, with neither the noise of
      a label nor that of θ.
    """
    return (x - bayes) ** 2
