"""The `ptft` command: what a user types. Heavy imports wait until a command runs."""

import os
import re
import sys
from typing import Annotated, Literal

import tyro
from tyro.conf import arg

from ptft_jax import interrupts
from ptft_jax.cli_catalog import info, pretrain, worlds
from ptft_jax.cli_research import arena, paths, sweep
from ptft_jax.options import (
    USUAL_OBSERVATIONS,
    Count,
    File,
    Flag,
    Function,
    Name,
    Number,
    Text,
)


def validate(
    *,
    world: Name = None,
    data: File = None,
    quantile: Text = None,
    n: Text = None,
    observations: Text = None,
    seeds: Count = None,
    protocol: Literal["iid", "rolling"] = "iid",
    delta: float = 0.05,
    preset: Annotated[
        Literal["quick", "full"] | None,
        arg(metavar="{quick,full}", help_behavior_hint=""),
    ] = None,
    out: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="")] = None,
    bound: Function = None,
    weights: File = None,
    drop_unusable: Flag = False,
    complete_only: Flag = False,
    min_positive: int = 0,
    quiet: Flag = False,
    json: Flag = False,
) -> None:
    """Lay certified bounds beside measured errors as the number of instances n grows.

    For every n: the pretrained network, the network fine-tuned on the n instances, the
    same network trained from scratch, the usual baselines, and the decision of someone
    who knows the true demand laws. Errors are exact, not estimated from a test set.

    The folder DIR gets risks.csv, bounds.csv, report.html, figures/, records.parquet
    and manifest.json. Stopped at any time and started again, the command goes on from
    the cells that are finished.

    Example: ptft validate --data sales.csv --quantile .95 --observations 10
    --n 64,256,max --seeds 3 --out results/sales

    Args:
      world: Simulated truth; `ptft worlds` lists them. Without --world and --data:
        lognormal.
      data: Real truth, a CSV file: the whole empirical law of each column is the true
        law of that instance.
      quantile: Critical ratio underage/(underage + overage) in (0, 1), or several
        separated by commas. Needed with --data unless the file has it; .9 in a world.
      n: Numbers of instances separated by commas; `max` is all of a file. Default
        32,64,128 (quick), 64,256,1024 or 64,256,max (full).
      observations: Observations of each instance, or several numbers separated by
        commas. Default 10; none in worlds whose instances have no such number.
      seeds: Number of replications. Default 2 (quick) or 5 (full).
      protocol: iid: observations drawn without replacement, whatever their time; the
        network is told how many periods there are.
        rolling: consecutive periods as data, the next 10 as the test (files only).
      delta: Failure probability of each certificate.
      preset: How much to compute. Default full with --data or a world of demand, else
        quick (about two minutes on two cores).
      out: Folder of the results. Default results/NAME.
      bound: A bound of your own as MODULE:FUNCTION, or several separated by commas,
        judged beside the others; what `ptft arena` takes (try it there first). Cells
        that are finished serve any bound.
      weights: A network made by `ptft pretrain` instead of the one that is shipped.
      drop_unusable: Leave out instances with fewer than 2 observations or with all
        observations equal, instead of refusing the file.
      complete_only: Leave out instances with a missing period.
      min_positive: Leave out instances with fewer positive observations.
      quiet: No progress and no notes; only errors.
      json: Print a summary as JSON instead of a table.
    """
    from ptft_jax.commands import common
    from ptft_jax.commands import validate as command

    options = command.ValidateOptions(
        world,
        data,
        quantile,
        n,
        observations,
        seeds,
        protocol,
        delta,
        preset,
        out,
        bound,
    )
    reading = common.Reading(drop_unusable, complete_only, min_positive)
    command.run(options, reading, weights, quiet, json)


