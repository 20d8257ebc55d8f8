"""Heads of every radius on every sample, and the radius chosen on held-out instances.

One program serves all numbers of instances of one padded size: n is traced and only
weighs the instances. Samples are nested along n.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ptft_jax.paths import problem as problem_
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.problem import Problem

SMALLEST = 256  # samples are padded to this, times a power of 4


class Fits(NamedTuple):
    """Heads of every seed and radius, for one n."""

    first: Float[Array, "s j d"]  # fitted on the first n₁ instances
    gap: Float[Array, "s j"]  # certified, of those
    saved: Float[Array, "s j"]  # mean held-out cost of φ₀ less that of each head
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

        return Fits(*jax.lax.map(at, jnp.asarray(radii)))

    def fit(decided: Decided, n_fit: Int[Array, ""], n: Int[Array, ""]) -> Fits:
        return jax.lax.map(lambda each: one(each, n_fit, n), decided)

    compiled = jax.jit(fit)

    def run(decided: Decided, n_fit: int, n: int) -> Fits:
        part = jax.tree.map(lambda a: a[:, : padded(n)], decided)
        return jax.tree.map(np.asarray, compiled(part, n_fit, n))

    return run


def choose(saved: Float[np.ndarray, "s j"]) -> Int[np.ndarray, "s"]:
    """The candidate of least mean cost on the held-out instances.

    Args:
      saved: mean held-out cost of φ₀ less that of each head.

    Returns:
      ĵ in 0, …, J for every seed; 0 is no change, also on ties.
    """
    none = np.zeros((len(saved), 1))
    return np.concatenate([none, saved], axis=1).argmax(1)


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
