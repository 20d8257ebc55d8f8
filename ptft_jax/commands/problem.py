"""`validate` and `decide` for problems other than the newsvendor."""

import json as json_
import pathlib
from typing import Any

import polars as pl

from ptft_jax import (
    compilation,
    data,
    decision_table,
    experiment_cells,
    own_bounds,
    progress,
    store,
)
from ptft_jax.commands import common, watched_run
from ptft_jax.errors import UsageError
from ptft_jax.method import catalog, lab
from ptft_jax.method import decide as decide_
from ptft_jax.method import validate as validate_
from ptft_jax.method.finetune import FinetuneConfig
from ptft_jax.options import USUAL_OBSERVATIONS
from ptft_jax.problems.problem import ProblemWorld
from ptft_jax.tables import load
from ptft_jax.tables.problems import listing

NUM_STAGES = 3.0  # of `decide`


def validate(options, weights: str | None, quiet: bool, json: bool):
    """Runs the main experiment in a world of another problem.

    Args:
      options: `validate.ValidateOptions`; its quantile and protocol are not used.
      weights: of the network, or None for the shipped one.
      quiet: no progress, no table.
      json: print a summary as JSON.

    Returns:
      The tables.

    Raises:
      UsageError: the request is impossible, and nothing was written; or a bound of the
        user's own failed, saying what was kept.
      KeyboardInterrupt: saying what was kept.
    """
    world = catalog.WORLDS[options.world]
    if options.quantile is not None or options.protocol != "iid":
        raise UsageError(
            f"--quantile and --protocol are of demand; {world.name} is a world of "
            f"{world.problem.name}"
        )
    preset = options.preset or "quick"
    sizes = options.n or ("32,64,128" if preset == "quick" else "64,256,1024")
    grid = experiment_cells.Grid(
        n=common.numbers("--n", sizes, int),
        observations=_observations(world, options.observations),
        quantiles=(None,),
        seeds=common.num_seeds(options.seeds, preset),
    )
    own = own_bounds.load(options.bound)
    compilation.keep_programs()
    compilation.full_precision()
    network, params = catalog.load(world.problem.name, weights)
    effort = lab.EFFORTS[preset]
    pretrained_on = catalog.PRETRAINED[world.problem.name].config.most_instances
    shared = network, params, effort, options.delta
    room = lab.open_lab(world, *shared, pretrained_on)
    todo = experiment_cells.cells(grid, room.source)
    folder = pathlib.Path(options.out or f"results/{world.name}")
    common.check_place("--out", folder, is_folder=True)
    settings = {**options._asdict(), "preset": preset}
    return watched_run.run(
        room,
        todo,
        folder,
        settings,
        run_cell=validate_.run_cell,
        own=own,
        quiet=quiet,
        json=json,
    )


def _observations(world: ProblemWorld, asked: str | None) -> tuple[int | None, ...]:
    """Numbers of observations of an instance; None where it has no such number."""
    if world.has_observations:
        return common.numbers("--observations", asked or "10", int)
    if asked is not None:
        raise UsageError(
            f"--observations: instances of {world.name} have no number of observations"
        )
    return (None,)


def read(
    name: str, options, reading: common.Reading
) -> tuple[Any, list[str], list[str]]:
    """What is seen of the instances of a file, their names, and notes on reading it.

    Args:
      name: of the problem.
      options: `decide.DecideOptions`.
      reading: of demand; must be as by default.

    Returns:
      Instances as the problem has them, names, and notes.

    Raises:
      DataError: the file is bad.
      UsageError: the problem is unknown, or an option is of demand alone.
    """
    if name not in catalog.PROBLEMS:
        listed = ", ".join(["newsvendor", *catalog.PROBLEMS])
        raise UsageError(f"--problem {name} is not known; there are: {listed}")
    takes_quantile = name in catalog.USUAL_QUANTILES
    given = {
        "--curve": options.curve is not None,
        "--observations": options.observations != USUAL_OBSERVATIONS,
        "--quantile": options.quantile is not None and not takes_quantile,
        "--drop-unusable": reading.drop_unusable,
        "--complete-only": reading.complete_only,
        "--min-positive": reading.min_positive != 0,
    }
    if of_demand := [option for option, is_given in given.items() if is_given]:
        raise UsageError(
            f"{listing(of_demand)}: of demand, not of {name}; leave it out"
        )
    file = pathlib.Path(options.file)
    table, notes = load.frame_of(file)
    if takes_quantile:
        table, more = _with_quantile(table, options.quantile, name)
        notes = [*notes, *more]
    try:
        return *catalog.PROBLEMS[name].read(table), notes
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise data.DataError(f"{file}, {error}") from None


def _with_quantile(table: pl.DataFrame, quantile: float | None, name: str):
    """A table with a column `quantile`, and notes where it was not given."""
    if "quantile" in table:
        if quantile is not None:
            raise UsageError(
                "--quantile is given and the file has a column quantile; give one"
            )
        return table, []
    notes = []
    if quantile is None:
        quantile = catalog.USUAL_QUANTILES[name]
        notes = [
            f"no critical ratio is given: {quantile:g} is taken; --quantile or a "
            "column quantile gives another"
        ]
    if not 0.0 < quantile < 1.0:
        raise UsageError(f"--quantile is {quantile:g}: give a ratio such as .95")
    return table.with_columns(quantile=pl.lit(quantile)), notes


def decide(
    name: str,
    options,
    reading: common.Reading,
    weights: str | None,
    quiet: bool,
    json: bool,
) -> decide_.Decided:
    """Decides for every row of a table, writes the decisions, prints certificates.

    Args:
      name: of the problem.
      options: `decide.DecideOptions`; those of demand must be as by default.
      reading: must be as by default.
      weights: of the network, or None for the shipped one.
      quiet: no progress.
      json: print the summary as JSON.

    Returns:
      The decisions.

    Raises:
      DataError: the file is bad.
      UsageError: the request is impossible; nothing was written.
    """
    common.check_delta(options.delta)
    common.check_seed(options.seed)
    seen, names, notes = read(name, options, reading)
    out = pathlib.Path(options.out)
    common.check_place("--out", out, is_folder=False, inputs=(options.file, weights))
    compilation.keep_programs()
    compilation.full_precision()
    network, params = catalog.load(name, weights)
    with progress.watch(NUM_STAGES, quiet) as watched:
        for note in notes:
            watched.note(note)

        def stage(text: str) -> None:
            watched.advance(1.0, text)
            watched.stage(text)

        decided = decide_.decide(
            catalog.PROBLEMS[name],
            network,
            params,
            seen,
            names,
            config=FinetuneConfig() if options.finetune else None,
            delta=options.delta,
            seed=options.seed,
            report=stage,
        )
    store.write_text(out, decision_table.encoded(decided.table, out.suffix))
    summary = {"decisions": str(out), **decide_.summary(decided), "reading": notes}
    if json:
        print(json_.dumps(summary, indent=1))
    else:
        print("\n".join([*decide_.describe(summary), f"decisions: {out}"]))
    return decided
