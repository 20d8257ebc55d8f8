"""`ptft paths`: both paths to a small error, measured beside laws and certificates."""

import json as json_
import pathlib
from typing import NamedTuple

from ptft_jax import compilation, own_bounds, plotting, progress, store
from ptft_jax.commands import common
from ptft_jax.errors import UsageError
from ptft_jax.paths import claims, figures, run, text, worlds
from ptft_jax.paths.gradients import GradientConfig
from ptft_jax.paths.policy import PolicyConfig
from ptft_jax.paths.run import Part, Settings
from ptft_jax.paths.setups import Effort

LEAST_N = 16  # four folds of a few instances
LARGEST_N = 1 << 16


class Preset(NamedTuple):
    """What a preset decides unless the user does."""

    n: tuple[int, ...]
    seeds: int
    mismatches: int  # how many of each world's own
    policy: PolicyConfig
    effort: Effort


PRESETS = {
    "quick": Preset(
        (32, 128, 512, 2048),
        6,
        1,
        PolicyConfig(num_steps=300, context_size=512),
        Effort(gradient_seeds=2, far=1 << 15, gradient=GradientConfig(steps=20)),
    ),
    "full": Preset(
        tuple(1 << k for k in range(5, 15)), 16, 2, PolicyConfig(), Effort()
    ),
}


class PathsOptions(NamedTuple):
    """What the user asked of `paths`; None where a preset decides."""

    world: str = "all"
    mismatch: str | None = None
    n: str | None = None
    seeds: int | None = None
    observations: int | None = None
    delta: float = 0.05
    preset: str = "full"
    out: str | None = None
    bound: str | None = None


def parts_of(options: PathsOptions) -> list[Part]:
    """Worlds and mismatches asked for.

    Args:
      options: of the user.

    Returns:
      The parts, those of one world together.

    Raises:
      UsageError: a world is unknown, or a mismatch is out of its range.
    """
    names = list(worlds.WORLDS) if options.world == "all" else [options.world]
    if names[0] not in worlds.WORLDS:
        listed = ", ".join(worlds.WORLDS)
        raise UsageError(f"--world {names[0]} is not known; there are: all, {listed}")
    found = []
    for name in names:
        own = worlds.WORLDS[name]
        dials = own.mismatches[-PRESETS[options.preset].mismatches :]
        if options.mismatch is not None:
            dials = common.numbers("--mismatch", options.mismatch, float)
        for dial in dials:
            if not 0.0 <= dial <= own.largest:
                raise UsageError(
                    f"--mismatch of {name} must be in [0, {own.largest:g}], got {dial}"
                )
        found += [Part(name, dial) for dial in dict.fromkeys(dials)]
    return found


def settings_of(options: PathsOptions) -> Settings:
    """All else that decides the results.

    Args:
      options: of the user.

    Returns:
      The settings.

    Raises:
      UsageError: a number is out of range.
    """
    preset = PRESETS[options.preset]
    common.check_delta(options.delta)
    n = preset.n
    if options.n is not None:
        n = tuple(sorted(set(common.numbers("--n", options.n, int))))
    if not LEAST_N <= n[0] <= n[-1] <= LARGEST_N:
        outside = n[0] if n[0] < LEAST_N else n[-1]
        raise UsageError(f"--n must be in [{LEAST_N}, {LARGEST_N}], got {outside}")
    seeds = preset.seeds if options.seeds is None else options.seeds
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, got {seeds}")
    m = options.observations
    if m is not None and not 1 <= m <= 16:
        raise UsageError(f"--observations must be in [1, 16], got {m}")
    return Settings(n, seeds, m, options.delta, preset.policy, preset.effort)


def execute(options: PathsOptions, quiet: bool, json: bool) -> run.Result:
    """Runs the experiment, writes tables and figures, prints the verdicts.

    Args:
      options: what was asked for.
      quiet: no progress, no text.
      json: print a summary as JSON.

    Returns:
      The tables.

    Raises:
      UsageError: the request is impossible, and nothing was written; or a bound of the
        user's own failed, saying what was kept.
      KeyboardInterrupt: saying what was kept.
    """
    parts, settings = parts_of(options), settings_of(options)
    folder = pathlib.Path(options.out or f"results/paths-{options.preset}")
    common.check_place("--out", folder, is_folder=True)
    own = own_bounds.load(options.bound)
    compilation.keep_programs()
    compilation.full_precision()
    with progress.watch(float(len(parts)), quiet) as watched:
        try:
            result = run.run(parts, settings, folder, watched, own)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted: finished worlds and mismatches are kept in {folder}; "
                "the same command goes on from there"
            ) from None
        except UsageError as error:
            raise UsageError(
                f"{error}; worlds and mismatches are finished and kept in {folder}"
            ) from None
        watched.stage("drawing")
        write_figures(result)
    verdicts = claims.all_claims(result)
    report = text.report(result, verdicts)
    store.write_text(folder / "report.txt", report + "\n")
    if json:
        print(json_.dumps(text.summary(result, verdicts), indent=1))
    elif not quiet:
        print(report)
        print(f"\ntables and figures: {folder}")
    return result


def write_figures(result: run.Result) -> None:
    """Writes every figure as png and pdf.

    Args:
      result: tables of a run.
    """
    for name, figure in figures.all_figures(result).items():
        for form in ("png", "pdf"):
            path = result.folder / "figures" / f"{name}.{form}"
            store.write_text(path, plotting.to_bytes(figure, form))
