"""A table as read, and the instances of it that can be used."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int

from ptft_jax.tables.problems import Problems, counted, quoted


class Draft(NamedTuple):
    """A table that may still hold instances nobody can use.

    Attributes:
      instances: names.
      values: demand, NaN where missing.
      num_reported: observations of each instance lost to problems reported already.
      price: as `values`, or None.
      quantile: of each instance, or None.
      periods: labels of the rows of `values`, or None.
      place: where instance i is in the file.
      notes: what was decided while reading.
    """

    instances: list[str]
    values: Float64[np.ndarray, "T n"]
    num_reported: Int[np.ndarray, "n"]
    price: Float64[np.ndarray, "T n"] | None
    quantile: Float64[np.ndarray, "n"] | None
    periods: list[str] | None
    place: Callable[[int], str]
    notes: list[str]


def keep(draft: Draft, kept: Bool[np.ndarray, "n"], dropped: str) -> Draft:
    """Some instances of a draft, with a note that names the others.

    Args:
      draft: n instances.
      kept: which to keep.
      dropped: what the others are, to read after "instances".

    Returns:
      The draft; unchanged where nothing is dropped.
    """
    if kept.all():
        return draft
    index = np.flatnonzero(kept)
    names = [draft.instances[i] for i in np.flatnonzero(~kept)]
    listed = ", ".join(map(quoted, names[:5])) + (", …" if len(names) > 5 else "")
    count = counted(len(names), "instance")
    return draft._replace(
        instances=[draft.instances[i] for i in index],
        values=draft.values[:, index],
        num_reported=draft.num_reported[index],
        price=None if draft.price is None else draft.price[:, index],
        quantile=None if draft.quantile is None else draft.quantile[index],
        place=lambda i: draft.place(int(index[i])),
        notes=[*draft.notes, f"{count} {dropped} left out: {listed}"],
    )


def usable(draft: Draft) -> Draft:
    """The instances with at least 2 observations that are not all equal."""
    count, low, high = _summary(draft)
    draft = keep(draft, count >= 2, "with fewer than 2 observations")
    return keep(draft, (low < high)[count >= 2], "with all observations equal")


def note_total(draft: Draft) -> Draft:
    """The draft, with a note on an instance that is the sum of all others."""
    if len(draft.instances) <= 2:
        return draft
    with np.errstate(all="ignore"):  # infinite and huge cells were reported
        half = np.nansum(draft.values, 1, keepdims=True) / 2.0
        is_sum = (np.abs(draft.values - half) <= 1e-9 * half).all(0)
    if is_sum.sum() != 1 or not half.any():
        return draft
    note = (
        f"{draft.place(int(is_sum.argmax()))} is the sum of all others in every "
        "period: if it is their total and no instance, delete it"
    )
    return draft._replace(notes=[*draft.notes, note])


def report_unusable(draft: Draft, num_ragged: int, problems: Problems) -> None:
    """Report instances with fewer than 2 observations, or with all of them equal.

    Args:
      draft: n instances.
      num_ragged: rows of the file that are not in the draft, reported already.
      problems: collects the complaints.
    """
    count, low, high = _summary(draft)
    # One that was reported may be the observation that is not there.
    few = count + draft.num_reported + num_ragged < 2
    constant = (count >= 2) & (draft.num_reported == 0) & (low == high)

    def line(i: int) -> str:
        if few[i]:
            found = counted(int(count[i]), "observation")
            return f"{draft.place(i)}: {found}, at least 2 are needed"
        return f"{draft.place(i)}: constant, all {count[i]} observations are {low[i]:g}"

    unusable = np.flatnonzero(few | constant)
    problems.add_many(
        len(unusable),
        (line(int(i)) for i in unusable),
        "Remove instances with fewer than 2 observations or with equal ones only, or "
        "let --drop-unusable (in Python: drop_unusable=True) leave them out.",
    )


def _summary(
    draft: Draft,
) -> tuple[Int[np.ndarray, "n"], Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    seen = ~np.isnan(draft.values)
    low = np.where(seen, draft.values, np.inf).min(0, initial=np.inf)
    high = np.where(seen, draft.values, -np.inf).max(0, initial=-np.inf)
    return seen.sum(0), low, high
