"""Records of cells → the tables of a run, in one order however the work was ordered."""

import csv
import io
import json
import os
import pathlib
from typing import Any

from ptft_jax import law_rows, store

RISKS = (
    "world",
    "protocol",
    "n",
    "observations",
    "quantile",
    "seed",
    "method",
    "cost",
    "cost_full",
    "excess",
    "wall_s",
)
BOUNDS = (
    "world",
    "n",
    "observations",
    "quantile",
    "seed",
    "bound",
    "tier",
    "term",
    "value",
    "risk",
    "delta",
    "holds",
)
Row = dict[str, Any]
CELL_FIELDS = ("protocol", "n", "observations", "quantile", "seed")


def rows_of(
    records: list[dict[str, Any]], pretrained_on: int | None = None
) -> tuple[list[Row], list[Row]]:
    """All rows of both tables, sorted by cell and then as each cell lists them.

    Behind the rows of a cell come those of `law_rows`, which rest on all records.

    Args:
      records: of cells.
      pretrained_on: as `law_rows.over_seeds` takes it.

    Returns:
      Rows of `risks.csv` and of `bounds.csv`; each also has the id of its cell.
    """
    order = lambda r: (r["world"], *(r["cell"][name] for name in CELL_FIELDS))
    risks: list[Row] = []
    bounds: list[Row] = []
    ordered = sorted(records, key=order)
    commons = [{"world": r["world"], "cell": r["id"], **r["cell"]} for r in ordered]
    for common, record in zip(commons, ordered, strict=True):
        risks += [{**common, **row} for row in record["risks"]]
    deltas = [row["delta"] for record in ordered for row in record["bounds"][:1]]
    derived = law_rows.over_seeds(risks, deltas[0], pretrained_on) if deltas else {}
    for common, record in zip(commons, ordered, strict=True):
        rows = [*record["bounds"], *derived.get(law_rows.key_of(common), [])]
        bounds += [{**common, **row} for row in rows]
    return risks, bounds


def to_text(value: Any) -> str:
    """A cell of a table.

    Args:
      value: of a row.

    Returns:
      Floats in full precision, `true` and `false`, blank for None.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def to_csv(rows: list[Row], columns: tuple[str, ...]) -> str:
    """The rows as CSV: full precision, `true`, `false`, None blank, Unix line ends.

    Args:
      rows: with at least the columns.
      columns: to write, in this order.

    Returns:
      The text of the file.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([to_text(row[name]) for name in columns] for row in rows)
    return out.getvalue()


def to_parquet(risks: list[Row], bounds: list[Row]) -> bytes:
    """Both tables in one long table; `row` names the row of the CSV file.

    Args:
      risks: rows of `risks.csv`.
      bounds: rows of `bounds.csv`.

    Returns:
      The bytes of a Parquet file.
    """
    import polars as pl

    frames = []
    for table, rows, columns in (("risks", risks, RISKS), ("bounds", bounds, BOUNDS)):
        kept = [
            {"row": f"{table}:{i}", "table": table, "cell": row["cell"]}
            | {name: row[name] for name in columns}
            for i, row in enumerate(rows, start=1)
        ]
        frames.append(pl.DataFrame(kept, infer_schema_length=None))
    buffer = io.BytesIO()
    pl.concat(frames, how="diagonal_relaxed").write_parquet(buffer)
    return buffer.getvalue()


def write(
    folder: str | os.PathLike,
    records: list[dict[str, Any]],
    manifest: dict[str, Any],
    pretrained_on: int | None = None,
) -> tuple[list[Row], list[Row]]:
    """Writes `risks.csv`, `bounds.csv`, `records.parquet` and `manifest.json`.

    Args:
      folder: of the run.
      records: of all cells asked for that are finished.
      manifest: how they were made.
      pretrained_on: as `law_rows.over_seeds` takes it.

    Returns:
      The rows of both tables.
    """
    folder = pathlib.Path(folder)
    risks, bounds = rows_of(records, pretrained_on)
    store.write_text(folder / "risks.csv", to_csv(risks, RISKS))
    store.write_text(folder / "bounds.csv", to_csv(bounds, BOUNDS))
    store.write_text(folder / "records.parquet", to_parquet(risks, bounds))
    text = json.dumps(manifest, indent=1, sort_keys=True)
    store.write_text(folder / "manifest.json", text + "\n")
    return risks, bounds
