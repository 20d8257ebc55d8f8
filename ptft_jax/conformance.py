"""Does a problem of one's own keep to the protocols? A check to be called in its tests.

A check that fails says what was measured; statistical ones allow five standard errors
with a fixed key.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ptft_jax.method import network as network_
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import ProblemWorld, num_instances, pad, take

MOST_ERRORS = 5.0
NUM_LAWS = 32
NUM_PORTFOLIOS = (
    256  # on which labels are judged: a leak is a small share of their noise
)
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


def check(
    world: ProblemWorld,
    key: Key[Array, ""],
    num_instances: int = 512,
    num_observations: int = 8,
) -> list[Finding]:
    """Checks a world and its problem against the protocols.

    Args:
      world: the world.
      key: typed PRNG key.
      num_instances: n ≥ 16 of each portfolio.
      num_observations: m of `observe`.

    Returns:
      A finding for each property: shapes and gradient, padding, permutation, jit, loss,
      unbiased labels, full information and, where it is known, bayes.
    """
    sizes = num_instances, num_observations
    draw_key, *keys = jax.random.split(key, 5)
    drawn = _draw(world, draw_key, *sizes)
    return [
        _shapes(world, drawn, keys[0]),
        *_network(world, drawn, keys[1]),
        _loss(world, jax.random.fold_in(key, 1), *sizes),
        _labels(world, keys[2], *sizes),
        *_least(world, keys[3], *sizes),
    ]


def require(world: ProblemWorld, key: Key[Array, ""], **sizes: int) -> None:
    """Raises where `check` finds that a property does not hold.

    Args:
      world: the world.
      key: typed PRNG key.
      **sizes: of `check`.

    Raises:
      AssertionError: naming every property that fails.
    """
    failed = [found for found in check(world, key, **sizes) if not found.is_met]
    if failed:
        lines = [f"{found.name}: {found.detail}" for found in failed]
        raise AssertionError(f"{world.name} does not conform\n" + "\n".join(lines))


class _Drawn(NamedTuple):
    law: Any
    truth: Any
    seen: Any
    outcome: Any


def _draw(world, key, n, m) -> _Drawn:
    law_key, truth_key, seen_key, outcome_key = jax.random.split(key, 4)
    law = world.sample_law(law_key)
    truth = world.sample_instances(truth_key, law, n)
    seen = world.observe(seen_key, truth, m)
    return _Drawn(law, truth, seen, world.outcome(outcome_key, truth))


def _plug_in(problem, seen, shift: float | Float[Array, "n k"] = 0.0):
    stats = problem.summarize(seen)
    output = jnp.zeros((num_instances(seen), problem.num_outputs)) + shift
    return problem.decide(seen, stats, output, problem.couple(seen, stats, output))


def _finite(tree: Any) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


def _shapes(world, drawn, key) -> Finding:
    """Leading axes of n, finite numbers, a loss that moves with the output."""
    problem, seen, n = world.problem, drawn.seen, num_instances(drawn.seen)
    stats = problem.summarize(seen)
    inputs = problem.inputs(seen, stats)
    output = 0.1 * jax.random.normal(key, (n, problem.num_outputs))

    def loss(output):
        coupling = problem.couple(seen, stats, output)
        return problem.loss(seen, stats, output, coupling, drawn.outcome)

    x = problem.decide(seen, stats, output, problem.couple(seen, stats, output))
    cost, each = problem.cost(x, drawn.outcome), loss(output)
    slope = jax.grad(lambda output: loss(output).mean())(output)
    rows = {
        "present": problem.present(seen),
        "inputs": inputs.instance,
        "decision": jax.tree.leaves(x)[0],
        "loss": each,
        "cost": cost,
        "expected_cost": world.expected_cost(drawn.truth, x),
    }
    wrong = [name for name, leaf in rows.items() if leaf.shape[0] != n]
    if wrong:
        return Finding("shapes", False, f"no leading axis of {n}: {', '.join(wrong)}")
    rows |= {"statistics": stats, "features": tuple(inputs[:2]), "gradient": slope}
    bad = [name for name, tree in rows.items() if not _finite(tree)]
    if bad:
        return Finding("shapes", False, f"not finite: {', '.join(bad)}")
    moves = bool((slope != 0.0).any())
    detail = "" if moves else "the loss has no gradient"
    return Finding("shapes", moves, detail or f"{n} instances, all finite")


def _network(world, drawn, key) -> list[Finding]:
    """Padding, permutations and compilation leave a network's decisions alone."""
    problem, seen, n = world.problem, drawn.seen, num_instances(drawn.seen)
    network = Across(problem.num_outputs, width=16, num_latents=4, heads=2)
    init_key, order_key = jax.random.split(key)
    params = _loud(network_.init(network, problem, seen, init_key))
    cost = lambda x: world.expected_cost(drawn.truth, x)
    decide = lambda seen: network_.decide(network, problem, params, seen)
    x = decide(seen)
    # costs rather than decisions, which may jump where two are equally good
    unit = jnp.abs(cost(x)).mean() + 1e-30
    far = lambda other: float(jnp.abs(cost(other) - cost(x)).mean() / unit)
    longer = decide(pad(seen, 2 * n))
    order = jax.random.permutation(order_key, n)
    mixed = jax.tree.map(
        lambda leaf: leaf[jnp.argsort(order)], decide(take(seen, order))
    )
    moved = {
        "padding": far(jax.tree.map(lambda leaf: leaf[:n], longer)),
        "permutation": far(mixed),
        "jit": far(jax.jit(decide)(seen)),
    }
    return [
        Finding(name, by < 1e-3, f"costs move by {by:.2g} of their mean")
        for name, by in moved.items()
    ]


