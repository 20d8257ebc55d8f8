"""Pretraining on fresh synthetic portfolios, every step."""

import functools
import math
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from flax import linen as nn
from jaxtyping import Array, Key

from ptft_jax import checkpoint, losses, train
from ptft_jax.model import Network
from ptft_jax.types import portfolio
from ptft_jax.worlds import demand_truth

MAX_CONSECUTIVE_SKIPS = 5
SampleExample = Callable[..., Any]
BROAD_PRIOR: SampleExample = demand_truth.WORLD.sample_example


@dataclass(frozen=True)
class PretrainConfig:
    """Static configuration: every field costs a compile.

    Attributes:
      num_steps: optimizer steps.
      shapes: (portfolios, instances, observations) of the batches, in turn by chunks.
      chunk: steps of one shape in one scan.
      num_quantiles: critical ratios asked of every instance.
      num_future: future demands that stand for a law in the loss.
      learning_rate: peak of a warm-up and cosine schedule.
      matrix_rate: the same for the matrices, by Muon; where None by AdamW as well.
      weight_decay: of AdamW.
      average_decay: of the moving average of the parameters.
    """

    num_steps: int = 20_000
    shapes: tuple[tuple[int, int, int], ...] = (
        (64, 32, 10),
        (32, 64, 20),
        (16, 128, 32),
        (8, 256, 20),
    )
    chunk: int = 20
    num_quantiles: int = 3
    num_future: int = 16
    learning_rate: float = 2e-3
    matrix_rate: float | None = None
    weight_decay: float = 1e-4
    average_decay: float = 0.998

    @property
    def most_instances(self) -> int:
        """Instances of the largest portfolio that is trained on."""
        return max(instances for _, instances, _ in self.shapes)


def update_rule(
    others: optax.Schedule, matrices: optax.Schedule | None, weight_decay: Any
) -> optax.GradientTransformation:
    """AdamW, or Muon for the matrices and AdamW for the rest; gradients clipped.

    Args:
      others: learning rate by step, of all that is no matrix.
      matrices: the same for the matrices, by Muon; where None by AdamW as well.
      weight_decay: of both.

    Returns:
      An optax optimizer; rates and decay may be traced. Muon: Jordan et al. 2024.
    """
    if matrices is None:
        step = optax.adamw(others, b2=0.99, weight_decay=weight_decay)
    else:
        step = optax.contrib.muon(
            matrices,
            weight_decay=weight_decay,
            adam_b2=0.99,
            adam_weight_decay=weight_decay,
            adam_learning_rate=others,
        )
    return optax.chain(optax.clip_by_global_norm(1.0), step)


def make_optimizer(config: PretrainConfig) -> optax.GradientTransformation:
    """AdamW or Muon, warm-up and cosine decay, clipped; skips steps not finite.

    Args:
      config: its steps, learning rates and weight decay are used.

    Returns:
      An optax optimizer: `update_rule`.
    """

    def schedule(peak):
        warm_up = min(500, config.num_steps // 10)
        return optax.warmup_cosine_decay_schedule(0.0, peak, warm_up, config.num_steps)

    matrices = None if config.matrix_rate is None else schedule(config.matrix_rate)
    step = update_rule(schedule(config.learning_rate), matrices, config.weight_decay)
    return optax.apply_if_finite(step, MAX_CONSECUTIVE_SKIPS)


def make_loss(
    network: Network,
    config: PretrainConfig,
    shape: tuple[int, int, int],
    sample_example: SampleExample = BROAD_PRIOR,
) -> train.LossFn:
    """Returns `loss(params, key)`: the mean over a batch of fresh portfolios.

    Args:
      network: the Transformer.
      config: its numbers of quantiles and future demands are used.
      shape: (portfolios, instances, observations) of the batch.
      sample_example: `(key, n, m, num_quantiles, num_future) -> Example`; the world.

    Returns:
      A pure function; the key decides everything in the batch.
    """
    num_portfolios, n, m = shape

    def one(params: Any, key: Key[Array, ""]):
        example = sample_example(key, n, m, config.num_quantiles, config.num_future)
        return losses.pretraining_loss(params, network, example)

    return train.batch_loss(one, num_portfolios)


def init_params(network: Network, key: Key[Array, ""]) -> Any:
    """Parameters before any training.

    Args:
      network: the Transformer.
      key: typed PRNG key.

    Returns:
      A parameter tree.
    """
    return network.init(key, portfolio(jnp.ones((2, 2)), 0.5))


MakeLoss = Callable[..., train.LossFn]
InitParams = Callable[..., Any]


@functools.cache
def _program(network, config, shape, sample_example, make_loss):
    steps = train.make_steps(
        make_loss(network, config, shape, sample_example),
        make_optimizer(config),
        config.average_decay,
    )
    return jax.jit(steps, donate_argnums=0)


def _fingerprint(network, config, key, sample_example) -> str:
    """What decides the weights, as a checkpoint records it."""
    world = getattr(sample_example, "__self__", None)
    of_world = sample_example.__module__, getattr(world, "name", "")
    return repr((network, config, jax.random.key_data(key).tolist(), of_world))


def run(
    network: nn.Module,
    config: PretrainConfig,
    key: Key[Array, ""],
    *,
    sample_example: SampleExample = BROAD_PRIOR,
    make_loss: MakeLoss = make_loss,
    init_params: InitParams = init_params,
    path: str | os.PathLike | None = None,
    save_every: int = 1000,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[Any, list[float]]:
    """Pretrains a network; the same key gives the same weights, interrupted or not.

    Args:
      network: the Transformer.
      config: static configuration.
      key: typed PRNG key.
      sample_example: the world.
      make_loss: `(network, config, shape, sample_example) -> loss(params, key)`; that
        of the newsvendor network by default.
      init_params: `(network, key)`, parameters before any training.
      path: of a checkpoint to go on from and to keep, or None.
      save_every: steps between checkpoints.
      report: called after each chunk with the steps done and the chunk's mean loss.

    Returns:
      The averaged parameters and the mean loss of each chunk of this call.

    Raises:
      FloatingPointError: if no loss of a chunk is finite; the checkpoint is kept.
      ValueError: if the checkpoint at `path` is of another network, configuration,
        world or key.
    """
    init_key, step_key = jax.random.split(key)
    optimizer = make_optimizer(config)
    state = train.init(init_params(network, init_key), optimizer)
    fingerprint = _fingerprint(network, config, key, sample_example)
    if path is not None and pathlib.Path(path).exists():
        state, made_by = checkpoint.load(path, state)
        if made_by["config"] != fingerprint:
            raise ValueError(
                f"{path} is a checkpoint of another configuration or seed; remove it"
            )

    trace = []
    for start in range(int(state.step), config.num_steps, config.chunk):
        shape = config.shapes[start // config.chunk % len(config.shapes)]
        steps = jnp.arange(start, min(start + config.chunk, config.num_steps))
        keys = jax.vmap(lambda i: jax.random.fold_in(step_key, i))(steps)
        program = _program(network, config, shape, sample_example, make_loss)
        state, values = program(state, keys)
        trace.append(float(jnp.nanmean(values)))
        if not math.isfinite(trace[-1]):
            raise FloatingPointError(f"the loss is {trace[-1]} at step {start}")
        done = start + len(steps)
        if path is not None and (done % save_every == 0 or done == config.num_steps):
            checkpoint.save(path, state, {"config": fingerprint})
        report(done, trace[-1])
    return state.average, trace
