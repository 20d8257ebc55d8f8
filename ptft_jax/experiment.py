"""A run of the main experiment: what is done already, and its results."""

import pathlib
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ptft_jax import (
    compilation,
    meanings,
    own_bounds,
    own_rows,
    provenance,
    result_tables,
    store,
    validate,
)
from ptft_jax.draws import Cell
from ptft_jax.lab import Lab
from ptft_jax.method.lab import ProblemLab
from ptft_jax.own_bounds import NONE, OwnBounds
from ptft_jax.progress import Progress
from ptft_jax.result_tables import Row

RunCell = Callable[..., dict[str, Any]]


class Result(NamedTuple):
    """The tables of a run, as far as it got, and what their rows say."""

    risks: list[Row]
    bounds: list[Row]
    finished: int
    total: int
    folder: pathlib.Path
    meaning: dict[str, str]


def config_of(lab: Lab | ProblemLab, cell: Cell) -> store.Config:
    """All that decides a cell's result.

    Args:
      lab: source, weights, effort and δ.
      cell: the cell.

    Returns:
      JSON-serialisable; its hash names the record.
    """
    return {
        "source": lab.source.identity,
        "weights": provenance.fingerprint(lab.params),
        "effort": _plain(asdict(lab.effort)),
        "delta": lab.delta,
        "cell": asdict(cell),
    }


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _line(record: dict[str, Any], position: int, total: int) -> str:
    excess = {row["method"]: row["excess"] for row in record["risks"]}
    named = [name for name in ("pretrained", "finetuned", "saa") if name in excess]
    shown = ", ".join(f"{name} {excess[name]:+.1%}" for name in named)
    return f"[{position}/{total}] {Cell(**record['cell'])}: {shown}"


def run(
    lab: Lab | ProblemLab,
    todo: list[Cell],
    folder: pathlib.Path,
    progress: Progress,
    settings: dict[str, Any],
    run_cell: RunCell | None = None,
    own: OwnBounds = NONE,
) -> Result:
    """Computes the cells that are not finished yet and writes the run's tables.

    Interrupted (by any exception), it writes the tables of the finished cells first;
    run again, it goes on from there to the tables of an uninterrupted run.

    Args:
      lab: what the cells have in common.
      todo: the cells, of `experiment_cells.cells`.
      folder: of the run; made if absent.
      progress: told in units of `weight`.
      settings: what the user asked for, kept in the manifest.
      run_cell: `(lab, cell, report) -> record`; `validate.run_cell` where None.
      own: bounds of the user's own by name, judged at the end on the losses that
        records keep: a new one needs no cell anew.

    Returns:
      The tables.

    Raises:
      UsageError: a bound of the user's own failed; the tables are those without it.
    """
    configs = [config_of(lab, cell) for cell in todo]
    names = [store.cell_id(config) for config in configs]
    found = store.find(folder, configs)
    for complaint in found.complaints:
        progress.note(f"warning: {complaint}")
    if found.foreign:
        progress.note(f"{found.foreign} cells of other runs in {folder} are left alone")
    started = datetime.now(UTC)
    records = dict(found.records)
    if records:
        progress.note(f"{len(records)} of {len(todo)} cells are finished already")
    if edited := provenance.complaint(records.values()):
        progress.note(edited)
    begin = time.perf_counter()
    made: list[str] = []
    try:
        for i, (cell, config) in enumerate(zip(todo, configs, strict=True), start=1):
            if names[i - 1] in records:
                progress.advance(weight(cell))
                continue
            record = _finish(lab, cell, config, folder, progress, run_cell)
            records[names[i - 1]] = record
            made.append(names[i - 1])
            progress.advance(weight(cell), _line(record, i, len(todo)))
            compilation.spare_mappings()
    finally:
        manifest = _manifest(lab, todo, settings)
        manifest["cells"] = {
            "asked": names,
            "finished": len(records),
            "computed": made,
        }
        manifest["times"] = {
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": round(time.perf_counter() - begin, 1),
        }
        finished = list(records.values())
        tables = result_tables.write(folder, finished, manifest, lab.pretrained_on)
    if own:
        # last, and not in the loop: what a bound does is done to no cell
        progress.stage("bounds of your own")
        tables = _judge(own, finished, manifest, folder, lab.pretrained_on)
    return Result(*tables, len(records), len(todo), folder, meanings.of_run(lab))


def _judge(own: OwnBounds, records, manifest, folder, pretrained_on):
    """Writes the tables once more, with the rows of bounds of the user's own."""
    place = lambda record: str(Cell(**record["cell"]))
    judged = [own_rows.extend(record, own, place(record)) for record in records]
    manifest["bounds"] = own_bounds.fingerprints(own)
    return result_tables.write(folder, judged, manifest, pretrained_on)


def _manifest(
    lab: Lab | ProblemLab, todo: list[Cell], settings: dict[str, Any]
) -> dict[str, Any]:
    return {
        "schema": store.SCHEMA,
        "settings": settings,
        "bounds": {},
        "source": lab.source.identity,
        "weights": provenance.fingerprint(lab.params),
        "effort": _plain(asdict(lab.effort)),
        "versions": provenance.versions(),
        "device": provenance.device(),
        "commit": provenance.commit(),
        "seeds": sorted({cell.seed for cell in todo}),
        "meaning": meanings.of_run(lab),
    }


def weight(cell: Cell) -> float:
    """Work in a cell, about.

    Args:
      cell: the cell.

    Returns:
      A positive amount.
    """
    return 200.0 + cell.n


def _finish(lab, cell, config, folder, progress, run_cell) -> dict[str, Any]:
    report = lambda stage: progress.stage(f"{cell}: {stage}")
    compute = run_cell or validate.run_cell
    record = {"world": lab.source.name, **compute(lab, cell, report)}
    record["versions"] = provenance.versions()
    record["device"] = provenance.device()
    record["commit"] = provenance.commit()
    record["code"] = provenance.code()
    store.save(folder, config, record)
    return {"id": store.cell_id(config), **record}
