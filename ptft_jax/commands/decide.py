"""`ptft decide`: a file of demand in, a file of decisions and certificates out."""

import json as json_
import pathlib
from typing import NamedTuple

from ptft_jax import data, progress, store
from ptft_jax import decide as decide_
from ptft_jax.commands import common
from ptft_jax.experiment import UsageError
from ptft_jax.finetune import FinetuneConfig


class DecideOptions(NamedTuple):
    """What the user asked of `decide`."""

    file: str
    quantile: float | None
    out: str
    finetune: bool
    observations: int
    delta: float
    seed: int


def run(
    options: DecideOptions,
    reading: common.Reading,
    weights: str | None,
    quiet: bool,
    json: bool,
) -> decide_.Decided:
    """Decides for every instance of a file, writes the decisions, prints certificates.

    Args:
      options: what was asked for.
      reading: how the file is read.
      weights: of the network, or None.
      quiet: no progress.
      json: print the summary as JSON.

    Returns:
      The decisions.

    Raises:
      DataError: the file is bad.
      UsageError: the request is impossible; nothing was written.
    """
    common.check_delta(options.delta)
    if options.observations < 2:
        raise UsageError(
            f"--observations must be at least 2, got {options.observations}"
        )
    out = pathlib.Path(options.out)
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder, a file is needed")
    table, notes = decide_.recent(
        common.read(options.file, reading), options.observations
    )
    portfolio = data.to_portfolio(table, options.quantile)
    network, params, _ = common.load_weights(weights)
    with progress.watch(5.0, quiet) as watched:
        for note in table.notes:
            watched.note(note)

        def stage(text: str) -> None:
            watched.stage(text)
            watched.advance(1.0, text)

        decided = decide_.decide(
            network,
            params,
            portfolio,
            table.instances,
            config=FinetuneConfig() if options.finetune else None,
            delta=options.delta,
            seed=options.seed,
            report=stage,
        )
    decided = decided._replace(notes=[*notes, *decided.notes])
    store.write_text(out, decide_.to_csv(decided.rows))
    summary = {"decisions": str(out), **decide_.summary(decided)}
    if json:
        print(json_.dumps(summary, indent=1))
    else:
        print("\n".join([*decide_.describe(summary), f"decisions: {out}"]))
    return decided
