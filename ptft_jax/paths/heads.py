"""Heads of every radius on every sample, mixed by their held-out costs.

One program serves all numbers of instances of one padded size: n is traced and only
weighs the instances. Samples are nested along n.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import special

from ptft_jax import head_gap
from ptft_jax.paths import problem as problem_
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.problem import Problem

TEMPERATURE = 4.0  # of the weights, in units of the pretrained held-out cost
DOUBT = 3.0  # p √n, p the log of the prior odds of a radius against the next larger
NUM_FOLDS = 4  # the last of them is the n₂ instances of the theorem
SMALLEST = 256  # samples are padded to this, times a power of 4


def decided_part(decided: Decided, n: int) -> Decided:
    """The first instances of every seed, as many as the padded size of n.

    Args:
      decided: leaves [s, n_max, …].
      n: instances.

    Returns:
      Leaves [s, min(padded(n), n_max), …].
    """
    return jax.tree.map(lambda leaf: leaf[:, : padded(n)], decided)


class Fits(NamedTuple):
    """Heads of every seed and radius, each in its ball, for one n."""

    first: Float[Array, "s j d"]  # fitted on the first n₁ instances
    saved: Float[Array, "s j"]  # mean held-out cost of φ₀ less that of each head
    whole: Float[Array, "s j d"]  # fitted on all n
    crossed: Float[Array, "s j"]  # as `saved`, but over four folds, each held out once
    cost: Float[Array, "s"]  # mean cost of φ₀ on all n


def padded(n: int) -> int:
    """The size that a sample of n is padded to.

    Args:
      n: instances ≥ 1.

    Returns:
      `SMALLEST` times a power of 4, at least n.
    """
    size = SMALLEST
    while size < n:
        size *= 4
    return size


def make_fit(problem: Problem, radii: tuple[float, ...]) -> Callable[..., Fits]:
    """Returns `fit(decided, n) -> Fits`, compiled once a padded size.

    Args:
      problem: its cost and its solver are used.
      radii: r_1 < … < r_J.

    Returns:
      A function of the seeds' instances [s, size] and n.
    """

    def one(decided: Decided, n):
        position = jnp.arange(decided.label.shape[0])
        is_used = position < n
        fold = jnp.where(is_used, position * NUM_FOLDS // n, NUM_FOLDS)
        before = problem.cost(decided.base, decided.label)

        def solve(is_in, radius):
            return problem.solve(decided, is_in.astype(jnp.float32), radius)

        def at(radius):
            def without(k):
                u = solve(is_used & (fold != k), radius)
                after = problem.cost(problem_.decisions(decided, u), decided.label)
                return u, jnp.where(fold == k, before - after, 0.0).sum()

            heads, saved = jax.lax.map(without, jnp.arange(NUM_FOLDS))
            whole = solve(is_used, radius)
            last = (fold == NUM_FOLDS - 1).sum()
            return heads[-1], saved[-1] / last, whole, saved.sum() / n

        found = jax.lax.map(at, jnp.asarray(radii))
        return Fits(*found, jnp.where(is_used, before, 0.0).sum() / n)

    def fit(decided: Decided, n: Int[Array, ""]) -> Fits:
        return jax.lax.map(lambda each: one(each, n), decided)

    compiled = jax.jit(fit)

    def run(decided: Decided, n: int) -> Fits:
        found = jax.tree.map(np.asarray, compiled(decided_part(decided, n), n))
        inside = lambda u: head_gap.project(u, np.asarray(radii))
        return found._replace(first=inside(found.first), whole=inside(found.whole))

    return run


def num_fitted(n: int | Int[Array, ""]) -> int | Int[Array, ""]:
    """n₁: all but the last of `NUM_FOLDS` folds.

    Args:
      n: instances; it may be traced.

    Returns:
      The number of positions below n in the folds before the last.
    """
    return -(-(NUM_FOLDS - 1) * n // NUM_FOLDS)


def weigh(
    crossed: Float[np.ndarray, "s j"], cost: Float[np.ndarray, "s"], n: int
) -> Float[np.ndarray, "s k"]:
    """Shares of φ₀ and of the J heads in the tuned policy, from cross-fitted costs.

    w_j ∝ exp(n (R̂_0 − R̂_j)/T − j p), T = 4R̂_0, p = 3/√n. The tuned policy is the head
    Σ w_j u_j: mixing keeps what selection would lose to luck. At T = 2R̂_0, 2σ² for
    squared cost, the weights would be nearly those of a posterior if the n costs were
    one sample; twice that trusts them less. p doubts large radii while there are too
    few instances to tell.

    Args:
      crossed: R̂_0 − R̂_j, mean cost of φ₀ less that of each head, held out in turn.
      cost: R̂_0.
      n: instances.

    Returns:
      Weights [s, J + 1], first that of no change; rows add up to 1.
    """
    score = np.concatenate([np.zeros((len(crossed), 1)), crossed], axis=1)
    heat = TEMPERATURE * np.maximum(np.asarray(cost, np.float64), 1e-30)[:, None]
    doubt = DOUBT / np.sqrt(n) * np.arange(score.shape[1])
    return special.softmax(n * score / heat - doubt, axis=1)


def last(instances: Any, n_fit: int | Int[Array, ""], size: int) -> Any:
    """The fold after the first n₁ instances, for any n ≤ size: n₁ may be traced.

    Args:
      instances: leaves [size, …].
      n_fit: n₁.
      size: padded number of instances.

    Returns:
      Leaves [⌈size/4⌉ + 1, …] from position n₁ on, wrapped around; those from n − n₁
      on are not held out.
    """
    at = (n_fit + jnp.arange(-(-size // NUM_FOLDS) + 1)) % size
    return jax.tree.map(lambda leaf: leaf[at], instances)


def make_risk(problem: Problem, pool: Decided) -> Callable[..., Float[np.ndarray, "k"]]:
    """Returns `risk(heads) -> [k]`: mean exact regret on fresh instances, compiled.

    Args:
      problem: its regret is used.
      pool: fresh instances, the same for all policies.

    Returns:
      A function of heads [k, d].
    """

    @jax.jit
    def regrets(heads, pool: Decided):
        def one(u):
            return problem.regret(problem_.decisions(pool, u), pool.total).mean()

        return jax.lax.map(one, heads)

    return lambda heads: np.asarray(regrets(jnp.asarray(heads), pool), np.float64)
