"""Where portfolios and their true risks come from: a file's columns, or a world."""

import hashlib
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ptft_jax import data, empirical, oracle, shapes, types, worlds
from ptft_jax.streams import cell_key, generator
from ptft_jax.types import Portfolio

PROTOCOLS = ("iid", "rolling")
HORIZON = 10
FRESH_INSTANCES = 2048


@dataclass(frozen=True)
class Cell:
    """One point of the experiment's grid."""

    protocol: str
    n: int
    observations: int
    quantile: float
    seed: int


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
    """

    portfolio: Portfolio
    cost: Callable[[Vector], Vector]
    full_information: Vector
    references: dict[str, Vector]
    is_whole: bool
    level: float


class FileSource:
    """Real truth: each column's whole empirical distribution is its instance's law."""

    def __init__(self, path: str | os.PathLike, table: data.Table):
        """Take the columns of a table.

        Args:
          path: of the file; its stem names the source.
          table: what was read from it.
        """
        self.name = pathlib.Path(path).stem
        self.truth = empirical.from_columns(table.values)
        self.size: int | None = len(table.instances)
        digest = hashlib.sha256("\n".join(table.instances).encode())
        digest.update(np.ascontiguousarray(table.values).tobytes())
        self.identity = {"data": self.name, "sha256": digest.hexdigest()}
        observed = table.values[~np.isnan(table.values)]
        self.is_whole = bool((observed % 1 == 0).all())
        self.level = float(observed.mean())

    def _draw(self, index, cell, stream) -> Draw:
        rng = generator(cell.seed, f"{cell.protocol}/{stream}")
        if cell.protocol == "rolling":
            seen, test = empirical.sample_rolling(
                self.truth, rng, cell.observations, HORIZON
            )
            truth = empirical.from_columns(test[index].T)
        else:
            seen = empirical.sample_iid(self.truth, rng, cell.observations)
            truth = empirical.take(self.truth, index)
        q = cell.quantile
        return Draw(
            types.portfolio(jnp.asarray(seen[index], jnp.float32), q),
            lambda x: empirical.expected_cost(truth, x, q),
            empirical.full_information(truth, q),
            {},
            self.is_whole,
            self.level,
        )

    def draw(self, cell: Cell) -> Draw:
        """The cell's portfolio: n columns at random, the first n of one permutation.

        Args:
          cell: whose seed decides the columns and their observations.

        Returns:
          The portfolio; cells that differ in n have columns in common.

        Raises:
          ValueError: under `rolling`, no origin leaves every column enough periods.
        """
        order = generator(cell.seed, "columns").permutation(len(self.truth.length))
        return self._draw(order[: cell.n], cell, "draw")

    def fresh(self, cell: Cell, repeat: int) -> Draw:
        """All columns with observations drawn anew; under `rolling`, the same periods.

        Args:
          cell: what to draw.
          repeat: 0, 1, …: which redraw.

        Returns:
          The population that the cell's portfolio is from.
        """
        stream = "draw" if cell.protocol == "rolling" else f"fresh {repeat}"
        return self._draw(np.arange(len(self.truth.length)), cell, stream)

    def bayes(self, cell: Cell, portfolio: Portfolio) -> None:
        """Nobody knows the law that the columns of a file are from.

        Args:
          cell: the cell.
          portfolio: of any instances.
        """


class WorldSource:
    """Simulated truth: a law drawn with the seed, instances drawn from the law."""

    def __init__(self, name: str):
        """Look the world up.

        Args:
          name: in `worlds.WORLDS`.
        """
        self.name, self.world = name, worlds.WORLDS[name]
        self.size: int | None = None
        self.identity: dict[str, Any] = {"world": name}
        self._instances = jax.jit(self.world.sample_instances, static_argnums=2)
        self._demand = jax.jit(self.world.sample_demand, static_argnums=2)

    def _draw(self, n, cell, stream):
        law = jax.jit(self.world.sample_law)(cell_key(cell.seed, "law", 0))
        size = shapes.bucket(n)
        key = cell_key(cell.seed, f"{stream}/instances", 0)
        instances = self._instances(key, law, size)
        key = cell_key(cell.seed, f"{stream}/demand", 0)
        seen = self._demand(key, instances, cell.observations)[:n]
        quantile = jnp.full(size, cell.quantile)

        def cost(x):
            padded = jnp.pad(jnp.asarray(x, jnp.float32), (0, size - n))
            exact = oracle.expected_cost(self.world, instances, padded, quantile)
            return np.asarray(exact)[:n]

        best = oracle.full_information(self.world, instances, quantile)
        portfolio = types.portfolio(seen, cell.quantile)
        is_whole = bool((np.asarray(seen) % 1 == 0).all())
        best = np.asarray(best)[:n]
        return law, Draw(portfolio, cost, best, {}, is_whole, float(seen.mean()))

    def draw(self, cell: Cell) -> Draw:
        """The cell's portfolio, with Bayes decisions where the world knows them.

        Args:
          cell: whose seed decides the law, the instances and their observations.

        Returns:
          The portfolio.
        """
        law, drawn = self._draw(cell.n, cell, "draw")
        padded, known = shapes.pad(drawn.portfolio), {}
        if self.world.bayes_decision is not None:
            known["bayes"] = oracle.bayes(self.world, law, padded)
        if self.world.hierarchical_bayes is not None:
            known["hierarchical_bayes"] = oracle.hierarchical_bayes(self.world, padded)
        references = {k: np.asarray(x, float)[: cell.n] for k, x in known.items()}
        return drawn._replace(references=references)

    def fresh(self, cell: Cell, repeat: int) -> Draw:
        """New instances from the same law.

        Args:
          cell: what to draw.
          repeat: 0, 1, …: which redraw.

        Returns:
          A sample of the population that the cell's portfolio is from.
        """
        return self._draw(FRESH_INSTANCES, cell, f"fresh {repeat}")[1]

    def bayes(self, cell: Cell, portfolio: Portfolio) -> Vector | None:
        """Bayes decisions for instances of the cell's law.

        Args:
          cell: whose seed decides the law.
          portfolio: of any instances.

        Returns:
          The decisions, or None where the world does not know them.
        """
        if self.world.bayes_decision is None:
            return None
        law = jax.jit(self.world.sample_law)(cell_key(cell.seed, "law", 0))
        return np.asarray(oracle.bayes(self.world, law, portfolio), np.float64)


Source = FileSource | WorldSource
