"""What the two paths need of a decision problem: cost, regret, range, and the fit."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ptft_jax import head, risk
from ptft_jax.model import Decision
from ptft_jax.paths import truth
from ptft_jax.paths.policy import Decided
from ptft_jax.problems import newsvendor

STEPS = 100  # of the head's accelerated projection
SMOOTHING = 0.002  # of its kink, in units of each instance's scale


class Problem(NamedTuple):
    """A decision problem in one real world.

    Attributes:
      cost: `(x, y) -> c`, of numpy or jax arrays.
      regret: `(x, total) -> [n]`, exact expected cost above the Bayes decision's.
      bayes: `(total) -> [n]`, expected cost of the Bayes decision.
      solve: `(decided, weight, radius) -> (u, gap)`, the head of least mean cost in a
        ball, and a bound on how much more it costs than the least one.
      range_of: `(radius) -> B`; costs of the ball's heads lie in [0, B].
      move_of: `(radius) -> b`; no head of the ball moves a decision by more.
      lipschitz: L of the cost in the decision.
    """

    cost: Callable
    regret: Callable
    bayes: Callable
    solve: Callable
    range_of: Callable[[float], float]
    move_of: Callable[[float], float]
    lipschitz: float


def newsvendor_problem(table: truth.RegretTable, width: int) -> Problem:
    """The newsvendor with demand cut at K.

    Demand, the base decision and its scale, the observed mean, lie in [0, K], and
    ‖h‖ = √d, so |x − x⁰| ≤ K r √d and c ≤ L K (1 + r √d), L = max(q, 1−q).

    Args:
      table: of the real world.
      width: d.

    Returns:
      The problem.
    """
    quantile = float(table.quantile)
    cap = table.regret.shape[1] - 1
    lipschitz = max(quantile, 1.0 - quantile)
    move_of = lambda radius: cap * radius * width**0.5

    def solve(decided: Decided, weight, radius):
        rows = risk.Rows(
            Decision(
                decided.base[None],
                decided.scale[None],
                decided.hidden[None],
                jnp.zeros_like(decided.base)[None],
            ),
            decided.label[None],
            jnp.ones_like(decided.label)[None],
        )
        critical = jnp.full_like(decided.label, quantile)
        found = head.solve(rows, critical, weight, radius, STEPS, SMOOTHING)
        # the programme counts in units of the mean scale
        unit = (weight * decided.scale).sum() / weight.sum()
        return found.head, found.gap * unit

    return Problem(
        cost=lambda x, y: newsvendor.cost(x, y, quantile),
        regret=lambda x, total: truth.regret(table, x, total),
        bayes=lambda total: table.bayes[total.astype(jnp.int32)],
        solve=solve,
        range_of=lambda radius: lipschitz * (cap + move_of(radius)),
        move_of=move_of,
        lipschitz=lipschitz,
    )


def decisions(decided: Decided, u: Float[Array, "d"] | Float[np.ndarray, "d"]):
    """The decisions x = x⁰ + s ⟨u, h⟩.

    Args:
      decided: n instances.
      u: head.

    Returns:
      Decisions [n].
    """
    return decided.base + decided.scale * (decided.hidden @ u)
