"""The commands about networks and worlds: `pretrain`, `worlds` and `info`."""

from typing import Annotated

from tyro.conf import arg

from ptft_jax.options import Count, File, Flag, Name


def pretrain(
    *,
    out: Annotated[str, arg(metavar="FILE.safetensors")],
    seed: int = 0,
    steps: Count = None,
    resume: Flag = False,
    problem: Name = None,
    quiet: Flag = False,
    json: Flag = False,
) -> None:
    """Pretrain a network on synthetic portfolios and write its weights.

    The same seed on the same versions and device gives the same weights. The training
    state is kept beside FILE every 1000 steps until the work is done.

    Args:
      out: File of the weights.
      seed: Of the initial weights and of all synthetic portfolios.
      steps: Optimizer steps. Default: as the shipped weights.
      resume: Go on from the training state of an interrupted run.
      problem: Whose network; `ptft worlds` lists them. Default: newsvendor.
      quiet: No progress; only errors.
      json: Print the summary as JSON.
    """
    from ptft_jax.commands import others

    others.pretrain(out, seed, steps, resume, quiet, json, problem)


def worlds(*, json: Flag = False) -> None:
    """List the simulated worlds that --world takes, by problem.

    Args:
      json: Print them as JSON.
    """
    from ptft_jax.commands import others

    others.worlds(json)


def info(*, weights: File = None, json: Flag = False) -> None:
    """Show versions, devices and the shipped weights.

    Args:
      weights: Describe this file instead of the shipped weights.
      json: Print it as JSON.
    """
    from ptft_jax.commands import others

    others.info(weights, json)
