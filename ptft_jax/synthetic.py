"""Losses of a pretrained policy on fresh portfolios of its synthetic world.

Portfolios are what is independent there: the instances of one share its law, and each
half is the other's context. One is split, scaled and scored as `crossfit` does a real
one, so that losses are in the same unit: shares of twice the largest left-out cost in
the context.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float64, Key

from ptft_jax import crossfit, left_out, risk, shapes, types
from ptft_jax.features import MAX_INSTANCES
from ptft_jax.model import Network
from ptft_jax.risk import Policy
from ptft_jax.streams import cell_key
from ptft_jax.types import Portfolio
from ptft_jax.worlds import demand_truth
from ptft_jax.worlds.world import World

Losses = Callable[[int, int, float], Float64[np.ndarray, "p"]]


def make_losses(
    network: Network,
    params: Any,
    num_portfolios: int,
    world: World = demand_truth.WORLD,
) -> Losses:
    """Returns `losses(n, m, q)`, which remembers what it has computed.

    Args:
      network: the Transformer.
      params: pretrained.
      num_portfolios: N ≥ 1.
      world: P, of which the portfolios are fresh; the broad prior by default.

    Returns:
      A function to the mean loss of an instance in each of N portfolios of min(n, 512)
      instances, n ≥ 2, with m ≥ 2 observations at critical ratio q.
    """
    policy = risk.single(network, params)

    @functools.cache
    def losses(n: int, m: int, q: float) -> Float64[np.ndarray, "p"]:
        count = min(n, int(MAX_INSTANCES))
        found = []
        for k in range(num_portfolios):
            key, row_key = jax.random.split(cell_key(k, "synthetic portfolio", count))
            seen = _sample(world, key, shapes.bucket(count), m)[:count]
            whole = types.portfolio(seen, q)
            found.append(mean_loss(network, policy, whole, row_key))
        return np.array(found)

    return losses


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def _sample(world, key, n, m):
    law_key, row_key, demand_key = jax.random.split(key, 3)
    rows = world.sample_instances(row_key, world.sample_law(law_key), n)
    return world.sample_demand(demand_key, rows, m)


def mean_loss(
    network: Network, policy: Policy, portfolio: Portfolio, key: Key[Array, ""]
) -> float:
    """Mean over instances of a policy's left-out loss, two folds in turn the context.

    min(c_i/b_A, 1) for i of fold B in the context of A, and with the folds exchanged;
    c_i the mean cost of an instance's left-out rows, b_A twice the largest one of A.

    Args:
      network: the Transformer.
      policy: chosen without these instances.
      portfolio: n ≥ 2 instances in no order, each with two observations or more.
      key: typed PRNG key; it chooses what is left out.

    Returns:
      The mean, in [0, 1].
    """
    n = portfolio.valid.shape[0]
    folds = np.split(np.arange(n), [(n + 1) // 2])
    num_rows = min(portfolio.valid.shape[1], left_out.MAX_ROWS)
    total = 0.0
    for own, others in (folds, folds[::-1]):
        # both halves are decided on in the context of the first
        order = shapes.take(portfolio, np.concatenate([own, others]))
        context = shapes.take(portfolio, own)
        position, counts = risk.left_out(key, order.valid, num_rows)
        x = left_out.left_out_decisions(network, policy, order, context, position)
        cost = left_out.instance_costs(order, x, position, counts)[:n]
        scale = crossfit.cost_scale(cost[: len(own)])
        total += np.minimum(cost[len(own) :] / scale, 1.0).sum()
    return float(total / n)
