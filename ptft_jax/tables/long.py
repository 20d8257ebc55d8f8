"""Long tables: a row is one value of one instance."""

from collections.abc import Callable

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int

from ptft_jax.tables import cells, times
from ptft_jax.tables.cells import Numbers
from ptft_jax.tables.draft import Draft
from ptft_jax.tables.grid import Grid
from ptft_jax.tables.problems import Problems, listing, quoted

NAME = "long"
MAX_CELLS = 200_000_000
RULES = {"value": cells.DEMAND, "price": cells.PRICE, "quantile": cells.QUANTILE}


def is_form(grid: Grid) -> bool:
    """Whether the header has both an `instance` and a `value` column."""
    return {"instance", "value"} <= {name.lower() for name in grid.header}


def read(grid: Grid, problems: Problems) -> Draft:
    """Columns `instance` and `value`, optionally `time`, `price` and `quantile`.

    Args:
      grid: the file.
      problems: collects what is wrong in its cells.

    Returns:
      The table; without `time`, the k-th row of an instance is its k-th period.
    """
    column, notes = _columns(grid)
    instances, codes, first_rows = _instances(grid, column["instance"], problems)
    place = lambda i: f"instance {quoted(instances[i])} (from row {first_rows[i]})"
    found = {
        name: cells.numbers(grid, column[name], 1, rule, problems)
        for name, rule in RULES.items()
        if name in column
    }
    cells.report_thousands(grid, column["value"], codes[:, None], problems)
    notes += [note for name, block in found.items() for note in block.notes(name)]
    when, periods, repeated = _periods(
        grid, column.get("time"), codes, instances, problems
    )
    if periods is not None and periods.kind == "text":
        notes.append(
            "the order of 'time' is not clear (neither numbers nor dates such as "
            "2025-01-31): periods are in the order in which they first appear"
        )
    if periods is not None:
        notes += _note_absent(when, codes)
    if "price" in found:
        notes.append("prices are read, but no decision depends on them yet")

    def spread(name: str) -> np.ndarray:
        table = np.full((when.max() + 1, len(instances)), np.nan)
        table[when, codes] = found[name].values[:, 0]
        return table

    lost = found["value"].unreadable[:, 0] | repeated
    num_lost = np.bincount(codes, lost, len(instances)).astype(int)
    return Draft(
        instances=instances,
        values=spread("value"),
        num_reported=num_lost,
        price=spread("price") if "price" in found else None,
        quantile=_quantile(found.get("quantile"), codes, place, problems),
        periods=None if periods is None else periods.labels,
        place=place,
        notes=notes,
    )


def _note_absent(when: Int[np.ndarray, "T"], codes: Int[np.ndarray, "T"]) -> list[str]:
    """A note on pairs of instance and time that have no row."""
    room = (when.max() + 1) * (codes.max() + 1)
    absent = room - len(codes)  # repeated rows are refused
    if absent <= 0:
        return []
    return [
        f"{absent} of {room} pairs of instance and time have no row: read as missing; "
        "where nothing was sold, a row of value 0 says so"
    ]


def _columns(grid: Grid) -> tuple[dict[str, int], list[str]]:
    names = [name.lower() for name in grid.header]
    known = ("instance", "time", *RULES)
    column = {name: names.index(name) for name in known if name in names}
    used = set(column.values())
    others = [j for j in range(len(grid.header)) if j not in used]
    unused = [quoted(grid.header[j]) for j in others]
    more = [f"columns not used: {', '.join(unused)}"] if unused else []
    for j in others if "time" not in column else []:
        if times.looks_like_dates(grid.labels(j)):
            more.append(
                f"{grid.column_place(j)} looks like dates: name it 'time', or the rows "
                "of each instance are taken as periods that follow one another"
            )
    return column, grid.notes + more


