"""Pretraining of a problem's network on fresh portfolios of a simulated world."""

import os
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, Key

from ptft_jax import pretrain, train
from ptft_jax.method import network as network_
from ptft_jax.method.network import Across
from ptft_jax.pretrain import PretrainConfig
from ptft_jax.problems.problem import Example, ProblemWorld


def portfolio_loss(
    params: Any, network: Across, world: ProblemWorld, example: Example
) -> Float[Array, ""]:
    """Mean loss over the present instances of a portfolio, times its weight.

    Args:
      params: of the network.
      network: the Transformer.
      world: the world.
      example: a portfolio and outcomes of its instances.

    Returns:
      The loss, in the problem's unit by the world's weight.
    """
    (seen, outcome), problem = example, world.problem
    output, stats = network_.outputs(network, problem, params, seen)
    coupling = problem.couple(seen, stats, output)
    loss = problem.loss(seen, stats, output, coupling, outcome)
    mean = loss.mean(where=problem.present(seen))
    return mean if world.weight is None else world.weight(seen, stats, outcome) * mean


def kind(world: ProblemWorld, num_observations: int) -> dict[str, Any]:
    """What `pretrain.run` must know of a world beside network and configuration.

    Args:
      world: the world.
      num_observations: of the portfolio that shapes are taken from.

    Returns:
      Keyword arguments.
    """
    problem = world.problem

    def make_loss(network, config, shape, sample_example) -> train.LossFn:
        num_portfolios, n, m = shape

        def one(params: Any, key: Key[Array, ""]):
            return portfolio_loss(params, network, world, sample_example(key, n, m))

        return train.batch_loss(one, num_portfolios)

    def init_params(network, key):
        draw_key, init_key = jax.random.split(key)
        example = world.sample_example(draw_key, 4, num_observations)
        return network_.init(network, problem, example.seen, init_key)

    return {
        "sample_example": world.sample_example,
        "make_loss": make_loss,
        "init_params": init_params,
    }


def run(
    world: ProblemWorld,
    network: Across,
    config: PretrainConfig,
    key: Key[Array, ""],
    path: str | os.PathLike | None = None,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[Any, list[float]]:
    """Pretrains a network on a world; the same key gives the same weights.

    Args:
      world: the world.
      network: the Transformer, of `world.problem.num_outputs` outputs.
      config: static configuration; quantiles and futures are not used.
      key: typed PRNG key.
      path: of a checkpoint to go on from and to keep, or None.
      report: called after each chunk with the steps done and the chunk's mean loss.

    Returns:
      The averaged parameters and the mean loss of each chunk of this call.
    """
    given = kind(world, config.shapes[0][2])
    return pretrain.run(network, config, key, path=path, report=report, **given)
