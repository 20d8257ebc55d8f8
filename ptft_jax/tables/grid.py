"""A table as a grid of text cells that knows where in the file each one is."""

from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int

from ptft_jax.tables.problems import quoted


class Grid(NamedTuple):
    """The cells of a table, as text.

    Attributes:
      header: column names, stripped.
      cells: text of all cells, one column after the other; null where absent.
      rows: where each row is: its line in a CSV, its number in a Parquet file.
      num_ragged: rows left out because their number of cells is wrong.
      notes: what was decided while reading.
    """

    header: list[str]
    cells: pl.Series
    rows: Int[np.ndarray, "T"]
    num_ragged: int
    notes: list[str]

    def columns(self, first: int, count: int = 1) -> pl.Series:
        """Cells of `count` neighbouring columns, one column after the other."""
        height = len(self.rows)
        return self.cells.slice(first * height, count * height)

    def labels(self, column: int) -> pl.Series:
        """Cells of a column as stripped text, blank where absent."""
        return self.columns(column).fill_null("").str.strip_chars()

    def place(self, row: int, column: int) -> str:
        """Where a cell is, as an editor or a spreadsheet shows it."""
        return f"row {self.rows[row]}, {self.column_place(column)}"

    def column_place(self, column: int) -> str:
        """Which column, by number and name."""
        return f"column {column + 1} ({quoted(self.header[column])})"


def stack(frame: pl.DataFrame) -> pl.Series:
    """All cells of a frame as text, one column after the other."""
    columns = [column.cast(pl.String).alias("") for column in frame.iter_columns()]
    return pl.concat(columns) if columns else pl.Series([], dtype=pl.String)
