"""Seconds of `ptft decide` on the Rossmann file, with and without compiling.

    python -m benchmarks.decide_time

The command runs in processes of its own: first with no compiled program on disk, then
twice with those that the first one kept.
"""

import os
import subprocess
import sys
import tempfile
import time

from benchmarks import datasets


def main() -> None:
    """Prints the wall time of three runs and what the first one said."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "ptft_jax", "decide", datasets.path("rossmann")]
        line += ["--quantile", ".95", "--out", f"{folder}/decisions.csv"]
        env = os.environ | {"XDG_CACHE_HOME": folder}
        for label in ("nothing compiled", "compiled", "compiled"):
            start = time.perf_counter()
            done = subprocess.run(
                line, env=env, capture_output=True, text=True, check=True
            )
            print(f"{label}: {time.perf_counter() - start:.1f} s", flush=True)
        print(done.stdout, end="")


if __name__ == "__main__":
    main()
