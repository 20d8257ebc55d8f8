"""The networks of the two paths, by decision problem: how each attends and decides."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from ptft_jax import pretrain, risk, train
from ptft_jax.means import pretrain as means_pretrain
from ptft_jax.means.model import MeansNetwork
from ptft_jax.model import Network
from ptft_jax.paths import worlds
from ptft_jax.paths.worlds import PathWorld
from ptft_jax.worlds import means_posterior
from ptft_jax.worlds.example import Example


class Kind(NamedTuple):
    """A network and what is asked of it, with the world's constants filled in.

    Attributes:
      network: the Transformer.
      init: `(key) -> params`, compiled as a whole.
      attend: `(params, portfolio) -> context`, what instances attend to.
      decide: `(params, portfolio, context) -> Decision`.
      sample_example: a portfolio of P for `make_loss`.
      make_loss: as `pretrain.run` takes it.
    """

    network: nn.Module
    init: Callable[..., Any]
    attend: Callable[..., Any]
    decide: Callable[..., Any]
    sample_example: Callable[..., Any]
    make_loss: Callable[..., Any]


@functools.cache
def kind_of(path_world: PathWorld, width: int, num_latents: int) -> Kind:
    """The network of a world.

    Args:
      path_world: its problem decides.
      width: d.
      num_latents: portfolio tokens.

    Returns:
      The kind, the same object for the same arguments.
    """
    make = _means if path_world.problem == "means" else _newsvendor
    return make(path_world, width, num_latents)


def _newsvendor(path_world: PathWorld, width: int, num_latents: int) -> Kind:
    network = Network(
        width=width,
        observation_width=width // 2,
        num_latents=num_latents,
        num_blocks=1,
        heads=4,
    )
    world, law = path_world.law_of(0.0)

    def sample_example(key, n, m, num_quantiles, num_future):
        draw_key, future_key = jax.random.split(key)
        types, drawn = worlds.draw(world, law, path_world, draw_key, n, m)
        future = world.future_demand(future_key, types, num_future)
        quantiles = jnp.full((n, num_quantiles), path_world.quantile)
        cut = jnp.minimum(future, float(path_world.cap))
        return Example(drawn.portfolio, quantiles, cut)

    return Kind(
        network,
        jax.jit(lambda key: pretrain.init_params(network, key)),
        lambda params, portfolio: network.apply(
            params, portfolio, method=risk.summarize
        ),
        lambda params, portfolio, context: network.apply(
            params, portfolio, context=context
        ),
        sample_example,
        pretrain.make_loss,
    )


def _means(path_world: PathWorld, width: int, num_latents: int) -> Kind:
    network = MeansNetwork(width=width, num_latents=num_latents)
    world, law = path_world.law_of(0.0)
    noise = float(law.noise)

    def sample_example(key, n, m):
        return worlds.draw(world, law, path_world, key, n, m)[1].portfolio

    def make_loss(network, config, shape, sample_example):
        num_portfolios, n, m = shape

        def one(params, key):
            portfolio = sample_example(key, n, m)
            best = means_posterior.bayes_decision(law, portfolio)
            x = network.apply(params, portfolio, noise).base
            return ((x - best) ** 2).mean()

        return train.batch_loss(one, num_portfolios)

    return Kind(
        network,
        jax.jit(lambda key: means_pretrain.init_params(network, key)),
        lambda params, portfolio: network.apply(
            params, portfolio, noise, method=MeansNetwork.tokens
        )[1],
        lambda params, portfolio, context: network.apply(
            params, portfolio, noise, context=context
        ),
        sample_example,
        make_loss,
    )
