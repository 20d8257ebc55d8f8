"""Fine-tuning of any problem's network on the n real instances, by cross-fitting.

Labels are `Problem.leave_out`'s: unbiased for the cost of the policy. Every candidate
is fitted once for each fold, to the labels of the other folds, and judged where it was
held out; what does not win there clearly changes nothing.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from ptft_jax import finetuning_steps, gate
from ptft_jax.gate import Candidate
from ptft_jax.method import network as network_
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import Problem, num_instances, take


@dataclass(frozen=True)
class FinetuneConfig:
    """Static configuration.

    Attributes:
      classes: of policies to try beside no change: head (the last layer) and full.
      least_instances: below which nothing is tried.
      num_folds: K, of cross-fitting over instances.
      num_rows: times that outcomes are left out for validation.
      batch: instances a gradient step sees.
      checkpoints: gradient steps after which a class is tried.
      head_rate: learning rate of the head class.
      full_rate: learning rate of the full class.
      caution: standard errors by which a change must win at n = 64 (`gate.caution`).
    """

    classes: tuple[str, ...] = ("head", "full")
    least_instances: int = 16
    num_folds: int = 4
    num_rows: int = 16
    batch: int = 512
    checkpoints: tuple[int, ...] = (20, 40, 80, 160)
    head_rate: float = 1e-2
    full_rate: float = 1e-3
    caution: float = 2.5


class Finetuned(NamedTuple):
    """The chosen policy and how it was chosen.

    Attributes:
      params: of K networks, leading axis K, that decide by the mean of their outputs.
      chosen: which candidate they are.
      candidates: all that were judged.
    """

    params: Any
    chosen: Candidate
    candidates: tuple[Candidate, ...]


Fit = Callable[[Any, Any, Key[Array, ""]], Finetuned]


def single(params: Any) -> Any:
    """One network as a policy of K = 1.

    Args:
      params: of the network.

    Returns:
      Leaves with a leading axis 1.
    """
    return jax.tree.map(lambda leaf: leaf[None], params)


def mean_outputs(
    network: Across, problem: Problem, stacked: Any, seen: Any, context: Any = None
) -> tuple[Float[Array, "n k"], Any]:
    """Mean outputs of K networks, and the statistics that instances were told.

    Args:
      network: the Transformer.
      problem: the problem.
      stacked: parameters, leading axis K.
      seen: n instances.
      context: instances to attend to; the same where None.

    Returns:
      Outputs [n, k] and statistics.
    """

    def one(params):
        attended = None
        if context is not None:
            attended = network_.attend(network, problem, params, context)
        return network_.outputs(network, problem, params, seen, attended)[0]

    stats = problem.summarize(seen if context is None else context)
    return jax.lax.map(one, stacked).mean(0), stats


def decide(network: Across, problem: Problem, stacked: Any, seen: Any) -> Any:
    """Decisions of a policy of K networks for a portfolio.

    Args:
      network: the Transformer.
      problem: the problem.
      stacked: parameters, leading axis K.
      seen: n instances.

    Returns:
      The decision.
    """
    output, stats = mean_outputs(network, problem, stacked, seen)
    return problem.decide(seen, stats, output, problem.couple(seen, stats, output))


decide_compiled = jax.jit(decide, static_argnums=(0, 1))


def _batch_loss(network, problem, seen, weight, batch):
    """Loss on labels of a random part of the instances, as `loss(params, key)`."""
    n = num_instances(seen)

    def loss(params, key):
        row_key, pick_key = jax.random.split(key)
        part, w = seen, weight
        if batch < n:
            share = weight / weight.sum()
            chosen = jax.random.choice(pick_key, n, (batch,), replace=False, p=share)
            part, w = take(seen, chosen), weight[chosen]
        rest, outcome = problem.leave_out(row_key, part)
        output, stats = network_.outputs(network, problem, params, rest)
        coupling = problem.couple(rest, stats, output)
        each = problem.loss(rest, stats, output, coupling, outcome)
        return jnp.where(w > 0, w * each, 0.0).sum() / jnp.maximum(w.sum(), 1e-30)

    return loss


def _train(network, problem, config, params, seen, weights, mask, rate, key):
    """Networks [checkpoint, fold] of one class."""
    make_loss = lambda w: _batch_loss(network, problem, seen, w, config.batch)
    return finetuning_steps.train_folds(
        make_loss, config.checkpoints, params, mask, rate, weights, key
    )


def _held_out_costs(network, problem, num_rows, stacked, seen, held_out, key):
    """Mean left-out cost of each instance under the networks it was held out of."""
    times = jnp.maximum(held_out.sum(0), 1)[:, None]

    def row(row_key):
        rest, outcome = problem.leave_out(row_key, seen)
        one = lambda p: network_.outputs(network, problem, p, rest)[0]
        output = jnp.einsum("kn,kno->no", held_out, jax.lax.map(one, stacked)) / times
        stats = problem.summarize(rest)
        coupling = problem.couple(rest, stats, output)
        return problem.cost(problem.decide(rest, stats, output, coupling), outcome)

    return jax.lax.map(row, jax.random.split(key, num_rows)).mean(0)


def is_head(path: tuple, leaf: Any) -> bool:
    """Head class: the last layer, in which outputs are linear.

    Args:
      path: of the leaf in the parameter tree.
      leaf: its array.

    Returns:
      Whether the head class trains it.
    """
    return "'head'" in jax.tree_util.keystr(path)


def _class(name: str, config: FinetuneConfig, params: Any) -> tuple[Any, float]:
    is_trained = is_head if name == "head" else lambda path, leaf: True
    chosen = lambda path, leaf: jnp.asarray(is_trained(path, leaf), leaf.dtype)
    rate = config.head_rate if name == "head" else config.full_rate
    return jax.tree_util.tree_map_with_path(chosen, params), rate


@functools.cache
def _programs(network, problem, config):
    given = functools.partial(_train, network, problem, config)
    judge = functools.partial(_held_out_costs, network, problem, config.num_rows)
    return jax.jit(given), jax.jit(judge)


def _folds(key, present, config) -> Bool[np.ndarray, "k n"] | None:
    if present.sum() < max(config.least_instances, config.num_folds):
        return None
    return gate.held_out_by(key, present, config.num_folds, 1)


def make_fit(problem: Problem, network: Across, config: FinetuneConfig) -> Fit:
    """Returns `fit(params, seen, key) -> Finetuned`, the best candidate or no change.

    Args:
      problem: the problem.
      network: the Transformer.
      config: static configuration.

    Returns:
      A host function; what it compiles is kept for portfolios of the same shape.
    """
    train_class, judge = _programs(network, problem, config)

    def fit(params, seen, key):
        fold_key, row_key, *class_keys = jax.random.split(key, 2 + len(config.classes))
        present = np.asarray(problem.present(seen))
        candidates, policies = [gate.UNCHANGED], [single(params)]
        out = _folds(fold_key, present, config)
        if out is None:
            return Finetuned(policies[0], candidates[0], tuple(candidates))
        weights = jnp.asarray(present * ~out, jnp.float32)
        held_out = jnp.asarray(out, jnp.float32)
        repeat = lambda leaf: jnp.broadcast_to(leaf, (len(out), *leaf.shape))
        costs_of = lambda p: np.asarray(judge(p, seen, held_out, row_key))[present]
        before = costs_of(jax.tree.map(repeat, params))
        for name, class_key in zip(config.classes, class_keys, strict=True):
            mask, rate = _class(name, config, params)
            kept = train_class(params, seen, weights, mask, rate, class_key)
            for at, steps in enumerate(config.checkpoints):
                policies.append(jax.tree.map(lambda leaf, i=at: leaf[i], kept))
                after = costs_of(policies[-1])
                candidates.append(gate.judge(name, float(steps), before, after))
        worth = gate.caution(int(present.sum()), config.caution)
        best = gate.select(tuple(candidates), worth)
        return Finetuned(policies[best], candidates[best], tuple(candidates))

    return fit
