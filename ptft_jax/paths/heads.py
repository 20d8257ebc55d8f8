"""Heads of every radius on every sample, mixed by their held-out costs.

One program serves all numbers of instances of one padded size: n is traced and only
weighs the instances. Samples are nested along n.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import special

from ptft_jax.paths import problem as problem_
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.problem import Problem

TEMPERATURE = 2.0  # of the weights, in units of the pretrained held-out cost
PENALTY = np.log(4.0)  # log of the prior odds of a radius against the next larger one
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
    """Heads of every seed and radius, for one n."""

    first: Float[Array, "s j d"]  # fitted on the first n₁ instances
    gap: Float[Array, "s j"]  # certified, of those
    saved: Float[Array, "s j"]  # mean held-out cost of φ₀ less that of each head
    held_out: Float[Array, "s"]  # mean held-out cost of φ₀
    whole: Float[Array, "s j d"]  # fitted on all n


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
    """Returns `fit(decided, n_fit, n) -> Fits`, compiled once a padded size.

    Args:
      problem: its cost and its solver are used.
      radii: r_1 < … < r_J.

    Returns:
      A function of the seeds' instances [s, size], n₁ and n.
    """

    def one(decided: Decided, n_fit, n):
        position = jnp.arange(decided.label.shape[0])
        is_first, is_used = position < n_fit, position < n
        held_out = (is_used & ~is_first) / jnp.maximum(n - n_fit, 1)
        before = problem.cost(decided.base, decided.label)

        def at(radius):
            u, gap = problem.solve(decided, is_first.astype(jnp.float32), radius)
            whole, _ = problem.solve(decided, is_used.astype(jnp.float32), radius)
            after = problem.cost(problem_.decisions(decided, u), decided.label)
            return u, gap, (held_out * (before - after)).sum(), whole

        first, gap, saved, whole = jax.lax.map(at, jnp.asarray(radii))
        return Fits(first, gap, saved, (held_out * before).sum(), whole)

    def fit(decided: Decided, n_fit: Int[Array, ""], n: Int[Array, ""]) -> Fits:
        return jax.lax.map(lambda each: one(each, n_fit, n), decided)

    compiled = jax.jit(fit)

    def run(decided: Decided, n_fit: int, n: int) -> Fits:
        return jax.tree.map(np.asarray, compiled(decided_part(decided, n), n_fit, n))

    return run


def weigh(
    saved: Float[np.ndarray, "s j"], cost: Float[np.ndarray, "s"], n_select: int
) -> Float[np.ndarray, "s k"]:
    """Shares of φ₀ and of the J heads in the tuned policy, from held-out costs.

    w_j ∝ 4⁻ʲ exp(−n₂ R̂_j/T), T = 2R̂_0. The tuned policy is the head Σ w_j u_j: mixing
    keeps what selection among few held-out instances would lose to luck. T is the
    variance of the difference of two costs over twice its mean, roughly, where regrets
    are quadratic (for squared cost exactly, at 2σ²): the weights are then nearly those
    of a posterior.

    Args:
      saved: R̂_0 − R̂_j, mean held-out cost of φ₀ less that of each head.
      cost: R̂_0, mean held-out cost of φ₀.
      n_select: n₂.

    Returns:
      Weights [s, J + 1], first that of no change; rows add up to 1.
    """
    score = np.concatenate([np.zeros((len(saved), 1)), saved], axis=1)
    heat = TEMPERATURE * np.maximum(np.asarray(cost, np.float64), 1e-30)[:, None]
    logits = n_select * score / heat - PENALTY * np.arange(score.shape[1])
    return special.softmax(logits, axis=1)


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
