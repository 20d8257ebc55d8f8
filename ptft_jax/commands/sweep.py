"""`ptft sweep`: runs, watches and reports a sweep."""

import contextlib
import io
import json as json_
import os
import pathlib
import re
from typing import Any, NamedTuple

import jax

from ptft_jax import (
    compilation,
    grid_files,
    plotting,
    progress,
    provenance,
    store,
    sweep,
    sweep_figure,
    sweep_tables,
)
from ptft_jax.commands import common
from ptft_jax.errors import UsageError
from ptft_jax.grid import Grid
from ptft_jax.sweep import State

PLACE = re.compile(r"^\S+\.py:\d+: ")  # of an error


class SweepOptions(NamedTuple):
    """What the user asked of `sweep`."""

    grid: str
    action: str = "run"
    out: str | None = None
    chunk: int | None = None
    retry: bool = False
    distributed: str | None = None


def execute(options: SweepOptions, quiet: bool, json: bool) -> None:
    """Runs, shows the state of, or reports a sweep.

    Args:
      options: what was asked for.
      quiet: no progress, no text.
      json: print a summary as JSON.

    Raises:
      UsageError: the request is impossible and nothing was written, or cells failed.
      KeyboardInterrupt: saying what was kept.
    """
    if options.chunk is not None and options.chunk < 1:
        raise UsageError(f"--chunk must be at least 1, got {options.chunk}")
    found = grid_files.find(options.grid)
    folder = pathlib.Path(options.out or f"results/sweep-{_name(options.grid)}")
    common.check_place("--out", folder, is_folder=True)
    summary: dict[str, Any] = {"folder": str(folder)}
    if options.action == "run":
        summary |= _run(found, folder, options, quiet)
        # asked for here only: it opens the devices, which another process may hold
        if jax.process_index() > 0:
            return
    state = sweep.look(found, folder)
    summary |= sweep_tables.status(state)
    if options.action != "status" and summary["finished"]:
        _write(found, state, folder, options.grid)
    if json:
        print(json_.dumps(summary, indent=1))
    elif not quiet:
        _show(found, state, summary, options)
    if options.action == "run" and summary["failed"]:
        first = next(iter(summary["errors"]))
        raise UsageError(
            f"{summary['failed']} of {summary['cells']} cells failed, the first with "
            f"{first}; --retry computes them again"
        )


def _name(given: str) -> str:
    path, _, name = given.partition(":")
    return name or pathlib.Path(path).stem


def _run(
    found: Grid, folder: pathlib.Path, options: SweepOptions, quiet: bool
) -> dict[str, Any]:
    _open_devices(options.distributed)
    compilation.keep_programs()
    compilation.full_precision()
    total = float(len(sweep.look(found, folder).points))
    with progress.watch(total, quiet or jax.process_index() > 0) as watched:
        try:
            tally = sweep.run(found, folder, watched, options.chunk, options.retry)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted: finished cells are kept in {folder}; the same command "
                "goes on from there"
            ) from None
    return {"computed": tally.computed, "compiles": tally.compiles}


def _open_devices(distributed: str | None) -> None:
    """Cores of a CPU as devices; several hosts where the user says so."""
    # a notebook that has computed before keeps the devices it has
    with contextlib.suppress(RuntimeError):
        usable = getattr(os, "process_cpu_count", os.cpu_count)()
        jax.config.update("jax_num_cpu_devices", usable or 1)
    if distributed is None:
        return
    try:
        given = []
        if distributed != "auto":
            address, count, index = distributed.split(",")
            given = [address, int(count), int(index)]
    except ValueError:
        raise UsageError(
            f"--distributed takes auto or ADDRESS:PORT,COUNT,INDEX; got {distributed!r}"
        ) from None
    try:
        jax.distributed.initialize(*given)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--distributed {distributed}: {error}") from None


def _write(found: Grid, state: State, folder: pathlib.Path, given: str) -> None:
    table, means = sweep_tables.cells(state), sweep_tables.summary(state)
    store.write_text(folder / "table.parquet", _bytes(table.write_parquet))
    store.write_text(folder / "table.csv", table.write_csv())
    store.write_text(folder / "summary.csv", means.write_csv())
    manifest = {
        "grid": given,
        "task": found.task.name,
        "about": found.about,
        "schema": store.SCHEMA,
        **sweep_tables.status(state),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }
    text = json_.dumps(manifest, indent=1, sort_keys=True)
    store.write_text(folder / "manifest.json", text + "\n")
    for name, figure in sweep_figure.draw(found, state).items():
        stem = "-".join(filter(None, (_name(given), name)))
        for form in ("png", "pdf"):
            path = folder / "figures" / f"{stem}.{form}"
            store.write_text(path, plotting.to_bytes(figure, form))


def _bytes(write) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _show(found: Grid, state: State, summary: dict[str, Any], options) -> None:
    print(f"{found.about} (task {found.task.name})")
    print(
        f"{summary['finished']} of {summary['cells']} cells finished, "
        f"{summary['failed']} failed, {summary['missing']} missing"
    )
    for line, count in summary["errors"].items():
        print(f"failed in {count} cells: {line}")
    told = " ".join(PLACE.sub("", line) for line in summary["errors"]).lower()
    if "memory" in told or "resource_exhausted" in told:
        print("a smaller --chunk takes less memory")
    if summary["not_finite"]:
        print(f"results that are not finite: {len(summary['not_finite'])} cells")
    for line in summary["complaints"]:
        print(f"warning: {line}")
    if summary["foreign"]:
        print(f"{summary['foreign']} records of other sweeps are left alone")
    if options.action == "status" or not summary["finished"]:
        return
    print(sweep_tables.text(state, found.task.shown))
    print(f"tables and figures: {summary['folder']}")
