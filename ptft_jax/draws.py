"""A point of the experiment's grid, and the portfolio with the truth that it gets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ptft_jax.types import Portfolio

PROTOCOLS = ("iid", "rolling")


@dataclass(frozen=True)
class Cell:
    """One point of the experiment's grid.

    Observations and quantile are None where a problem has none.
    """

    protocol: str
    n: int
    observations: int | None
    quantile: float | None
    seed: int

    def __str__(self) -> str:
        """What progress calls it."""
        ratio = "" if self.quantile is None else f" q={self.quantile}"
        m = "" if self.observations is None else f" m={self.observations}"
        return f"n={self.n}{m}{ratio} seed={self.seed}"


Vector = Float[np.ndarray, "n"]


class Draw(NamedTuple):
    """A portfolio with the truth behind it.

    Attributes:
      portfolio: n instances.
      cost: decisions [n] → exact expected costs [n].
      full_information: the best decisions, [n].
      references: decisions of whoever knows more than the data, by name.
      is_whole: whether demand is whole numbers.
      level: mean demand.
      length: observations that each instance's truth holds, of which the portfolio's
        were taken without replacement, [n]; ∞ where the truth is a law, None where the
        truth is of other periods than the portfolio.
    """

    portfolio: Portfolio
    cost: Callable[[Vector], Vector]
    full_information: Vector
    references: dict[str, Vector]
    is_whole: bool
    level: float
    length: Vector | None

    def left_out_cost(self, x: Vector, position: Int[np.ndarray, "n"]) -> Vector:
        """Expected cost on the observation left out, given those that were seen.

        Any of the truth's N but the m − 1 seen: (N C(x) − Σ_seen c(x, ξ))/(N − m + 1).
        Where the truth is of other periods, the cost on that observation itself.

        Args:
          x: decisions that lack one observation, [n].
          position: of the observation each lacks, `valid` there.

        Returns:
          Costs, [n].
        """
        demand = np.asarray(self.portfolio.observations, np.float64)
        valid = np.asarray(self.portfolio.valid)
        q = np.asarray(self.portfolio.quantile, np.float64)[:, None]
        over = np.asarray(x, np.float64)[:, None] - demand
        costs = np.where(valid, np.maximum(-q * over, (1.0 - q) * over), 0.0)
        own = np.take_along_axis(costs, np.asarray(position)[:, None], axis=1)[:, 0]
        if self.length is None:
            return own
        exact = self.cost(x)
        is_law = np.isinf(self.length)
        number = np.where(is_law, 0.0, self.length)
        rest = np.maximum(number - valid.sum(1) + 1.0, 1.0)
        unseen = (number * exact - (costs.sum(1) - own)) / rest
        return np.where(is_law, exact, unseen)
