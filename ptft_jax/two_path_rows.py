"""The two-path bound on the instances of one fold, in the context of the other.

Fold B is split: heads are fitted to n₁ of its instances in balls of the radii `RADII`,
and φ₀ or one of them is chosen by its mean cost on the other n₂. Decisions are those of
x = x⁰ + s⟨u, h⟩, neither made ≥ 0 nor rounded, and an instance's cost is the mean over
its left-out rows, cut at b_A, so that every B_j is b_A. What has to be watched:

- Rad_j. The cut is 1-Lipschitz and a supremum of a mean is at most the mean of the
  suprema, so Rad_j ≤ Σ_rows (L r_j/n₁) √(Σ_i w_i² s_i² ‖h_i‖²), L = max(q, 1−q).
- ε_j. The programme of `head` is about the cost before the cut. On the sample
  R̂_cut(û) ≤ R̂(û) ≤ min R̂ + gap, and R̂ exceeds R̂_cut on the ball by no more than
  the mean `overshoot`, which is added to the gap. Nor is
  ε_j above R̂_cut(û_j) itself, costs being ≥ 0.
- E_pre and A_j may be those of the cost before the cut less any one reference risk:
  both only become larger. The statement is about R_cut(chosen) less that reference.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from ptft_jax import head_rows
from ptft_jax.head_rows import Ball, HeadRows
from theory import capacity, two_path
from theory.checks import LARGEST
from theory.two_path import BoundTerms

RADII = (0.01, 0.03, 0.1)


class Fitted(NamedTuple):
    """What the theorem needs of a fold.

    Attributes:
      balls: û_j, fitted to n₁ instances.
      chosen: the head chosen on the other n₂; 0 for φ₀.
      rademacher: Rad_j.
      optimisation: ε_j, of the cut cost.
      scale: b.
      n_fit: n₁.
      n_select: n₂.
    """

    balls: list[Ball]
    chosen: Float64[np.ndarray, "d"]
    rademacher: list[float]
    optimisation: list[float]
    scale: float
    n_fit: int
    n_select: int

    def within(self, j: int, delta: float) -> BoundTerms:
        """Bound on R_cut(chosen) − min over ball j of R_cut, for every j at once.

        Nothing is known of the excess of φ₀ or of what the other balls lack, so their
        paths are taken as infinite.

        Args:
          j: which of `RADII`.
          delta: failure probability δ.

        Returns:
          The terms of path j + 1, with approximation 0.
        """
        unknown = [LARGEST] * len(RADII)
        unknown[j] = 0.0
        return self.bound(LARGEST, unknown, delta)

    def bound(
        self, pretrain_excess: float, approximation: list[float], delta: float
    ) -> BoundTerms:
        """The two-path bound on R_cut(chosen) − R*.

        Args:
          pretrain_excess: E_pre = R(φ₀) − R*, under Q itself: no mismatch is added.
          approximation: A_j of each radius, nothing cut.
          delta: failure probability δ.

        Returns:
          `theory.two_path.bound`.
        """
        return two_path.bound(
            pretrain_excess=pretrain_excess,
            total_variation=0.0,
            mismatch_range=0.0,
            approximation=approximation,
            rademacher=self.rademacher,
            optimisation=self.optimisation,
            cost_bounds=[self.scale] * (1 + len(RADII)),
            n_fit=self.n_fit,
            n_select=self.n_select,
            delta=delta,
        )


def fit(
    rows: HeadRows,
    balls: list[Ball],
    is_fit: Bool[np.ndarray, "n"],
    scale: float,
) -> Fitted:
    """Chooses among φ₀ and the fitted heads, and measures their class.

    Args:
      rows: of the n instances of the fold.
      balls: heads of `RADII`, fitted to the instances of `is_fit`.
      is_fit: the n₁ instances, n₁ and n₂ = n − n₁ both ≥ 1.
      scale: b > 0 of the other fold.

    Returns:
      What the bound is made from.
    """
    heads = np.stack([np.zeros_like(balls[0].head), *(ball.head for ball in balls)])
    cost = np.minimum(head_rows.costs(rows, heads, False), scale)
    best = int(np.argmin(cost[:, ~is_fit].mean(1)))
    q = float(np.maximum(rows.quantile, 1.0 - rows.quantile).max())
    push = (rows.weight * rows.scale)[:, is_fit]
    rademacher, optimisation = [], []
    for ball, fitted in zip(balls, cost[1:, is_fit].mean(1), strict=True):
        rademacher.append(
            sum(
                capacity.linear_ball(h, s, ball.radius, q)
                for h, s in zip(rows.hidden[:, is_fit], push, strict=True)
            )
        )
        beyond = overshoot(rows, ball.radius, scale)[is_fit]
        optimisation.append(min(ball.gap + float(beyond.mean()), float(fitted)))
    n_fit = int(is_fit.sum())
    sizes = n_fit, len(is_fit) - n_fit
    return Fitted(balls, heads[best], rademacher, optimisation, scale, *sizes)


def overshoot(rows: HeadRows, radius: float, scale: float) -> Float64[np.ndarray, "n"]:
    """What the cut takes from an instance's cost under any head of the ball, at most.

    (c_i(0) + L r Σ_rows w s‖h‖ − b)⁺.

    Args:
      rows: of n instances.
      radius: r ≥ 0.
      scale: b > 0.

    Returns:
      Costs, [n].
    """
    none = np.zeros((1, rows.hidden.shape[-1]))
    slope = np.maximum(rows.quantile, 1.0 - rows.quantile)
    length = np.linalg.norm(rows.hidden, axis=-1)
    reach = slope * (rows.weight * rows.scale * length).sum(0)
    return np.maximum(head_rows.costs(rows, none, False)[0] + radius * reach - scale, 0)
