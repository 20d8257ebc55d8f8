"""One pretrained network as a fixed policy of one instance.

It attends to a frozen portfolio of synthetic instances. Given that, real instances are
independent and `theory/README.md` section 5 applies as it stands.
"""

import hashlib
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax import checkpoint, pretrain, risk
from ptft_jax.model import Network
from ptft_jax.paths import worlds
from ptft_jax.paths.worlds import Instances, PathWorld
from ptft_jax.types import Portfolio
from ptft_jax.worlds.example import Example

BLOCK = 1 << 14  # instances decided on at a time, to bound the memory


class Decided(NamedTuple):
    """What the head class knows of n instances: x = base + scale ⟨u, h⟩."""

    base: Float[Array, "*s n"]
    scale: Float[Array, "*s n"]
    hidden: Float[Array, "*s n d"]
    label: Float[Array, "*s n"]
    total: Float[Array, "*s n"]


class Frozen(NamedTuple):
    """A network, its pretrained parameters and the portfolio it attends to."""

    network: Network
    params: Any
    context: Portfolio


@dataclass(frozen=True)
class PolicyConfig:
    """How the policy of a world is made.

    Attributes:
      width: of the network.
      num_latents: portfolio tokens.
      num_steps: of pretraining.
      batch: portfolios and instances of a pretraining step.
      context_size: instances of the frozen portfolio.
      seed: of the weights, of pretraining and of the frozen portfolio.
    """

    width: int = 32
    num_latents: int = 8
    num_steps: int = 1500
    batch: tuple[int, int] = (32, 64)
    context_size: int = 128
    seed: int = 0


def network_of(config: PolicyConfig) -> Network:
    """The Transformer of a configuration.

    Args:
      config: its width and number of latents are used.

    Returns:
      A small `model.Network`.
    """
    return Network(
        width=config.width,
        observation_width=config.width // 2,
        num_latents=config.num_latents,
        num_blocks=1,
        heads=4,
    )


def make_sampler(path_world: PathWorld) -> Callable[..., Example]:
    """Returns `(key, n, m, num_quantiles, num_future) -> Example`, all from P.

    Args:
      path_world: every portfolio is of its synthetic law and quantile.

    Returns:
      A sampler for `pretrain.run`.
    """
    world, law = path_world.law_of(0.0)

    def sample_example(key, n, m, num_quantiles, num_future):
        draw_key, future_key = jax.random.split(key)
        types, drawn = worlds.draw(world, law, path_world, draw_key, n, m)
        future = world.future_demand(future_key, types, num_future)
        quantiles = jnp.full((n, num_quantiles), path_world.quantile)
        cut = jnp.minimum(future, float(path_world.cap))
        return Example(drawn.portfolio, quantiles, cut)

    return sample_example


def make(
    path_world: PathWorld,
    num_observations: int,
    config: PolicyConfig,
    folder: pathlib.Path | None,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Frozen:
    """Pretrains the policy of a world, or reads it where that has been done.

    Args:
      path_world: the world; P alone is seen.
      num_observations: m.
      config: of the network and its training.
      folder: where networks are kept by configuration, or None.
      report: called with the steps done and the loss.

    Returns:
      The policy; the same configuration gives the same one.
    """
    network = network_of(config)
    key = jax.random.key(config.seed)
    context_key, train_key = jax.random.split(key)
    world, law = path_world.law_of(0.0)
    context = worlds.draw(
        world, law, path_world, context_key, config.context_size, num_observations
    )[1].portfolio
    shape = (*config.batch, num_observations)
    training = pretrain.PretrainConfig(
        num_steps=config.num_steps, shapes=(shape,), num_quantiles=1
    )
    path = None
    if folder is not None:
        identity = repr((path_world, num_observations, config, training))
        name = hashlib.sha256(identity.encode()).hexdigest()[:12]
        path = folder / f"{path_world.name}-{name}.safetensors"
        if path.exists():
            return Frozen(network, checkpoint.load_network(path)[1], context)
    params, _ = pretrain.run(
        network,
        training,
        train_key,
        sample_example=make_sampler(path_world),
        report=report,
    )
    if path is not None:
        checkpoint.save_network(path, network, params, seed=config.seed)
    return Frozen(network, params, context)


def make_decide(frozen: Frozen, cap: int) -> Callable[..., Decided]:
    """Returns `decide(params, instances, context=None) -> Decided`, compiled.

    The base decision is cut to [0, K]; nothing is rounded, so that decisions stay
    linear in the head.

    Args:
      frozen: its network, and the portfolio attended to where no other is given.
      cap: K.

    Returns:
      A function of parameters and instances, in blocks of `BLOCK`.
    """
    network = frozen.network

    @jax.jit
    def block(params, instances: Instances, context):
        attended = network.apply(params, context, method=risk.summarize)
        found = network.apply(params, instances.portfolio, context=attended)
        base = jnp.clip(found.base, 0.0, float(cap))
        total = instances.portfolio.observations.sum(-1)
        return Decided(base, found.scale, found.hidden, instances.label, total)

    def decide(params, instances: Instances, context: Portfolio | None = None):
        context = frozen.context if context is None else context
        n = len(instances.label)
        parts = [
            block(params, jax.tree.map(lambda a: a[i : i + BLOCK], instances), context)
            for i in range(0, n, BLOCK)
        ]
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    return decide
