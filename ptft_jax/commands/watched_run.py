"""A run of the main experiment as a user sees it: progress, report, table."""

import json as json_
import pathlib
from collections.abc import Iterable
from typing import Any

from ptft_jax import experiment, progress, report, store, terminal
from ptft_jax.draws import Cell
from ptft_jax.errors import UsageError
from ptft_jax.experiment import RunCell
from ptft_jax.lab import Lab
from ptft_jax.method.lab import ProblemLab
from ptft_jax.own_bounds import NONE, OwnBounds


def run(
    room: Lab | ProblemLab,
    todo: list[Cell],
    folder: pathlib.Path,
    settings: dict[str, Any],
    *,
    run_cell: RunCell | None = None,
    own: OwnBounds = NONE,
    notes: Iterable[str] = (),
    quiet: bool = False,
    json: bool = False,
) -> experiment.Result:
    """Computes the cells, writes tables, figures and the report, prints a summary.

    Args:
      room: what the cells have in common.
      todo: the cells, of `experiment_cells.cells`.
      folder: of the run; made if absent.
      settings: what the user asked for, kept in the manifest.
      run_cell: as `experiment.run` takes it.
      own: bounds of the user's own by name.
      notes: shown first.
      quiet: no progress, no table.
      json: print a summary as JSON.

    Returns:
      The tables.

    Raises:
      KeyboardInterrupt: saying how much was kept.
      UsageError: a bound of the user's own failed; the same.
    """
    with progress.watch(sum(map(experiment.weight, todo)), quiet) as watched:
        for note in notes:
            watched.note(note)
        try:
            result = experiment.run(
                room, todo, folder, watched, settings, run_cell, own
            )
        except KeyboardInterrupt:
            found = store.find(folder, [experiment.config_of(room, c) for c in todo])
            raise KeyboardInterrupt(
                f"interrupted: {len(found.records)} of {len(todo)} cells are finished "
                f"and kept in {folder}; the same command goes on from there"
            ) from None
        except UsageError as error:
            found = store.find(folder, [experiment.config_of(room, c) for c in todo])
            raise UsageError(
                f"{error}; {len(found.records)} of {len(todo)} cells are finished and "
                f"kept in {folder}"
            ) from None
        watched.stage("writing the report")
        report.write(result)
    if json:
        print(json_.dumps(terminal.summary(result), indent=1))
    elif not quiet:
        terminal.print_table(result)
    return result
