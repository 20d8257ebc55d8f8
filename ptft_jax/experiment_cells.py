"""The cells of a run of the main experiment: its grid, checked."""

from dataclasses import dataclass

from ptft_jax.crossfit import LEAST_INSTANCES
from ptft_jax.draws import PROTOCOLS, Cell
from ptft_jax.errors import UsageError
from ptft_jax.method.lab import ProblemSource
from ptft_jax.sources import FileSource, Source


@dataclass(frozen=True)
class Grid:
    """The cells of a run: every combination.

    Attributes:
      n: instances; None stands for all there are.
      observations: m of each instance; None alone for a problem without.
      quantiles: critical ratios; None alone for a problem without.
      seeds: number of replications, seeds 0, 1, ….
      protocol: iid or rolling.
    """

    n: tuple[int | None, ...]
    observations: tuple[int | None, ...]
    quantiles: tuple[float | None, ...]
    seeds: int
    protocol: str = "iid"


def cells(grid: Grid, source: Source | ProblemSource) -> list[Cell]:
    """The grid's cells, once each, those that share a program together.

    Args:
      grid: what was asked for.
      source: of the portfolios.

    Returns:
      The cells.

    Raises:
      UsageError: a cell is impossible.
    """
    if grid.protocol not in PROTOCOLS:
        raise UsageError(f"--protocol must be iid or rolling, got {grid.protocol}")
    if grid.seeds < 1:
        raise UsageError(f"--seeds must be at least 1, got {grid.seeds}")
    if grid.protocol == "rolling" and not isinstance(source, FileSource):
        raise UsageError("--protocol rolling needs the periods of a file: give --data")
    if None in grid.n and source.size is None:
        raise UsageError("--n max needs --data: a world has no largest portfolio")
    sizes = sorted({source.size if n is None else n for n in grid.n})
    _check(grid, sizes, source)
    return [
        Cell(grid.protocol, n, m, q, seed)
        for m in sorted(set(grid.observations))
        for n in sizes
        for q in sorted(set(grid.quantiles))
        for seed in range(grid.seeds)
    ]


def _check(grid: Grid, sizes: list[int], source: Source | ProblemSource) -> None:
    if min(sizes) < LEAST_INSTANCES:
        raise UsageError(
            f"--n must be at least {LEAST_INSTANCES}, so that two folds can be "
            f"certified; got {min(sizes)}"
        )
    if source.size is not None and max(sizes) > source.size:
        raise UsageError(
            f"--n {max(sizes)} is more than the {source.size} instances of the file; "
            "'max' stands for all of them"
        )
    for m in grid.observations:
        if m is not None and m < 2:
            raise UsageError(
                "--observations must be at least 2, so that one can be left out; "
                f"got {m}"
            )
    for q in grid.quantiles:
        if q is not None and not 0.0 < q < 1.0:
            raise UsageError(f"--quantile must be in (0, 1), got {q}")
    if isinstance(source, FileSource):
        for m in grid.observations:
            trial = Cell(grid.protocol, source.truth.length.size, m, 0.5, 0)
            try:
                source.draw(trial)
            except ValueError as error:
                raise UsageError(f"--observations {m}: {error}") from None
            if m > source.truth.length.max():
                raise UsageError(
                    f"--observations {m} is more than the "
                    f"{source.truth.length.max()} of the longest instance"
                )
