"""Fine-tuning on the n real instances, chosen by cross-fitting, never to do harm."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ptft_jax import head, risk, tuning
from ptft_jax.model import Network
from ptft_jax.risk import Policy, Rows
from ptft_jax.types import Portfolio

CLASSES = ("head", "adapter", "full")


@dataclass(frozen=True)
class FinetuneConfig:
    """Static configuration.

    Attributes:
      classes: of policies to try beside no change: head, adapter, full.
      num_folds: K, of cross-fitting over instances.
      num_splits: into K folds; K · num_splits networks are fitted and averaged.
      few_instances: beyond which one split is enough, validation being precise.
      num_rows: observations of each instance left out in turn for validation.
      batch: instances a gradient step sees.
      checkpoints: gradient steps after which the adapter and full classes are tried.
      radii: of the head's ball.
      adapter_rate: learning rate of the adapter class.
      full_rate: learning rate of the full class.
      caution: standard errors by which a change must win to be adopted.
    """

    classes: tuple[str, ...] = CLASSES
    num_folds: int = 4
    num_splits: int = 2
    few_instances: int = 512
    num_rows: int = 8
    batch: int = 256
    checkpoints: tuple[int, ...] = (20, 40, 80, 160)
    radii: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1)
    adapter_rate: float = 5e-3
    full_rate: float = 1e-3
    caution: float = 1.0


class Candidate(NamedTuple):
    """A way to change the pretrained network, and what held-out instances say of it."""

    name: str  # class
    dial: float  # radius or steps
    gain: float  # mean held-out cost saved, as a share of the pretrained cost
    gain_se: float


UNCHANGED = Candidate("none", 0.0, 0.0, 0.0)


class Finetuned(NamedTuple):
    """The chosen policy and how it was chosen."""

    policy: Policy
    chosen: Candidate
    candidates: tuple[Candidate, ...]


class _Task(NamedTuple):
    """A portfolio, what each of k networks learns from, and what is left out of it."""

    portfolio: Portfolio
    weights: Float[Array, "k n"]  # of the instances in each network's fitting loss
    held_out: Bool[Array, "k n"]
    position: Int[Array, "r n"]
    rows: Rows


def held_out_by(
    key: Key[Array, ""], num_instances: int, num_folds: int, num_splits: int
) -> Bool[np.ndarray, "k n"]:
    """Which instances are held out of each fit: K random folds, several times over.

    Args:
      key: typed PRNG key.
      num_instances: n.
      num_folds: K ≤ n; folds of one split differ in size by at most one.
      num_splits: independent ones.

    Returns:
      A mask for each of K · num_splits fits; every instance is in one fold a split.
    """
    position = jnp.arange(num_instances) % num_folds
    folds = jax.vmap(jax.random.permutation, (0, None))(
        jax.random.split(key, num_splits), position
    )
    out = folds[:, None] == jnp.arange(num_folds)[:, None]
    return np.asarray(out.reshape(-1, num_instances))


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


def judge(
    name: str,
    dial: float,
    before: Float[np.ndarray, "n"],
    after: Float[np.ndarray, "n"],
) -> Candidate:
    """A candidate with the mean cost it saved on held-out instances.

    Args:
      name: its class.
      dial: its radius or number of steps.
      before: cost of each instance under the pretrained policy.
      after: the same under the candidate's policy of the fold.

    Returns:
      The candidate, its gain Σ(before − after)/Σ before and the standard error.
    """
    saved = np.asarray(before - after, np.float64)
    total = float(np.sum(before, dtype=np.float64)) or 1.0
    spread = np.sqrt(len(saved)) * saved.std(ddof=1)
    return Candidate(name, dial, float(saved.sum() / total), float(spread / total))


Fit = Callable[[Any, Portfolio, Key[Array, ""]], Finetuned]
Propose = Callable[[Any, Portfolio, Key[Array, ""]], list[tuple[Candidate, Policy]]]


def make_propose(network: Network, config: FinetuneConfig) -> Propose:
    """Returns `propose(params, portfolio, key) -> [(candidate, policy)]`.

    The first is no change. Every other candidate (class and radius or number of steps)
    is fitted once for each fold of each split, to the leave-one-out labels of the other
    folds. An instance is judged under the mean of the fits it was held out of; a policy
    decides by the mean of all.

    Args:
      network: the Transformer.
      config: static configuration.

    Returns:
      A host function; what it compiles is kept for portfolios of the same shape.
    """
    rows_of = jax.jit(risk.leave_one_out_rows, static_argnums=0)
    heads_of = jax.jit(_heads, static_argnums=0)
    train_folds = jax.jit(tuning.train_folds, static_argnums=(0, 1, 2))
    costs_of = jax.jit(tuning.held_out_costs, static_argnums=0)

    def by_head(params, task):
        found, costs = heads_of(config.radii, task)
        repeated = lambda leaf: jnp.repeat(leaf[None], len(task.weights), axis=0)
        same = jax.tree.map(repeated, params)
        return costs, [Policy(same, u) for u in found]

    def by_steps(params, task, which, key):
        stacked = train_folds(
            network,
            config.checkpoints,
            config.batch,
            params,
            task.portfolio,
            task.weights,
            which,
            key,
        )
        costs = costs_of(
            network, stacked, task.portfolio, task.position, task.rows, task.held_out
        )
        none = jnp.zeros((len(task.weights), network.width))
        pick = lambda c: jax.tree.map(lambda leaf: leaf[c], stacked)
        return costs, [Policy(pick(c), none) for c in range(len(costs))]

    def propose(params, portfolio, key):
        fold_key, row_key, *class_keys = jax.random.split(key, 2 + len(CLASSES))
        usable = np.asarray(portfolio.num_observed > 1)
        found = [(UNCHANGED, risk.single(network, params))]
        num_folds = min(config.num_folds, int(usable.sum()))
        if num_folds < 2:
            return found
        num_splits = config.num_splits if usable.sum() <= config.few_instances else 1
        out = held_out_by(fold_key, len(usable), num_folds, num_splits)
        num_rows = min(config.num_rows, portfolio.valid.shape[-1])
        left = risk.left_out(row_key, portfolio.valid, num_rows)
        rows = rows_of(network, params, portfolio, *left)
        weights = tuning.instance_weights(portfolio) * ~out
        task = _Task(portfolio, weights, jnp.asarray(out), left[0], rows)
        none = jnp.zeros(network.width)
        before = np.asarray(risk.instance_costs(rows, none, portfolio.quantile))
        for name, class_key in zip(CLASSES, class_keys, strict=True):
            if name not in config.classes:
                continue
            if name == "head":
                dials, (costs, policies) = config.radii, by_head(params, task)
            else:
                which = (
                    tuning.full(params, config.full_rate)
                    if name == "full"
                    else tuning.adapter(params, config.adapter_rate)
                )
                dials = config.checkpoints
                costs, policies = by_steps(params, task, which, class_key)
            found += [
                (judge(name, float(dial), before[usable], cost[usable]), policy)
                for dial, cost, policy in zip(
                    dials, np.asarray(costs), policies, strict=True
                )
            ]
        return found

    return propose


def select(candidates: tuple[Candidate, ...], caution: float) -> int:
    """Position of the candidate of largest gain less `caution` standard errors.

    Args:
      candidates: with no change among them, whose score is 0.
      caution: standard errors taken off each gain, ≥ 0.

    Returns:
      The position; that of no change unless another's score is above 0.
    """
    return int(np.argmax([c.gain - caution * c.gain_se for c in candidates]))


def make_fit(network: Network, config: FinetuneConfig) -> Fit:
    """Returns `fit(params, portfolio, key) -> Finetuned`, the best of `make_propose`.

    Args:
      network: the Transformer.
      config: static configuration.

    Returns:
      A host function; what it compiles is kept for portfolios of the same shape.
    """
    propose = make_propose(network, config)

    def fit(params, portfolio, key):
        candidates, policies = zip(*propose(params, portfolio, key), strict=True)
        best = select(candidates, config.caution)
        return Finetuned(policies[best], candidates[best], candidates)

    return fit