def _instances(
    grid: Grid, column: int, problems: Problems
) -> tuple[list[str], Int[np.ndarray, "T"], Int[np.ndarray, "n"]]:
    text = grid.labels(column)
    times.report_blank(grid, column, problems, "Name the instance of each row.")
    names = text.unique(maintain_order=True)
    codes = text.cast(pl.Enum(names)).to_physical().to_numpy().astype(int)
    _, first = np.unique(codes, return_index=True)
    return names.to_list(), codes, grid.rows[first]


def _periods(
    grid: Grid,
    column: int | None,
    codes: Int[np.ndarray, "T"],
    instances: list[str],
    problems: Problems,
) -> tuple[Int[np.ndarray, "T"], times.Times | None, Bool[np.ndarray, "T"]]:
    by_instance = np.argsort(codes, kind="stable")
    if column is None:
        sizes = np.bincount(codes)
        starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        rank = np.empty_like(codes)
        rank[by_instance] = np.arange(len(codes)) - starts
        return rank, None, np.zeros(len(codes), bool)
    times.report_blank(grid, column, problems, "Give every row its time.")
    when = times.read(grid, column, problems)
    if len(when.labels) * len(instances) > MAX_CELLS:
        problems.add(
            f"{grid.column_place(column)}: {len(when.labels)} different times for "
            f"{len(instances)} instances",
            "Round times to periods that instances share, or leave the column out.",
        )
        problems.check()
    repeated = _report_repeats(grid, when, codes, instances, problems)
    return when.codes, when, repeated


def _report_repeats(
    grid: Grid,
    when: times.Times,
    codes: Int[np.ndarray, "T"],
    instances: list[str],
    problems: Problems,
) -> Bool[np.ndarray, "T"]:
    pair = codes * len(when.labels) + when.codes
    order = np.argsort(pair, kind="stable")
    again = np.flatnonzero(np.diff(pair[order]) == 0)
    repeats = np.sort(order[again + 1])
    before = dict(zip(order[again + 1].tolist(), order[again].tolist(), strict=True))
    remedy = "Keep one row for an instance and time, or add the repeated rows up."
    if len(repeats) and (apart := _telling_apart(grid, pair)):
        remedy += f" Or name instances by {listing(apart)} as well: it differs there."
    problems.add_many(
        len(repeats),
        (
            f"row {grid.rows[row]}: instance {quoted(instances[codes[row]])} at time "
            f"{quoted(when.labels[when.codes[row]])} is already on row "
            f"{grid.rows[before[int(row)]]}"
            for row in repeats
        ),
        remedy,
    )
    return np.isin(np.arange(len(pair)), repeats)


def _telling_apart(grid: Grid, pair: Int[np.ndarray, "T"]) -> list[str]:
    """A column that is not used in which all repeats differ, such as the store.

    Its labels recur: a number of the row, or an amount, tells no instances apart.
    """
    known = ("instance", "time", *RULES)
    for j, name in enumerate(grid.header):
        label = grid.labels(j)
        if name and name.lower() not in known and 2 * label.n_unique() <= len(pair):
            both = pl.DataFrame({"pair": pair, "label": label})
            if both.n_unique() == len(pair):
                return [name]
    return []


def _quantile(
    found: Numbers | None,
    codes: Int[np.ndarray, "T"],
    place: Callable[[int], str],
    problems: Problems,
) -> Float64[np.ndarray, "n"] | None:
    if found is None:
        return None
    values = found.values[:, 0]
    given = ~np.isnan(values)
    unreadable = np.bincount(codes, found.unreadable[:, 0]) > 0
    low, high = np.full((2, len(unreadable)), [[np.inf], [-np.inf]])
    np.minimum.at(low, codes[given], values[given])
    np.maximum.at(high, codes[given], values[given])
    blank = (low > high) & ~unreadable
    wrong = np.flatnonzero(blank | (low < high))

    def line(i: int) -> str:
        if blank[i]:
            return f"{place(i)}: its quantile is blank"
        return f"{place(i)}: its quantile is {low[i]:g} and also {high[i]:g}"

    remedy = "Give each instance one quantile, the same on all its rows."
    problems.add_many(len(wrong), (line(int(i)) for i in wrong), remedy)
    return low
