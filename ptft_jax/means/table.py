"""A table of estimates → what is seen, with all complaints in one message."""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import polars as pl
from jaxtyping import Bool, Float64

from ptft_jax.tables import rows
from ptft_jax.tables.problems import Problems, quoted

LARGEST = 1e15  # whole numbers above are not exact
FARTHEST = 1e5  # standard deviations from 0 at which decisions are off by a hundredth


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
      shifts: whether a number added to all of the first is added to the decisions.
      largest: size of the first above which single precision loses what depends on it.
      sizes: of the second, least and largest.
    """

    first: str
    second: str
    default: float | None = None
    whole: tuple[bool, bool] = (False, False)
    signed: bool = False
    within: bool = False
    shifts: bool = False
    largest: float = LARGEST
    sizes: tuple[float, float] = (1e-15, LARGEST)


GAUSSIAN = Form(
    "estimate",
    "variance",
    signed=True,
    shifts=True,
    largest=1e7,
    sizes=(1e-10, 1e10),
)
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
        square = " A variance is the square of a standard error."
        hint = square if "variance" in missing else ""
        problems.add(f"no column {listed}", f"The columns are {wanted}.{hint}")
    elif not table.height:
        problems.add("no row", "Give at least one instance.")
    problems.check()
    names = rows.one_each(table["instance"], problems)
    first = rows.floats(table[form.first])
    second = np.full(table.height, form.default, float)
    if form.second in table.columns:
        second = rows.floats(table[form.second])
    _report_numbers(form, table, first, second, problems)
    problems.check()
    return make_seen(jnp.asarray(first), jnp.asarray(second)), names


def _report_numbers(form: Form, table, first, second, problems: Problems) -> None:
    least = -np.inf if form.signed else 0.0
    kind = lambda whole: "a whole number" if whole else "a number"
    _report(
        form.first,
        table,
        first,
        np.isfinite(first) & (first >= least) & _is_whole(first, form.whole[0]),
        kind(form.whole[0]) + ("" if form.signed else " ≥ 0"),
        problems,
    )
    _report(
        form.second,
        table,
        second,
        np.isfinite(second) & (second > 0.0) & _is_whole(second, form.whole[1]),
        kind(form.whole[1]) + " > 0",
        problems,
    )
    rows.check_size(form.first, first, problems, 0.0, form.largest)
    rows.check_size(form.second, second, problems, *form.sizes)
    if form.shifts:
        _report_far(form.first, first, second, problems)
    over = np.flatnonzero(form.within & (first > second) & (second > 0.0))
    problems.add_many(
        len(over),
        (
            f"{rows.at(i)}: {first[i]:g} {form.first} in {second[i]:g} {form.second}"
            for i in over
        ),
        f"There cannot be more {form.first} than {form.second}.",
    )


def _report_far(name, first, variance, problems: Problems) -> None:
    """Complains of estimates whose noise single precision would round away."""
    sd = np.sqrt(np.where(variance > 0.0, variance, np.inf))
    far = np.flatnonzero(np.isfinite(first) & (np.abs(first) > FARTHEST * sd))
    problems.add_many(
        len(far),
        (f"{rows.at(i)}: {name} {first[i]:g} with sd {sd[i]:g}" for i in far),
        f"Subtract one number, such as their mean, from all {name}s and add it to the "
        f"decisions: {FARTHEST:g} standard deviations from 0 digits are lost.",
    )


def _is_whole(x: Float64[np.ndarray, "n"], whole: bool) -> Bool[np.ndarray, "n"]:
    return (x == np.round(x)) | (not whole)


def _report(name, table, values, good, wanted, problems: Problems) -> None:
    bad = np.flatnonzero(~good)

    def said(i):
        if np.isfinite(values[i]):
            return f"{values[i]:g}"
        cell = table[name][int(i)]
        return "blank" if cell in (None, "") else quoted(str(cell))

    problems.add_many(
        len(bad),
        (f"{rows.at(i)}, column {quoted(name)}: {said(i)}" for i in bad),
        f"Column {quoted(name)} holds {wanted} in every row.",
    )
