"""Fine-tuning by gradient steps on leave-one-out labels: the adapter and full classes.

Each fold has a network of its own, trained on the labels of the other folds. Networks
are kept at several numbers of steps, so that the number can be chosen afterwards.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from ptft_jax import features, finetuning_steps, risk, statistics, types
from ptft_jax.model import Network
from ptft_jax.problems import newsvendor
from ptft_jax.risk import Rows
from ptft_jax.types import Portfolio


class Class(NamedTuple):
    """What a class trains and how fast; traced, so that classes share a program."""

    mask: Any  # 0 or 1 for every leaf of the parameters
    rate: Float[Array, ""]


def is_adapter(path: tuple, leaf: Any) -> bool:
    """Adapter class: every bias and norm gain, and the link's two output vectors.

    2018 of the shipped network's parameters (BitFit, Ben Zaken et al. 2022, and the
    link).

    Args:
      path: of the leaf in the parameter tree.
      leaf: its array.

    Returns:
      Whether the adapter class trains it.
    """
    name = jax.tree_util.keystr(path)
    return leaf.ndim == 1 or "shift" in name or "stretch" in name


def adapter(params: Any, rate: float | Float[Array, ""]) -> Class:
    """The class that trains the leaves chosen by `is_adapter`.

    Args:
      params: of the network.
      rate: learning rate.

    Returns:
      The class.
    """
    chosen = lambda path, leaf: jnp.asarray(is_adapter(path, leaf), leaf.dtype)
    return Class(
        jax.tree_util.tree_map_with_path(chosen, params), jnp.asarray(rate, jnp.float32)
    )


def full(params: Any, rate: float | Float[Array, ""]) -> Class:
    """The class that trains every parameter.

    Args:
      params: of the network.
      rate: learning rate.

    Returns:
      The class.
    """
    ones = jax.tree.map(lambda leaf: jnp.ones((), leaf.dtype), params)
    return Class(ones, jnp.asarray(rate, jnp.float32))


def instance_weights(portfolio: Portfolio) -> Float[Array, "n"]:
    """Weights of instances in the fitting loss, between cost and relative cost.

    w_i = 1/√((x̄_i + x̄)/2): a cost counts by its amount, but the largest instances
    alone do not decide.

    Args:
      portfolio: n instances.

    Returns:
      The weights; 0 for instances without an observation to leave out.
    """
    mean = portfolio.observations.sum(-1) / jnp.maximum(portfolio.num_observed, 1.0)
    typical = mean.sum() / jnp.maximum(portfolio.present.sum(), 1)
    usable = portfolio.num_observed > 1
    return usable / jnp.sqrt((mean + typical) / 2.0 + 1e-30)


def _batch_loss(network, portfolio, weight, batch):
    """Leave-one-out loss of a random part of the portfolio, as `loss(params, key)`.

    In units of the weighted mean demand of the portfolio, which no draw of labels can
    make 0.
    """
    n = portfolio.valid.shape[0]
    used = weight > 0
    mean = portfolio.observations.sum(-1) / jnp.maximum(portfolio.num_observed, 1.0)
    unit = (weight * mean).sum() / jnp.maximum(weight.sum(), 1e-30)
    unit = jnp.where(unit > 0.0, unit, 1.0)

    def loss(params, key):
        row_key, pick_key = jax.random.split(key)
        part, w = portfolio, weight
        if batch < n:
            share = used / jnp.maximum(used.sum(), 1)
            chosen = jax.random.choice(pick_key, n, (batch,), replace=False, p=share)
            part, w = jax.tree.map(lambda leaf: leaf[chosen], (portfolio, weight))
        position, _ = risk.left_out(row_key, part.valid, 1)
        rest, label = types.leave_one_out(part, position[0])
        x = network.apply(params, rest).base
        cost = (w * newsvendor.cost(x, label, rest.quantile)).sum()
        return cost / (unit * jnp.maximum(w.sum(), 1e-30))

    return loss


def train_folds(
    network: Network,
    checkpoints: tuple[int, ...],
    batch: int,
    params: Any,
    portfolio: Portfolio,
    weights: Float[Array, "k n"],
    which: Class,
    key: Key[Array, ""],
) -> Any:
    """Networks of every fold at every checkpoint.

    Args:
      network: the Transformer.
      checkpoints: numbers of steps, increasing.
      batch: instances a gradient step sees.
      params: to start from.
      portfolio: n instances.
      weights: of the instances in the loss of each fold, 0 for those held out.
      which: the class.
      key: typed PRNG key.

    Returns:
      Parameters, every leaf with leading axes [checkpoints, folds].
    """
    make_loss = lambda weight: _batch_loss(network, portfolio, weight, batch)
    return finetuning_steps.train_folds(
        make_loss, checkpoints, params, which.mask, which.rate, weights, key
    )


def held_out_costs(
    network: Network,
    stacked: Any,
    portfolio: Portfolio,
    position: Int[Array, "r n"],
    rows: Rows,
    held_out: Bool[Array, "k n"],
) -> Float[Array, "c n"]:
    """Left-out costs of each instance under the networks that have not learned from it.

    These networks decide together, by their mean, as all will that are adopted.

    Args:
      network: the Transformer.
      stacked: of `train_folds`.
      portfolio: n instances.
      position: the observation left out, in each of r rows.
      rows: of the pretrained network, for the same positions.
      held_out: which instances each network has not learned from.

    Returns:
      Costs at every checkpoint.
    """

    def prepare(j):
        rest, _ = types.leave_one_out(portfolio, j)
        stats = statistics.whole(rest)
        return features.features(rest, stats), rest.present, stats

    # Features know nothing of the parameters: made once, they serve every network.
    prepared = jax.lax.map(prepare, position)

    def add(total, one):
        params, is_out = one

        def run(net, inputs, present, stats):
            x, _ = net.attend(inputs, present, stats)
            return net.decide(inputs, x, portfolio.quantile).base

        base = lambda row: network.apply(params, *row, method=run)
        return total + is_out * jax.lax.map(base, prepared), None

    def checkpoint(params):
        total, _ = jax.lax.scan(add, jnp.zeros(position.shape), (params, held_out))
        x = total / jnp.maximum(held_out.sum(0), 1)
        return risk.left_out_costs(rows, x, portfolio.quantile)

    return jax.lax.map(checkpoint, stacked)
