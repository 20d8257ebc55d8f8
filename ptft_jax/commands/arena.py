"""`ptft arena`: tries to break a bound that the user wrote."""

import json as json_
import pathlib
from typing import Any

from ptft_jax import (
    arena_figures,
    arena_tables,
    imports,
    plotting,
    progress,
    provenance,
    store,
)
from ptft_jax.commands import common
from ptft_jax.errors import UsageError
from theory import arena as arena_

# of the time that each stage takes, about
SHARES = {
    "Bernoulli": 0.15,
    "order matters: sampling": 0.2,
    "experts": 0.2,
    "newsvendor": 0.2,
    "stock-out": 0.2,
    "sizes": 0.15,
    "negative controls": 0.3,
}
SKIPPED = 0.2  # sampling and experts exclude each other


def run(
    path: str, preset: str, out: str | None, quiet: bool, json: bool
) -> arena_.Verdict:
    """Judges a bound, writes the tables and the figure, prints the verdict last.

    Args:
      path: MODULE:FUNCTION.
      preset: quick or full.
      out: folder, or None for results/arena/MODULE.FUNCTION.
      quiet: no progress and no tables.
      json: print the verdict and the tables as JSON.

    Returns:
      The verdict.

    Raises:
      UsageError: the bound cannot be imported or judged; nothing was written.
    """
    name = path.replace(":", ".")
    folder = pathlib.Path(out or f"results/arena/{name}")
    common.check_place("--out", folder, is_folder=True)
    bound = imports.function(path)
    with progress.watch(sum(SHARES.values()) - SKIPPED, quiet) as watched:
        begun: list[str] = []

        def stage(text: str) -> None:
            if begun:
                watched.advance(SHARES[begun[-1]], f"{begun[-1]}: done")
            watched.stage(text)
            begun.append(text)

        try:
            verdict = arena_.run(bound, name=name, preset=preset, report=stage)
        except arena_.BoundError as error:
            raise UsageError(f"{path}: {error}") from error
        stage("negative controls")
        controls = arena_.control_cases()
    _write(folder, verdict, controls, name, preset)
    if json:
        print(json_.dumps(_summary(verdict, name, preset, folder), indent=1))
        return verdict
    if not quiet:
        print(arena_tables.text(verdict, name))
        print(f"\ntables and figure: {folder}")
    print(arena_.line(verdict))
    return verdict


def _write(
    folder: pathlib.Path,
    verdict: arena_.Verdict,
    controls: dict[str, list[arena_.Case]],
    name: str,
    preset: str,
) -> None:
    tried = [(control, case) for control, cases in controls.items() for case in cases]
    names, cases = zip(*tried, strict=True)
    rows = {
        "violations.csv": arena_tables.to_csv(verdict.cases),
        "tightness.csv": arena_tables.to_csv(verdict.sizes),
        "controls.csv": arena_tables.to_csv(cases, control=names),
    }
    manifest = {
        "bound": name,
        "preset": preset,
        "settings": arena_.PRESETS[preset]._asdict(),
        "versions": provenance.versions(),
        "device": provenance.device(),
        "commit": provenance.commit(),
    }
    report = f"{arena_tables.text(verdict, name)}\n\n{arena_.line(verdict)}\n"
    figure = arena_figures.draw(verdict, controls, name)
    for file, content in rows.items():
        store.write_text(folder / file, content)
    store.write_text(folder / "manifest.json", json_.dumps(manifest, indent=1))
    for form in ("png", "pdf"):
        picture = plotting.to_bytes(figure, form)
        store.write_text(folder / "figures" / f"arena.{form}", picture)
    store.write_text(folder / "verdict.txt", report)


def _summary(
    verdict: arena_.Verdict, name: str, preset: str, folder: pathlib.Path
) -> dict[str, Any]:
    """The verdict in JSON's types."""
    return {
        "bound": name,
        "preset": preset,
        "verdict": arena_.line(verdict).removeprefix("verdict: "),
        "valid": verdict.valid,
        "p_value": verdict.p_value,
        "worst": verdict.worst._asdict(),
        "calls": verdict.calls,
        "sizes": [size._asdict() for size in verdict.sizes if size.bound == name],
        "out": str(folder),
    }
