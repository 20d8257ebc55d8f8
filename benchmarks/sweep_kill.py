"""Kills a sweep at random moments until it is done, then compares its table.

    python -m benchmarks.sweep_kill [--kills 200] [--grid harmonic]

Each process gets SIGKILL after a time that is uniform between the start of Python and
the time a chunk needs; the last is left alone. The table must be that of a sweep that
ran undisturbed, byte for byte, and there must be one record a cell.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from ptft_jax import store

MOST_SECONDS = 5.0


def start(grid: str, folder: pathlib.Path, action: str = "run") -> subprocess.Popen:
    """One call of the command.

    Args:
      grid: name of the sweep.
      folder: of its results.
      action: run or report.

    Returns:
      The process.
    """
    command = [sys.executable, "-m", "ptft_jax", "sweep", grid, action]
    # small chunks, so that cells are finished between two kills
    command += ["--out", str(folder), "--chunk", "8", "--quiet"]
    return subprocess.Popen(command, env={**os.environ, "JAX_PLATFORMS": "cpu"})


def main() -> None:
    """Prints what was killed when, and whether the tables agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--grid", default="harmonic")
    args = parser.parse_args()
    waits, moments = random.Random(0), collections.Counter()
    with tempfile.TemporaryDirectory() as parent:
        whole, killed = (pathlib.Path(parent) / name for name in ("whole", "killed"))
        if start(args.grid, whole).wait():
            raise SystemExit("the undisturbed sweep failed")
        records = killed / store.CELLS
        for _ in range(args.kills):
            before = len(list(records.glob("*.json")))
            process = start(args.grid, killed)
            time.sleep(waits.uniform(0.0, MOST_SECONDS))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
                made = len(list(records.glob("*.json"))) - before
                moments["while cells were written" if made else "before any cell"] += 1
            else:
                moments["after its end"] += 1
        between = len(list(records.glob("*.json")))
        if start(args.grid, killed).wait():
            raise SystemExit("the last sweep failed")
        tables = [(f / "table.csv").read_bytes() for f in (whole, killed)]
        names = [json.loads(p.read_text())["id"] for p in records.glob("*.json")]
        rows = tables[0].count(b"\n") - 1
    print(f"{args.kills} kills: {dict(moments)}; {between} of {rows} cells by then")
    print(f"tables identical: {tables[0] == tables[1]}")
    print(f"records: {len(names)}, different: {len(set(names))}, cells: {rows}")


if __name__ == "__main__":
    main()
