"""`ptft validate`: the main experiment, its tables, figure and report."""

import pathlib
from typing import NamedTuple

from ptft_jax import (
    compilation,
    experiment,
    experiment_cells,
    lab,
    own_bounds,
    sources,
)
from ptft_jax.commands import common, problem, watched_run
from ptft_jax.errors import UsageError
from ptft_jax.method import catalog
from ptft_jax.worlds import WORLDS


class ValidateOptions(NamedTuple):
    """What the user asked of `validate`; None where a preset decides."""

    world: str | None = None
    data: str | None = None
    quantile: str | None = None
    n: str | None = None
    observations: str | None = None
    seeds: int | None = None
    protocol: str = "iid"
    delta: float = 0.05
    preset: str | None = None
    out: str | None = None
    bound: str | None = None


def _source(options: ValidateOptions, reading: common.Reading):
    """The source of portfolios, the file's own quantile, and notes on the file."""
    if options.world is not None and options.data is not None:
        raise UsageError("give --world or --data, not both")
    if options.data is None:
        name = options.world or "lognormal"
        if name not in WORLDS:
            listed = ", ".join([*WORLDS, *catalog.WORLDS])
            raise UsageError(f"--world {name} is not known; there are: {listed}")
        return sources.WorldSource(name), "0.9", []
    table = common.read(options.data, reading)
    quantile = None
    if table.quantile is not None:
        if options.quantile is not None:
            raise UsageError("--quantile is given and the file has a column quantile")
        if len(set(table.quantile.tolist())) > 1:
            raise UsageError(
                "validate takes one critical ratio for all instances, the file's "
                "column quantile has several; leave it out and give --quantile"
            )
        quantile = repr(float(table.quantile[0]))
    return sources.FileSource(options.data, table), quantile, table.notes


def _grid(options: ValidateOptions, preset: str, quantile: str | None, size):
    chosen = options.quantile if options.quantile is not None else quantile
    if chosen is None:
        raise UsageError("--quantile is needed: the critical ratio, such as .95")
    text = options.n
    if text is None:
        wanted = ["32", "64", "128"] if preset == "quick" else ["64", "256", "1024"]
        if size is not None:
            fits = [n for n in wanted if int(n) < size]
            wanted = (
                fits if preset == "quick" and len(fits) == 3 else [*fits[:2], "max"]
            )
        text = ",".join(wanted)
    parts = [None if part.strip() == "max" else part for part in text.split(",")]
    given = [part for part in parts if part is not None]
    counts = iter(common.numbers("--n", ",".join(given), int) if given else ())
    return experiment_cells.Grid(
        n=tuple(None if part is None else next(counts) for part in parts),
        observations=common.numbers(
            "--observations", options.observations or "10", int
        ),
        quantiles=common.numbers("--quantile", chosen, float),
        seeds=common.num_seeds(options.seeds, preset),
        protocol=options.protocol,
    )


def run(
    options: ValidateOptions,
    reading: common.Reading,
    weights: str | None,
    quiet: bool,
    json: bool,
) -> experiment.Result:
    """Runs the main experiment and writes its tables, figure and report.

    Args:
      options: what was asked for.
      reading: how the file is read.
      weights: of the network, or None.
      quiet: no progress, no table.
      json: print a summary as JSON.

    Returns:
      The tables.

    Raises:
      DataError: the file is bad.
      UsageError: the request is impossible, and nothing was written; or a bound of the
        user's own failed, saying what was kept.
      KeyboardInterrupt: saying what was kept.
    """
    common.check_delta(options.delta)
    if options.data is None and reading != common.Reading():
        raise UsageError(
            "--drop-unusable, --complete-only and --min-positive are of files: give "
            "--data FILE"
        )
    if options.data is None and options.world in catalog.WORLDS:
        return problem.validate(options, weights, quiet, json)
    simulated = options.world is None and options.data is None
    preset = options.preset or ("quick" if simulated else "full")
    source, quantile, notes = _source(options, reading)
    grid = _grid(options, preset, quantile, source.size)
    own = own_bounds.load(options.bound)
    todo = experiment_cells.cells(grid, source)
    compilation.keep_programs()
    compilation.full_precision()
    network, params, _ = common.load_weights(weights)
    folder = pathlib.Path(options.out or f"results/{source.name}")
    common.check_place("--out", folder, is_folder=True)
    effort = lab.EFFORTS[preset]
    room = lab.open_lab(source, network, params, effort, options.delta)
    settings = {**options._asdict(), **reading._asdict(), "preset": preset}
    return watched_run.run(
        room, todo, folder, settings, own=own, notes=notes, quiet=quiet, json=json
    )
