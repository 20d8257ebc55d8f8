"""Sweeps as data: lists of cells, and four ways to combine them.

A cell is a mapping from field to value. Combinators take and return lists of cells, in
the manner of `param`, `prod`, `zipit` and `chain` of google-deepmind/simply.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from ptft_jax.task import Task

Cell = dict[str, Any]


class Grid(NamedTuple):
    """A sweep: one task, many cells.

    Attributes:
      task: what is computed in a cell.
      cells: fields of the task; those not named take the task's defaults.
      about: one line on what the sweep is for.
    """

    task: Task
    cells: list[Cell]
    about: str


def values(field: str, given: Sequence[Any]) -> list[Cell]:
    """One field, one cell a value.

    Args:
      field: its name.
      given: values, at least one.

    Returns:
      The cells.

    Raises:
      ValueError: there is no value.
    """
    if not len(given):
        raise ValueError(f"no values for {field}")
    return [{field: value} for value in given]


def product(*parts: list[Cell]) -> list[Cell]:
    """Every combination of one cell of each part; the last part varies fastest.

    Args:
      *parts: lists of cells over different fields.

    Returns:
      The cells, as many as the product of the lengths.

    Raises:
      ValueError: two parts set the same field.
    """
    return [_merge(combination) for combination in itertools.product(*parts)]


def zipped(*parts: list[Cell]) -> list[Cell]:
    """First with first, second with second, and so on.

    Args:
      *parts: lists of cells over different fields, equally long.

    Returns:
      The cells, as many as each part has.

    Raises:
      ValueError: the lengths differ, or two parts set the same field.
    """
    lengths = [len(part) for part in parts]
    if len(set(lengths)) > 1:
        raise ValueError(f"lists that are zipped must be equally long, got {lengths}")
    return [_merge(combination) for combination in zip(*parts, strict=True)]


def chain(*parts: list[Cell]) -> list[Cell]:
    """One part after the other; a cell that was there before is left out.

    Args:
      *parts: lists of cells.

    Returns:
      The cells, each once.
    """
    found: list[Cell] = []
    seen = set()
    for cell in itertools.chain(*parts):
        name = tuple(sorted((key, repr(value)) for key, value in cell.items()))
        if name not in seen:
            seen.add(name)
            found.append(cell)
    return found


def _merge(cells: Sequence[Cell]) -> Cell:
    merged: Cell = {}
    for cell in cells:
        for field in cell:
            if field in merged:
                raise ValueError(f"the field {field} is set twice")
        merged |= cell
    return merged
