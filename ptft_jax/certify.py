"""What can be certified of a portfolio's policies, at a stated confidence.

For instance i of fold B (see `crossfit`), loss_i is the mean over its left-out
observations of c(f_A(D_i without ξ_ij; context A), ξ_ij), cut at b_A and divided by it.
Each fold is bounded at δ/2, and

  U = (n_B b_A U_B + n_A b_B U_A)/n

is at least the mean cost with probability ≥ 1−δ: δ is spent once for each statement,
not once for all of them together.

What is certified is the mean cost of the two fold policies at m−1 observations, **cut
at b**, where b_A is twice the largest left-out cost that the pretrained policy has on
fold A, known before fold B is looked at; and the mean of what a policy saves over
another, cut at ±D, D_A being twice the largest difference on fold A. Demand is
unbounded, and no bound that is valid for every law exists for the mean of an unbounded
cost. How many instances were cut, and a bound on the share of instances beyond the
scale, say what the cut may hide.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float64, Key

from ptft_jax import crossfit
from ptft_jax.crossfit import Half, Scores
from ptft_jax.finetune import Fit
from ptft_jax.model import Network
from ptft_jax.types import Portfolio
from theory import certificates

UPPER: dict[str, Callable] = {
    name: getattr(certificates, name)
    for name in (
        "hoeffding",
        "empirical_bernstein",
        "kl_chernoff",
        "bentkus",
        "betting",
    )
}

MEANING = (
    "Each bound holds with probability at least 1 - delta over the draw of the "
    "instances, taken alone. It is on the mean cost of the policies of the two "
    "cross-fitting folds, which see one observation fewer, with every instance's cost "
    "(for a gain: the difference of two costs) cut at a scale fixed on the other fold. "
    "Demand is unbounded, and no bound valid for every law exists for the mean of an "
    "unbounded cost: the share of instances beyond the scale is bounded instead."
)


class Certificate(NamedTuple):
    """One statement that holds with probability ≥ 1−δ.

    Attributes:
      policy: which it is about.
      name: of the bound, as in `bounds.csv`.
      value: the bound, in units of cost; a share for `…_share_cut`.
      empirical: what was measured on the scored instances, in the same units.
      against: the policy that a gain is over; None for a cost.
    """

    policy: str
    name: str
    value: float
    empirical: float
    against: str | None = None

    @property
    def is_gain(self) -> bool:
        """Whether it is a lower bound on a gain."""
        return self.against is not None and not self.is_share

    @property
    def is_share(self) -> bool:
        """Whether it is about the share of instances whose cost was cut."""
        return self.name.endswith("_share_cut")


class Certified(NamedTuple):
    """All statements of a portfolio, and what they were made from."""

    statements: tuple[Certificate, ...]
    halves: tuple[Half, Half]
    scores: tuple[Scores, Scores]
    delta: float

    def find(self, name: str) -> Certificate:
        """The statement of that name.

        Args:
          name: such as `finetuned_betting`.

        Returns:
          The statement.

        Raises:
          KeyError: there is none.
        """
        for statement in self.statements:
            if statement.name == name:
                return statement
        raise KeyError(name)


def weigh(scores: tuple[Scores, Scores], values: list[float]) -> float:
    """Mean over all instances of a value that each fold has for its own.

    Args:
      scores: of the two folds.
      values: one for each fold.

    Returns:
      Σ_folds n_fold · value / n.
    """
    sizes = [len(fold.costs["saa"]) for fold in scores]
    return float(np.dot(sizes, values) / sum(sizes))


def cut(fold: Scores, method: str) -> Float64[np.ndarray, "l"]:
    """Costs of a fold's instances, cut at its scale.

    Args:
      fold: scores of one fold.
      method: which of those scored.

    Returns:
      min(cost, b), in [0, b].
    """
    return np.minimum(fold.costs[method], fold.scale)


def cost_bounds(
    scores: tuple[Scores, Scores],
    policy: str,
    delta: float,
    names: tuple[str, ...] = tuple(UPPER),
) -> list[Certificate]:
    """Upper bounds on the mean cut cost of a policy, and on the share that is cut.

    Args:
      scores: of the two folds.
      policy: which of the scored methods.
      delta: failure probability of each bound, in (0, 1).
      names: of the bounds, among `UPPER`.

    Returns:
      One statement for each name, then the Clopper–Pearson share.
    """
    mean = weigh(scores, [float(cut(fold, policy).mean()) for fold in scores])
    out = []
    for name in names:
        bound = UPPER[name]
        ends = [f.scale * bound(cut(f, policy) / f.scale, delta / 2) for f in scores]
        out.append(Certificate(policy, f"{policy}_{name}", weigh(scores, ends), mean))
    over = [int((fold.costs[policy] > fold.scale).sum()) for fold in scores]
    return [*out, _share(scores, policy, f"{policy}_share_cut", over, delta)]


def gain_bounds(
    scores: tuple[Scores, Scores], new: str, old: str, delta: float
) -> list[Certificate]:
    """Lower bound on the mean cost that a policy saves over another, cut at ±D.

    Cutting what an instance saves at D can only lower the mean; cutting what it loses
    can raise it, so the share of instances that lose more is bounded too.

    Args:
      scores: of the two folds.
      new: the policy that may be adopted.
      old: the policy in use.
      delta: failure probability of each statement, in (0, 1).

    Returns:
      The gain (below 0 it only limits the harm), then the Clopper–Pearson share.
    """
    ends, means, over = [], [], []
    for fold in scores:
        limit = fold.ranges[new, old]
        saved = fold.costs[old] - fold.costs[new]
        kept = np.clip(saved, -limit, limit)
        nothing = np.zeros_like(kept)
        ends.append(certificates.paired_gain(-kept, nothing, delta / 2, limit))
        means.append(float(kept.mean()))
        over.append(int((saved < -limit).sum()))
    name = f"{new}_gain_over_{old}"
    gain = Certificate(new, name, weigh(scores, ends), weigh(scores, means), old)
    return [gain, _share(scores, new, f"{name}_share_cut", over, delta, old)]


def _share(scores, policy, name, over, delta, against=None) -> Certificate:
    sizes = [len(fold.costs[policy]) for fold in scores]
    ends = [
        certificates.clopper_pearson(k, n, delta / 2)
        for k, n in zip(over, sizes, strict=True)
    ]
    measured = sum(over) / sum(sizes)
    return Certificate(policy, name, weigh(scores, ends), measured, against)


def certify(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    fit: Fit | None,
    key: Key[Array, ""],
    delta: float = 0.05,
    report: Callable[[str], None] = lambda stage: None,
    size: int | None = None,
) -> Certified:
    """Cross-fits the portfolio and states all that can be certified.

    Args:
      network: the Transformer.
      params: pretrained.
      portfolio: n ≥ 4 instances, each with at least two observations, not padded.
      fit: of `finetune.make_fit`, or None for the pretrained policy only.
      key: typed PRNG key.
      delta: failure probability of each statement, in (0, 1).
      report: called with what is done next.
      size: to pad the folds to, as for `crossfit.cross_fit`.

    Returns:
      The statements, the folds and their scores.

    Raises:
      ValueError: too few instances or observations, or δ outside (0, 1).
    """
    fit_key, score_key = jax.random.split(key)
    halves = crossfit.cross_fit(network, params, portfolio, fit, fit_key, report, size)
    scores = crossfit.score(network, portfolio, halves, score_key)
    found: list[Certificate] = []
    for policy in halves[0].policies:
        found += cost_bounds(scores, policy, delta)
    for new, old in halves[0].ranges:
        found += gain_bounds(scores, new, old, delta)
    return Certified(tuple(found), halves, scores, delta)
