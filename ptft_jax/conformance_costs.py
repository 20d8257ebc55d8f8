"""Conformance of a problem's costs: labels, loss, full information and Bayes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ptft_jax.problems.problem import ProblemWorld, judged, num_instances

MOST_ERRORS = 5.0
LEAST_ERRORS = 3.0  # that the correlation of loss and cost must be above 0
NUM_LAWS = 32
NUM_PORTFOLIOS = 256  # labels are judged on: a leak is a small share of their noise
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


def _plug_in(problem, seen, shift: float | Float[Array, "n k"] = 0.0):
    stats = problem.summarize(seen)
    output = jnp.zeros((num_instances(seen), problem.num_outputs)) + shift
    return problem.decide(seen, stats, output, problem.couple(seen, stats, output))


def _errors(values: Any) -> tuple[float, float]:
    """Mean and its standard error."""
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
    def one(key):
        draw_key, size_key, output_key, common_key = jax.random.split(key, 4)
        _, truth, seen, outcome = draw(world, draw_key, n, m)
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

    mean, error = _errors([one(key) for key in jax.random.split(key, NUM_RANKED)])
    detail = f"correlation of loss and cost {mean:.2f} ± {error:.2g}"
    return Finding("loss", mean > LEAST_ERRORS * error, detail)


def unbiased_labels(
    world: ProblemWorld, key: Key[Array, ""], n: int, m: int
) -> Finding:
    """What two decisions differ by on left-out outcomes is what they differ by.

    In units that the truth decides, or one large portfolio would speak for all.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances of each portfolio.
      m: observations of `observe`.

    Returns:
      Whether the difference is within `MOST_ERRORS` standard errors of 0.
    """
    problem = world.problem

    @jax.jit
    def one(key):
        draw_key, row_key, shift_key = jax.random.split(key, 3)
        _, truth, seen, _ = draw(world, draw_key, n, m)
        shift = jax.random.normal(shift_key, (n, problem.num_outputs))
        rest, outcome = problem.leave_out(row_key, seen)
        first, second = _plug_in(problem, rest), _plug_in(problem, rest, shift)
        asked = truth if world.asked is None else world.asked(truth, rest)
        exact = lambda x: world.expected_cost(asked, x)
        measured = problem.cost(first, outcome) - problem.cost(second, outcome)
        gap = measured - exact(first) + exact(second)
        gap = jnp.where(judged(problem, seen), gap, 0.0)
        return gap.sum() / _unit(world, truth)

    keys = jax.random.split(key, NUM_PORTFOLIOS)
    mean, error = _errors([one(key) for key in keys])
    is_met = abs(mean) <= MOST_ERRORS * error + 1e-6
    return Finding("unbiased labels", is_met, f"bias {mean:.3g} ± {error:.2g}")


def _unit(world, truth) -> Float[Array, ""]:
    """The size of a portfolio's costs."""
    least = world.expected_cost(truth, world.full_information(truth)).sum()
    base = 0.0 if world.base is None else world.base(truth).sum()
    return jnp.maximum(jnp.abs(least), base) + 1e-30


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
      A finding for full information, and one for Bayes where it is known.
    """
    problem = world.problem
    rules: dict[str, Callable] = {"plug-in": lambda seen: _plug_in(problem, seen)}
    rules |= problem.baselines

    @jax.jit
    def one(key):
        law, truth, seen, _ = draw(world, key, n, m)
        mean = lambda x: world.expected_cost(truth, x).mean()
        found = {name: mean(rule(seen)) for name, rule in rules.items()}
        found["full information"] = mean(world.full_information(truth))
        if world.bayes is not None:
            found["bayes"] = mean(world.bayes(law, seen))
        return found

    rows = [one(key) for key in jax.random.split(key, NUM_LAWS)]
    table = {k: np.array([float(row[k]) for row in rows]) for k in rows[0]}
    return [
        _below(table, name, exact=name == "full information")
        for name in ("full information", "bayes")
        if name in table
    ]


def _below(table, name: str, exact: bool) -> Finding:
    size = np.abs(table["full information"]).mean() + 1e-30
    for other, costs in table.items():
        if other in (name, "full information"):
            continue
        mean, error = _errors(table[name] - costs)
        allowed = 1e-4 * size + (0.0 if exact else MOST_ERRORS * error)
        if not mean <= allowed:
            detail = f"costs {mean:.3g} ± {error:.2g} more than {other}"
            return Finding(name, False, detail)
    return Finding(name, True, f"no more than {len(table) - 1} others")
