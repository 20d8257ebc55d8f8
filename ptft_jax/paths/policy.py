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
from jaxtyping import Array, Float

from ptft_jax import checkpoint, pretrain
from ptft_jax.paths import networks, worlds
from ptft_jax.paths.networks import Kind
from ptft_jax.paths.worlds import Instances, PathWorld
from ptft_jax.types import Portfolio

BLOCK = 1 << 14  # instances decided on at a time, to bound the memory


class Decided(NamedTuple):
    """What the head class knows of n instances: x = base + scale ⟨u, h⟩."""

    base: Float[Array, "*s n"]
    scale: Float[Array, "*s n"]
    hidden: Float[Array, "*s n d"]
    label: Float[Array, "*s n"]
    total: Float[Array, "*s n"]


class Frozen(NamedTuple):
    """A pretrained network as a fixed policy.

    Attributes:
      kind: of network.
      params: pretrained.
      context: the portfolio it attends to.
      portfolio_size: instances of a pretraining portfolio.
    """

    kind: Kind
    params: Any
    context: Portfolio
    portfolio_size: int


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
    num_steps: int = 1000
    batch: tuple[int, int] = (16, 64)
    context_size: int = 1024
    seed: int = 0


def make(
    path_world: PathWorld,
    num_observations: int,
    config: PolicyConfig,
    folder: pathlib.Path | None = None,
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
    kind = networks.kind_of(path_world, config.width, config.num_latents)
    context_key, train_key = jax.random.split(jax.random.key(config.seed))
    draw = worlds.drawer(path_world, 0.0, num_observations)
    context = draw(context_key, config.context_size)[1].portfolio
    training = pretrain.PretrainConfig(
        num_steps=config.num_steps,
        shapes=((*config.batch, num_observations),),
        num_quantiles=1,
        num_future=8,
    )
    path = None
    if folder is not None:
        given = (path_world.name, num_observations, config, training, kind.network)
        name = hashlib.sha256(repr(given).encode()).hexdigest()[:12]
        path = folder / f"{path_world.name}-{name}.safetensors"
        if path.exists():
            like = jax.eval_shape(kind.init, jax.random.key(0))
            params, _ = checkpoint.load(path, like)
            return Frozen(kind, params, context, config.batch[1])
    params, _ = pretrain.run(
        kind.network,
        training,
        train_key,
        sample_example=kind.sample_example,
        make_loss=kind.make_loss,
        init_params=lambda network, key: kind.init(key),
        report=report,
    )
    if path is not None:
        checkpoint.save(path, params, {"made_by": repr(given)})
        # another process may have been faster: all go on with what is there
        params, _ = checkpoint.load(path, params)
    return Frozen(kind, params, context, config.batch[1])


def make_decide(frozen: Frozen, cap: int) -> Callable[..., Decided]:
    """Returns `decide(params, instances, context=None) -> Decided`, compiled.

    The base decision is cut to [−K, K]; nothing is rounded, so that decisions stay
    linear in the head.

    Args:
      frozen: its kind, and the portfolio attended to where no other is given.
      cap: K.

    Returns:
      A function of parameters and instances, in blocks of `BLOCK`.
    """
    kind = frozen.kind

    @jax.jit
    def block(params, instances: Instances, context):
        found = kind.decide(params, instances.portfolio, kind.attend(params, context))
        base = jnp.clip(found.base, -float(cap), float(cap))
        total = instances.portfolio.observations.sum(-1)
        return Decided(base, found.scale, found.hidden, instances.label, total)

    def decide(params, instances: Instances, context: Portfolio | None = None):
        context = frozen.context if context is None else context
        n = len(instances.label)
        cuts = [
            jax.tree.map(lambda leaf, at=i: leaf[at : at + BLOCK], instances)
            for i in range(0, n, BLOCK)
        ]
        parts = [block(params, cut, context) for cut in cuts]
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    return decide
