"""A run over worlds and mismatches: what is done already, its tables, its manifest."""

import json
import pathlib
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ptft_jax import (
    compilation,
    own_bounds,
    own_rows,
    provenance,
    result_tables,
    store,
)
from ptft_jax.own_bounds import NONE, OwnBounds
from ptft_jax.paths import part, policy, setups, worlds
from ptft_jax.paths.part import Row
from ptft_jax.paths.policy import PolicyConfig
from ptft_jax.paths.setups import Effort
from ptft_jax.progress import Progress

RISKS = (*result_tables.RISKS, "mismatch")
BOUNDS = (*result_tables.BOUNDS, "mismatch")


@dataclass(frozen=True)
class Settings:
    """What decides the result of a part, beside its world and mismatch.

    Attributes:
      n: numbers of instances, increasing.
      seeds: replications.
      observations: m of each instance; None for the world's own.
      delta: δ of every certificate.
      policy: how networks are pretrained.
      effort: how much is computed.
    """

    n: tuple[int, ...]
    seeds: int
    observations: int | None
    delta: float
    policy: PolicyConfig
    effort: Effort


class Part(NamedTuple):
    """One world at one mismatch."""

    world: str
    mismatch: float


class Result(NamedTuple):
    """The tables of a run, as far as it got."""

    risks: list[Row]
    bounds: list[Row]
    facts: dict[Part, dict[str, Any]]
    folder: pathlib.Path


def config_of(each: Part, settings: Settings) -> store.Config:
    """All that decides a part's result.

    Args:
      each: the part.
      settings: of the run.

    Returns:
      JSON-serialisable; its hash names the record.
    """
    text = json.dumps({"paths": each._asdict(), **asdict(settings)})
    return json.loads(text)


def run(
    parts: list[Part],
    settings: Settings,
    folder: pathlib.Path,
    progress: Progress,
    own: OwnBounds = NONE,
) -> Result:
    """Measures the parts that are not finished and writes the run's tables.

    Interrupted, it writes the tables of the finished parts first; run again, it goes on
    from there to the tables of an uninterrupted run.

    Args:
      parts: to measure.
      settings: of all of them.
      folder: of the run; made if absent.
      progress: told in parts.
      own: bounds of the user's own by name, judged at the end on the losses that
        records keep: a new one needs no part anew.

    Returns:
      The tables.

    Raises:
      UsageError: a bound of the user's own failed; the tables are those without it.
    """
    configs = [config_of(each, settings) for each in parts]
    found = store.find(folder, configs)
    for complaint in found.complaints:
        progress.note(f"warning: {complaint}")
    records = dict(found.records)
    if records:
        progress.note(f"{len(records)} of {len(parts)} parts are finished already")
    if edited := provenance.complaint(records.values()):
        progress.note(edited)
    try:
        for each, config in zip(parts, configs, strict=True):
            name = store.cell_id(config)
            if name not in records:
                record = _measure(each, settings, folder, progress)
                store.save(folder, config, record)
                records[name] = record
                compilation.spare_mappings()
            progress.advance(1.0, f"{_place(each)}: done")
    finally:
        done = [store.cell_id(c) in records for c in configs]
        kept = {
            each: records[store.cell_id(config)]
            for each, config, finished in zip(parts, configs, done, strict=True)
            if finished
        }
        result = _write(kept, settings, folder)
    if not own:
        return result
    # last, and not in the loop: what a bound does is done to no part
    progress.stage("bounds of your own")
    judged = {
        each: own_rows.extend(record, own, _place(each))
        for each, record in kept.items()
    }
    return _write(judged, settings, folder, own)


def _place(each: Part) -> str:
    return f"{each.world}, mismatch {each.mismatch:g}"


def _measure(each: Part, settings: Settings, folder, progress) -> dict[str, Any]:
    path_world = worlds.WORLDS[each.world]
    m = settings.observations or path_world.observations
    where = _place(each)

    def pretraining(step: int, loss: float) -> None:
        progress.stage(f"{each.world}: pretraining, step {step}, loss {loss:.4g}")

    frozen = policy.make(
        path_world, m, settings.policy, folder / "networks", pretraining
    )
    progress.stage(f"{where}: fresh instances")
    setup = setups.set_up(
        path_world, each.mismatch, m, frozen, settings.effort, settings.delta
    )
    report = lambda text: progress.stage(f"{where}: {text}")
    record = part.run(setup, settings.n, settings.seeds, settings.effort, report)
    made_by = {"versions": provenance.versions(), "device": provenance.device()}
    return {**record, **made_by, "code": provenance.code()}


def _write(kept: dict[Part, dict], settings, folder, own=NONE) -> Result:
    risks, bounds = [], []
    for each, record in kept.items():
        path_world = worlds.WORLDS[each.world]
        is_means = path_world.problem == "means"
        common = {
            "world": each.world,
            "protocol": "iid",
            "observations": settings.observations or path_world.observations,
            "quantile": "" if is_means else path_world.quantile,
            "mismatch": each.mismatch,
        }
        risks += [{**common, **row} for row in record["risks"]]
        bounds += [{**common, **row} for row in record["bounds"]]
    manifest = {
        "schema": store.SCHEMA,
        "settings": asdict(settings),
        "bounds": own_bounds.fingerprints(own),
        "parts": [
            {**each._asdict(), **record["facts"]} for each, record in kept.items()
        ],
        "versions": provenance.versions(),
        "device": provenance.device(),
        "commit": provenance.commit(),
        "seeds": list(range(settings.seeds)),
    }
    store.write_text(folder / "risks.csv", result_tables.to_csv(risks, RISKS))
    store.write_text(folder / "bounds.csv", result_tables.to_csv(bounds, BOUNDS))
    text = json.dumps(manifest, indent=1, sort_keys=True)
    store.write_text(folder / "manifest.json", text + "\n")
    facts = {each: record["facts"] for each, record in kept.items()}
    return Result(risks, bounds, facts, folder)
