"""Pretraining a small network on the broad prior of demand: rates, widths, seeds."""

import pathlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from ptft_jax import pretrain, train
from ptft_jax.model import Network
from ptft_jax.pretrain import PretrainConfig
from ptft_jax.streams import cell_key
from ptft_jax.task import Run, Swept, Task, Traced
from theory import checks

PRECISIONS = ("default", "bfloat16", "float32")


@dataclass(frozen=True)
class PretrainingConfig:
    """Static configuration.

    Attributes:
      width: of the network.
      num_latents: portfolio tokens.
      num_blocks: rounds of attention across instances.
      num_steps: of the optimizer.
      portfolios: of a step.
      n: instances of a portfolio.
      m: observations of an instance, at most.
      fresh: batches that the result is judged on, the same for all cells.
      precision: of matrix products in training; judged at the highest.
    """

    width: int = 32
    num_latents: int = 8
    num_blocks: int = 1
    num_steps: int = 1000
    portfolios: int = 16
    n: int = 32
    m: int = 10
    fresh: int = 16
    precision: str = "default"


def make(config: PretrainingConfig, folder: pathlib.Path) -> Run:
    """Returns `run(key, swept)`: loss on fresh portfolios before and after training.

    Args:
      config: static configuration.
      folder: not used.

    Returns:
      A pure function; learning rate, weight decay and averaging are traced.
    """
    del folder
    network = Network(
        width=config.width,
        observation_width=config.width // 2,
        num_latents=config.num_latents,
        num_blocks=config.num_blocks,
    )
    shape = (config.portfolios, config.n, config.m)
    loss = pretrain.make_loss(network, PretrainConfig(), shape)

    def judge(params):
        keys = jax.random.split(cell_key(0, "sweep fresh", 0), config.fresh)
        with jax.default_matmul_precision("highest"):
            return jax.lax.map(lambda key: loss(params, key), keys).mean()

    def run(key: Key[Array, ""], swept: Traced):
        init_key, steps_key = jax.random.split(key)
        params = pretrain.init_params(network, init_key)
        warm = max(config.num_steps // 20, 1)
        schedule = optax.warmup_cosine_decay_schedule(0.0, 1.0, warm, config.num_steps)
        optimizer = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.scale_by_adam(b2=0.99),
            optax.add_decayed_weights(swept["weight_decay"]),
            optax.scale_by_schedule(schedule),
            optax.scale(-swept["learning_rate"]),
        )
        steps = train.make_steps(loss, optimizer, swept["average_decay"])
        keys = jax.random.split(steps_key, config.num_steps)
        with jax.default_matmul_precision(config.precision):
            state, trace = steps(train.init(params, optimizer), keys)
        tail = max(config.num_steps // 10, 1)
        return {
            "start": judge(params),
            "loss": judge(state.average),
            "training": trace[-tail:].mean(),
            "not_finite": (~jnp.isfinite(trace)).sum(),
        }

    return run


def check(config: PretrainingConfig, swept: Swept) -> None:
    """Refuses what cannot be computed.

    Args:
      config: static configuration.
      swept: values of a cell.

    Raises:
      ValueError: naming the value.
    """
    if config.precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {PRECISIONS}, got {config.precision!r}"
        )
    if config.width % 8:
        raise ValueError(f"width must be a multiple of 8, got {config.width}")
    checks.count("num_steps", config.num_steps, 2)
    checks.positive("learning_rate", swept["learning_rate"])
    checks.number("weight_decay", swept["weight_decay"], 0.0)
    checks.number("average_decay", swept["average_decay"], 0.0, 1.0)


TASK = Task(
    name="pretraining",
    about="pretraining on the broad prior: loss by learning rate, width and seed",
    static=PretrainingConfig,
    swept={"learning_rate": 2e-3, "weight_decay": 1e-4, "average_decay": 0.99},
    make=make,
    shown=("loss", "training"),
    check=check,
)
