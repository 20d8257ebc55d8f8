"""Conformance of labels, unbiased for what decisions cost, and of the costs' range."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy import stats

from ptft_jax.conformance_costs import (
    MOST_ERRORS,
    NUM_LAWS,
    Finding,
    errors,
    plug_in,
    portfolios,
    rules,
)
from ptft_jax.method import certify
from ptft_jax.problems.problem import ProblemWorld, judged, num_instances

LEAST_BIAS = 1e-4  # that matters, of what costs are moved by: more than rounding
# Labels are judged on as many: a leak is a small share of their noise.
NUM_PORTFOLIOS = 256
MOST_SHIFTED = 16  # outputs that are shifted one at a time


def unbiased_labels(
    world: ProblemWorld, key: Key[Array, ""], n: int, m: int
) -> Finding:
    """What two decisions differ by on left-out outcomes is what they differ by.

    In half of the portfolios the plug-in decision and one whose outputs are shifted
    at random, instance by instance; in the others one output of all instances is
    shifted both ways, which a label that is too high everywhere does not survive.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances of each portfolio.
      m: observations of `observe`.

    Returns:
      Whether no difference is farther from 0 than one would be by chance as rarely as
      by `MOST_ERRORS` standard errors.
    """
    apart = min(world.problem.num_outputs, MOST_SHIFTED)
    kinds = np.minimum(np.arange(NUM_PORTFOLIOS) % (2 * apart), apart)
    drawn = portfolios(world, key, n, m, NUM_PORTFOLIOS)
    each = [_gap(world, kind, *more) for kind, more in zip(kinds, drawn, strict=True)]
    table = np.array(each, np.float64)
    return _unbiased([table[kinds == kind] for kind in range(apart + 1)])


@functools.partial(jax.jit, static_argnums=0)
def _gap(world, kind, key, drawn):
    """What labels say beside what is so, and how much is moved, in units of costs."""
    problem, truth = world.problem, drawn.truth
    row_key, shift_key = jax.random.split(key)
    rest, outcome = problem.leave_out(row_key, drawn.seen)
    shape = num_instances(rest), problem.num_outputs
    is_common = kind < min(problem.num_outputs, MOST_SHIFTED)
    common = jnp.where(is_common, jax.nn.one_hot(kind, shape[1]), 0.0)
    own = jnp.where(is_common, 0.0, jax.random.normal(shift_key, shape))
    first = plug_in(problem, rest, -common)
    second = plug_in(problem, rest, common + own)
    asked = truth if world.asked is None else world.asked(truth, rest)
    exact = world.expected_cost(asked, first) - world.expected_cost(asked, second)
    measured = problem.cost(first, outcome) - problem.cost(second, outcome)
    of = jnp.stack([measured - exact, jnp.abs(exact)])
    of = jnp.where(judged(problem, drawn.seen), of, 0.0)
    return of.sum(1) / _unit(world, truth)


def _unbiased(tables: list[np.ndarray]) -> Finding:
    """Of every kind of shift the bias relative to what it moves costs by."""
    found = []
    for i, (gap, moved) in enumerate(table.T for table in tables):
        # no portfolio that is hardly moved speaks for all, nor one of large costs
        mean, error = errors(gap / (np.maximum(moved, moved.mean()) + 1e-30))
        rate = stats.norm.sf(MOST_ERRORS) / len(tables)
        limit = stats.t.isf(rate, len(gap) - 1)
        over = abs(mean) / (limit * error + LEAST_BIAS)
        name = f"output {i}" if i + 1 < len(tables) else "a shift of each instance"
        found.append((over, f"bias {mean:.3g} ± {error:.2g} of what {name} moves"))
    worst = np.argmax([over for over, _ in found])
    over, detail = found[worst]
    return Finding(
        "unbiased labels", bool(over <= 1.0), f"{detail}, {over:.2g} of limit"
    )


def _unit(world, truth) -> Float[Array, ""]:
    """The size of a portfolio's costs."""
    least = world.expected_cost(truth, world.full_information(truth)).sum()
    base = 0.0 if world.base is None else world.base(truth).sum()
    return jnp.maximum(jnp.abs(least), base) + 1e-30


def within_range(
    world: ProblemWorld, key: Key[Array, ""], n: int, m: int
) -> list[Finding]:
    """Costs of any decision, realised, left out or expected, are where they must be.

    Args:
      world: the world.
      key: typed PRNG key.
      n: instances of each portfolio.
      m: observations of `observe`.

    Returns:
      A finding where the problem says what range its costs have, else none.
    """
    problem = world.problem
    if problem.costs is None:
        return []
    found = [_ends(world, *each) for each in portfolios(world, key, n, m, NUM_LAWS)]
    found, (low, high) = np.array(found, np.float64), problem.costs
    detail = f"from {found.min():.6g} to {found.max():.6g}, declared {low} to {high}"
    is_met = low < high and certify.beyond(found, problem.costs) is None
    return [Finding("costs", is_met, detail)]


@functools.partial(jax.jit, static_argnums=0)
def _ends(world, key, drawn):
    """The least and the largest cost of many decisions on a portfolio."""
    problem, (_, truth, seen, outcome) = world.problem, drawn
    row_key, shift_key = jax.random.split(key)
    rest, left_out = problem.leave_out(row_key, seen)
    shape = num_instances(seen), problem.num_outputs
    shift = jax.random.normal(shift_key, shape)
    decided = lambda some: [
        *rules(problem, some).values(),
        plug_in(problem, some, shift),
    ]
    costs = [problem.cost(x, outcome) for x in decided(seen)]
    costs += [world.expected_cost(truth, x) for x in decided(seen)]
    counts = judged(problem, seen)
    # an instance that is not judged may cost anything on what was left out
    costs += [
        jnp.where(counts, problem.cost(x, left_out), costs[0]) for x in decided(rest)
    ]
    return jnp.stack([jnp.stack(costs).min(), jnp.stack(costs).max()])
