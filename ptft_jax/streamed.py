"""Decisions for portfolios of any size, a block of instances at a time.

Instances meet only in statistics and in attention to a few latents, and both pool from
block to block without loss: three passes for the statistics, one for each block of
attention, one for the decisions. Memory is that of one block, beside the portfolio.
"""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from ptft_jax import accumulators, risk, shapes, statistics
from ptft_jax.model import Context, Network
from ptft_jax.risk import Policy
from ptft_jax.types import Portfolio

BLOCK = 4096  # instances at a time: their arrays stay in the processor's cache


def _parts(portfolio: Portfolio, block: int) -> Portfolio:
    """The portfolio as [parts, block, …], the last part padded."""
    count = -(-portfolio.valid.shape[0] // block)
    longer = shapes.extend(portfolio, count * block)
    return jax.tree.map(lambda x: x.reshape(count, block, *x.shape[1:]), longer)


def _gatherer(portfolio: Portfolio, block: int, axis: str | None) -> Callable:
    """Pools what a function keeps of each block, and of each device along `axis`."""
    one = portfolio.valid.shape[0] <= block
    parts = None if one else _parts(portfolio, block)

    def gather(function):
        found = function(portfolio) if one else _pooled(jax.lax.map(function, parts))
        return found if axis is None else _pooled(jax.lax.all_gather(found, axis))

    return gather


_pooled = accumulators.pooled


def summarize(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    block: int = BLOCK,
    axis: str | None = None,
) -> Context:
    """What instances attend to, as of `risk.summarize`.

    Args:
      network: the Transformer.
      params: of one network.
      portfolio: n context instances.
      block: instances at a time.
      axis: of the mesh that shares the instances out, inside `jax.shard_map`.

    Returns:
      The context of the whole portfolio, the same on every device.
    """
    gather = _gatherer(portfolio, block, axis)
    stats, kept = statistics.gathered(gather), []
    for _ in range(network.num_blocks):
        explore = lambda part: network.apply(
            params, part, stats, tuple(kept), method="explore"
        )
        found = gather(explore)
        kept.append(network.apply(params, tuple(kept), stats, found, method="latents"))
    return Context(stats, tuple(kept))


def decide_one(
    network: Network,
    params: Any,
    head: Float[Array, "d"],
    portfolio: Portfolio,
    block: int = BLOCK,
    axis: str | None = None,
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Decisions of one network, not settled yet.

    Args:
      network: the Transformer.
      params: of one network.
      head: u.
      portfolio: n instances.
      block: instances at a time.
      axis: as for `summarize`.

    Returns:
      Decisions and the unit of counts, 0 where demand is continuous.
    """
    context = summarize(network, params, portfolio, block, axis)

    def of_part(part):
        decision = network.apply(params, part, context=context)
        return risk.apply_head(decision, head), decision.unit

    n = portfolio.valid.shape[0]
    if n <= block:
        return of_part(portfolio)
    found = jax.lax.map(of_part, _parts(portfolio, block))
    return jax.tree.map(lambda x: x.reshape(-1)[:n], found)


def decide(
    network: Network,
    policy: Policy,
    portfolio: Portfolio,
    block: int = BLOCK,
    axis: str | None = None,
) -> Float[Array, "n"]:
    """Decisions of a policy, those of `risk.decide` to rounding; linear in n.

    Args:
      network: the Transformer.
      policy: its parameters and heads.
      portfolio: n instances.
      block: instances at a time.
      axis: as for `summarize`.

    Returns:
      Decisions ≥ 0, in units of the observations.
    """
    one = lambda each: decide_one(network, *each, portfolio, block, axis)
    x, unit = jax.lax.map(one, (policy.params, policy.head))
    return risk.settle(x.mean(0), unit[0])
