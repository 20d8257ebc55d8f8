"""Where portfolios and their true risks come from: a file's columns, or a world."""

import hashlib
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ptft_jax import data, empirical, oracle, shapes, types, worlds
from ptft_jax.draws import Cell, Draw, Vector
from ptft_jax.streams import cell_key, generator
from ptft_jax.types import Portfolio

HORIZON = 10
FRESH_INSTANCES = 2048


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
            truth, length = empirical.from_columns(test[index].T), None
        else:
            seen = empirical.sample_iid(self.truth, rng, cell.observations)
            truth = empirical.take(self.truth, index)
            length = truth.length.astype(np.float64)
        q = cell.quantile
        return Draw(
            types.portfolio(jnp.asarray(seen[index], jnp.float32), q),
            lambda x: empirical.expected_cost(truth, x, q),
            empirical.full_information(truth, q),
            {},
            self.is_whole,
            self.level,
            length,
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
    """Simulated truth: a law drawn with the seed, instances drawn from the law.

    Every instance has a key of its own, so that portfolios of different n have their
    first instances in common, whatever the world.
    """

    def __init__(self, name: str):
        """Look the world up.

        Args:
          name: in `worlds.WORLDS`.
        """
        self.name, self.world = name, worlds.WORLDS[name]
        self.size: int | None = None
        self.identity: dict[str, Any] = {"world": name}
        self._draw_all = jax.jit(self._one_by_one, static_argnums=(2, 3))

    def _one_by_one(self, keys, law, size, num_observations):
        def one(i):
            own = [jax.random.fold_in(key, i) for key in keys]
            instance = self.world.sample_instances(own[0], law, 1)
            demand = self.world.sample_demand(own[1], instance, num_observations)
            return jax.tree.map(lambda leaf: leaf[0], (instance, demand))

        return jax.vmap(one)(jnp.arange(size))

    def _draw(self, n, cell, stream):
        law = jax.jit(self.world.sample_law)(cell_key(cell.seed, "law", 0))
        size = shapes.bucket(n)
        keys = [
            cell_key(cell.seed, f"{stream}/{of}", 0) for of in ("instances", "demand")
        ]
        instances, seen = self._draw_all(keys, law, size, cell.observations)
        seen = seen[:n]
        quantile = jnp.full(size, cell.quantile)

        def cost(x):
            padded = jnp.pad(jnp.asarray(x, jnp.float32), (0, size - n))
            exact = oracle.expected_cost(self.world, instances, padded, quantile)
            return np.asarray(exact)[:n]

        best = oracle.full_information(self.world, instances, quantile)
        portfolio = types.portfolio(seen, cell.quantile)
        is_whole = bool((np.asarray(seen) % 1 == 0).all())
        best = np.asarray(best)[:n]
        level, laws = float(seen.mean()), np.full(n, np.inf)
        return law, Draw(portfolio, cost, best, {}, is_whole, level, laws)

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
