"""Labels of periods: dates, numbers or text, and the order they stand in."""

import collections
import re
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int

from ptft_jax.tables import cells
from ptft_jax.tables.grid import Grid
from ptft_jax.tables.problems import Problems

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_SORTABLE = re.compile(
    r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d.*)?)?|\d{4}-?W\d\d(-\d)?|\d{4}-?Q\d"
)
_MONTH = (
    "(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?|\d{1,4}[-/]\d{1,4}"
    rf"|\d{{1,2}}([- ]){_MONTH}\3\d{{2,4}}|{_MONTH}[- ]\d{{4}}"
)
_DATED = re.compile(r"[^\W\d].*\d{2}$")  # a month of another language, an event
# Readings of dates that do not begin with the year; a dot is never month first.
_FORMS = (
    *("%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d-%B-%Y", "%d-%B-%y", "%d %B %Y", "%d %B %y"),
)


class Times(NamedTuple):
    """When each row is.

    Attributes:
      labels: the distinct times, in time order where `kind` is not "text".
      codes: position of each row's time in `labels`.
      kind: "date", "number" or "text" (then in order of appearance).
    """

    labels: list[str]
    codes: Int[np.ndarray, "T"]
    kind: str


def looks_like_dates(labels: pl.Series) -> bool:
    """Whether more than half of the labels that are not blank look like dates."""
    written = [label for label in labels if label]
    dates = sum(kind_of(text) in ("date", "other date") for text in written)
    return 2 * dates > len(written)


def kind_of(label: str) -> str:
    """What a label looks like: "date", "other date", "number" or "text"."""
    if _SORTABLE.fullmatch(label):
        return "date"
    if _NUMBER.fullmatch(label):
        return "number"
    return "other date" if _DATE.fullmatch(label) else "text"


def read(grid: Grid, column: int, problems: Problems) -> Times:
    """The times in a column.

    Args:
      grid: the file.
      column: the column that holds dates, numbers or other labels.
      problems: collects labels unlike the others, such as the foot line "Total".

    Returns:
      The distinct times and where each row stands among them.
    """
    text = grid.labels(column)
    labels = text.unique(maintain_order=True).to_list()
    kinds = {label: kind_of(label) for label in labels if label} or {"": "text"}
    counts = collections.Counter(kinds.values())
    usual, count = counts.most_common(1)[0]
    if usual == "text" or 2 * count <= len(kinds):
        usual = "text"
    elif usual == "other date" and any(map(_DATED.search, _unlike(kinds, usual))):
        usual = "text"
    else:
        others = _unlike(kinds, usual)
        cells.report(
            *(grid, column, text.is_in(others).to_numpy()[:, None], text, problems),
            "is not a time like the others",
            "Write all times alike (numbers, or dates such as 2025-01-31), and delete "
            "rows that are not periods, such as totals.",
        )
    codes = text.cast(pl.Enum(labels)).to_physical().to_numpy().astype(int)
    like_usual = [label if kinds.get(label) == usual else "" for label in labels]
    if usual == "number":
        key = np.array([float(label or "-inf") for label in like_usual])
    elif usual == "date" and len({len(label) for label in like_usual if label}) == 1:
        key = np.array(like_usual)
    elif usual == "other date" and (days := _days(like_usual)) is not None:
        usual, key = "date", days
    else:
        return Times(labels, codes, "text")
    order = np.argsort(key, kind="stable")
    return Times([labels[int(i)] for i in order], np.argsort(order)[codes], usual)


def _days(labels: list[str]) -> Int[np.ndarray, "_"] | None:
    """Days since 1970 of dates that can be read in one way only; blanks come first."""
    text = pl.Series(labels, dtype=pl.String)
    # a month alone is its first day
    text = text.str.replace(r"^(\pL+)([- ])", "1${2}${1}${2}")
    # "%Y" would read the year 24 of "1.2.24"
    is_long = text.str.contains(r"\d{4}$")
    if is_long.any() and not (is_long | (text == "")).all():
        return None
    forms = [form for form in _FORMS if form.endswith("%Y") == is_long.any()]
    found = [text.str.to_date(form, strict=False) for form in forms]
    whole = [days for days in found if (days.is_null() == (text == "")).all()]
    if len(whole) != 1:
        return None
    return whole[0].cast(pl.Int64).fill_null(np.iinfo(np.int32).min).to_numpy()


def _unlike(kinds: dict[str, str], usual: str) -> list[str]:
    """Labels of another kind than the usual one."""
    return [label for label, kind in kinds.items() if kind != usual]


def report_blank(grid: Grid, column: int, problems: Problems, remedy: str) -> None:
    """Report the blank cells of a column that must have none."""
    blank = np.flatnonzero((grid.labels(column) == "").to_numpy())
    lines = (f"{grid.place(int(row), column)}: it is blank" for row in blank)
    problems.add_many(len(blank), lines, remedy)
