"""A sweep of 24 cells in two groups, and how tests run it."""

from ptft_jax import grid, progress, sweep, sweep_tables
from tests import sweep_process

SMALL = grid.Grid(
    sweep_process.TASK,
    grid.product(
        grid.values("steps", (3, 4)),
        grid.values("n", (8, 64)),
        grid.values("rate", (0.02, 0.05)),
        grid.values("seed", range(3)),
    ),
    "small",
)


def go(found, folder, **more):
    return sweep.run(found, folder, progress.Silent(), **more)


def table(found, folder):
    return sweep_tables.cells(sweep.look(found, folder))


def counted(found):
    """The grid with a task that counts how often Python runs its function."""
    runs = []

    def make(config, folder):
        run = found.task.make(config, folder)

        def counting(key, swept):
            runs.append(config)
            return run(key, swept)

        return counting

    return found._replace(task=found.task._replace(make=make)), runs
