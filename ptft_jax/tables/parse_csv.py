"""CSV text to a grid: fast where every line is plain, with care elsewhere."""

import csv
import io
import re

import numpy as np
import polars as pl

from ptft_jax.tables.grid import Grid, stack
from ptft_jax.tables.problems import Problems, counted

MOST_COLUMNS = 1000  # of a frame: each costs as much as thousands of cells


def _separator(text: str) -> str:
    first = re.search(r"\S.*", text)
    unquoted = re.sub(r'"[^"]*"', "", first[0] if first else "")
    return max(",;\t", key=unquoted.count)


def parse(text: str, problems: Problems) -> Grid:
    """The grid of a CSV text.

    Args:
      text: not blank; cells separated by comma, semicolon or tab.
      problems: collects ragged rows.

    Returns:
      The rows that have as many cells as the header; blank lines are skipped.

    Raises:
      DataError: a quotation mark is misplaced, so that cells cannot be told apart.
    """
    separator = _separator(text)
    notes = [] if separator == "," else [f"cells are separated by {separator!r}"]
    if _is_plain(content := text.encode(), separator):
        return _plain_grid(content, separator, notes)
    return _careful_grid(text, separator, notes, problems)


def _is_plain(content: bytes, separator: str) -> bool:
    """Whether every line is one record of one width, at least 2, without quotes."""
    if b'"' in content or content.count(b"\r") != content.count(b"\r\n"):
        return False
    codes = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    if codes[-1] != ord("\n"):
        ends = np.append(ends, len(codes))
    marks = np.flatnonzero(codes == ord(separator))
    per_line = np.diff(np.searchsorted(marks, ends), prepend=0)
    return bool(per_line.min() == per_line.max() > 0)


def _plain_grid(content: bytes, separator: str, notes: list[str]) -> Grid:
    first = content[: content.find(b"\n")]
    if first.count(separator.encode()) >= MOST_COLUMNS:
        return _wide_grid(content, separator, notes)
    frame = pl.read_csv(
        io.BytesIO(content),
        separator=separator,
        has_header=False,
        infer_schema=False,
        quote_char=None,
    )
    header = ["" if name is None else name.strip() for name in frame.row(0)]
    cells = stack(frame[1:])
    return Grid(header, cells, np.arange(2, frame.height + 1), 0, notes)


def _wide_grid(content: bytes, separator: str, notes: list[str]) -> Grid:
    lines = content.decode().removesuffix("\n").replace("\r", "").split("\n")
    header = [name.strip() for name in lines[0].split(separator)]
    by_row = pl.Series(lines[1:], dtype=pl.String).str.split(separator).explode()
    shape = len(lines) - 1, len(header)
    cells = by_row.gather(np.arange(len(by_row)).reshape(shape).T.ravel())
    return Grid(header, cells, np.arange(2, shape[0] + 2), 0, notes)


def _careful_grid(
    text: str, separator: str, notes: list[str], problems: Problems
) -> Grid:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    flat: list[str] = []
    rows: list[int] = []
    ragged: list[tuple[int, int]] = []
    blank: list[int] = []
    line = 1
    try:
        for record in reader:
            if len(record) < 2 and not "".join(record).strip():
                blank.append(line)
            elif not header:
                header = [name.strip() for name in record]
            elif len(record) == len(header):
                flat.extend(record)
                rows.append(line)
            else:
                ragged.append((line, len(record)))
            line = reader.line_num + 1
    except csv.Error:
        problems.add(
            f"row {line}: a quotation mark is not closed, or closed inside a cell",
            'Write a quotation mark inside a quoted cell twice ("").',
        )
        problems.check()
    _report_ragged(ragged, len(header), problems)
    last = max(rows, default=0)
    if skipped := sum(number < last for number in blank):
        notes = [*notes, counted(skipped, "blank line") + " skipped"]
    by_column = [cell for j in range(len(header)) for cell in flat[j :: len(header)]]
    cells = pl.Series(by_column, dtype=pl.String)
    return Grid(header, cells, np.asarray(rows, int), len(ragged), notes)


def _report_ragged(
    ragged: list[tuple[int, int]], width: int, problems: Problems
) -> None:
    problems.add_many(
        len(ragged),
        (
            f"row {row}: {counted(k, 'cell')} where the header has {width}"
            for row, k in ragged
        ),
        "Give every row as many cells as the header; a decimal comma or a thousands "
        "separator (1,5 or 1,500) splits a number in two: write 1.5 and 1500.",
    )
