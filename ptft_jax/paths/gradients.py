"""The classes fine-tuned by gradient steps: adapter, full, and full from scratch.

All three are one program: the trained leaves, the rate and the start are traced, and so
is n. What instances attend to stays as the starting network made it. The number of
steps is chosen on held-out instances, among some and, if pretrained, none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ptft_jax import finetuning_steps, train, tuning
from ptft_jax.paths import heads
from ptft_jax.paths.policy import Frozen
from ptft_jax.paths.problem import Problem
from ptft_jax.paths.worlds import Instances

BLOCK = 1 << 13  # instances of the pool that are decided on at a time


@dataclass(frozen=True)
class GradientConfig:
    """Static configuration.

    Attributes:
      segments: numbers of steps tried are `steps` times 1, 2, …, `segments`.
      steps: of a segment.
      batch: instances a step sees.
      adapter_rate: learning rate of the adapter class.
      full_rate: learning rate of the full class.
      scratch_rate: learning rate from a random start.
    """

    segments: int = 4
    steps: int = 60
    batch: int = 128
    adapter_rate: float = 3e-3
    full_rate: float = 1e-3
    scratch_rate: float = 5e-3


class Start(NamedTuple):
    """Where a class starts, what it trains and how fast."""

    params: Any
    which: tuning.Class
    is_pretrained: bool


def starts(
    frozen: Frozen, config: GradientConfig, key: Key[Array, ""]
) -> dict[str, Start]:
    """The three classes by name.

    Args:
      frozen: the pretrained policy.
      config: its rates are used.
      key: of the random start.

    Returns:
      adapter, full and scratch.
    """
    random = frozen.kind.init(key)
    given = frozen.params
    return {
        "adapter": Start(given, tuning.adapter(given, config.adapter_rate), True),
        "full": Start(given, tuning.full(given, config.full_rate), True),
        "scratch": Start(random, tuning.full(random, config.scratch_rate), False),
    }


def make_train(
    frozen: Frozen, problem: Problem, config: GradientConfig, cap: int
) -> Callable[..., Any]:
    """Returns `train(start, instances, n_fit, n, key) -> params`, compiled once.

    Args:
      frozen: its kind and context portfolio are used.
      problem: its cost is fitted.
      config: static configuration.
      cap: K.

    Returns:
      A function of a start, n_max instances, n₁, n and a key; it gives the parameters
      after the number of steps of least mean cost on instances n₁, …, n − 1.
    """
    decide = make_decision(frozen, cap)

    def loss_of(params, context, instances: Instances):
        x = decide(params, instances.portfolio, context)
        return problem.cost(x, instances.label)

    def fit(params, which, is_pretrained, instances, n_fit, n, key):
        context = frozen.kind.attend(params, frozen.context)
        vector, restore, mask = train.flatten(params, which.mask)
        num_steps = config.segments * config.steps
        optimizer = finetuning_steps.optimizer(mask, which.rate, num_steps, last=0.1)

        def loss(vector, key):
            chosen = jax.random.randint(key, (config.batch,), 0, n_fit)
            part = jax.tree.map(lambda leaf: leaf[chosen], instances)
            return loss_of(restore(vector), context, part).mean()

        advance = train.make_steps(loss, optimizer, finetuning_steps.AVERAGE_DECAY)

        def segment(state, segment_key):
            state, _ = advance(state, jax.random.split(segment_key, config.steps))
            return state, state.average

        state = train.init(vector, optimizer)
        _, kept = jax.lax.scan(segment, state, jax.random.split(key, config.segments))
        kept = jnp.concatenate([vector[None], kept])
        held_out = heads.last(instances, n_fit, len(instances.label))
        size = len(held_out.label)
        is_used = jnp.arange(size) < n - n_fit

        def cost(vector):
            costs = loss_of(restore(vector), context, held_out)
            return jnp.where(is_used, costs, 0.0).sum()

        costs = jax.lax.map(cost, kept)
        first = jnp.where(is_pretrained, costs[0], jnp.inf)
        best = jnp.argmin(costs.at[0].set(first))
        return restore(kept[best])

    compiled = jax.jit(fit)

    def run(start: Start, instances: Instances, n_fit, n, key):
        return compiled(*start, instances, n_fit, n, key)

    return run


def make_decision(frozen: Frozen, cap: int) -> Callable[..., Float[Array, "n"]]:
    """Returns `(params, portfolio, context) -> [n]`, the decisions without a head.

    Args:
      frozen: its kind is used.
      cap: K; decisions are cut to [−K, K].

    Returns:
      A pure function.
    """

    def decide(params, portfolio, context):
        x = frozen.kind.decide(params, portfolio, context).base
        return jnp.clip(x, -float(cap), float(cap))

    return decide


def make_risk(
    frozen: Frozen, problem: Problem, cap: int, pool: Instances
) -> Callable[..., float]:
    """Returns `risk(start_params, params) -> float`: mean exact regret on the pool.

    Args:
      frozen: its kind and context portfolio are used.
      problem: its regret is used.
      cap: K.
      pool: fresh instances, a multiple of `BLOCK` of them.

    Returns:
      A function of the parameters that made the context and of those that decide.
    """
    decide = make_decision(frozen, cap)
    blocks = jax.tree.map(lambda leaf: leaf.reshape(-1, BLOCK, *leaf.shape[1:]), pool)

    @jax.jit
    def mean(start, params, blocks: Instances):
        context = frozen.kind.attend(start, frozen.context)

        def one(block: Instances):
            x = decide(params, block.portfolio, context)
            return problem.regret(x, block.portfolio.observations.sum(-1)).mean()

        return jax.lax.map(one, blocks).mean()

    return lambda start, params: float(np.asarray(mean(start, params, blocks)))
