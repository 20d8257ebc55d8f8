"""The truth about heads: their risk over the population that the instances are from."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float64, Key

from ptft_jax import head_rows
from ptft_jax.draws import Cell, Draw
from ptft_jax.head_rows import HeadRows
from ptft_jax.lab import Lab
from ptft_jax.types import Portfolio
from theory import capacity

EXACT_ROWS = 2  # left-out rows of an instance whose expected cost is computed
GIBBS_DRAWS = 16
STANDARD_ERRORS = 4.0  # added to what is measured and stands in a bound


class Population(NamedTuple):
    """Fresh instances in the context of one fold.

    Attributes:
      rows: of N fresh instances.
      cost: decisions [N] of the j-th row, and j → expected costs [N] on the observation
        left out.
      bayes: expected cost of the Bayes decision from the same rows, mean over
        `EXACT_ROWS`, [N]; None where it is not known.
    """

    rows: HeadRows
    cost: Callable
    bayes: Float64[np.ndarray, "N"] | None

    def pretrained(self) -> Float64[np.ndarray, "r N"]:
        """Decisions of the network as it was pretrained, settled."""
        return head_rows.settle(self.rows.base[..., None], self.rows.unit)[..., 0]

    def expected(
        self, u: Float64[np.ndarray, "d"], is_settled: bool
    ) -> Float64[np.ndarray, "N"]:
        """Expected cost of each instance under a head, mean over `EXACT_ROWS`.

        Args:
          u: the head.
          is_settled: whether decisions are settled.

        Returns:
          Costs, nothing cut.
        """
        kept = slice(EXACT_ROWS)
        x = self.rows.decide(u[None], kept)
        if is_settled:
            x = head_rows.settle(x, self.rows.unit[kept])
        costs = [self.cost(row[:, 0], j) for j, row in enumerate(x)]
        return _row_mean(self.rows, np.stack(costs))

    def gibbs(self, heads: Float64[np.ndarray, "k d"]) -> float:
        """Mean risk of drawn heads, each judged on one row of every instance.

        Args:
          heads: drawn from a posterior; the first `GIBBS_DRAWS` are used.

        Returns:
          The mean, over instances and draws.
        """
        if len(heads) == 1:
            return float(self.expected(heads[0], True).mean())
        total = []
        for k, u in enumerate(heads[:GIBBS_DRAWS]):
            j = k % self.rows.base.shape[0]
            row = slice(j, j + 1)
            x = head_rows.settle(self.rows.decide(u[None], row), self.rows.unit[row])
            used = self.rows.weight[row][0] > 0.0
            total.append(self.cost(x[0, :, 0], j)[used].mean())
        return float(np.mean(total))

    def gap(self, u: Float64[np.ndarray, "d"], radius: float) -> float:
        """How far a head is from the best one of the ball in this sample, at most.

        Args:
          u: the head, in the ball or not.
          radius: r.

        Returns:
          R(u) − min over the ball of R ≤ ⟨g, u⟩ + r‖g‖, R the mean left-out cost,
          neither cut nor settled.
        """
        rows = self.rows
        above = rows.decide(u[None])[..., 0] > rows.label
        slope = rows.weight * rows.scale * (above - rows.quantile)
        gradient = np.einsum("rn,rnd->d", slope, rows.hidden) / rows.base.shape[1]
        return capacity.frank_wolfe_gap(
            gradient, u, max(radius, float(np.linalg.norm(u)))
        )


def _row_mean(rows: HeadRows, values: Float64[np.ndarray, "r N"]):
    weight = rows.weight[: len(values)]
    return (weight * values).sum(0) / np.maximum(weight.sum(0), 1e-30)


def gather(
    lab: Lab,
    cell: Cell,
    context: Portfolio,
    fresh: Draw,
    padded: Portfolio,
    key: Key[Array, ""],
) -> Population:
    """The population in the context of a fold.

    Args:
      lab: what the cells have in common.
      cell: the cell.
      context: instances of the fold, padded.
      fresh: the redraw.
      padded: its portfolio, padded.
      key: typed PRNG key; it chooses what is left out.

    Returns:
      The population.
    """
    size = fresh.portfolio.valid.shape[0]
    rows = head_rows.gather(lab.network, lab.params, padded, context, key, size)
    lacks = head_rows.positions(padded, key)[0][:, :size]
    cost = lambda x, j: fresh.left_out_cost(x, lacks[j])
    decisions = []
    for row in range(min(EXACT_ROWS, len(rows.base))):
        x = lab.source.bayes(cell, head_rows.leave_one_out(padded, key, row))
        if x is None:
            return Population(rows, cost, None)
        decisions.append(cost(np.asarray(x, np.float64)[:size], row))
    return Population(rows, cost, _row_mean(rows, np.stack(decisions)))


def upper(differences: Float64[np.ndarray, "N"]) -> float:
    """A mean over fresh instances, from above by `STANDARD_ERRORS`, at least 0.

    Args:
      differences: one an instance.

    Returns:
      Mean + 4 standard errors.
    """
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return max(0.0, float(differences.mean()) + STANDARD_ERRORS * error)
