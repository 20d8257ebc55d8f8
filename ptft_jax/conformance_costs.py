"""Conformance of a problem's costs: loss, full information and Bayes."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ptft_jax.problems.problem import Problem, ProblemWorld, num_instances

MOST_ERRORS = 5.0
LEAST_ERRORS = 3.0  # that the correlation of loss and cost must be above 0
NUM_LAWS = 32
NUM_RANKED = 128  # laws that a loss is judged on, most of whose scores are noise
NUM_OUTPUTS = 8  # of each portfolio that the loss must rank as their cost does


class Finding(NamedTuple):
    """One thing that was checked.

    Attributes:
      name: of the property.
      is_met: whether it holds.
      detail: what was measured.
    """

    name: str
    is_met: bool
    detail: str


class Drawn(NamedTuple):
    """A law, instances of it, what is seen of them, and a further outcome."""

    law: Any
    truth: Any
    seen: Any
    outcome: Any


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def draw(world: ProblemWorld, key: Key[Array, ""], n: int, m: int) -> Drawn:
    """One portfolio.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances.
      m: observations of `observe`.

    Returns:
      Truth and data.
    """
    law_key, truth_key, seen_key, outcome_key = jax.random.split(key, 4)
    law = world.sample_law(law_key)
    truth = world.sample_instances(truth_key, law, n)
    seen = world.observe(seen_key, truth, m)
    return Drawn(law, truth, seen, world.outcome(outcome_key, truth))


@functools.partial(jax.jit, static_argnums=0)
def rules(problem: Problem, seen: Any) -> dict[str, Any]:
    """Decisions of the plug-in rule and of every baseline.

    Args:
      problem: the problem.
      seen: instances.

    Returns:
      Decisions by name.
    """
    found = {name: rule(seen) for name, rule in problem.baselines.items()}
    return {"plug-in": plug_in(problem, seen)} | found


def portfolios(
    world: ProblemWorld, key: Key[Array, ""], n: int, m: int, count: int
) -> Iterator[tuple[Key[Array, ""], Drawn]]:
    """Portfolios, one after the other.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances of each.
      m: observations of `observe`.
      count: how many.

    Yields:
      A key and a portfolio.
    """
    for each in jax.random.split(key, count):
        draw_key, other_key = jax.random.split(each)
        yield other_key, draw(world, draw_key, n, m)


def plug_in(
    problem: Problem, seen: Any, shift: Float[Array, "*n k"] | float = 0.0
) -> Any:
    """The decision where the network's outputs are given.

    Args:
      problem: the problem.
      seen: n instances.
      shift: the outputs.

    Returns:
      The decision.
    """
    stats = problem.summarize(seen)
    output = jnp.zeros((num_instances(seen), problem.num_outputs)) + shift
    return problem.decide(seen, stats, output, problem.couple(seen, stats, output))


def errors(values: Any) -> tuple[float, float]:
    """Mean and its standard error.

    Args:
      values: at least two.

    Returns:
      Both, in float64.
    """
    values = np.asarray(values, np.float64)
    spread = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(spread)


def ranks_as_cost(world: ProblemWorld, key: Key[Array, ""], n: int, m: int) -> Finding:
    """Outputs that lose more cost more: their correlation within a portfolio.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances of each portfolio.
      m: observations of `observe`.

    Returns:
      Whether it is above 0 by `LEAST_ERRORS` standard errors.
    """
    problem = world.problem

    @jax.jit
    def one(key, drawn):
        size_key, output_key, common_key = jax.random.split(key, 3)
        _, truth, seen, outcome = drawn
        stats, k = problem.summarize(seen), problem.num_outputs
        size = 2.0 * jax.random.uniform(size_key, (NUM_OUTPUTS, 1, 1))
        each = jax.random.normal(output_key, (NUM_OUTPUTS, n, k))
        outputs = size * (each + jax.random.normal(common_key, (NUM_OUTPUTS, 1, k)))

        def of(output):
            coupling = problem.couple(seen, stats, output)
            x = problem.decide(seen, stats, output, coupling)
            lost = problem.loss(seen, stats, output, coupling, outcome)
            return jnp.stack([lost.mean(), world.expected_cost(truth, x).mean()])

        lost, cost = jax.lax.map(of, outputs).T
        lost, cost = lost - lost.mean(), cost - cost.mean()
        scale = jnp.sqrt((lost**2).sum() * (cost**2).sum())
        return (lost * cost).sum() / jnp.where(scale > 0.0, scale, 1.0)

    found = [one(*each) for each in portfolios(world, key, n, m, NUM_RANKED)]
    mean, error = errors(found)
    detail = f"correlation of loss and cost {mean:.2f} ± {error:.2g}"
    return Finding("loss", mean > LEAST_ERRORS * error, detail)


def none_below_the_best(
    world: ProblemWorld, key: Key[Array, ""], n: int, m: int
) -> list[Finding]:
    """Nothing costs less than full information; no rule less than Bayes.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances of each portfolio.
      m: observations of `observe`.

    Returns:
      A finding for full information, one for Bayes where it is known, and one for what
      excess costs are shares of.
    """

    @jax.jit
    def one(drawn, decided):
        law, truth, seen, _ = drawn
        mean = lambda x: world.expected_cost(truth, x).mean()
        found = {name: mean(x) for name, x in decided.items()}
        full = found["full information"] = mean(world.full_information(truth))
        if world.bayes is not None:
            found["bayes"] = mean(world.bayes(law, seen))
        return found, jnp.abs(full) if world.base is None else world.base(truth).sum()

    drawn = (drawn for _, drawn in portfolios(world, key, n, m, NUM_LAWS))
    pairs = [one(each, rules(world.problem, each.seen)) for each in drawn]
    rows, bases = zip(*jax.device_get(pairs), strict=True)
    table = {k: np.array([row[k] for row in rows], np.float64) for k in rows[0]}
    least = np.mean(bases) if world.base is None else np.min(bases)
    return [
        Finding("base", bool(least > 0.0), f"at least {least:.3g}"),
        *(
            _below(table, name, exact=name == "full information")
            for name in ("full information", "bayes")
            if name in table
        ),
    ]


def _below(table, name: str, exact: bool) -> Finding:
    size = np.abs(table["full information"]).mean() + 1e-30
    for other, costs in table.items():
        if other in (name, "full information"):
            continue
        mean, error = errors(table[name] - costs)
        allowed = 1e-4 * size + (0.0 if exact else MOST_ERRORS * error)
        if not mean <= allowed:
            detail = f"costs {mean:.3g} ± {error:.2g} more than {other}"
            return Finding(name, False, detail)
    return Finding(name, True, f"no more than {len(table) - 1} others")
