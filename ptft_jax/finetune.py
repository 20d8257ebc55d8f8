"""Fine-tuning on the n real instances, chosen by cross-fitting, never to do harm."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from ptft_jax import head, risk, train, types
from ptft_jax.model import Network
from ptft_jax.problems import newsvendor
from ptft_jax.risk import Policy
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


class Finetuned(NamedTuple):
    """The chosen policy and how it was chosen."""

    policy: Policy
    chosen: Candidate
    candidates: tuple[Candidate, ...]


def is_adapter(path: tuple, leaf: Any) -> bool:
    """Adapter class: every bias and norm gain, and the link's two output vectors.

    A few hundred of the parameters (BitFit, Ben Zaken et al. 2022, and the link).

    Args:
      path: of the leaf in the parameter tree.
      leaf: its array.

    Returns:
      Whether the adapter class trains it.
    """
    name = jax.tree_util.keystr(path)
    return leaf.ndim == 1 or "shift" in name or "stretch" in name


def _optimizer(name, rate, num_steps, params):
    schedule = optax.linear_schedule(rate, 0.2 * rate, num_steps)
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b2=0.99))
    if name == "full":
        return adam
    labels = jax.tree_util.tree_map_with_path(
        lambda path, leaf: "train" if is_adapter(path, leaf) else "keep", params
    )
    return optax.multi_transform({"train": adam, "keep": optax.set_to_zero()}, labels)


def _weights(portfolio):
    """Weights of instances in the fitting loss: between cost and relative cost."""
    count = jnp.maximum(portfolio.num_observed, 1.0)
    mean = portfolio.observations.sum(-1) / count
    typical = mean.sum() / jnp.maximum(portfolio.present.sum(), 1)
    usable = portfolio.num_observed > 1
    return usable / jnp.sqrt((mean + typical) / 2.0 + 1e-30)


def _batch_loss(network, portfolio, weight, batch):
    """Leave-one-out loss of a random part of the portfolio, as `loss(params, key)`."""
    n = portfolio.valid.shape[0]

    def loss(params, key):
        row_key, pick_key = jax.random.split(key)
        position, _ = risk.left_out(row_key, portfolio.valid, 1)
        rest, label = types.leave_one_out(portfolio, position[0])
        part = (rest, label, weight, portfolio.quantile)
        if batch < n:
            chosen = jax.random.choice(pick_key, n, (batch,), replace=False)
            part = jax.tree.map(lambda leaf: leaf[chosen], part)
        rest, label, w, quantile = part
        decision = network.apply(params, rest)
        return (w * newsvendor.cost(decision.base, label, quantile)).sum() / (
            w * label
        ).sum()

    return loss


def _train_folds(network, config, name, params, portfolio, weights, key):
    """Checkpoints [c, K] of one class, each fold trained on the others' labels."""
    rate = config.full_rate if name == "full" else config.adapter_rate
    optimizer = _optimizer(name, rate, config.checkpoints[-1], params)

    checkpoints = jnp.asarray(config.checkpoints)

    def fit(fold):
        weight, fold_key = fold
        loss = _batch_loss(network, portfolio, weight, config.batch)
        advance = train.make_steps(loss, optimizer, 0.95)

        def step(carry, i):
            state, kept = carry
            state, _ = advance(state, jax.random.fold_in(fold_key, i)[None])
            # Every step overwrites the slot of the next checkpoint, so one compiled
            # step serves them all.
            slot = jnp.searchsorted(checkpoints, i + 1)
            kept = jax.tree.map(
                lambda b, leaf: b.at[slot].set(leaf), kept, state.average
            )
            return (state, kept), None

        empty = jax.tree.map(
            lambda leaf: jnp.zeros((len(checkpoints), *leaf.shape)), params
        )
        first = (train.init(params, optimizer), empty)
        (_, kept), _ = jax.lax.scan(step, first, jnp.arange(config.checkpoints[-1]))
        return kept

    keys = jax.random.split(key, weights.shape[0])
    # One fold after the other: products with shared weights run faster on a CPU than
    # K small ones side by side, and compile once.
    kept = jax.lax.map(fit, (weights, keys))
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), kept)


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


def _head_candidates(network, config, params, rows, quantile, weights, folds):
    """Heads [c, K, d] for each radius and the held-out costs [c, n]."""
    solve = jax.vmap(head.solve, (None, None, 0, None, None))
    start = jnp.zeros(network.width)
    heads, costs = [], []
    for radius in config.radii:
        found = solve(rows, quantile, weights, jnp.asarray(radius), start).head
        each = jax.vmap(risk.instance_costs, (None, 0, None))(rows, found, quantile)
        heads.append(found)
        costs.append(jnp.take_along_axis(each, folds[None], axis=0)[0])
    return jnp.stack(heads), jnp.stack(costs)


