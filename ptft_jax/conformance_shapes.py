"""Do the functions of a problem and its world return what the others take?

Each is evaluated abstractly, in the order in which they depend on each other; the first
that returns something else is named, as those after it could only fail.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from ptft_jax.conformance_costs import Finding
from ptft_jax.problems.problem import Inputs, Problem, ProblemWorld


class _Mistake(Exception):
    """A function that does not return what it must: its name, and what it does."""


def mistake(world: ProblemWorld, key: Key[Array, ""], n: int, m: int) -> Finding | None:
    """The first function that does not return what it must.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances.
      m: observations of `observe`.

    Returns:
      What it returns instead, or None.
    """
    try:
        for size in (n, n + 1):  # what is always of n would pass
            _of_world(world, key, size, m)
    except _Mistake as found:
        return Finding(found.args[0], False, found.args[1])
    return None


def _of(name: str, function, *given) -> Any:
    """What a function returns, abstractly."""
    try:
        return jax.eval_shape(function, *given)
    except Exception as error:  # whatever the function raises
        kind = type(error)
        does = "not compilable" if kind.__module__ == "jax.errors" else "raises"
        first = str(error).strip().partition("\n")[0]
        raise _Mistake(name, f"{does} ({kind.__name__}: {first})") from error


def _must_be(name: str, found: Any, *shape: int | str, is_mask: bool = False) -> None:
    """Of this shape; an axis that has a name may be of any length."""
    if not isinstance(found, jax.ShapeDtypeStruct):
        raise _Mistake(name, f"returned {type(found).__name__} instead of an array")
    fits = lambda axis, size: isinstance(axis, str) or axis == size
    if len(shape) != found.ndim or not all(map(fits, shape, found.shape)):
        wanted = ", ".join(map(str, shape))
        raise _Mistake(
            name, f"returned shape {list(found.shape)} instead of [{wanted}]"
        )
    if is_mask and found.dtype != bool:
        raise _Mistake(name, f"returned {found.dtype} instead of bool")


def _each(name: str, n: int, function, *given, is_mask: bool = False) -> None:
    """A number of each instance."""
    _must_be(name, _of(name, function, *given), n, is_mask=is_mask)


def _rows(name: str, n: int, found: Any) -> Any:
    """Arrays of leading axis n, which are handed on."""
    leaves = jax.tree.leaves(found)
    for leaf in leaves:
        if leaf.shape[:1] != (n,):
            shape = list(leaf.shape)
            raise _Mistake(name, f"returned shape {shape} instead of [{n}, ...]")
    if not leaves:
        raise _Mistake(name, "returned no array")
    return found


def _like(name: str, n: int, other: Any, function, *given) -> Any:
    """Arrays of the shapes of others, which are handed on."""
    found = _rows(name, n, _of(name, function, *given))
    shapes = lambda tree: ", ".join(str([*x.shape]) for x in jax.tree.leaves(tree))
    if shapes(found) != shapes(other):
        said = f"returned shape {shapes(found)} instead of {shapes(other)}"
        raise _Mistake(name, said)
    return found


def _of_world(world: ProblemWorld, key, n: int, m: int) -> None:
    problem = world.problem
    law = _of("sample_law", world.sample_law, key)
    instances = lambda key, law: world.sample_instances(key, law, n)
    truth = _rows("sample_instances", n, _of("sample_instances", instances, key, law))
    observe = lambda key, truth: world.observe(key, truth, m)
    seen = _rows("observe", n, _of("observe", observe, key, truth))
    outcome = _rows("outcome", n, _of("outcome", world.outcome, key, truth))
    best = _of("full_information", world.full_information, truth)
    _rows("full_information", n, best)
    name = "expected_cost of full_information"
    _each(name, n, world.expected_cost, truth, best)
    if world.base is not None:
        _each("base", n, world.base, truth)
    if world.bayes is not None:
        _like("bayes", n, best, world.bayes, law, seen)
    _each("present", n, problem.present, seen, is_mask=True)
    if problem.judged is not None:
        _each("judged", n, problem.judged, seen, is_mask=True)
    x = _of_problem(problem, seen, outcome, best, n)
    _each("expected_cost", n, world.expected_cost, truth, x)
    if world.weight is not None:
        stats = _of("summarize", problem.summarize, seen)
        _must_be("weight", _of("weight", world.weight, seen, stats, outcome))
    for rule, function in problem.baselines.items():
        _like(f"baseline {rule}", n, best, function, seen)
    left = _of("leave_out", problem.leave_out, key, seen)
    if not isinstance(left, tuple) or len(left) != 2:
        raise _Mistake("leave_out", "returned no pair (rest, outcome)")
    _rows("leave_out", n, left)
    rest, outcome = left
    _of_problem(problem, rest, outcome, best, n, " of what leave_out leaves")
    if world.asked is not None:
        _like("asked", n, truth, world.asked, truth, rest)


def _of_problem(problem: Problem, seen, outcome, best, n: int, where: str = "") -> Any:
    """The decision on what is seen."""
    stats = _of(f"summarize{where}", problem.summarize, seen)
    _inputs(f"inputs{where}", _of(f"inputs{where}", problem.inputs, seen, stats), n)
    output = jax.eval_shape(lambda: jnp.zeros((n, problem.num_outputs)))
    given = seen, stats, output
    coupling = _of(f"couple{where}", problem.couple, *given)
    x = _like(f"decide{where}", n, best, problem.decide, *given, coupling)
    _each(f"cost{where}", n, problem.cost, x, outcome)
    _each(f"loss{where}", n, problem.loss, *given, coupling, outcome)

    def mean_loss(output, seen, stats, outcome):
        coupling = problem.couple(seen, stats, output)
        return problem.loss(seen, stats, output, coupling, outcome).mean()

    back = output, seen, stats, outcome
    _of(f"gradient of the loss{where}", jax.grad(mean_loss), *back)
    return x


def _inputs(name: str, inputs: Any, n: int) -> None:
    if not isinstance(inputs, Inputs):
        raise _Mistake(name, f"returned {type(inputs).__name__} instead of Inputs")
    _must_be(f"{name}.instance", inputs.instance, n, "f")
    _must_be(f"{name}.portfolio", inputs.portfolio, "g")
    if inputs.observation is not None:
        _must_be(f"{name}.observation", inputs.observation, n, "m", "e")
        m = inputs.observation.shape[1]
        _must_be(f"{name}.valid", inputs.valid, n, m, is_mask=True)
