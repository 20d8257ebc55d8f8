"""Does a problem of one's own keep to the protocols? A check to be called in its tests.

A check that fails says what was measured; statistical ones allow five standard errors
with a fixed key.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from ptft_jax import conformance_costs as costs
from ptft_jax.conformance_costs import Finding
from ptft_jax.method import network as network_
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import ProblemWorld, num_instances, pad, take


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
    drawn = costs.draw(world, draw_key, *sizes)
    return [
        _shapes(world, drawn, keys[0]),
        *_network(world, drawn, keys[1]),
        costs.ranks_as_cost(world, jax.random.fold_in(key, 1), *sizes),
        costs.unbiased_labels(world, keys[2], *sizes),
        *costs.none_below_the_best(world, keys[3], *sizes),
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
