"""The two-path bound: pretraining, or fine-tuning at the best radius.

Balls of heads of radius 0 = r₀ < r₁ < … < r_J around the pretrained one. φ̂_j, fitted
on n₁ instances, lies in ball j, and its mean cost there is within ε_j of the least. Of
φ₀, φ̂_1, …, φ̂_J the one with the least mean cost on n₂ other instances is used. All
instances are i.i.d. from Q. With probability ≥ 1−δ its excess over the Bayes risk under
Q is at most

    min{E_pre, min_j E_ft,j} + 2B √(ln(4(J+1)/δ) / 2n₂),
    E_pre  = [R_P(φ₀) − R*_P] + 2B′ TV(P, Q),
    E_ft,j = A_j + 2 Rad_j + ε_j + 3B_j √(ln(8J/δ)/2n₁) + B_j √(ln(4J/δ)/2n₁).

`theory/README.md` has the proof. The statement is ours; its parts are cited there.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from theory import checks

TERMS = (
    "pretrain_excess",
    "mismatch",
    "approximation",
    "rademacher",
    "optimisation",
    "deviation",
    "comparator",
    "selection",
)


class BoundTerms(NamedTuple):
    """The bound's terms on its chosen path, in the unit of the cost, and every path.

    The terms of the paths not chosen are 0, so the terms add up to `total`.

    Attributes:
      pretrain_excess: R_P(φ₀) − R*_P.
      mismatch: 2B′ TV(P, Q).
      approximation: A_j.
      rademacher: 2 Rad_j.
      optimisation: ε_j.
      deviation: 3B_j √(ln(8J/δ)/2n₁), of all heads in the ball.
      comparator: B_j √(ln(4J/δ)/2n₁), of the best head in the ball.
      selection: 2B √(ln(4(J+1)/δ)/2n₂), paid on every path.
      pretrain_path: E_pre.
      finetune_paths: E_ft,1, …, E_ft,J.
      path: the chosen j, 0 for pretraining.
    """

    pretrain_excess: float
    mismatch: float
    approximation: float
    rademacher: float
    optimisation: float
    deviation: float
    comparator: float
    selection: float
    pretrain_path: float
    finetune_paths: tuple[float, ...]
    path: int

    @property
    def total(self) -> float:
        """The bound on the excess risk."""
        return min(self.pretrain_path, *self.finetune_paths) + self.selection

    @property
    def dominant(self) -> str:
        """The name of the largest term, the first on ties."""
        return max(TERMS, key=lambda name: getattr(self, name))


def bound(
    *,
    pretrain_excess: float,
    total_variation: float,
    mismatch_range: float,
    approximation: checks.Numbers,
    rademacher: checks.Numbers,
    optimisation: checks.Numbers,
    cost_bounds: checks.Numbers,
    n_fit: int | np.integer,
    n_select: int | np.integer,
    delta: float,
) -> BoundTerms:
    """Bound on R_Q(φ̂_ĵ) − R*_Q, with its terms.

    min{E_pre, min_j E_ft,j} + 2B √(ln(4(J+1)/δ)/2n₂); see the module.

    Args:
      pretrain_excess: R_P(φ₀) − R*_P ≥ 0, known or itself certified; a certificate at
        δ₀ makes the total confidence 1−δ−δ₀. φ₀ has the same context as under Q.
      total_variation: TV(P, Q) in [0, 1] between the laws of one instance.
      mismatch_range: B′ ≥ 0; the cost of φ₀ and that of the Bayes policy of Q both lie
        in [0, B′].
      approximation: A_j ≥ 0, least risk under Q in ball j minus R*_Q, J ≥ 1 of them.
      rademacher: Rad_j ≥ 0, empirical Rademacher complexity of the costs of ball j on
        the n₁ instances, as from `capacity.linear_ball`.
      optimisation: ε_j ≥ 0, as from `capacity.frank_wolfe_gap`.
      cost_bounds: B_0, …, B_J ≥ 0; costs of the heads in ball j lie in [0, B_j].
      n_fit: n₁ ≥ 1.
      n_select: n₂ ≥ 1.
      delta: failure probability δ in (0, 1).

    Returns:
      The terms; `.total` increases in every argument but n₁, n₂ and δ, in which it
      decreases. Not counted: what it costs to learn A_j and TV from data.

    Raises:
      ValueError: the lengths do not match, or an argument is out of range.

    Source: ours; symmetrisation after Mohri et al. (2018), Theorem 3.3.
    """
    excess = checks.number("pretrain_excess", pretrain_excess, 0.0)
    distance = checks.number("total_variation", total_variation, 0.0, 1.0)
    b_mismatch = checks.number("mismatch_range", mismatch_range, 0.0)
    a, rad, gaps, b = (
        _radii(name, values)
        for name, values in (
            ("approximation", approximation),
            ("rademacher", rademacher),
            ("optimisation", optimisation),
            ("cost_bounds", cost_bounds),
        )
    )
    num_radii = len(a)
    if not len(rad) == len(gaps) == num_radii == len(b) - 1:
        raise ValueError(
            f"{num_radii} approximation, {len(rad)} rademacher, {len(gaps)} "
            f"optimisation, {len(b)} cost_bounds; expected J, J, J and J + 1"
        )
    checks.confidence(delta)
    deviation = 3.0 * b[1:] * _hoeffding("n_fit", n_fit, 8 * num_radii / delta)
    comparator = b[1:] * _hoeffding("n_fit", n_fit, 4 * num_radii / delta)
    share = 4 * (num_radii + 1) / delta
    selection = 2.0 * float(b.max()) * _hoeffding("n_select", n_select, share)
    mismatch = 2.0 * b_mismatch * distance
    rows = np.stack([a, 2.0 * rad, gaps, deviation, comparator])
    paths = (excess + mismatch, *rows.sum(axis=0).tolist())
    path = int(np.argmin(paths))
    chosen = rows[:, path - 1].tolist() if path else [0.0] * len(rows)
    before = (0.0, 0.0) if path else (excess, mismatch)
    return BoundTerms(*before, *chosen, selection, paths[0], paths[1:], path)


def _hoeffding(name: str, n: int | np.integer, odds: float) -> float:
    """√(ln(odds) / 2n), the deviation of a mean on [0, 1] at probability 1/odds."""
    return math.sqrt(math.log(odds) / (2 * checks.count(name, n)))


def _radii(name: str, values: checks.Numbers) -> Float[np.ndarray, "j"]:
    """One number ≥ 0 a radius, at least one of them."""
    x = checks.finite(name, values, 0.0)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"{name} has shape {x.shape}, expected one number a radius")
    return x
