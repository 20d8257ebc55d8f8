"""What a user would pick instead: allocations by a shrinkage of the estimates.

All solve the linear programme exactly. But for `eb_by_precision`, the scores are those
of `worths.shrunk` and the rules differ in how the prior variance is chosen.
Every baseline is a pure function of items, jitted; padding gets 0 and changes nothing.
Gupta & Rusmevichientong 2021.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.allocation import features, knapsack
from ptft_jax.allocation import worths as worths_
from ptft_jax.allocation.shrinkage import Items
from ptft_jax.allocation.stein import box_stein, stein_reg, vgc
from ptft_jax.allocation.worths import Worths

SPREADS = (1e-4, 1e4)  # of prior variances tried, in units of a usual variance
NUM_SPREADS = 161


def saa(items: Items) -> Float[Array, "n"]:
    """The linear programme with the estimates as they are.

    Args:
      items: n items.

    Returns:
      x in [0, 1].
    """
    return knapsack.best(worths_.worths(items).estimate, items.cost)


def eb_moments(items: Items) -> Float[Array, "n"]:
    """Prior variance by moments: A = (mean (μ̂² − v))⁺.

    Args:
      items: n items.

    Returns:
      x in [0, 1].
    """
    of = worths_.worths(items)
    spread = jnp.maximum(of.mean(of.estimate**2 - of.variance), 0.0)
    return knapsack.best(worths_.shrunk(of, spread), of.cost)


def _spreads(of: Worths) -> Float[Array, "k"]:
    low, high = SPREADS
    ends = jnp.geomspace(low, high, NUM_SPREADS, dtype=of.variance.dtype)
    return of.usual() * jnp.concatenate([jnp.zeros(1, ends.dtype), ends])


def eb_likelihood(items: Items) -> Float[Array, "n"]:
    """Prior variance by maximum likelihood of μ̂_j ~ N(0, A + v_j), on a grid.

    Args:
      items: n items.

    Returns:
      x in [0, 1].
    """
    of = worths_.worths(items)

    def surprise(spread):
        total = spread + of.variance
        return of.mean(jnp.log(total) + of.estimate**2 / total)

    spreads = _spreads(of)
    spread = spreads[jnp.argmin(jax.vmap(surprise)(spreads))]
    return knapsack.best(worths_.shrunk(of, spread), of.cost)


def eb_sure(items: Items) -> Float[Array, "n"]:
    """Prior variance by Stein's unbiased estimate of the squared error, on a grid.

    SURE(A) = mean [(1−B_j)² μ̂_j² + v_j (2B_j − 1)], B_j = A/(A + v_j).

    Args:
      items: n items.

    Returns:
      x in [0, 1].
    """
    of = worths_.worths(items)

    def risk(spread):
        keep = spread / (spread + of.variance)
        each = (1.0 - keep) ** 2 * of.estimate**2 + of.variance * (2.0 * keep - 1.0)
        return of.mean(each)

    spreads = _spreads(of)
    spread = spreads[jnp.argmin(jax.vmap(risk)(spreads))]
    return knapsack.best(worths_.shrunk(of, spread), of.cost)


def eb_by_precision(items: Items) -> Float[Array, "n"]:
    """Prior mean of θ a smooth function of the precision, by a kernel in log ν.

    Args:
      items: n items.

    Returns:
      x in [0, 1].

    Source:
      After Chen 2023, Empirical Bayes when estimation precision predicts parameters.
    """
    score = features.rules(items, features.summarize(items)).by_precision
    return knapsack.best(items.weight * score, items.cost)


def oracle_tau(items: Items, worth: Float[Array, "n"]) -> Float[Array, "n"]:
    """The best of the class, not a baseline: τ that is best for the true worths.

    Args:
      items: n items.
      worth: w_j θ_j.

    Returns:
      x in [0, 1].
    """
    found = worths_.path(worths_.worths(items))
    return found.x[jnp.argmax(found.x @ worth)]


GAUSSIAN: dict[str, Callable] = {
    name: jax.jit(rule)
    for name, rule in {
        "saa": saa,
        "eb_moments": eb_moments,
        "eb_likelihood": eb_likelihood,
        "eb_sure": eb_sure,
        "eb_by_precision": eb_by_precision,
        "box_stein": box_stein,
        "stein_reg": stein_reg,
        "vgc": vgc,
    }.items()
}
