"""What fine-tuning may change: candidates of every class, judged on instances held out.

No change is the first. Every other candidate (class and radius or number of steps) is
fitted once for each fold of each split, to the leave-one-out labels of the other folds.
An instance is judged under the mean of the fits it was held out of; a policy decides by
the mean of all.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ptft_jax import compilation, gate, head, risk, tuning
from ptft_jax.dependence import Dependence
from ptft_jax.gate import Candidate
from ptft_jax.model import Network
from ptft_jax.risk import Policy, Rows
from ptft_jax.threads import side_by_side
from ptft_jax.types import Portfolio

CLASSES = ("head", "adapter", "full")


@dataclass(frozen=True)
class FinetuneConfig:
    """Static configuration.

    Attributes:
      classes: of policies to try beside no change: head, adapter, full.
      least_instances: independent ones, below which nothing is tried: the gate would
        ask for a win by more than 5 standard errors.
      num_folds: K, of cross-fitting over instances.
      num_splits: into K folds; K · num_splits networks are fitted and averaged.
      few_instances: beyond which one split is enough, validation being precise.
      num_rows: observations of each instance left out in turn for validation.
      most_instances: beyond which a random part of the portfolio, of that size, is
        fitted to and judged on: more would tell nothing that can be measured.
      batch: instances a gradient step sees.
      checkpoints: gradient steps after which the adapter and full classes are tried.
      radii: of the head's ball.
      adapter_rate: learning rate of the adapter class.
      full_rate: learning rate of the full class.
      caution: standard errors by which a change must win at n = 64 (`gate.caution`).
    """

    classes: tuple[str, ...] = CLASSES
    least_instances: int = 16
    num_folds: int = 4
    num_splits: int = 2
    few_instances: int = 512
    num_rows: int = 8
    most_instances: int = 8192
    batch: int = 256
    checkpoints: tuple[int, ...] = (20, 40, 80, 160)
    radii: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1)
    adapter_rate: float = 5e-3
    full_rate: float = 1e-3
    caution: float = 2.5


class _Task(NamedTuple):
    """A portfolio, what each of k networks learns from, and what is left out of it."""

    portfolio: Portfolio
    weights: Float[Array, "k n"]  # of the instances in each network's fitting loss
    held_out: Bool[Array, "k n"]
    position: Int[Array, "r n"]
    rows: Rows


def _heads(
    radii: tuple[float, ...], task: _Task
) -> tuple[Float[Array, "c k d"], Float[Array, "c n"]]:
    """Heads of each radius and fit, and the costs of each instance, held out."""
    quantile, decision = task.portfolio.quantile, task.rows.decision
    times_held_out = jnp.maximum(task.held_out.sum(0), 1)

    def of_radius(radius):
        solve = lambda weight: head.solve(task.rows, quantile, weight, radius).head
        found = jax.lax.map(solve, task.weights)
        mean = (task.held_out.T @ found) / times_held_out[:, None]
        x = decision.base + decision.scale * (decision.hidden * mean).sum(-1)
        return found, risk.left_out_costs(task.rows, x, quantile)

    return jax.lax.map(of_radius, jnp.asarray(radii))


Propose = Callable[
    [Any, Portfolio, Key[Array, ""], Dependence], list[tuple[Candidate, Policy]]
]


def _class(name: str, config: FinetuneConfig, params: Any) -> tuning.Class:
    if name == "full":
        return tuning.full(params, config.full_rate)
    return tuning.adapter(params, config.adapter_rate)


class _Programs(NamedTuple):
    """What is compiled once for all portfolios of a shape."""

    rows: Callable[..., Rows]
    heads: Callable[..., Any]
    train: Callable[..., Any]
    costs: Callable[..., Any]


@functools.cache
def _compiled(
    network: Network,
    checkpoints: tuple[int, ...],
    batch: int,
    radii: tuple[float, ...],
) -> _Programs:
    steps = functools.partial(tuning.train_folds, network, checkpoints, batch)
    return _Programs(
        jax.jit(functools.partial(risk.leave_one_out_rows, network)),
        jax.jit(functools.partial(_heads, radii)),
        compilation.once(steps),
        compilation.once(functools.partial(tuning.held_out_costs, network)),
    )


def _split(key, portfolio, config, past) -> Bool[np.ndarray, "k n"] | None:
    """Who is held out of each fit; None where too little could be told of a change."""
    is_few = past.num_independent < max(config.least_instances, config.num_folds)
    if is_few or past.is_ordered:
        return None
    usable = np.asarray(portfolio.num_observed > 1)
    num_splits = config.num_splits if past.num_usable <= config.few_instances else 1
    return gate.held_out_by(key, usable, config.num_folds, num_splits)


def _by_head(config, programs, params, task):
    found, costs = programs.heads(task)
    repeated = lambda leaf: jnp.repeat(leaf[None], len(task.weights), axis=0)
    same = jax.tree.map(repeated, params)
    return config.radii, costs, [Policy(same, u) for u in found]


def _by_steps(network, config, programs, params, task, which, key):
    stacked = programs.train(params, task.portfolio, task.weights, which, key)
    costs = programs.costs(
        stacked, task.portfolio, task.position, task.rows, task.held_out
    )
    none = jnp.zeros((len(task.weights), network.width))
    pick = lambda c: jax.tree.map(lambda leaf: leaf[c], stacked)
    policies = [Policy(pick(c), none) for c in range(len(costs))]
    return config.checkpoints, costs, policies


def _fit_class(network, config, programs, name, params, task, key):
    """Dials, costs held out and policies of one class."""
    if name == "head":
        dials, costs, policies = _by_head(config, programs, params, task)
    else:
        which = _class(name, config, params)
        dials, costs, policies = _by_steps(
            network, config, programs, params, task, which, key
        )
    return dials, np.asarray(costs), policies


def make_propose(network: Network, config: FinetuneConfig) -> Propose:
    """Returns `propose(params, portfolio, key, past) -> [(candidate, policy)]`.

    Args:
      network: the Transformer.
      config: static configuration.

    Returns:
      A host function; what it compiles is kept for portfolios of the same shape.
    """
    programs = _compiled(network, config.checkpoints, config.batch, config.radii)
    of_class = functools.partial(_fit_class, network, config, programs)

    def propose(params, portfolio, key, past):
        fold_key, row_key, *class_keys = jax.random.split(key, 2 + len(CLASSES))
        keys = dict(zip(CLASSES, class_keys, strict=True))
        found = [(gate.UNCHANGED, risk.single(network, params))]
        out = _split(fold_key, portfolio, config, past)
        if out is None:
            return found
        num_rows = min(config.num_rows, portfolio.valid.shape[-1])
        left = risk.left_out(row_key, portfolio.valid, num_rows)
        rows = programs.rows(params, portfolio, *left)
        weights = tuning.instance_weights(portfolio) * ~out
        task = _Task(portfolio, weights, jnp.asarray(out), left[0], rows)
        usable = np.asarray(portfolio.num_observed > 1)
        none = jnp.zeros(network.width)
        before = np.asarray(risk.instance_costs(rows, none, portfolio.quantile))
        before, effect = before[usable], past.design_effect
        names = [name for name in CLASSES if name in config.classes]
        # Gradient steps are many small operations, which keep one core busy at best.
        fitted = side_by_side(
            [
                functools.partial(of_class, name, params, task, keys[name])
                for name in names
            ]
        )
        for name, (dials, costs, policies) in zip(names, fitted, strict=True):
            found += [
                (gate.judge(name, float(dial), before, cost[usable], effect), policy)
                for dial, cost, policy in zip(dials, costs, policies, strict=True)
            ]
        return found

    return propose
