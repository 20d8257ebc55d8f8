"""`ptft pretrain`, `ptft worlds` and `ptft info`."""

import dataclasses
import json as json_
import pathlib
import sys
from typing import Any

import jax

from ptft_jax import checkpoint, progress, provenance
from ptft_jax import pretrain as pretrain_
from ptft_jax.commands import common
from ptft_jax.errors import UsageError
from ptft_jax.method import catalog
from ptft_jax.model import Network
from ptft_jax.worlds import WORLDS


def pretrain(
    out: str,
    seed: int,
    steps: int | None,
    resume: bool,
    quiet: bool,
    json: bool,
    problem: str | None = None,
) -> None:
    """Pretrains a network and writes its weights.

    Args:
      out: file of the weights.
      seed: of everything random.
      steps: of the optimizer, or None for the default.
      resume: go on from the training state beside `out`.
      quiet: no progress.
      json: print the summary as JSON.
      problem: by name; the newsvendor where None.

    Raises:
      UsageError: the request is impossible.
      KeyboardInterrupt: saying how to go on.
    """
    if steps is not None and steps < 10:
        raise UsageError(f"--steps must be at least 10, got {steps}")
    common.check_seed(seed)
    path = pathlib.Path(out)
    state = path.with_name(f"{path.name}.state")
    common.check_place("--out", path, is_folder=False)
    if state.exists() and not resume:
        raise UsageError(
            f"{state} is of an interrupted run: give --resume or remove it"
        )
    if resume and not state.exists():
        raise UsageError(f"{state} is not there, so there is nothing to resume")
    network, config, kind = _made(problem)
    if steps is not None:
        config = dataclasses.replace(config, num_steps=steps)
    done = [0]
    with progress.watch(float(config.num_steps), quiet) as watched:

        def report(step: int, loss: float) -> None:
            shown = step * 20 // config.num_steps > done[0] * 20 // config.num_steps
            watched.stage(f"loss {loss:.4f}")
            line = f"step {step} of {config.num_steps}, loss {loss:.4f}"
            watched.advance(float(step - done[0]), line if shown else "")
            done[0] = step

        try:
            params, trace = pretrain_.run(
                network,
                config,
                jax.random.key(seed),
                path=state,
                report=report,
                **kind,
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
        except KeyboardInterrupt:
            kept = f"; go on with --resume from {state}" if state.exists() else ""
            raise KeyboardInterrupt(f"interrupted at step {done[0]}{kept}") from None
    info = {
        "seed": seed,
        "steps": config.num_steps,
        "loss": trace[-1] if trace else None,
    }
    info |= {"versions": provenance.versions(), "device": provenance.device()}
    checkpoint.save_network(path, network, params, **info)
    state.unlink(missing_ok=True)
    print(json_.dumps({"weights": out, **info}) if json else f"weights: {out}")


def _made(problem: str | None):
    """Network, configuration and what pretraining must know of a problem."""
    if problem is None or problem == "newsvendor":
        return Network(), pretrain_.PretrainConfig(), {}
    if problem not in catalog.PRETRAINED:
        listed = ", ".join(["newsvendor", *catalog.PRETRAINED])
        raise UsageError(f"--problem {problem} is not known; there are: {listed}")
    made = catalog.PRETRAINED[problem]
    return made.network, made.config, made.kind


def worlds(json: bool) -> None:
    """Lists the simulated worlds.

    Args:
      json: as JSON.
    """
    listed = {name: world.description for name, world in WORLDS.items()}
    others = catalog.WORLDS
    listed |= {name: world.description for name, world in others.items()}
    if json:
        print(json_.dumps(listed, indent=1))
        return
    width = max(map(len, listed))
    for name, description in listed.items():
        is_other = name in others
        known = others[name].bayes if is_other else WORLDS[name].bayes_decision
        problem = others[name].problem.name if is_other else "newsvendor"
        exact = "" if known is None else " [exact Bayes]"
        print(f"{name:<{width}}  {problem}: {description}{exact}")


def info(weights: str | None, json: bool) -> None:
    """Shows versions, devices and weights.

    Args:
      weights: a file, or None for the shipped network.
      json: as JSON.
    """
    found: dict[str, Any] = {
        "versions": provenance.versions(),
        "device": provenance.device(),
        "commit": provenance.commit(),
    }
    try:
        written = common.describe_weights(weights)
        sizes = ("width", "num_latents", "num_blocks")
        found["weights"] = {
            "parameters": written.num_parameters,
            **{name: written.network[name] for name in sizes},
            "made_by": written.info,
        }
    except UsageError as error:
        if weights is not None:
            raise
        found["weights"] = str(error)
    if json:
        print(json_.dumps(found, indent=1))
        return
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, inner in value.items():
                print(f"  {key}: {inner}")
        else:
            print(f"{name}: {value}")
    sys.stdout.flush()
