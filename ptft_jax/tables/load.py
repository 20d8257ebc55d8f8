"""A CSV or Parquet file to a grid."""

import collections
import io
import pathlib
import re

import numpy as np
import polars as pl
import polars.selectors as cs

from ptft_jax.tables import parse_csv
from ptft_jax.tables.grid import Grid, stack
from ptft_jax.tables.problems import Problems, counted, quoted

EXPORT = "Export the table again as 'CSV UTF-8' (or Parquet) with a header row."
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"\xff\xfe": "encoded as UTF-16, not UTF-8",
    b"\xfe\xff": "encoded as UTF-16, not UTF-8",
}


def grid_of(path: pathlib.Path, problems: Problems) -> Grid:
    """The grid of a file; ragged rows and repeated names go to `problems`.

    Args:
      path: a CSV (UTF-8; comma, semicolon or tab) or Parquet file.
      problems: collects what is wrong.

    Returns:
      The rows that have as many cells as the header.

    Raises:
      DataError: the file cannot be read as a table at all.
    """
    content = _content(path, problems)
    if content.startswith(b"PAR1"):
        grid = _parquet_grid(content, problems)
    else:
        grid = _without_empty_ends(parse_csv.parse(_text(content, problems), problems))
    _check_header(grid, problems)
    if len(grid.rows) == 0:
        if grid.num_ragged == 0:
            problems.add("there are no rows below the header", EXPORT)
        problems.check()
    return grid


def frame_of(path: pathlib.Path) -> tuple[pl.DataFrame, list[str]]:
    """The columns of a file as stripped text, so that names stay as they are written.

    Args:
      path: as of `grid_of`.

    Returns:
      One column for each name of the header, a blank cell being "", and notes of what
      was decided while reading.

    Raises:
      DataError: the file cannot be read, rows are ragged, or names repeat.
    """
    problems = Problems(path)
    grid = grid_of(path, problems)
    problems.check()
    named = [(j, name) for j, name in enumerate(grid.header) if name]
    return pl.DataFrame({name: grid.labels(j) for j, name in named}), grid.notes


def _content(path: pathlib.Path, problems: Problems) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        problems.add("there is no such file", "Check the path.")
    except IsADirectoryError:
        problems.add("this is a directory", "Give the path of one file in it.")
    except OSError as error:
        problems.add(
            f"it cannot be opened ({error.strerror})", "Check its permissions."
        )
    problems.check()
    return content


def _text(content: bytes, problems: Problems) -> str:
    for magic, what in _NOT_TEXT.items():
        if content.startswith(magic):
            problems.add(f"this is {what}", EXPORT)
    problems.check()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        problems.add(f"row {row}: byte 0x{byte:02x} is not valid UTF-8", EXPORT)
        problems.check()
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        problems.add(f"row {row}: a NUL character; the file is not UTF-8 text", EXPORT)
    elif not text.strip():
        problems.add("the file is empty", EXPORT)
    problems.check()
    return text


def _parquet_grid(content: bytes, problems: Problems) -> Grid:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        problems.add(f"the Parquet file is damaged ({error})", EXPORT)
        problems.check()
    for j, (name, dtype) in enumerate(frame.schema.items()):
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            problems.add(
                f"column {j + 1} ({quoted(name)}): cells of type {dtype}",
                "Keep only columns of numbers, text or dates.",
            )
    problems.check()
    header = [name.strip() for name in frame.columns]
    # of a decimal type 1.250 is no text that may mean 1250
    cells = stack(frame.cast({cs.decimal(): pl.Float64}))
    return Grid(header, cells, np.arange(1, frame.height + 1), 0, [])


def _without_empty_ends(grid: Grid) -> Grid:
    """Without the last rows and nameless columns that hold nothing, as sheets have."""
    height, width = len(grid.rows), len(grid.header)
    while width > 1 and not grid.header[width - 1]:
        if (grid.labels(width - 1) != "").any():
            break
        width -= 1
    starts = np.arange(width) * len(grid.rows)
    if height and not grid.cells.gather(starts + height - 1).str.contains(r"\S").any():
        held = grid.cells.head(width * height).str.contains(r"\S").fill_null(False)
        by_row = held.to_numpy().reshape(width, height).any(0)
        height = int(np.flatnonzero(by_row).max(initial=-1)) + 1
    columns, rows = len(grid.header) - width, len(grid.rows) - height
    if columns == rows == 0:
        return grid
    kept = (starts[:, None] + np.arange(height)).ravel()
    sizes = ((columns, "column"), (rows, "row"))
    told = " and ".join(counted(count, noun) for count, noun in sizes if count)
    return grid._replace(
        header=grid.header[:width],
        cells=grid.cells.gather(kept),
        rows=grid.rows[:height],
        notes=[
            *grid.notes,
            f"{told} at the end without any content left out",
        ],
    )


def _check_header(grid: Grid, problems: Problems) -> None:
    counts = collections.Counter(grid.header)
    repeated = {name: [] for name, count in counts.items() if name and count > 1}
    for j, name in enumerate(grid.header):
        if name in repeated:
            repeated[name].append(j + 1)
    # A nameless first column is the index that other programs write.
    nameless = [j + 1 for j, name in enumerate(grid.header) if j and not name]
    problems.add_many(
        len(nameless),
        (f"column {j}: it has no name" for j in nameless),
        "Name every column in the header, or delete empty columns.",
    )
    problems.add_many(
        len(repeated),
        (
            f"columns {', '.join(map(str, js))}: all are named {quoted(name)}"
            for name, js in repeated.items()
        ),
        "Give each column its own name.",
    )
    if all(re.fullmatch(r"-?\d*\.?\d+", n) for n in grid.header) and any(
        "." in name for name in grid.header
    ):
        problems.add("row 1: the header holds numbers, not names", EXPORT)
