"""The three-part knapsack of Gupta & Rusmevichientong: equal thirds of three items.

(θ, ν, c) = (0, .1, 20.001), (1, 1, 20.001), (.3, 4, 20.001): the worst items look best,
as their estimates are the noisiest; the budget pays for one item in twenty.
"""

import jax.numpy as jnp
from jaxtyping import Array, Key

from ptft_jax.problems.problem import ProblemWorld
from ptft_jax.worlds import allocation
from ptft_jax.worlds.allocation import LEAST_SPREAD, Law, Truth

THETAS = (0.0, 1.0, 0.3)
PRECISIONS = (0.1, 1.0, 4.0)
COST = 20.001


def sample_law(key: Key[Array, ""]) -> Law:
    """The law, always the same.

    Args:
      key: not used.

    Returns:
      Three kinds of alike items; `LEAST_SPREAD` stands for no spread at all.
    """
    none = jnp.zeros(3)
    centre = jnp.stack([none, jnp.log(jnp.array(PRECISIONS)), none + jnp.log(COST)], -1)
    within = jnp.full(3, LEAST_SPREAD)
    return Law(
        none + 1 / 3, jnp.array(THETAS), none, jnp.zeros(()), centre, within, none
    )


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Truth:
    """Items of the three kinds in turn, as published: nothing is random.

    Args:
      key: not used.
      law: the portfolio's law.
      num_instances: n ≥ 1, a multiple of three for equal parts.

    Returns:
      The items.
    """
    kind = jnp.arange(num_instances) % len(law.share)
    logs = jnp.exp(law.centre[kind])
    return Truth(law.mean[kind], *(logs[:, i] for i in (1, 2, 0)))


WORLD = ProblemWorld(
    name="three_part",
    description="knapsack of three kinds of items, the worst seen with most noise",
    sample_law=sample_law,
    sample_instances=sample_instances,
    **allocation.COMMON,
)
