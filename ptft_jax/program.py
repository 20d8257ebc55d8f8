"""One compiled program for all cells of a group: traced once, mapped, shared out."""

import math
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core
from jax.sharding import Mesh

from ptft_jax import sharding, streams
from ptft_jax.task import SEED, Run, Swept, Task, Traced

MEMORY_SHARE = 0.4  # of what is free that a chunk may take
MOST_ON_CPU = 16  # cells a core runs in a call, so that few are lost when it is killed
MOST = 256  # cells a device of another kind runs in a call, for the same reason


class Program(NamedTuple):
    """A compiled group.

    Attributes:
      chunk: cells of a call.
      compiled: of swept values [chunk].
      over: mesh of the devices.
      compile_s: seconds to trace and compile.
    """

    chunk: int
    compiled: Any
    over: Mesh
    compile_s: float


def build(
    task: Task,
    config: Any,
    folder: pathlib.Path,
    num_cells: int,
    chunk: int | None = None,
) -> Program:
    """Compiles a group: Python runs the task's function once, XLA compiles once.

    Args:
      task: of the group.
      config: its static configuration.
      folder: for what the task makes once.
      num_cells: of the whole group, finished ones included, so that a sweep that is
        resumed runs the same program.
      chunk: cells of a call; as many as fit in memory where None.

    Returns:
      The program.
    """
    over, run = sharding.mesh("cells"), task.make(config, folder)
    begin, one = time.perf_counter(), keyed(task, run)
    defaults = {SEED: 0, **task.swept}
    like = {field: _dtype(value)(value) for field, value in defaults.items()}
    closed, shape = jax.make_jaxpr(one, return_shape=True)(like)
    flat, structure = core.jaxpr_as_fun(closed), jax.tree.structure(shape)

    def cell(given: dict[str, jax.Array]) -> Any:
        return jax.tree.unflatten(structure, flat(*jax.tree.leaves(given)))

    devices = over.size
    fitting = chunk or _fitting(peak_bytes(closed.jaxpr), devices)
    # one program has one size, whatever memory each host has free
    fitting = int(sharding.agreed(np.asarray(fitting)))
    size = devices * math.ceil(min(fitting, num_cells) / devices)
    rows = {field: np.repeat(value[None], size) for field, value in like.items()}
    mapped = sharding.over_cells(_mapped(cell), over)
    lowered = mapped.lower(sharding.spread(rows, over))
    compiled = lowered.compile(compiler_options=_options())
    return Program(size, compiled, over, time.perf_counter() - begin)


def launch(program: Program, cells: Sequence[Swept]) -> Any:
    """Starts a chunk; the devices work while the host goes on.

    Args:
      program: of the cells' group.
      cells: at most `program.chunk` of them; the last is repeated to fill it.

    Returns:
      Outputs with a leading axis [chunk], to be read by `collect`.
    """
    filled = [*cells, *[cells[-1]] * (program.chunk - len(cells))]
    rows = {
        field: np.array([cell[field] for cell in filled], _dtype(value))
        for field, value in cells[0].items()
    }
    return program.compiled(sharding.spread(rows, program.over))


def collect(outputs: Any, num_cells: int) -> list[Any]:
    """Waits for a chunk.

    Args:
      outputs: of `launch`.
      num_cells: how many of them count.

    Returns:
      The outputs of each cell, numpy arrays.
    """
    host = jax.tree.map(np.asarray, outputs)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], host) for i in range(num_cells)]


def _mapped(cell):
    """One cell after the other on a CPU, side by side elsewhere.

    A core gains nothing from small products side by side, and mapped programs of XLA
    on CPUs with few threads can wait for each other forever (seen with jax 0.10.2, as
    in PyAutoLabs/PyAutoFit#1530). Cores work in parallel as devices of the mesh.
    """
    if jax.default_backend() == "cpu":
        return lambda rows: jax.lax.map(cell, rows)
    return jax.vmap(cell)


def _options() -> dict[str, bool]:
    """One thread an operation on a CPU: cores are devices, and need no further ones."""
    is_cpu = jax.default_backend() == "cpu"
    return {"xla_cpu_multi_thread_eigen": False} if is_cpu else {}


def _dtype(value: float | int) -> type:
    return np.int32 if isinstance(value, int) else np.float32


def keyed(task: Task, run: Run) -> Callable[[Traced], Any]:
    """Returns `one(swept)`: the task's function with the key of the cell's seed.

    Args:
      task: its name enters the key.
      run: of `task.make`.

    Returns:
      A pure function of the traced fields; the same seed gives the same key whatever
      the other fields are.
    """

    def one(given):
        key = streams.cell_key(given[SEED], f"sweep {task.name}", 0)
        return run(key, given)

    return one


def _fitting(needed: int, devices: int) -> int:
    """Cells of a chunk over all devices."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / devices
        most = MOST_ON_CPU
    else:
        stats = device.memory_stats() or {}
        free = stats.get("bytes_limit", 8 << 30) - stats.get("bytes_in_use", 0)
        most = MOST
    return devices * max(1, min(most, int(MEMORY_SHARE * free / max(needed, 1))))


def peak_bytes(jaxpr: core.Jaxpr) -> int:
    """Bytes that a program holds at its fullest, operation by operation.

    Every value is held from where it is made to where it is last used; a loop or branch
    holds what its body holds. XLA fuses, so it needs less.

    Args:
      jaxpr: of one cell.

    Returns:
      Bytes, constants and arguments not counted.
    """
    last = {}
    for i, equation in enumerate(jaxpr.eqns):
        for value in equation.invars:
            if isinstance(value, core.Var):
                last[value] = i
    kept = {value for value in jaxpr.outvars if isinstance(value, core.Var)}
    held = peak = 0
    for i, equation in enumerate(jaxpr.eqns):
        inner = [peak_bytes(sub) for sub in _bodies(equation)]
        held += sum(map(_bytes, equation.outvars))
        peak = max(peak, held + max(inner, default=0))
        ending = {v for v in equation.invars if isinstance(v, core.Var)}
        made = {v for v in ending | set(equation.outvars) if last.get(v, i) <= i}
        outside = {*jaxpr.invars, *jaxpr.constvars}
        held -= sum(map(_bytes, made - kept - outside))
    return peak


def _bodies(equation) -> list[core.Jaxpr]:
    leaves = jax.tree.leaves(
        list(equation.params.values()),
        is_leaf=lambda x: isinstance(x, core.Jaxpr | core.ClosedJaxpr),
    )
    open_ = lambda x: x.jaxpr if isinstance(x, core.ClosedJaxpr) else x
    return [open_(x) for x in leaves if isinstance(x, core.Jaxpr | core.ClosedJaxpr)]


def _bytes(value) -> int:
    shaped = value.aval
    if not hasattr(shaped, "shape"):
        return 0
    return math.prod(shaped.shape) * shaped.dtype.itemsize
