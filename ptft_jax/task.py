"""What a sweep computes in a cell: a task, and the cells of one compiled program.

A task is a pure function of a key and traced numbers, made from a static configuration.
To write one of your own, see `tasks/gaussian_law.py`, the shortest.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from ptft_jax import store
from ptft_jax.errors import UsageError

Number = int | float
Swept = Mapping[str, Number]
Traced = dict[str, jax.Array]
Run = Callable[[Key[Array, ""], Traced], Any]
SEED = "seed"


def scalars(config: Any, swept: Swept, outputs: Any) -> dict[str, float]:
    """The outputs of a cell as they are: named numbers.

    Args:
      config: not used.
      swept: not used.
      outputs: mapping of names to scalars.

    Returns:
      The numbers, as Python floats.
    """
    del config, swept
    return {name: float(value) for name, value in outputs.items()}


def anything(config: Any, swept: Swept) -> None:
    """Accepts every cell.

    Args:
      config: not used.
      swept: not used.
    """


class Task(NamedTuple):
    """A kind of cell.

    Attributes:
      name: short, part of every record.
      about: one line.
      static: frozen dataclass of what decides shapes; every value costs a compile.
      swept: traced fields and their defaults; where the default is whole, so are the
        values. `seed` is always there and makes the key.
      make: `(config, folder) -> run`; `run(key, traced) -> outputs` is pure and for one
        cell. What is made once (a pretrained network) may be kept in the folder.
      shown: metrics that a figure shows.
      check: `(config, swept)`, raises ValueError for a cell that is impossible.
      finish: `(config, swept, outputs) -> metrics`, on the host, in float64.
      version: raised when the task's results change; older records are left alone.
    """

    name: str
    about: str
    static: type
    swept: Swept
    make: Callable[[Any, pathlib.Path], Run]
    shown: tuple[str, ...]
    check: Callable[[Any, Swept], None] = anything
    finish: Callable[[Any, Swept, Any], dict[str, float]] = scalars
    version: int = 1


class Point(NamedTuple):
    """A cell that has been checked.

    Attributes:
      config: of the task's static type.
      swept: every traced field of the task, and the seed.
      name: id of its record.
    """

    config: Any
    swept: dict[str, Number]
    name: str


def record_config(task: Task, config: Any, swept: Swept) -> store.Config:
    """All that decides a cell's result.

    Args:
      task: of the cell.
      config: its static part.
      swept: its traced part.

    Returns:
      JSON-serialisable; its hash names the record.
    """
    whole = {
        "task": task.name,
        "version": task.version,
        "static": dataclasses.asdict(config),
        "swept": dict(swept),
    }
    return json.loads(json.dumps(whole))  # sequences as a record gives them back


def point(task: Task, cell: Any) -> Point:
    """A cell of a grid, its defaults filled in and its values checked.

    Args:
      task: of the grid.
      cell: mapping of fields to values, as a user may have written it.

    Returns:
      The point; two cells that mean the same have the same name.

    Raises:
      UsageError: a field is unknown, a value is of the wrong kind or impossible, or the
        task's static type is no frozen dataclass.
    """
    params = vars(task.static).get("__dataclass_params__")
    if params is None or not params.frozen:
        raise UsageError(
            f"static of task {task.name} must be a frozen dataclass, "
            f"@dataclass(frozen=True), got {task.static!r}"
        )
    if not isinstance(cell, Mapping):
        raise UsageError(f"a cell maps fields to values, got {cell!r}")
    defaults: dict[str, Number] = {SEED: 0, **task.swept}
    fields = [field.name for field in dataclasses.fields(task.static)]
    for field in cell:
        if field not in defaults and field not in fields:
            known = ", ".join([*fields, *defaults])
            raise UsageError(f"task {task.name} has no field {field!r}; it has {known}")
    swept = {
        field: _number(field, cell.get(field, default), default)
        for field, default in defaults.items()
    }
    plain = {f.name: f.default for f in dataclasses.fields(task.static)}
    given = {f: _static(f, cell[f], plain[f]) for f in fields if f in cell}
    try:
        config = task.static(**given)
        task.check(config, swept)
    except (TypeError, ValueError) as error:
        raise UsageError(f"cell {dict(cell)} of task {task.name}: {error}") from None
    return Point(config, swept, store.cell_id(record_config(task, config, swept)))


def fields(each: Point) -> dict[str, Any]:
    """A point's values by field, static ones first.

    Args:
      each: the point.

    Returns:
      Values as a table shows them: sequences as text.
    """
    static = dataclasses.asdict(each.config)
    shown = {k: str(v) if isinstance(v, list | tuple) else v for k, v in static.items()}
    return {**shown, **each.swept}


def groups(points: list[Point]) -> dict[Any, list[Point]]:
    """Points by static configuration: those of one group share a program.

    Args:
      points: of one task.

    Returns:
      Each group's points once, in the order of the grid.
    """
    found: dict[Any, dict[str, Point]] = {}
    for each in points:
        found.setdefault(each.config, {})[each.name] = each
    return {config: list(named.values()) for config, named in found.items()}


def _static(field: str, value: Any, default: Any) -> Any:
    """A static value of the kind of its default, as hashes and records need it."""
    if isinstance(default, int | float) and not isinstance(default, bool):
        return _number(field, value, default)
    value = tuple(value) if isinstance(value, list) else value
    if default is not dataclasses.MISSING and not isinstance(value, type(default)):
        noun = type(default).__name__
        raise UsageError(f"{field} must be of type {noun}, got {value!r}")
    return value


def _number(field: str, value: Any, default: Number) -> Number:
    kinds = int | np.integer if isinstance(default, int) else int | float | np.number
    if isinstance(value, bool) or not isinstance(value, kinds):
        noun = "a whole number" if isinstance(default, int) else "a number"
        raise UsageError(f"{field} must be {noun}, got {value!r}")
    if not math.isfinite(value):
        raise UsageError(f"{field} must be finite, got {value!r}")
    if isinstance(default, int) and not -(2**31) <= value < 2**31:
        raise UsageError(f"{field} must fit in 32 bits, got {value!r}")
    return int(value) if isinstance(default, int) else float(value)