def _loud(params: Any) -> Any:
    """Parameters whose outputs are near 1: those at the start hardly move a rule."""
    louder = lambda path, leaf: (
        100.0 * leaf if "'head'" in jax.tree_util.keystr(path) else leaf
    )
    return jax.tree_util.tree_map_with_path(louder, params)


def _errors(values: Any) -> tuple[float, float]:
    """Mean and its standard error."""
    values = np.asarray(values, np.float64)
    spread = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(spread)


def _loss(world, key, n, m) -> Finding:
    """Outputs that lose more cost more: their correlation within a portfolio."""
    problem = world.problem

    @jax.jit
    def one(key):
        draw_key, size_key, output_key, common_key = jax.random.split(key, 4)
        _, truth, seen, outcome = _draw(world, draw_key, n, m)
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

    mean, error = _errors([one(key) for key in jax.random.split(key, NUM_LAWS)])
    detail = f"correlation of loss and cost {mean:.2f} ± {error:.2g}"
    return Finding("loss", mean > 0.0, detail)


def _labels(world, key, n, m) -> Finding:
    """What two decisions differ by on left-out outcomes is what they differ by.

    In units that the truth decides, or one large portfolio would speak for all.
    """
    problem = world.problem

    @jax.jit
    def one(key):
        draw_key, row_key, shift_key = jax.random.split(key, 3)
        _, truth, seen, _ = _draw(world, draw_key, n, m)
        shift = jax.random.normal(shift_key, (n, problem.num_outputs))
        rest, outcome = problem.leave_out(row_key, seen)
        first, second = _plug_in(problem, rest), _plug_in(problem, rest, shift)
        asked = truth if world.asked is None else world.asked(truth, rest)
        exact = lambda x: world.expected_cost(asked, x)
        measured = problem.cost(first, outcome) - problem.cost(second, outcome)
        gap = jnp.where(
            problem.present(seen), measured - exact(first) + exact(second), 0.0
        )
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


def _least(world, key, n, m) -> list[Finding]:
    """Nothing costs less than full information; no rule less than Bayes."""
    problem = world.problem
    rules: dict[str, Callable] = {"plug-in": lambda seen: _plug_in(problem, seen)}
    rules |= problem.baselines

    @jax.jit
    def one(key):
        law, truth, seen, _ = _draw(world, key, n, m)
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
