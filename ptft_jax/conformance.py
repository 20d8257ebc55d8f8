"""Does a problem of one's own keep to the protocols? A check to be called in its tests.

What it finds is wrong; it does not find all that is wrong. A check that fails says what
was measured; statistical ones allow five standard errors with a fixed key.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ptft_jax import conformance_costs as costs
from ptft_jax import conformance_keys, conformance_labels, conformance_shapes
from ptft_jax.conformance_costs import Finding
from ptft_jax.method import network as network_
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import ProblemWorld, num_instances, pad, take

NETWORK = "a network"
MOST_MOVED = 1e-3  # of their size: costs of a decision that should be the same
NUM_TRIES = 8  # portfolios, in one of which nothing may move
MOST_ROUNDED = 0.03  # the same of a rule that estimates in many steps, in another order


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
      The function that does not return what the others take, named, and nothing else;
      or a finding for each property: keys, shapes and gradient, padding, permutation,
      jit, loss, unbiased labels, costs where their range is known, base, full
      information and, where it is known, bayes.
    """
    sizes = num_instances, num_observations
    mistake = conformance_shapes.mistake(world, key, *sizes)
    if mistake is not None:
        return [mistake]
    draw_key, *keys = jax.random.split(key, 7)
    drawn = costs.draw(world, draw_key, *sizes)
    return [
        conformance_keys.keys(world, keys[4], *sizes),
        _shapes(world, drawn, keys[0], *sizes),
        *_policies(world, drawn, keys[1], *sizes),
        costs.ranks_as_cost(world, jax.random.fold_in(key, 1), *sizes),
        conformance_labels.unbiased_labels(world, keys[2], *sizes),
        *conformance_labels.within_range(world, keys[5], *sizes),
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


def _shapes(world, drawn, key, n, m) -> Finding:
    """Finite numbers, and a loss that moves with each output, in some portfolio."""
    output_key, portfolio_key = jax.random.split(key)
    is_finite, moves = _numbers(world, output_key, drawn)
    bad = [k for k, tree in is_finite.items() if not _all(tree)]
    if bad:
        return Finding("shapes", False, f"not finite: {', '.join(bad)}")
    more = costs.portfolios(world, portfolio_key, n, m, costs.NUM_LAWS)
    # where a law has no covariate, say, an output may have nothing to move
    while not moves.all() and (each := next(more, None)) is not None:
        moves = moves | _numbers(world, *each)[1]
    idle = ", ".join(str(i) for i, some in enumerate(moves) if not some)
    detail = f"the loss has no gradient in output {idle}"
    return Finding("shapes", not idle, detail if idle else f"{n} instances, all finite")


@functools.partial(jax.jit, static_argnums=0)
def _numbers(world, key, drawn):
    """Which numbers are finite, by name, and which outputs move the loss."""
    problem, (_, truth, seen, outcome) = world.problem, drawn
    stats = problem.summarize(seen)
    inputs = problem.inputs(seen, stats)
    output = 0.1 * jax.random.normal(key, (num_instances(seen), problem.num_outputs))
    given = seen, stats, output

    def mean_loss(output):
        coupling = problem.couple(seen, stats, output)
        each = problem.loss(seen, stats, output, coupling, outcome)
        return each.mean(), each

    x = problem.decide(*given, problem.couple(*given))
    slope, each = jax.grad(mean_loss, has_aux=True)(output)
    rows = {
        "statistics": stats,
        "features": tuple(inputs[:2]),
        "decision": x,
        "loss": each,
        "cost": problem.cost(x, outcome),
        "expected_cost": world.expected_cost(truth, x),
        "gradient": slope,
    }
    return jax.tree.map(jnp.isfinite, rows), (slope != 0.0).any(0)


def _all(tree: Any) -> bool:
    return all(bool(leaf.all()) for leaf in jax.tree.leaves(tree))


def _policies(world, drawn, key, n, m) -> list[Finding]:
    """Padding, permutations and compilation leave decisions alone.

    Of a network, of the plug-in rule and of the baselines.
    """
    problem = world.problem
    network = Across(problem.num_outputs, width=16, num_latents=4, heads=2)
    init_key, *keys = jax.random.split(key, 3)
    params = _loud(network_.init(network, problem, drawn.seen, init_key))
    plain = lambda seen: network_.decide(network, problem, params, seen)
    compiled = jax.jit(plain)
    decide = lambda seen: {NETWORK: compiled(seen)} | costs.rules(problem, seen)

    def judge(key, drawn):
        seen, order = drawn.seen, jax.random.permutation(key, n)
        found, longer = decide(seen), decide(pad(seen, 2 * n))
        mixed = decide(take(seen, order))
        back = lambda leaf: leaf[jnp.argsort(order)]
        others = {
            "padding": jax.tree.map(lambda leaf: leaf[:n], longer),
            "permutation": jax.tree.map(back, mixed),
            "jit": {NETWORK: plain(seen)},
        }
        return [_moved(world, drawn.truth, *other, found) for other in others.items()]

    found = judge(keys[0], drawn)
    # in some portfolios rounding alone decides what an estimate ends at, not in all
    for each in costs.portfolios(world, keys[1], n, m, NUM_TRIES - 1):
        if all(finding.is_met for finding in found):
            break
        again = zip(found, judge(*each), strict=True)
        found = [old if old.is_met else new for old, new in again]
    return found


def _moved(world, truth, name, others, found) -> Finding:
    """Of the rule that moves most."""
    rounded = name == "permutation"
    most = lambda rule: MOST_ROUNDED if rounded and rule != NETWORK else MOST_MOVED
    apart = lambda rule: _apart(world, truth, found[rule], others[rule])
    moved = {rule: np.nan_to_num(apart(rule), nan=np.inf) for rule in others}
    worst = max(others, key=lambda rule: moved[rule] / most(rule))
    detail = f"costs of {worst} move by {moved[worst]:.2g} of their size"
    return Finding(name, bool(moved[worst] < most(worst)), detail)


def _apart(world, truth, one, other) -> float:
    """Of costs rather than decisions, which may jump where two are equally good."""
    costs = world.expected_cost(truth, one)
    base = 0.0 if world.base is None else world.base(truth).mean()
    unit = jnp.maximum(jnp.abs(costs).mean(), base) + 1e-30
    return float(jnp.abs(world.expected_cost(truth, other) - costs).mean() / unit)


def _loud(params: Any) -> Any:
    """Parameters whose outputs are near 1: those at the start hardly move a rule."""
    louder = lambda path, leaf: (
        100.0 * leaf if "'head'" in jax.tree_util.keystr(path) else leaf
    )
    return jax.tree_util.tree_map_with_path(louder, params)
