"""Gradient steps of fine-tuning: the optimizer, and the networks of all folds."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from ptft_jax import train

AVERAGE_DECAY = 0.95


def optimizer(
    mask: Float[Array, "p"],
    rate: float | Float[Array, ""],
    num_steps: int,
    last: float = 0.2,
) -> optax.GradientTransformation:
    """Adam on a part of the parameters, its rate falling linearly.

    Args:
      mask: 1 for parameters that are trained, 0 for others.
      rate: learning rate of the first step, may be traced.
      num_steps: over which the rate falls.
      last: share of the rate that is left then.

    Returns:
      An optimizer of one vector.
    """
    schedule = optax.linear_schedule(1.0, last, num_steps)
    # masked before the norm is taken, so that what is kept does not slow the rest
    return optax.chain(
        optax.stateless(lambda updates, _: updates * mask),
        optax.clip_by_global_norm(1.0),
        optax.scale_by_adam(b2=0.99),
        optax.scale_by_schedule(schedule),
        optax.scale(-rate),
    )


def train_folds(
    make_loss: Callable[[Float[Array, "n"]], train.LossFn],
    checkpoints: tuple[int, ...],
    params: Any,
    mask: Any,
    rate: float | Float[Array, ""],
    weights: Float[Array, "k n"],
    key: Key[Array, ""],
) -> Any:
    """Networks of every fold at every checkpoint, each trained as one vector.

    Args:
      make_loss: `(weights of the instances) -> loss(params, key)`.
      checkpoints: numbers of steps, increasing.
      params: to start from.
      mask: 0 or 1 for every leaf of the parameters.
      rate: learning rate.
      weights: of the instances in the loss of each fold, 0 for those held out.
      key: typed PRNG key.

    Returns:
      Parameters, every leaf with leading axes [checkpoints, folds].
    """
    first, restore, chosen = train.flatten(params, mask)
    steps = optimizer(chosen, rate, checkpoints[-1])
    marks = jnp.asarray(checkpoints)

    def fit(fold):
        weight, fold_key = fold
        loss = make_loss(weight)
        of_vector = lambda vector, key: loss(restore(vector), key)
        advance = train.make_steps(of_vector, steps, AVERAGE_DECAY)

        def step(carry, i):
            state, kept = carry
            state, _ = advance(state, jax.random.fold_in(fold_key, i)[None])
            # every step overwrites the slot of the next checkpoint: one compiled step
            kept = kept.at[jnp.searchsorted(marks, i + 1)].set(state.average)
            return (state, kept), None

        start = train.init(first, steps), jnp.zeros((len(marks), first.size))
        return jax.lax.scan(step, start, jnp.arange(checkpoints[-1]))[0][1]

    keys = jax.random.split(key, weights.shape[0])
    # One fold after the other: products with shared weights run faster on a CPU than
    # K small ones side by side, and compile once.
    kept = jax.lax.map(fit, (weights, keys))
    return jax.vmap(jax.vmap(restore))(jnp.swapaxes(kept, 0, 1))
