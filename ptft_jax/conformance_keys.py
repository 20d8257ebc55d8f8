"""Do samplers depend on their key, and on nothing else?"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ptft_jax import conformance_costs
from ptft_jax.conformance_costs import Finding
from ptft_jax.problems.problem import ProblemWorld, judged

NOISE_FREE = 1e-3  # relative: what an outcome without noise costs is expected


def keys(world: ProblemWorld, key: Key[Array, ""], n: int, m: int) -> Finding:
    """The same key draws the same, another key something else.

    Nothing is compiled, or numbers drawn by the host would be constants. A law may be
    constant; the instances if the law is; an outcome if it costs what is expected.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances.
      m: observations of `observe`.

    Returns:
      Whether it is so of every sampler.
    """
    one_key, other_key = jax.random.split(key)
    law = world.sample_law(one_key)
    truth = world.sample_instances(one_key, law, n)
    seen = world.observe(one_key, truth, m)
    samplers: dict[str, Callable] = {
        "sample_law": world.sample_law,
        "sample_instances": lambda key: world.sample_instances(key, law, n),
        "observe": lambda key: world.observe(key, truth, m),
        "outcome": lambda key: world.outcome(key, truth),
        "leave_out": lambda key: world.problem.leave_out(key, seen),
    }
    drawn = {name: draw(one_key) for name, draw in samplers.items()}
    same = lambda key: {k for k, draw in samplers.items() if _same(drawn[k], draw(key))}
    if moody := sorted(samplers.keys() - same(one_key)):
        detail = f"not the same for the same key: {', '.join(moody)}"
        return Finding("keys", False, detail)
    deaf = same(other_key)
    allowed = {
        "sample_law": True,
        "sample_instances": "sample_law" in deaf,
        "outcome": _is_expected(world, truth, seen, drawn["outcome"]),
        "leave_out": not judged(world.problem, seen).any(),
    }
    wrong = sorted(name for name in deaf if not allowed.get(name, False))
    detail = f"the same for every key: {', '.join(wrong)}"
    return Finding("keys", not wrong, detail if wrong else "each draws anew")


def _same(one: Any, other: Any) -> bool:
    near = lambda a, b: np.allclose(a, b, rtol=1e-5, atol=0.0, equal_nan=True)
    return jax.tree.all(jax.tree.map(near, one, other))


def _is_expected(world, truth, seen, outcome) -> bool:
    """Whether an outcome costs what outcomes cost in the mean."""
    x = conformance_costs.rules(world.problem, seen)["plug-in"]
    exact = world.expected_cost(truth, x)
    off = jnp.abs(world.problem.cost(x, outcome) - exact).mean()
    return bool(off <= NOISE_FREE * jnp.abs(exact).mean())