def _trained_costs(network, stacked, portfolio, position, counts, folds):
    """Held-out costs [c, n] of checkpoints [c, K], each fold by its own network."""
    none = jnp.zeros(network.width)

    def cost(params):
        rows = risk.leave_one_out_rows(network, params, portfolio, position, counts)
        return risk.instance_costs(rows, none, portfolio.quantile)

    def checkpoint(params):
        each = jax.lax.map(cost, params)
        return jnp.take_along_axis(each, folds[None], axis=0)[0]

    return jax.lax.map(checkpoint, stacked)


def _candidate(name, dial, before, after):
    saved = np.asarray(before - after, np.float64)
    total = float(np.sum(before, dtype=np.float64)) or 1.0
    spread = np.sqrt(len(saved)) * saved.std(ddof=1)
    return Candidate(
        name, float(dial), float(saved.sum() / total), float(spread / total)
    )


Fit = Callable[[Any, Portfolio, Key[Array, ""]], Finetuned]


def make_fit(network: Network, config: FinetuneConfig) -> Fit:
    """Returns `fit(params, portfolio, key) -> Finetuned`.

    Every candidate (class and radius or number of steps) is fitted K times, each time
    to the leave-one-out labels of all folds but one, and judged on the fold left out.
    The candidate of largest gain less `caution` standard errors is adopted if that is
    above 0; its K networks decide by their mean. Otherwise nothing changes.

    Args:
      network: the Transformer.
      config: static configuration.

    Returns:
      A host function; what it compiles is kept for portfolios of the same shape.
    """
    rows_of = jax.jit(risk.leave_one_out_rows, static_argnums=0)
    head_candidates = jax.jit(_head_candidates, static_argnums=(0, 1))
    train_folds = jax.jit(_train_folds, static_argnums=(0, 1, 2))
    trained_costs = jax.jit(_trained_costs, static_argnums=0)

    def fit(params, portfolio, key):
        fold_key, row_key, *class_keys = jax.random.split(key, 2 + len(CLASSES))
        usable = np.asarray(portfolio.num_observed > 1)
        unchanged = Candidate("none", 0.0, 0.0, 0.0)
        policy = risk.single(network, params)
        num_folds = min(config.num_folds, int(usable.sum()))
        if num_folds < 2:
            return Finetuned(policy, unchanged, (unchanged,))
        folds = jnp.asarray(fold_of(fold_key, len(usable), num_folds))
        weights = _weights(portfolio) * (folds != jnp.arange(num_folds)[:, None])
        num_rows = min(config.num_rows, portfolio.valid.shape[-1])
        position, counts = risk.left_out(row_key, portfolio.valid, num_rows)
        rows = rows_of(network, params, portfolio, position, counts)
        none = jnp.zeros(network.width)
        before = np.asarray(risk.instance_costs(rows, none, portfolio.quantile))[usable]
        found = [(unchanged, policy)]
        heads = jnp.zeros((num_folds, network.width))
        repeated = lambda leaf: jnp.repeat(leaf[None], num_folds, axis=0)
        for name, class_key in zip(CLASSES, class_keys, strict=True):
            if name not in config.classes:
                continue
            if name == "head":
                found_heads, costs = head_candidates(
                    network, config, params, rows, portfolio.quantile, weights, folds
                )
                same = jax.tree.map(repeated, params)
                policies = [Policy(same, u) for u in found_heads]
                dials = config.radii
            else:
                stacked = train_folds(
                    network, config, name, params, portfolio, weights, class_key
                )
                costs = trained_costs(
                    network, stacked, portfolio, position, counts, folds
                )
                pick = lambda c, tree: jax.tree.map(lambda leaf: leaf[c], tree)
                policies = [Policy(pick(c, stacked), heads) for c in range(len(costs))]
                dials = config.checkpoints
            for dial, cost, candidate in zip(
                dials, np.asarray(costs), policies, strict=True
            ):
                found.append((_candidate(name, dial, before, cost[usable]), candidate))
        score = lambda pair: pair[0].gain - config.caution * pair[0].gain_se
        chosen, policy = max(found, key=score)
        return Finetuned(policy, chosen, tuple(candidate for candidate, _ in found))

    return fit
