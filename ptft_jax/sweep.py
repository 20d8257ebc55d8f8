"""Runs a sweep: what is finished is skipped, every group is compiled once."""

import itertools
import pathlib
from typing import Any, NamedTuple

import numpy as np

from ptft_jax import program, sharding, store, task, worker
from ptft_jax.errors import UsageError
from ptft_jax.grid import Grid
from ptft_jax.progress import Progress
from ptft_jax.task import Point
from ptft_jax.worker import FAILED, OK


class State(NamedTuple):
    """What a folder holds of a sweep.

    Attributes:
      points: of the grid, each once.
      records: of the points that have one, by name.
      complaints: about files that cannot be used.
      foreign: number of records of other sweeps.
    """

    points: list[Point]
    records: dict[str, dict[str, Any]]
    complaints: list[str]
    foreign: int

    def of_status(self, status: str) -> list[Point]:
        """The points whose record says `ok` or `failed`."""
        is_it = lambda each: self.records.get(each.name, {}).get("status") == status
        return [each for each in self.points if is_it(each)]


class Tally(NamedTuple):
    """What a call of `run` did.

    Attributes:
      computed: cells.
      failed: cells of them without a result.
      compiles: programs compiled.
    """

    computed: int
    failed: int
    compiles: int


def look(grid: Grid, folder: pathlib.Path) -> State:
    """Reads what is there of a sweep.

    Args:
      grid: the sweep.
      folder: of its results; it need not exist.

    Returns:
      The state.

    Raises:
      UsageError: a cell of the grid is impossible.
    """
    if not grid.cells:
        raise UsageError("the grid has no cells")
    every = [task.point(grid.task, cell) for cell in grid.cells]
    points = [each for members in task.groups(every).values() for each in members]
    configs = [task.record_config(grid.task, p.config, p.swept) for p in points]
    found = store.find(folder, configs)
    faults = {name: worker.fault(record) for name, record in found.records.items()}
    sound = {name: r for name, r in found.records.items() if faults[name] is None}
    told = [
        f"{store.record_path(folder, name)}: {fault}; it is not used"
        for name, fault in faults.items()
        if fault
    ]
    return State(points, sound, found.complaints + told, found.foreign)


def run(
    grid: Grid,
    folder: pathlib.Path,
    progress: Progress,
    chunk: int | None = None,
    retry: bool = False,
) -> Tally:
    """Computes the cells without a record; each gets its own as soon as it is done.

    Killed at any moment, it loses the cells in flight alone; run again, it goes on.
    Several processes may work on one folder: each starts elsewhere and skips what
    others have finished meanwhile. Where processes share one mesh of devices, the first
    decides what is missing and writes the records.

    Args:
      grid: the sweep.
      folder: of its results; made if absent.
      progress: told in cells.
      chunk: cells of a call; as many as fit in memory where None.
      retry: compute cells again that have failed.

    Returns:
      What was done.

    Raises:
      UsageError: a cell of the grid is impossible, or a folder lies where the record
        of one belongs.
    """
    store.clear_partial(folder)
    state = look(grid, folder)
    for complaint in state.complaints:
        progress.note(f"warning: {complaint}")
    skipped = state.of_status(OK) + ([] if retry else state.of_status(FAILED))
    done = {each.name for each in skipped}
    if done:
        lost = 0 if retry else len(state.of_status(FAILED))
        told = f" ({lost} have failed; --retry computes them again)" if lost else ""
        progress.advance(
            float(len(done)), f"{len(done)} cells have a record already{told}"
        )
    is_open = np.array([each.name not in done for each in state.points])
    missing = list(itertools.compress(state.points, sharding.agreed(is_open)))
    for path in (store.record_path(folder, each.name) for each in missing):
        if path.is_dir():
            raise UsageError(f"{path} is a folder, where the record of a cell belongs")
    writer = worker.Writer(grid.task, folder)
    computed = failed = compiles = 0
    sizes = {k: len(whole) for k, whole in task.groups(state.points).items()}
    for config, members in task.groups(missing).items():
        progress.stage(f"compiling {config}")
        try:
            made = program.build(grid.task, config, folder, sizes[config], chunk)
        except Exception as error:
            worker.alone_or_raise(error)
            writer.failed(members, error)
            progress.advance(float(len(members)), f"{config}: {worker.told(error)}")
            computed, failed = computed + len(members), failed + len(members)
            continue
        compiles += 1
        at_work = worker.Worker(made, writer, progress, retry)
        more, lost = at_work.work(members)
        computed, failed = computed + more, failed + lost
    return Tally(computed, failed, compiles)
