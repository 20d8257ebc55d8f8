"""Where a grid comes from: a name, a TOML file, or a Python file of the user's own."""

import importlib
import importlib.util
import pathlib
import tomllib
from typing import Any

from ptft_jax import grid
from ptft_jax.errors import UsageError
from ptft_jax.grid import Cell, Grid
from ptft_jax.task import Task
from ptft_jax.tasks import gaussian_law, gradient, head, pretraining

TASKS: dict[str, Task] = {
    task.name: task
    for task in (gaussian_law.TASK, head.TASK, gradient.TASK, pretraining.TASK)
}


def find(given: str) -> Grid:
    """The grid that a user names.

    Args:
      given: a name in `benchmarks/grids.py`, `FILE.toml`, `FILE.py`, or `FILE.py:NAME`
        where the file's `GRIDS` has several.

    Returns:
      The grid.

    Raises:
      UsageError: there is none of that name, or the file holds something else.
    """
    path, _, name = given.partition(":")
    if path.endswith((".toml", ".py")) and not pathlib.Path(path).is_file():
        raise UsageError(f"the file {path} is not there")
    if path.endswith(".toml"):
        return from_toml(pathlib.Path(path))
    if path.endswith(".py"):
        return _pick(_load(pathlib.Path(path)), name, path)
    return _pick(named(), given, "benchmarks/grids.py")


def named() -> dict[str, Grid]:
    """The grids of `benchmarks/grids.py`, which a wheel holds a copy of.

    Returns:
      Grids by name.
    """
    beside = pathlib.Path(__file__).parents[1] / "benchmarks" / "grids.py"
    copied = pathlib.Path(__file__).with_name("_grids.py")
    return _load(beside if beside.is_file() else copied)


def _load(path: pathlib.Path) -> dict[str, Grid]:
    """`GRIDS` of a Python file, which is run."""
    spec = importlib.util.spec_from_file_location(f"ptft_grids_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise UsageError(f"{path} cannot be run: {told}") from None
    found = getattr(module, "GRIDS", None)
    is_grids = isinstance(found, dict) and found
    if not is_grids or not all(isinstance(each, Grid) for each in found.values()):
        raise UsageError(
            f"{path} must define GRIDS, a mapping of names to ptft_jax.grid.Grid"
        )
    return found


def _pick(grids: dict[str, Grid], name: str, where: str) -> Grid:
    if not name and len(grids) == 1:
        return next(iter(grids.values()))
    if name not in grids:
        raise UsageError(f"{where} has no grid {name!r}; it has {', '.join(grids)}")
    return grids[name]


def from_toml(path: pathlib.Path) -> Grid:
    """A grid written as TOML.

    Top level: `task`, optionally `about`, and blocks that are chained. In a `[[block]]`
    lists are crossed and single values stay; lists in its table `zip` go in step. A
    whole number of seeds stands for 0, 1, …:

        task = "head"
        [[block]]
        world = ["gaussian_means", "contaminated"]
        mismatch = [0.1, 0.3]
        seeds = 16
        zip = { n = [64, 256, 1024], radius = [0.03, 0.1, 0.3] }

    Args:
      path: of the file.

    Returns:
      The grid.

    Raises:
      UsageError: the file is no TOML, or misses or misuses a part.
    """
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML file: {error}") from None
    unknown = set(whole) - {"task", "about", "block"}
    if unknown:
        raise UsageError(f"{path} has unknown entries: {', '.join(sorted(unknown))}")
    if str(whole.get("task")) not in TASKS:
        listed = ", ".join(TASKS)
        raise UsageError(f"{path}: task must be one of {listed}")
    blocks = whole.get("block")
    is_tables = isinstance(blocks, list) and all(isinstance(b, dict) for b in blocks)
    if not blocks or not is_tables:
        raise UsageError(f"{path} needs at least one [[block]] of fields")
    try:
        cells = grid.chain(*map(_block, blocks))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    return Grid(TASKS[whole["task"]], cells, str(whole.get("about", path.name)))


def _block(block: dict[str, Any]) -> list[Cell]:
    block = dict(block)
    together = block.pop("zip", {})
    if not isinstance(together, dict):
        raise ValueError(f"zip must be a table of lists, got {together!r}")
    seeds = block.pop("seeds", None)
    if seeds is not None:
        if "seed" in block:
            raise ValueError("seed and seeds cannot both be given")
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
            raise ValueError(f"seeds must be a whole number above 0, got {seeds!r}")
        block["seed"] = list(range(seeds))
    as_list = lambda value: value if isinstance(value, list) else [value]
    parts = [grid.values(field, as_list(value)) for field, value in block.items()]
    if together:
        lists = [grid.values(field, as_list(v)) for field, v in together.items()]
        parts.append(grid.zipped(*lists))
    return grid.product(*parts)