def decide(
    file: Annotated[str, tyro.conf.Positional, arg(metavar="FILE")],
    *,
    problem: Name = None,
    quantile: Number = None,
    out: Annotated[str, arg(metavar="FILE")] = "decisions.csv",
    finetune: bool = True,
    observations: int = USUAL_OBSERVATIONS,
    delta: float = 0.05,
    seed: int = 0,
    curve: Text = None,
    weights: File = None,
    drop_unusable: Flag = False,
    complete_only: Flag = False,
    min_positive: int = 0,
    quiet: Flag = False,
    json: Flag = False,
) -> None:
    """Decide for every instance of a file, with certificates: how much to stock of it.

    --problem NAME decides something else, of a table with these columns: gaussian_means
    (instance, estimate, variance), binomial_means (instance, successes, trials) or
    poisson_means (instance, count, exposure), which estimate means; allocation
    (instance, estimate, variance, cost, budget), the share of each to take; pricing
    (instance, price, units, a row a price charged), the price of most profit;
    contextual (instance, value and covariates, a row a period, and one without a value
    to stock for). It writes instance, decision, decision_pretrained and the decision of
    each usual rule by its name. `ptft worlds` lists problems and their worlds; the rest
    of this text is about stock.

    Uses the shipped network, fine-tuned on the file's own instances (only where that
    wins on instances held out). Writes one row an instance: instance, decision,
    decision_pretrained, saa, mean, observations. Prints a certified bound on the cost
    and the certified gain over the pretrained network and over SAA.

    FILE is CSV or Parquet, and wide (rows are periods, columns are instances, blank is
    missing; a first column of dates is no instance), long (columns instance, value and
    optionally time, price, quantile) or transposed (rows are instances: a column
    instance, one of each period and optionally quantile).

    Example: ptft decide sales.csv --quantile .95 --out decisions.csv

    Args:
      file: Demand of past periods, or the table of another problem.
      problem: Another problem than the newsvendor's.
      quantile: Critical ratio underage/(underage + overage) in (0, 1), for all
        instances. Needed unless the file has a column quantile.
      out: File of the decisions; Parquet if its name ends in .parquet, else CSV.
      finetune: Fine-tune on the file's own instances.
      observations: Most recent observations of each instance to use; the network was
        trained on at most 32.
      delta: Failure probability of each certificate.
      seed: Of the random folds.
      curve: Levels in (0, 1) separated by commas, such as .05,.25,.5,.75,.95: adds a
        column of each quantile of demand (q0.05, …), in order and calibrated on
        observations left out, and uncertainty, half of the 16% to 84% range.
      weights: A network made by `ptft pretrain` instead of the one that is shipped.
      drop_unusable: Leave out instances with fewer than 2 observations or with all
        observations equal, instead of refusing the file.
      complete_only: Leave out instances with a missing period.
      min_positive: Leave out instances with fewer positive observations.
      quiet: No progress and no notes; only results and errors.
      json: Print the summary as JSON.
    """
    from ptft_jax.commands import common
    from ptft_jax.commands import decide as command

    options = command.DecideOptions(
        file, quantile, out, finetune, observations, delta, seed, curve
    )
    reading = common.Reading(drop_unusable, complete_only, min_positive)
    command.run(options, reading, weights, quiet, json, problem)


INTERRUPTED = 130
PIPE_CLOSED = 141
COMMANDS = {
    "validate": validate,
    "decide": decide,
    "pretrain": pretrain,
    "arena": arena,
    "paths": paths,
    "sweep": sweep,
    "worlds": worlds,
    "info": info,
}
DESCRIPTION = (
    "Pretrain-then-finetune Transformers for many small-data decisions, with "
    "certificates. Start with: ptft validate"
)


def run() -> None:
    """The `ptft` program: `main` on the arguments of the process, then exit."""
    interrupts.keep()
    code = main()
    if code == INTERRUPTED:
        # Threads may be in a compiled program, which an orderly exit waits for. All
        # that is kept was written before.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(args: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
      args: arguments; those of the process where None.

    Returns:
      Exit code: 0, 2 for bad input, 130 if interrupted, 141 if nobody reads on.
    """
    try:
        for command in COMMANDS.values():
            # an option's help is shown as it is broken here, not as the terminal needs
            command.__doc__ = re.sub(r"\n {8}(?=\S)", " ", command.__doc__ or "")
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="ptft", description=DESCRIPTION, args=args
        )
        sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        print(str(stopped) or "interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    except ValueError as error:
        from ptft_jax.data import DataError
        from ptft_jax.errors import UsageError

        if not isinstance(error, DataError | UsageError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # `| head` has seen enough; what is left must not be flushed at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
