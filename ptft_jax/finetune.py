"""Fine-tuning on the n real instances, chosen by cross-fitting, never to do harm."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

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
      num_folds: K, of cross-fitting over instances; also the networks averaged.
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
    """A portfolio, its folds, and what is left out of it."""

    portfolio: Portfolio
    folds: Int[Array, "n"]
    weights: Float[Array, "k n"]  # of the instances in each fold's fitting loss
    position: Int[Array, "r n"]
    counts: Array


def fold_of(key: Key[Array, ""], num_instances: int, num_folds: int) -> np.ndarray:
    """A random fold for each instance, of sizes that differ by at most one.

    Args:
      key: typed PRNG key.
      num_instances: n.
      num_folds: K ≤ n.

    Returns:
      Fold numbers, [n].
    """
    return np.asarray(
        jax.random.permutation(key, jnp.arange(num_instances) % num_folds)
    )


def _heads(
    radii: tuple[float, ...],
    rows: Rows,
    quantile: Float[Array, "n"],
    weights: Float[Array, "k n"],
    folds: Int[Array, "n"],
) -> tuple[Float[Array, "c k d"], Float[Array, "c n"]]:
    """Heads for each radius and fold, and the held-out costs of each instance."""

    def of_radius(radius):
        solve = lambda weight: head.solve(rows, quantile, weight, radius).head
        found = jax.lax.map(solve, weights)
        each = jax.vmap(risk.instance_costs, (None, 0, None))(rows, found, quantile)
        return found, jnp.take_along_axis(each, folds[None], axis=0)[0]

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
    is fitted K times, each time to the leave-one-out labels of all folds but one, and
    judged on the fold left out. Its K networks decide by their mean.

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

    def by_head(params, task, rows):
        found, costs = heads_of(
            config.radii, rows, task.portfolio.quantile, task.weights, task.folds
        )
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
            network, stacked, task.portfolio, task.position, task.counts, task.folds
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
        folds = jnp.asarray(fold_of(fold_key, len(usable), num_folds))
        weights = tuning.instance_weights(portfolio)
        weights = weights * (folds != jnp.arange(num_folds)[:, None])
        num_rows = min(config.num_rows, portfolio.valid.shape[-1])
        left = risk.left_out(row_key, portfolio.valid, num_rows)
        task = _Task(portfolio, folds, weights, *left)
        rows = rows_of(network, params, portfolio, *left)
        none = jnp.zeros(network.width)
        before = np.asarray(risk.instance_costs(rows, none, portfolio.quantile))
        for name, class_key in zip(CLASSES, class_keys, strict=True):
            if name not in config.classes:
                continue
            if name == "head":
                dials, (costs, policies) = config.radii, by_head(params, task, rows)
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
