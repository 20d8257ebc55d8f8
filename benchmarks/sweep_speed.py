"""A sweep as one program against a Python loop of the jitted single fit.

    python -m benchmarks.sweep_speed [--repeats 3] [--task gradient] [--seeds 16]

16 seeds × 8 numbers of instances of fine-tuning, n traced in both, tracing and
compilation counted in both. Each run is a process of its own, turns alternate, the
persistent cache of programs is off; the pretrained network is made before. `loop` has
the devices that jax gives it; `sweep` is `sweep.run` as `ptft sweep` calls it, with its
records written to a temporary folder. `static` is the loop with n as a shape, one
compile an n, as one would write it first.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import jax

from ptft_jax import grid, program, progress, sweep, task
from ptft_jax.grid import Grid
from ptft_jax.tasks import gradient, ground, head

TASKS = {"gradient": gradient.TASK, "head": head.TASK}
SIZES = tuple(16 << k for k in range(8))


def cells(name: str, seeds: int) -> Grid:
    """The sweep that is timed.

    Args:
      name: of the task.
      seeds: replications.

    Returns:
      The grid.
    """
    crossed = grid.product(grid.values("n", SIZES), grid.values("seed", range(seeds)))
    return Grid(TASKS[name], crossed, "timed")


def loop(found: Grid, folder: pathlib.Path, is_static: bool) -> None:
    """Every cell by itself, one after the other.

    Args:
      found: the sweep.
      folder: with the pretrained network.
      is_static: n is the size of the program's arrays.
    """
    fits = {}
    for cell in found.cells:
        given = {**cell, "n_max": max(cell["n"], 64)} if is_static else cell
        point = task.point(found.task, given)
        if point.config not in fits:
            run = found.task.make(point.config, folder)
            fits[point.config] = jax.jit(program.keyed(found.task, run))
        outputs = jax.block_until_ready(fits[point.config](point.swept))
        found.task.finish(point.config, point.swept, outputs)


def one(way: str, name: str, seeds: int, folder: pathlib.Path) -> float:
    """Seconds of one way, in this process.

    Args:
      way: loop, static or sweep.
      name: of the task.
      seeds: replications.
      folder: with the pretrained network.

    Returns:
      Wall seconds.
    """
    found = cells(name, seeds)
    if way == "sweep":
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    jax.block_until_ready(jax.numpy.zeros(1))  # the devices are there
    config = task.point(found.task, found.cells[0]).config
    ground.prepare(config.world, 0, config.width, config.num_steps, folder)
    begin = time.perf_counter()
    if way == "sweep":
        with tempfile.TemporaryDirectory() as records:
            (pathlib.Path(records) / "networks").symlink_to(folder / "networks")
            sweep.run(found, pathlib.Path(records), progress.Silent())
    else:
        loop(found, folder, way == "static")
    return time.perf_counter() - begin


def main() -> None:
    """Prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task", choices=[*TASKS], default="gradient")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--way", help="time this way alone, in this process")
    parser.add_argument("--folder", type=pathlib.Path)
    args = parser.parse_args()
    if args.way:
        print(one(args.way, args.task, args.seeds, args.folder))
        return
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(args.repeats + 1):
            for way in ("loop", "sweep", "static")[: 1 if turn == 0 else 3]:
                command = [sys.executable, "-m", "benchmarks.sweep_speed"]
                command += ["--task", args.task, "--seeds", str(args.seeds)]
                command += ["--way", way, "--folder", folder]
                done = subprocess.run(
                    command, capture_output=True, text=True, check=True
                )
                if turn:  # the first makes the network
                    times.setdefault(way, []).append(float(done.stdout.split()[-1]))
    medians = {way: statistics.median(found) for way, found in times.items()}
    for way, median in medians.items():
        ratio = median / medians["sweep"]
        print(f"{way:7} {median:6.1f} s  {ratio:5.2f} × the sweep's  {times[way]}")


if __name__ == "__main__":
    main()
