"""Pretraining on the broad prior of demand: architecture, optimizer, labels, seeds."""

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
OPTIMIZERS = ("adamw", "muon")
JUDGED = (16, 64, 20)  # portfolios, instances, observations of a batch to judge by


@dataclass(frozen=True)
class PretrainingConfig:
    """Static configuration.

    Attributes:
      width: of the network.
      observation_width: of its set encoder; half the width where 0.
      num_latents: portfolio tokens.
      num_blocks: rounds of attention across instances; none where 0.
      heads: of attention.
      optimizer: of the matrices, adamw or muon; the rest is adamw's.
      num_steps: of the optimizer.
      portfolios: of a step.
      n: instances of a portfolio.
      m: observations of an instance, at most.
      num_quantiles: critical ratios asked of every instance in training.
      num_future: future demands that stand for a law in training.
      fresh: batches that the result is judged on, the same for all cells: shape, ratios
        and future demands are the default ones, whatever is trained on.
      precision: of matrix products in training; judged at the highest.
    """

    width: int = 32
    observation_width: int = 0
    num_latents: int = 8
    num_blocks: int = 1
    heads: int = 4
    optimizer: str = "adamw"
    num_steps: int = 1000
    portfolios: int = 16
    n: int = 32
    m: int = 10
    num_quantiles: int = 3
    num_future: int = 16
    fresh: int = 16
    precision: str = "default"


def _optimizer(config: PretrainingConfig, swept: Traced):
    """The rule of pretraining, by warm-up and cosine decay with traced peaks."""
    warm = max(config.num_steps // 20, 1)
    unit = optax.warmup_cosine_decay_schedule(0.0, 1.0, warm, config.num_steps)
    peak = lambda name: lambda step: swept[name] * unit(step)
    matrices = peak("matrix_rate") if config.optimizer == "muon" else None
    return pretrain.update_rule(peak("learning_rate"), matrices, swept["weight_decay"])


def make(config: PretrainingConfig, folder: pathlib.Path) -> Run:
    """Returns `run(key, swept)`: loss on fresh portfolios before and after training.

    Args:
      config: static configuration.
      folder: not used.

    Returns:
      A pure function; rates, weight decay and averaging are traced.
    """
    del folder
    network = Network(
        width=config.width,
        observation_width=config.observation_width or config.width // 2,
        num_latents=config.num_latents,
        num_blocks=config.num_blocks,
        heads=config.heads,
    )
    shape = (config.portfolios, config.n, config.m)
    labels = PretrainConfig(
        num_quantiles=config.num_quantiles, num_future=config.num_future
    )
    loss = pretrain.make_loss(network, labels, shape)
    usual = pretrain.make_loss(network, PretrainConfig(), JUDGED)

    def judge(params):
        keys = jax.random.split(cell_key(0, "sweep fresh", 0), config.fresh)
        with jax.default_matmul_precision("highest"):
            return jax.lax.map(lambda key: usual(params, key), keys).mean()

    def run(key: Key[Array, ""], swept: Traced):
        init_key, steps_key = jax.random.split(key)
        params = pretrain.init_params(network, init_key)
        optimizer = _optimizer(config, swept)
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
    if config.optimizer not in OPTIMIZERS:
        raise ValueError(
            f"optimizer must be one of {OPTIMIZERS}, got {config.optimizer!r}"
        )
    checks.count("heads", config.heads, 1)
    if config.width % (2 * config.heads):
        raise ValueError(
            f"width must be a multiple of 2·heads = {2 * config.heads}, "
            f"got {config.width}"
        )
    checks.count("num_steps", config.num_steps, 2)
    checks.positive("learning_rate", swept["learning_rate"])
    checks.positive("matrix_rate", swept["matrix_rate"])
    checks.number("weight_decay", swept["weight_decay"], 0.0)
    checks.number("average_decay", swept["average_decay"], 0.0, 1.0)


TASK = Task(
    name="pretraining",
    about="pretraining on the broad prior: loss by architecture, rates and seed",
    static=PretrainingConfig,
    swept={
        "learning_rate": 2e-3,
        "matrix_rate": 1e-2,
        "weight_decay": 1e-4,
        "average_decay": 0.99,
    },
    make=make,
    shown=("loss", "training"),
    check=check,
    version=2,
)
