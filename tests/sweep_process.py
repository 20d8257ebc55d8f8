"""A sweep in a process of its own: python -m tests.sweep_process DIR DEVICES [CHUNK].

Cells are slow enough to be killed among, and quick enough for a test.
"""

import pathlib
import sys
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ptft_jax import grid, progress, sweep
from ptft_jax.task import Task


@dataclass(frozen=True)
class WalkConfig:
    """Static configuration."""

    steps: int = 200


def make(config, folder):
    """A small fit: least squares by gradient steps on n of 64 instances."""
    del folder

    def run(key, swept):
        x = jax.random.normal(key, (64, 4))
        y = x @ jnp.arange(4.0) + jax.random.normal(jax.random.fold_in(key, 1), (64,))
        used = jnp.arange(64) < swept["n"]

        def loss(w):
            return jnp.where(used, (x @ w - y) ** 2, 0.0).sum() / swept["n"]

        step = lambda w, _: (w - swept["rate"] * jax.grad(loss)(w), None)
        w, _ = jax.lax.scan(step, jnp.zeros(4), length=config.steps)
        return {"loss": loss(w), "error": ((w - jnp.arange(4.0)) ** 2).sum()}

    return run


TASK = Task("walk", "least squares", WalkConfig, {"n": 8, "rate": 0.1}, make, ("loss",))
GRID = grid.Grid(
    TASK,
    grid.product(
        grid.values("steps", (100, 200)),
        grid.values("n", (8, 16, 32, 64)),
        grid.values("rate", (0.02, 0.05)),
        grid.values("seed", range(12)),
    ),
    "least squares",
)

if __name__ == "__main__":
    folder, devices, *rest = sys.argv[1:]
    jax.config.update("jax_num_cpu_devices", int(devices))
    tally = sweep.run(
        GRID, pathlib.Path(folder), progress.Silent(), *(int(k) for k in rest)
    )
    print(tally.computed, tally.compiles, flush=True)
