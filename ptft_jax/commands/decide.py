"""`ptft decide`: a file of demand in, a file of decisions and certificates out."""

import json as json_
import pathlib
from typing import Any, NamedTuple

from ptft_jax import (
    compilation,
    data,
    decision_summary,
    decision_table,
    progress,
    store,
)
from ptft_jax import decide as decide_
from ptft_jax.commands import common
from ptft_jax.commands import problem as of_problem
from ptft_jax.errors import UsageError
from ptft_jax.finetune import FinetuneConfig

# of the time that each stage takes, about
SHARES = {
    "fine-tuning on all instances": 0.6,
    "deciding": 0.02,
    "fine-tuning on each of two folds": 0.38,
}


class DecideOptions(NamedTuple):
    """What the user asked of `decide`."""

    file: str
    quantile: float | None
    out: str
    finetune: bool
    observations: int
    delta: float
    seed: int
    curve: str | None = None


def _stages(watched: progress.Progress, work: dict[str, float]):
    """Reports each stage as it begins, and the work of the one before as done."""
    begun: list[str] = []

    def stage(text: str) -> None:
        watched.advance(work.get(begun[-1], 0.0) if begun else 0.0, text)
        watched.stage(text)
        begun.append(text)

    return stage


def _levels(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    levels = tuple(sorted(set(common.numbers("--curve", text, float))))
    if not 0.0 < levels[0] <= levels[-1] < 1.0:
        raise UsageError(f"--curve takes levels in (0, 1), got {text}")
    return levels


def run(
    options: DecideOptions,
    reading: common.Reading,
    weights: str | None,
    quiet: bool,
    json: bool,
    problem: str | None = None,
) -> Any:
    """Decides for every instance of a file, writes the decisions, prints certificates.

    Args:
      options: what was asked for.
      reading: how the file is read.
      weights: of the network, or None.
      quiet: no progress.
      json: print the summary as JSON.
      problem: another than the newsvendor's, by name.

    Returns:
      The decisions.

    Raises:
      DataError: the file is bad.
      UsageError: the request is impossible; nothing was written.
    """
    if problem is not None and problem != "newsvendor":
        return of_problem.decide(problem, options, reading, weights, quiet, json)
    common.check_delta(options.delta)
    common.check_seed(options.seed)
    if options.observations < 2:
        raise UsageError(
            f"--observations must be at least 2, got {options.observations}"
        )
    levels = _levels(options.curve)
    out = pathlib.Path(options.out)
    read = common.read(options.file, reading)
    common.check_place("--out", out, is_folder=False, inputs=(options.file, weights))
    table, notes = decide_.recent(read, options.observations)
    portfolio = data.to_portfolio(table, options.quantile)
    compilation.keep_programs()
    compilation.full_precision()
    network, params, _ = common.load_weights(weights)
    work = SHARES if options.finetune else {"deciding": 1.0}
    with progress.watch(sum(work.values()), quiet) as watched:
        for note in table.notes:
            watched.note(note)
        decided = decide_.decide(
            network,
            params,
            portfolio,
            table.instances,
            config=FinetuneConfig() if options.finetune else None,
            delta=options.delta,
            seed=options.seed,
            levels=levels,
            report=_stages(watched, work),
        )
    decided = decided._replace(notes=[*notes, *decided.notes])
    store.write_text(out, decision_table.encoded(decided.table, out.suffix))
    summary = {"decisions": str(out), **decision_summary.summary(decided)}
    summary["reading"] = table.notes
    if json:
        print(json_.dumps(summary, indent=1))
    else:
        print("\n".join([*decision_summary.describe(summary), f"decisions: {out}"]))
    return decided
