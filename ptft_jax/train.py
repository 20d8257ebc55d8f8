"""One scanned training program, for pretraining and fine-tuning alike."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

LossFn = Callable[[Any, Key[Array, ""]], Float[Array, ""]]


class TrainState(NamedTuple):
    """Everything training needs to go on: a checkpoint is this and the step keys."""

    params: Any
    average: Any  # exponential moving average of the parameters
    opt_state: optax.OptState
    step: jax.Array


def batch_loss(loss: LossFn, size: int) -> LossFn:
    """Returns `loss(params, key)`: the mean of a loss over a batch of keys.

    Args:
      loss: of one draw, `loss(params, key)`.
      size: draws of a batch.

    Returns:
      A pure function; the key decides everything in the batch.
    """

    def mean(params: Any, key: Key[Array, ""]) -> Float[Array, ""]:
        keys = jax.random.split(key, size)
        return jax.vmap(loss, (None, 0))(params, keys).mean()

    return mean


def flatten(
    params: Any, mask: Any = None
) -> tuple[Float[Array, "p"], Callable[..., Any], Float[Array, "p"] | None]:
    """Parameters as one vector: a loop that trains it compiles in half the time.

    Args:
      params: a tree of arrays.
      mask: a number for each leaf, or None.

    Returns:
      The vector, the function that makes the tree of a vector, and the mask's vector.
    """
    vector, restore = ravel_pytree(params)
    if mask is None:
        return vector, restore, None
    wide = lambda number, leaf: jnp.broadcast_to(number, leaf.shape)
    return vector, restore, ravel_pytree(jax.tree.map(wide, mask, params))[0]


def init(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """State before the first step.

    Args:
      params: initial parameters.
      optimizer: an optax optimizer.

    Returns:
      The state, its average equal to the parameters.
    """
    # A copy, so that the whole state can be donated.
    average = jax.tree.map(jnp.copy, params)
    return TrainState(params, average, optimizer.init(params), jnp.zeros((), jnp.int32))


def make_steps(
    loss: LossFn,
    optimizer: optax.GradientTransformation,
    decay: float | Float[Array, ""] = 0.0,
) -> Callable[[TrainState, Key[Array, "k"]], tuple[TrainState, Float[Array, "k"]]]:
    """Returns `steps(state, keys) -> (state, losses)`: one scan, a step a key.

    Args:
      loss: `loss(params, key)`, a scalar.
      optimizer: an optax optimizer.
      decay: of the moving average of the parameters, in [0, 1); 0 keeps none.

    Returns:
      A pure function, to be jitted or vmapped by the caller.
    """

    def step(state: TrainState, key):
        value, grads = jax.value_and_grad(loss)(state.params, key)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = optax.incremental_update(params, state.average, 1.0 - decay)
        return TrainState(params, average, opt_state, state.step + 1), value

    return lambda state, keys: jax.lax.scan(step, state, keys)
