"""Finished cells as files: one JSON record each, whole or not there at all."""

import hashlib
import json
import os
import pathlib
import time
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

SCHEMA = 10  # raised when a bound's constant, an estimator or a record's form changes
CELLS = "cells"
STALE_S = 3600.0  # a partial file this old was left by a writer that died
Config = dict[str, Any]


class Found(NamedTuple):
    """What a folder holds of a run.

    Attributes:
      records: of the cells asked for, by id.
      complaints: one sentence for each file that cannot be used.
      foreign: number of records of other runs, which are left alone.
    """

    records: dict[str, dict[str, Any]]
    complaints: list[str]
    foreign: int


def cell_id(config: Config) -> str:
    """Content hash of all that decides a cell's result.

    Args:
      config: JSON-serialisable; the schema version is added to it.

    Returns:
      16 hexadecimal digits, the same for any order of the fields.
    """
    whole = {"schema": SCHEMA, **config}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_text(path: str | os.PathLike, content: str | bytes) -> None:
    """Writes a file atomically: a reader sees the old one or the whole new one.

    Several machines may write to one folder: no two partial files share a name.

    Args:
      path: of the file; its folder is made.
      content: text in UTF-8, or bytes.

    Raises:
      OSError: it cannot be written; `filename` is the path.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        data = content.encode() if isinstance(content, str) else content
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        # that of a full disk names no file, that of a folder in the way the partial one
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def save(folder: str | os.PathLike, config: Config, record: dict[str, Any]) -> None:
    """Keeps the record of a finished cell.

    Args:
      folder: of the run.
      config: all that decides the result.
      record: the result, JSON-serialisable.
    """
    name = cell_id(config)
    whole = {
        "schema": SCHEMA,
        "id": name,
        "config": config,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **record,
    }
    write_text(record_path(folder, name), json.dumps(whole, indent=1, sort_keys=True))


def record_path(folder: str | os.PathLike, name: str) -> pathlib.Path:
    """Where the record of a cell is kept.

    Args:
      folder: of the run.
      name: of `cell_id`.

    Returns:
      The path.
    """
    return pathlib.Path(folder) / CELLS / f"{name}.json"


def clear_partial(folder: str | os.PathLike) -> int:
    """Removes what writers that died left half-written more than an hour ago.

    Args:
      folder: of the run; it need not exist.

    Returns:
      The number of files removed.
    """
    removed = 0
    for path in (pathlib.Path(folder) / CELLS).glob(".*.partial"):
        try:
            if time.time() - path.stat().st_mtime > STALE_S:
                path.unlink()
                removed += 1
        except OSError:  # another process was faster
            continue
    return removed


def find(folder: str | os.PathLike, configs: list[Config]) -> Found:
    """Reads the finished cells of a run, and says what else lies there.

    Args:
      folder: of the run; it need not exist.
      configs: of the cells asked for.

    Returns:
      The records, the complaints about unusable files, the count of foreign records.
    """
    wanted = {cell_id(config): config for config in configs}
    records: dict[str, dict[str, Any]] = {}
    complaints, foreign = [], 0
    for path in sorted((pathlib.Path(folder) / CELLS).glob("*")):
        if path.name.startswith(".") and path.name.endswith(".partial"):
            continue
        try:
            record = _read(path)
        except ValueError as error:
            complaints.append(f"{path}: {error}; it is not used")
            continue
        if path.stem not in wanted:
            foreign += 1
        elif record["config"] != wanted[path.stem]:
            complaints.append(f"{path}: its contents are of another cell; not used")
        else:
            records[path.stem] = record
    return Found(records, complaints, foreign)


def load(folder: str | os.PathLike, config: Config) -> dict[str, Any] | None:
    """The record of one cell.

    Args:
      folder: of the run.
      config: all that decides the cell's result.

    Returns:
      None where there is no file, or one that is damaged or of another cell.
    """
    try:
        record = _read(record_path(folder, cell_id(config)))
    except ValueError:
        return None
    return record if record["config"] == config else None


def _read(path: pathlib.Path) -> dict[str, Any]:
    if path.suffix != ".json":
        raise ValueError("no record of a cell")
    try:
        record = json.loads(path.read_bytes())
    except ValueError:
        raise ValueError("damaged, no valid JSON") from None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    needed = {"schema", "id", "config"}
    whole = isinstance(record, dict) and needed <= set(record)
    if not whole or not isinstance(record["config"], dict):
        raise ValueError("no record of a cell")
    if record["schema"] != SCHEMA:
        raise ValueError(f"of schema {record['schema']}, this version writes {SCHEMA}")
    if record["id"] != path.stem or cell_id(record["config"]) != path.stem:
        raise ValueError("its name does not fit its contents")
    return record
