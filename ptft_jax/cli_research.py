"""Commands of `ptft` for theorists; heavy imports wait until a command runs."""

from typing import Annotated, Literal

import tyro
from tyro.conf import arg

from ptft_jax.options import Count, Flag, Function, Text


def arena(
    bound: Annotated[str, tyro.conf.Positional, arg(metavar="MODULE:FUNCTION")],
    *,
    preset: Annotated[Literal["quick", "full"], arg(metavar="{quick,full}")] = "full",
    out: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="")] = None,
    quiet: Flag = False,
    json: Flag = False,
) -> None:
    """Try to break a bound that you wrote, and rank it if that fails.

    MODULE is imported from the working directory or from PYTHONPATH. FUNCTION takes a
    theory.arena.Evidence (losses, train_losses, kl, radius, n, delta, ...; what a world
    does not have is None) and returns an upper bound on the risk: a number, or named
    terms with `total`. It must exceed the risk with probability 1 - delta.

    radius, parameter_norms and observation_losses are None wherever nothing is
    fine-tuned, on most calls. A bound that needs them has to return something valid
    there, such as 1 or a bound on the losses alone; one that raises is not judged
    (exit code 2).

    Its violation rate is computed on Bernoulli losses and on the best of M experts, and
    observed where a policy is fine-tuned and certified and on the losses of the ranking
    (n up to 1,000 with quick, 10,000 with full). The last line is
    "verdict: valid" (no violation was found, which is no proof) or "verdict: rejected"
    with the worst case, its violation rate and its p-value; the exit code is 0 for
    both. DIR gets violations.csv, tightness.csv, controls.csv, verdict.txt,
    manifest.json and figures/.

    Example: ptft arena mybounds:mine --preset quick

    Args:
      bound: Import path of the bound.
      preset: quick: about 14,000 calls of the bound, 1,000 replications a world. full:
        about 80,000 calls, 10,000 replications a world.
      out: Folder of the results. Default results/arena/MODULE.FUNCTION.
      quiet: No progress and no tables; only the verdict and errors.
      json: Print the verdict as JSON.
    """
    from ptft_jax.commands import arena as command

    command.run(bound, preset, out, quiet, json)


def paths(
    *,
    world: Annotated[str, arg(metavar="NAME", help_behavior_hint="")] = "all",
    mismatch: Text = None,
    n: Text = None,
    seeds: Count = None,
    observations: Count = None,
    delta: float = 0.05,
    preset: Annotated[Literal["quick", "full"], arg(metavar="{quick,full}")] = "full",
    out: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="")] = None,
    bound: Function = None,
    quiet: Flag = False,
    json: Flag = False,
) -> None:
    """Measure the pretraining and the fine-tuning path, and lay the theory beside them.

    In simulated worlds of known truth, a small network is pretrained on the synthetic
    law P and then faces n instances of the real law Q, which differs by the mismatch.
    It attends to a frozen synthetic portfolio, so it is one fixed policy and the
    two-path bound applies as stated. Measured, exactly: the regret over Bayes of the
    pretrained policy, of the same network from scratch, and fine-tuned (head, adapter,
    all weights, and the tuned head that mixes radii by held-out costs). Beside them,
    tiers never mixed: laws (harmonic, sandwich), certificates (two-path terms,
    PAC-Bayes along the path, betting also on cut costs, certified gain) and rates with
    a fitted constant.

    How to read it: the tuned head should follow the lower of the pretrained line and
    the line of the head without a pull (C1), the gap to pretrained should grow with n
    (C2), and no certificate should miss more often than delta allows (C3). The last
    lines judge each question with intervals over seeds, or say why it is not judged.

    DIR gets risks.csv, bounds.csv, manifest.json, report.txt, figures/ and networks/.
    Stopped and started again, the command goes on from the finished parts.

    Example: ptft paths --world gaussian_means --mismatch .1,.3 --n 32,256,2048

    Args:
      world: gaussian_means (squared cost), gamma_poisson or contaminated (newsvendor),
        or all of them.
      mismatch: Dials separated by commas, 0 for none: distance of the prior means, log
        of their ratio, or the share of instances from elsewhere. Default: the world's.
      n: Numbers of instances separated by commas. Default 32,128,512,2048 (quick), all
        powers of two from 32 to 16384 (full).
      seeds: Number of replications. Default 6 (quick) or 16 (full).
      observations: Observations of each instance. Default: the world's.
      delta: Failure probability of each certificate.
      preset: How much to compute. quick: about two minutes on two cores; full: every
        power of two up to 16,384 instances, about ten minutes.
      out: Folder of the results. Default results/paths-PRESET.
      bound: A bound of your own as MODULE:FUNCTION, or several separated by commas, on
        the cost of the pretrained and of the tuned policy; what `ptft arena` takes.
        What is finished serves any bound.
      quiet: No progress and no text; only errors.
      json: Print a summary as JSON.
    """
    from ptft_jax.commands import paths as command

    options = command.PathsOptions(
        world, mismatch, n, seeds, observations, delta, preset, out, bound
    )
    command.execute(options, quiet, json)


def sweep(
    grid: Annotated[str, tyro.conf.Positional, arg(metavar="GRID")],
    action: Annotated[
        Literal["run", "status", "report"],
        tyro.conf.Positional,
        arg(metavar="{run,status,report}"),
    ] = "run",
    *,
    out: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="")] = None,
    chunk: Count = None,
    retry: Flag = False,
    distributed: Annotated[
        str | None, arg(metavar="auto|ADDRESS,K,I", help_behavior_hint="")
    ] = None,
    quiet: Flag = False,
    json: Flag = False,
) -> None:
    """Run thousands of cells as a few compiled programs, and go on after any stop.

    GRID is a name (harmonic, head, mismatch, finetune, pretraining or architecture,
    each with a twin NAME_small that takes seconds), FILE.toml, or FILE.py:NAME with a
    mapping GRIDS. A cell is a static configuration, which costs a compile, and traced
    values (n, seed, mismatch, radius, learning rate, delta), which do not: all cells of
    one configuration are one program, spread over all devices.

    run: computes the cells without a record. Killed at any moment it loses the cells in
    flight alone; the same line goes on. Several processes or machines may work on one
    folder. status: what is there. report: writes table.parquet, table.csv, summary.csv
    (means over seeds, standard errors), figures/ and manifest.json, as run does.

    A TOML file names the task and crosses the lists of each block:
    task = "head", [[block]], n = [64, 1024], radius = [0.03, 0.3], seeds = 16

    Example: ptft sweep head_small --out /content/drive/MyDrive/head_small

    Args:
      grid: The sweep.
      action: What to do.
      out: Folder of the results, on a drive that outlives the machine. Default
        results/sweep-GRID.
      chunk: Cells of one call of a program. Default: as many as fit in memory.
      retry: Compute cells again that have failed.
      distributed: One mesh over several hosts: auto on Cloud TPU and Slurm, else the
        address of the first with its port, their number and this one's index. The first
        writes.
      quiet: No progress and no text; only errors.
      json: Print a summary as JSON.
    """
    from ptft_jax.commands import sweep as command

    options = command.SweepOptions(grid, action, out, chunk, retry, distributed)
    command.execute(options, quiet, json)
