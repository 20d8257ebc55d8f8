"""A table of estimates → what is seen, with all complaints in one message."""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import polars as pl
from jaxtyping import Bool, Float64

from ptft_jax.tables.problems import Problems, quoted

LARGEST = 1e15  # whole numbers above are not exact


@dataclass(frozen=True)
class Form:
    """The columns of a family.

    Attributes:
      first: name of the column of estimates, successes or counts.
      second: name of the column of variances, trials or exposures.
      default: of the second where the table has no such column, or None.
      whole: which of the two are whole numbers.
      signed: whether the first may be negative.
      within: whether the first is at most the second.
    """

    first: str
    second: str
    default: float | None = None
    whole: tuple[bool, bool] = (False, False)
    signed: bool = False
    within: bool = False


GAUSSIAN = Form("estimate", "variance", signed=True)
BINOMIAL = Form("successes", "trials", whole=(True, True), within=True)
POISSON = Form("count", "exposure", default=1.0, whole=(True, False))


def read(
    table: pl.DataFrame, make_seen: Callable[..., Any], form: Form
) -> tuple[Any, list[str]]:
    """What a table says of n instances, one a row.

    Args:
      table: with the columns `instance` (their names, each once) and those of `form`.
      make_seen: of the two columns.
      form: of the family.

    Returns:
      What is seen, and the names.

    Raises:
      DataError: naming every bad row; row 1 is the header.
    """
    problems = Problems(pathlib.Path("table"))
    optional = [form.second] if form.default is not None else []
    needed = {"instance", form.first, form.second} - set(optional)
    if missing := sorted(needed - set(table.columns)):
        listed = ", ".join(map(quoted, missing))
        wanted = ", ".join(map(quoted, ["instance", form.first, form.second]))
        problems.add(f"no column {listed}", f"The columns are {wanted}.")
    elif not table.height:
        problems.add("no row", "Give at least one instance.")
    problems.check()
    names = [str(name or "").strip() for name in table["instance"].to_list()]
    _report_names(names, problems)
    first = _numbers(table, form.first)
    second = np.full(table.height, form.default, float)
    if form.second in table.columns:
        second = _numbers(table, form.second)
    _report_numbers(form, first, second, problems)
    problems.check()
    return make_seen(jnp.asarray(first), jnp.asarray(second)), names


def _numbers(table: pl.DataFrame, name: str) -> Float64[np.ndarray, "n"]:
    """The column as numbers, NaN where it is none."""
    found = table[name].cast(pl.Float64, strict=False)
    return found.fill_null(np.nan).to_numpy().astype(np.float64)


def _report_names(names: list[str], problems: Problems) -> None:
    first: dict[str, int] = {}
    for row, name in enumerate(names, 2):
        if not name:
            problems.add(f"row {row}: no name", "Name the instance of each row.")
        elif name in first:
            problems.add(
                f"row {row}: {quoted(name)} again, after row {first[name]}",
                "Give each instance one row: add up what is known of it.",
            )
        first.setdefault(name, row)


def _report_numbers(form: Form, first, second, problems: Problems) -> None:
    least = -LARGEST if form.signed else 0.0
    kind = lambda whole: "a whole number" if whole else "a number"
    _report(
        form.first,
        first,
        (first >= least) & (first <= LARGEST) & _is_whole(first, form.whole[0]),
        kind(form.whole[0]) + ("" if form.signed else " ≥ 0"),
        problems,
    )
    _report(
        form.second,
        second,
        (second > 0.0) & (second <= LARGEST) & _is_whole(second, form.whole[1]),
        kind(form.whole[1]) + " > 0",
        problems,
    )
    over = form.within & (first > second) & (second > 0.0)
    rows = np.flatnonzero(over)
    problems.add_many(
        len(rows),
        (
            f"row {i + 2}: {first[i]:g} {form.first} in {second[i]:g} {form.second}"
            for i in rows
        ),
        f"There cannot be more {form.first} than {form.second}.",
    )


def _is_whole(x: Float64[np.ndarray, "n"], whole: bool) -> Bool[np.ndarray, "n"]:
    return (x == np.round(x)) | (not whole)


def _report(name, values, good, wanted, problems: Problems) -> None:
    rows = np.flatnonzero(~good)
    problems.add_many(
        len(rows),
        (f"row {i + 2}, column {quoted(name)}: {values[i]:g}" for i in rows),
        f"Column {quoted(name)} holds {wanted} in every row, at most {LARGEST:g}; "
        "text and blank cells read as nan.",
    )
