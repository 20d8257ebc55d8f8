"""Kills sweeps at random moments until they are done, then compares their tables.

    python -m benchmarks.sweep_kill [--kills 200] [--grid harmonic]

Every other process gets SIGKILL at a moment that is uniform over its first seconds, in
which it opens the devices and compiles, the others at a moment within a second of their
first record. Processes are forked from one that has imported everything. Whenever the
sweep has come to its end in spite of the kills, its table must be that of one that ran
undisturbed, byte for byte, with one record a cell; then a new one is begun.
"""

import argparse
import collections
import multiprocessing
import pathlib
import random
import shutil
import tempfile
import time

from ptft_jax import store
from ptft_jax.commands import sweep

STARTING, WRITING, PATIENCE = 4.0, 1.0, 60.0  # seconds


def work(grid: str, folder: str) -> None:
    """One call of the command, in small chunks, so that cells are finished early.

    Args:
      grid: name of the sweep.
      folder: of its results.
    """
    options = sweep.SweepOptions(grid, "run", folder, chunk=8)
    sweep.execute(options, quiet=True, json=False)


def main() -> None:
    """Prints what was killed when, and whether the tables agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--grid", default="harmonic")
    args = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ptft_jax.commands.sweep"])

    def start(folder: pathlib.Path):
        process = context.Process(target=work, args=(args.grid, str(folder)))
        process.start()
        return process

    def finish(folder: pathlib.Path) -> None:
        process = start(folder)
        process.join()
        if process.exitcode:
            raise SystemExit(f"a sweep that was not killed ended in {process.exitcode}")

    waits, moments = random.Random(0), collections.Counter()
    same = []
    with tempfile.TemporaryDirectory() as parent:
        whole, killed = (pathlib.Path(parent) / name for name in ("whole", "killed"))
        finish(whole)
        for kill in range(args.kills):
            before, process = len(found(killed)), start(killed)
            if kill % 2:
                time.sleep(waits.uniform(0.0, STARTING))
            else:
                limit = time.monotonic() + PATIENCE
                while process.is_alive() and len(found(killed)) == before:
                    if time.monotonic() > limit:
                        break
                    time.sleep(0.01)
                time.sleep(waits.uniform(0.0, WRITING))
            process.kill()
            process.join()
            made = len(found(killed)) > before
            moments["while writing" if made else "before the first cell"] += 1
            if process.exitcode == 0 or kill == args.kills - 1:
                finish(killed)
                same.append(is_same(whole, killed))
                shutil.rmtree(killed)
    print(f"{args.kills} kills: {dict(moments)}")
    print(f"{sum(same)} of {len(same)} sweeps have the undisturbed table and records")


def found(folder: pathlib.Path) -> list[str]:
    """Names of the records in a folder.

    Args:
      folder: of a sweep.

    Returns:
      The names, in order.
    """
    return sorted(path.name for path in (folder / store.CELLS).glob("*.json"))


def is_same(whole: pathlib.Path, killed: pathlib.Path) -> bool:
    """Whether two sweeps ended alike.

    Args:
      whole: folder of one.
      killed: folder of the other.

    Returns:
      Whether their tables are equal byte for byte, and records name the same cells.
    """
    tables = [(folder / "table.csv").read_bytes() for folder in (whole, killed)]
    cells = tables[0].count(b"\n") - 1
    return (
        tables[0] == tables[1]
        and found(whole) == found(killed)
        and cells == len(found(killed))
    )


if __name__ == "__main__":
    main()
