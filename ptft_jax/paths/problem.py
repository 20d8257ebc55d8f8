"""What the two paths need of a decision problem: cost, regret, ranges, and the fit.

A head of radius r decides x = x⁰ + s⟨u, h⟩ with ‖u‖ ≤ r and ‖h‖ = √d. Observations and
x⁰ lie in [−K, K] (in [0, K] for the newsvendor), s is at most K or known.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import special, stats

from ptft_jax import head, head_gap, risk
from ptft_jax.model import Decision
from ptft_jax.paths import truth
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.worlds import PathWorld
from ptft_jax.problems import means, newsvendor
from theory import capacity, laws

STEPS = 100  # of the newsvendor head's accelerated projection
SMOOTHING = 0.002  # of its kink, in units of each instance's scale


class Problem(NamedTuple):
    """A decision problem in one real world.

    Attributes:
      name: newsvendor or means.
      cost: `(x, y) -> c`, in jax.
      host_cost: the same in numpy, in float64.
      randomised: `(x, sd, y) -> E c(x + sd·z, y)`, z standard normal, in numpy.
      regret: `(x, total) -> [n]`, exact expected cost above the Bayes decision's.
      bayes: `(total) -> [n]`, expected cost of the Bayes decision.
      solve: `(decided, weight, radius) -> u`, the head of least mean cost in a ball.
      gap: `(decided, u, radius) -> ε` in numpy, in float64: certified; the mean cost of
        u, which is in the ball, is at most the least one there plus ε.
      move: `(radius) -> a`; |x − x⁰| ≤ a for heads of the ball.
      largest: `(a) -> B`; c ∈ [0, B] for decisions within a of [−K, K] or [0, K].
      slope: `(a) -> L`, Lipschitz constant of the cost there.
      moments: `(decided, x) -> (H, V)` in numpy: Hessian in u of the expected cost of
        decisions x, and second moment of its score.
    """

    name: str
    cost: Callable
    host_cost: Callable
    randomised: Callable
    regret: Callable
    bayes: Callable
    solve: Callable
    gap: Callable
    move: Callable[[float], float]
    largest: Callable[[float], float]
    slope: Callable[[float], float]
    moments: Callable


def make(path_world: PathWorld, mismatch: float, m: int, width: int) -> Problem:
    """The problem of a world at a mismatch.

    Args:
      path_world: the world.
      mismatch: of its real law.
      m: observations of each instance.
      width: d.

    Returns:
      The problem.
    """
    world, law = path_world.law_of(mismatch)
    if path_world.problem == "means":
        return _means(law, m, path_world.cap, width)
    table = truth.regret_table(world, law, m, path_world.quantile, path_world.cap)
    return _newsvendor(table, width)


def _newsvendor(table: truth.RegretTable, width: int) -> Problem:
    """The newsvendor: s, the observed mean, is at most K; L = max(q, 1−q)."""
    quantile = float(table.quantile)
    cap = table.regret.shape[1] - 1
    lipschitz = max(quantile, 1.0 - quantile)

    def solve(decided: Decided, weight, radius):
        base, scale, hidden = decided.base, decided.scale, decided.hidden
        decision = Decision(base[None], scale[None], hidden[None], 0.0 * base[None])
        rows = risk.Rows(decision, decided.label[None], jnp.ones_like(base)[None])
        critical = jnp.full_like(base, quantile)
        return head.solve(rows, critical, weight, radius, STEPS, SMOOTHING).head

    def gap(decided: Decided, u, radius: float) -> float:
        base, scale, hidden, label, _ = decided
        share = np.full(len(label), 1.0 / len(label))
        given = (u, base, scale, hidden, label, share, quantile, SMOOTHING)
        slope = head_gap.pinball_gradient(*given)
        rounded = SMOOTHING * float(scale.mean()) / 4.0
        return capacity.frank_wolfe_gap(slope, u, radius) + rounded

    def host_cost(x, y):
        return np.maximum(quantile * (y - x), (1.0 - quantile) * (x - y))

    def randomised(x, sd, y):
        z = (x - y) / sd
        over = sd * (z * special.ndtr(z) + stats.norm.pdf(z))
        return quantile * (y - x) + over

    def moments(decided: Decided, x):
        exceedance, density = truth.curvature(table, x, decided.total)
        return (
            laws.pinball_hessian(decided.hidden, decided.scale, density),
            laws.pinball_score_covariance(
                decided.hidden, decided.scale, quantile, exceedance
            ),
        )

    return Problem(
        "newsvendor",
        cost=lambda x, y: newsvendor.cost(x, y, jnp.full_like(x, quantile)),
        host_cost=host_cost,
        randomised=randomised,
        regret=lambda x, total: truth.regret(table, x, total),
        bayes=lambda total: table.bayes[total.astype(jnp.int32)],
        solve=solve,
        gap=gap,
        move=lambda radius: cap * radius * width**0.5,
        largest=lambda a: lipschitz * (cap + a),
        slope=lambda a: lipschitz,
        moments=moments,
    )


def least_squares(
    decided: Decided, weight: Float[Array, "n"], radius: Float[Array, ""]
) -> Float[Array, "d"]:
    """Head of least mean squared cost in a ball, up to rounding.

    argmin_{‖u‖ ≤ r} Σ w (Y − x⁰ − s⟨u, h⟩)²/Σ w: the least-squares head, projected in
    the metric of its Gram matrix.

    Args:
      decided: n instances and their labels.
      weight: ≥ 0, one an instance.
      radius: r ≥ 0.

    Returns:
      The head.
    """
    share = weight / weight.sum()
    phi = decided.scale[:, None] * decided.hidden
    residual = decided.label - decided.base
    gram = (share[:, None] * phi).T @ phi
    power, basis = jnp.linalg.eigh(gram)
    # directions without data have no label to follow: they stay at the pretrained head
    power = power.clip(0.0) + 1e-6 * power[-1]
    best = (basis.T @ (phi.T @ (share * residual))) / power
    return basis @ head.project(best, power, radius)


def _squares_gap(decided: Decided, u, radius: float) -> float:
    """Frank–Wolfe gap of the mean squared cost."""
    phi = np.asarray(decided.scale[:, None] * decided.hidden, np.float64)
    over = decisions(decided, u) - decided.label
    return capacity.frank_wolfe_gap(2.0 * phi.T @ over / len(phi), u, radius)


def _means(law: Any, m: int, cap: int, width: int) -> Problem:
    """Squared cost: s = √v is known, |x − y| ≤ 2K + a."""
    spread2, v = float(law.spread) ** 2, float(law.noise) ** 2 / m
    share = v / (v + spread2)

    def regret(x, total):
        average = total / m
        return means.regret(x, average + share * (float(law.center) - average))

    least = float(law.noise) ** 2 + share * spread2

    def moments(decided: Decided, x):
        phi = np.asarray(decided.scale[:, None] * decided.hidden, np.float64)
        second = least + np.asarray(regret(x, decided.total), np.float64)
        weighted = lambda w: np.einsum("ni,n,nj->ij", phi, w, phi) / len(phi)
        return weighted(np.full(len(phi), 2.0)), weighted(4.0 * second)

    return Problem(
        "means",
        cost=means.cost,
        host_cost=lambda x, y: (x - y) ** 2,
        randomised=lambda x, sd, y: (x - y) ** 2 + sd**2,
        regret=regret,
        bayes=lambda total: jnp.full_like(total, least),
        solve=least_squares,
        gap=_squares_gap,
        move=lambda radius: v**0.5 * radius * width**0.5,
        largest=lambda a: (2.0 * cap + a) ** 2,
        slope=lambda a: 2.0 * (2.0 * cap + a),
        moments=moments,
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
