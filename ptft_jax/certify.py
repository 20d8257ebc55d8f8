"""What can be certified of a portfolio's policies, at a stated confidence.

For instance i of fold B (see `crossfit`), loss_i is the mean over its left-out
observations of c(f_A(D_i without ξ_ij; context A), ξ_ij), cut at b_A and divided by it.
Each fold is bounded at δ/2, and

  U = (n_B b_A U_B + n_A b_B U_A)/n

is at least the mean cost with probability ≥ 1−δ: δ is spent once for each statement,
not once for all of them together.

What is certified is the mean cost of the two fold policies at m−1 observations, **cut
at b**, where b_A is twice the largest left-out cost that the pretrained policy has on
fold A, known before fold B is looked at. Demand is unbounded, and no bound that is
valid for every law exists for the mean of an unbounded cost. How many losses were cut,
and a bound on the share of instances whose cost exceeds b, say what the cut may hide.
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
GAINS = (("finetuned", "pretrained"), ("finetuned", "saa"), ("pretrained", "saa"))

MEANING = (
    "Each bound holds with probability at least 1 - delta over the draw of the "
    "instances, taken alone. It is on the mean cost of the policies of the two "
    "cross-fitting folds, which see one observation fewer, with every instance's cost "
    "cut at a scale fixed on the other fold. Demand is unbounded, and no bound valid "
    "for every law exists for the mean of an unbounded cost: the share of instances "
    "whose cost exceeds the scale is bounded instead."
)


class Certificate(NamedTuple):
    """One statement that holds with probability ≥ 1−δ.

    Attributes:
      policy: which it is about.
      name: of the bound, as in `bounds.csv`.
      value: the bound, in units of cost; a share for `…_share_cut`.
      empirical: what was measured on the scored instances, in the same units.
      against: the policy that a gain is over; None for an upper bound.
    """

    policy: str
    name: str
    value: float
    empirical: float
    against: str | None = None

    @property
    def is_gain(self) -> bool:
        """Whether it is a lower bound on a gain."""
        return self.against is not None

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


def _cut(fold: Scores, method: str) -> Float64[np.ndarray, "l"]:
    return np.minimum(fold.costs[method], fold.scale)


def cost_bounds(
    scores: tuple[Scores, Scores], policy: str, delta: float
) -> list[Certificate]:
    """Upper bounds on the mean cut cost of a policy, and on the share that is cut.

    Args:
      scores: of the two folds.
      policy: which of the scored methods.
      delta: failure probability of each bound, in (0, 1).

    Returns:
      One statement for each of `UPPER`, then the Clopper–Pearson share.
    """
    mean = weigh(scores, [float(_cut(fold, policy).mean()) for fold in scores])
    out = []
    for name, bound in UPPER.items():
        ends = [f.scale * bound(_cut(f, policy) / f.scale, delta / 2) for f in scores]
        out.append(Certificate(policy, f"{policy}_{name}", weigh(scores, ends), mean))
    over = [int((fold.costs[policy] > fold.scale).sum()) for fold in scores]
    sizes = [len(fold.costs[policy]) for fold in scores]
    shares = [
        certificates.clopper_pearson(k, n, delta / 2)
        for k, n in zip(over, sizes, strict=True)
    ]
    measured = sum(over) / sum(sizes)
    name = f"{policy}_share_cut"
    return [*out, Certificate(policy, name, weigh(scores, shares), measured)]


def gain_bound(
    scores: tuple[Scores, Scores], new: str, old: str, delta: float
) -> Certificate:
    """Lower bound on the mean cost that a policy saves over another, both cut at b.

    Args:
      scores: of the two folds.
      new: the policy that may be adopted.
      old: the policy in use.
      delta: failure probability, in (0, 1).

    Returns:
      The statement; below 0 it only limits the harm.
    """
    pairs = [(_cut(fold, new), _cut(fold, old)) for fold in scores]
    ends = [
        certificates.paired_gain(after, before, delta / 2, fold.scale)
        for fold, (after, before) in zip(scores, pairs, strict=True)
    ]
    saved = weigh(scores, [float((before - after).mean()) for after, before in pairs])
    return Certificate(new, f"{new}_gain_over_{old}", weigh(scores, ends), saved, old)


def certify(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    fit: Fit | None,
    key: Key[Array, ""],
    delta: float = 0.05,
    report: Callable[[str], None] = lambda stage: None,
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

    Returns:
      The statements, the folds and their scores.

    Raises:
      ValueError: too few instances or observations, or δ outside (0, 1).
    """
    fit_key, score_key = jax.random.split(key)
    halves = crossfit.cross_fit(network, params, portfolio, fit, fit_key, report)
    scores = crossfit.score(network, portfolio, halves, score_key)
    found: list[Certificate] = []
    for policy in halves[0].policies:
        found += cost_bounds(scores, policy, delta)
    for new, old in GAINS:
        if new in scores[0].costs and old in scores[0].costs:
            found.append(gain_bound(scores, new, old, delta))
    return Certified(tuple(found), halves, scores, delta)
