"""Certificates of a tuned head by costs cut where the fitting instances say.

The first n/8 instances give the head, mixed over radii as the tuned policy is, and the
scale b: twice the largest cost that φ₀ has there. The cost L of an instance is the mean
over its m + 1 observations, each left out in turn and met by the decision taken from
the other m. They are exchangeable, so E L is the risk at m observations; the mean of
several costs has less variance than the last one alone. The rest of the instances
bounds E[L ∧ b], at δ: head and b do not depend on them. What the cut takes off the
risk, E(L − b)⁺, no sample can bound for every law. Here it is known.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from ptft_jax import crossfit
from ptft_jax.bound_terms import SETTING
from ptft_jax.paths import certified, heads
from ptft_jax.paths import problem as problem_
from ptft_jax.paths.certified import Row
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.problem import Problem
from ptft_jax.paths.worlds import Instances
from ptft_jax.types import Portfolio
from theory import certificates

SHARE = 8  # one of so many instances is fitted on
NAME = "tuned_betting_cut"


class Bound(NamedTuple):
    """An upper bound on E[L ∧ b].

    Attributes:
      total: the bound, with probability ≥ 1−δ.
      empirical: mean of L ∧ b where it was certified.
      scale: b.
    """

    total: float
    empirical: float
    scale: float


class Truth(NamedTuple):
    """What the bound is about, from fresh instances.

    Attributes:
      risk: E[L ∧ b].
      beyond: E(L − b)⁺, what the cut takes off the risk.
      spread: standard deviation of L ∧ b.
    """

    risk: float
    beyond: float
    spread: float


def num_fitted(n: int) -> int:
    """Instances that the head and the scale are chosen on.

    Args:
      n: instances.

    Returns:
      n/8, rounded down, and at least one for each fold of the weights.
    """
    return max(heads.NUM_FOLDS, n // SHARE)


def left_out(instances: Instances) -> Instances:
    """Every observation in turn as the label of the others, the label as it is last.

    Args:
      instances: n of m observations and a label.

    Returns:
      (m + 1) n instances of m observations, n of each turn.
    """
    portfolio, label = instances
    seen = jnp.concatenate([portfolio.observations, label[:, None]], axis=1)
    n, turns = seen.shape
    others = [jnp.delete(seen, turn, axis=1) for turn in range(turns)]
    observed = jnp.concatenate(others)
    turned = Portfolio(
        observed, jnp.ones(observed.shape, bool), jnp.tile(portfolio.quantile, turns)
    )
    return Instances(turned, seen.T.reshape(turns * n))


def decide(decide_: Callable[..., Decided], params, instances: Instances) -> Decided:
    """What the head class knows of every turn.

    Args:
      decide_: of `policy.make_decide`.
      params: of the network.
      instances: n of m observations and a label.

    Returns:
      Leaves [m + 1, n, …] in numpy.
    """
    turned = left_out(instances)
    n = len(instances.label)
    split = lambda leaf: np.asarray(leaf).reshape(-1, n, *leaf.shape[1:])
    return jax.tree.map(split, decide_(params, turned))


def tune(
    fit: Callable[..., heads.Fits], decided: Decided, n: int
) -> Float[np.ndarray, "s d"]:
    """The tuned head of the first n instances: fitted, weighed and mixed on them alone.

    Args:
      fit: of `heads.make_fit`.
      decided: leaves [s, size, …].
      n: instances.

    Returns:
      A head for each seed.
    """
    fits = fit(decided, n)
    weights = heads.weigh(fits.crossed, fits.cost, n)
    return np.einsum("sj,sjd->sd", weights[:, 1:], fits.whole)


def costs(
    problem: Problem, turned: Decided, u: Float[np.ndarray, "d"]
) -> Float[np.ndarray, "n"]:
    """L of every instance.

    Args:
      problem: its cost is used.
      turned: leaves [m + 1, n, …].
      u: head.

    Returns:
      Mean costs over the turns, in float64.
    """
    x = problem_.decisions(turned, u)
    return problem.host_cost(x, np.asarray(turned.label, np.float64)).mean(0)


def bound(
    fitted: Float[np.ndarray, "k"], others: Float[np.ndarray, "l"], delta: float
) -> Bound:
    """Upper bound b U(L ∧ b / b), U by betting, b twice the largest of other costs.

    Args:
      fitted: L of φ₀ on the instances that the policy was chosen on, ≥ 0.
      others: L of the policy on instances that it has not seen.
      delta: δ.

    Returns:
      The bound on E[L ∧ b].
    """
    scale = crossfit.cost_scale(fitted)
    kept = np.minimum(others, scale)
    total = scale * certificates.betting(kept / scale, delta)
    return Bound(total, float(kept.mean()), scale)


def certify(
    problem: Problem, turned: Decided, u: Float[np.ndarray, "d"], n: int, delta: float
) -> Bound:
    """The bound of a head of the first `num_fitted(n)` instances, from the rest of n.

    Args:
      problem: its cost is used.
      turned: leaves [m + 1, n or more, …].
      u: head.
      n: instances in all.
      delta: δ.

    Returns:
      The bound on E[L ∧ b].
    """
    first = num_fitted(n)
    own = Decided(*(leaf[:, :first] for leaf in turned))
    rest = Decided(*(leaf[:, first:n] for leaf in turned))
    before = costs(problem, own, np.zeros_like(u))
    return bound(before, costs(problem, rest, u), delta)


def truth(
    problem: Problem, fresh: Decided, u: Float[np.ndarray, "d"], risk: float, b: float
) -> Truth:
    """E[L ∧ b] = R − E(L − b)⁺, the second from fresh instances: it is small.

    Args:
      problem: its cost is used.
      fresh: leaves [m + 1, N, …] of instances that nothing was chosen on.
      u: head.
      risk: R, that of the head, exact.
      b: scale > 0.

    Returns:
      The truth.
    """
    each = costs(problem, fresh, u)
    beyond = float(np.maximum(each - b, 0.0).mean())
    return Truth(risk - beyond, beyond, float(np.minimum(each, b).std()))


def wall(true: Truth, n: int, delta: float) -> float:
    """What the normal law gives if all n instances certify: E + z sd/√n.

    Args:
      true: mean and spread of L ∧ b.
      n: instances.
      delta: δ.

    Returns:
      The bound that a known variance would give; no valid one is below it on average
      where the normal law holds.
    """
    return true.risk + float(stats.norm.isf(delta)) * true.spread / n**0.5


def rows(made: Bound, true: Truth, n: int, delta: float) -> list[Row]:
    """Rows of `bounds.csv`: the certificate, and the wall beside it.

    Args:
      made: on the instances after the first `num_fitted(n)`.
      true: for its head and scale.
      n: instances in all.
      delta: δ.

    Returns:
      Rows `tuned_betting_cut`, with `setting_scale` and `setting_beyond` that are no
      part of the total, and `cut_wall`, a law.
    """
    terms = {"total": made.total, "empirical": made.empirical}
    terms |= {"deviation": made.total - made.empirical}
    terms |= {f"{SETTING}scale": made.scale, f"{SETTING}beyond": true.beyond}
    found = certified.rows(NAME, terms, true.risk, delta)
    common = {"bound": "cut_wall", "tier": "law", "term": "total", "holds": ""}
    common |= {"value": wall(true, n, delta), "risk": true.risk, "delta": delta}
    return [*found, common]
