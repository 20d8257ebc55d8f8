"""What goes wrong in a cell stays there, and nothing that is finished is lost."""

import dataclasses
import json
import os
import pathlib
import time

import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import (
    store,
    sweep,
    sweep_tables,
    task,
    worker,
)
from ptft_jax.errors import UsageError
from tests.small_sweep import SMALL, go, table


def test_failed_cells_are_kept_with_their_reason_and_retried_on_request(tmp_path):
    def finish(config, swept, outputs):
        if swept["seed"] == 1:
            raise ArithmeticError("seed 1 is unlucky")
        return task.scalars(config, swept, outputs)

    broken = SMALL._replace(task=SMALL.task._replace(finish=finish))
    assert go(broken, tmp_path) == sweep.Tally(24, 8, 2)
    told = sweep_tables.status(sweep.look(broken, tmp_path))
    assert (told["finished"], told["failed"], told["missing"]) == (16, 8, 0)
    line = finish.__code__.co_firstlineno + 2
    place = f"{pathlib.Path(__file__).name}:{line}: "
    assert told["errors"] == {f"{place}ArithmeticError: seed 1 is unlucky": 8}
    assert go(SMALL, tmp_path) == sweep.Tally(0, 0, 0)
    assert go(SMALL, tmp_path, retry=True) == sweep.Tally(8, 0, 2)
    assert len(table(SMALL, tmp_path)) == 24


def test_a_metric_with_the_name_of_a_field_is_refused(tmp_path):
    finish = lambda config, swept, outputs: {"n": 1.0}
    broken = SMALL._replace(task=SMALL.task._replace(finish=finish))
    assert go(broken, tmp_path).failed == 24
    told = sweep_tables.status(sweep.look(broken, tmp_path))
    assert told["errors"] == {"ValueError: metrics ['n'] have the names of fields": 24}


def test_a_metric_that_is_not_there_is_named(tmp_path):
    go(SMALL, tmp_path)
    state = sweep.look(SMALL, tmp_path)
    assert "no metric" not in sweep_tables.text(state, ("loss",))
    assert "no metric is called los; there are" in sweep_tables.text(state, ("los",))


@pytest.mark.parametrize("how", [None, {}, {"frozen": False}])
def test_a_configuration_that_is_not_frozen_is_refused(tmp_path, how):
    class Config:
        n: int = 2

    if how is not None:
        Config = dataclasses.dataclass(**how)(Config)
    own = SMALL._replace(task=SMALL.task._replace(static=Config))
    with pytest.raises(UsageError, match=r"@dataclass\(frozen=True\)"):
        go(own, tmp_path)


def test_a_failure_never_replaces_a_result(tmp_path):
    go(SMALL, tmp_path)
    before = table(SMALL, tmp_path)
    points = sweep.look(SMALL, tmp_path).points
    worker.Writer(SMALL.task, tmp_path).failed(points[:3], MemoryError("no room"))
    assert table(SMALL, tmp_path).equals(before)


def test_metrics_may_be_numpy_numbers_and_a_word_fails_its_cell_alone(tmp_path):
    def finish(config, swept, outputs):
        return {"loss": outputs["loss"] if swept["seed"] else "much"}

    found = SMALL._replace(task=SMALL.task._replace(finish=finish))
    assert go(found, tmp_path) == sweep.Tally(24, 8, 2)
    assert len(table(found, tmp_path)) == 16


def test_a_group_that_cannot_be_compiled_does_not_stop_the_others(tmp_path):
    def make(config, folder):
        if config.steps == 3:
            return lambda key, swept: jnp.ones(3) @ jnp.ones(4)
        return SMALL.task.make(config, folder)

    broken = SMALL._replace(task=SMALL.task._replace(make=make))
    assert go(broken, tmp_path) == sweep.Tally(24, 12, 1)
    told = sweep_tables.status(sweep.look(broken, tmp_path))
    assert (told["finished"], told["failed"]) == (12, 12)


def test_results_that_are_not_finite_are_kept_counted_and_left_out_of_means(tmp_path):
    def finish(config, swept, outputs):
        value = float("nan") if swept["seed"] == 2 else float(swept["seed"])
        return {"loss": value}

    found = SMALL._replace(task=SMALL.task._replace(finish=finish))
    go(found, tmp_path)
    state = sweep.look(found, tmp_path)
    assert len(sweep_tables.status(state)["not_finite"]) == 8
    means = sweep_tables.summary(state)
    assert means["not_finite"].to_list() == [1] * 8
    assert means["seeds"].to_list() == [2] * 8
    assert means["mean"].to_list() == [0.5] * 8
    np.testing.assert_allclose(means["se"].to_numpy(), 0.5)


def test_records_of_another_version_or_damaged_ones_are_not_mixed_in(tmp_path):
    go(SMALL, tmp_path)
    newer = SMALL._replace(task=SMALL.task._replace(version=2))
    state = sweep.look(newer, tmp_path)
    assert (state.records, state.foreign) == ({}, 24)
    path = next((tmp_path / store.CELLS).glob("*.json"))
    path.write_text(path.read_text()[:100])
    state = sweep.look(SMALL, tmp_path)
    assert len(state.records) == 23
    assert path.name in state.complaints[0]
    assert go(SMALL, tmp_path).computed == 1
    assert len(table(SMALL, tmp_path)) == 24


LAME = {
    "no status": lambda record: record.pop("status"),
    "another status": lambda record: record.update(status="fine"),
    "no metrics": lambda record: record.pop("metrics"),
    "empty metrics": lambda record: record.update(metrics={}),
    "a list of metrics": lambda record: record.update(metrics=[1.0]),
    "a word": lambda record: record["metrics"].update(loss="much"),
    "a failure without its error": lambda record: record.update(status="failed"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    go(SMALL, folder)
    return folder, table(SMALL, folder)


@pytest.mark.parametrize("change", LAME.values(), ids=LAME)
def test_a_record_that_lacks_a_part_is_reported_and_not_there(finished, change):
    folder, _ = finished
    point = sweep.look(SMALL, folder).points[5]
    path = store.record_path(folder, point.name)
    before = path.read_text()
    record = json.loads(before)
    change(record)
    path.write_text(json.dumps(record))
    state = sweep.look(SMALL, folder)
    status = worker.Writer(SMALL.task, folder).status(point)
    told = sweep_tables.status(state)
    path.write_text(before)
    assert status is None
    assert (told["finished"], told["failed"], told["missing"]) == (23, 0, 1)
    (complaint,) = state.complaints
    assert complaint.startswith(f"{path}: it")
    assert complaint.endswith("; it is not used")


def test_a_cell_whose_record_lacks_a_part_is_computed_again(finished):
    folder, whole = finished
    point = sweep.look(SMALL, folder).points[5]
    path = store.record_path(folder, point.name)
    path.write_text(json.dumps({**json.loads(path.read_text()), "metrics": {}}))
    assert go(SMALL, folder).computed == 1
    assert sweep.look(SMALL, folder).complaints == []
    assert table(SMALL, folder).equals(whole)


def test_a_task_without_metrics_fails(tmp_path):
    empty = SMALL._replace(task=SMALL.task._replace(finish=lambda *_: {}))
    assert go(empty, tmp_path).failed == 24
    told = sweep_tables.status(sweep.look(empty, tmp_path))
    assert told["errors"] == {"ValueError: the task gave no metrics": 24}


def test_a_folder_in_place_of_a_record_is_refused_before_anything_runs(tmp_path):
    path = store.record_path(tmp_path, sweep.look(SMALL, tmp_path).points[5].name)
    path.mkdir(parents=True)
    with pytest.raises(UsageError, match=f"{path.name} is a folder"):
        go(SMALL, tmp_path)
    assert list(path.parent.iterdir()) == [path]


def test_what_a_dead_writer_left_is_cleared_after_an_hour(tmp_path):
    folder = tmp_path / store.CELLS
    folder.mkdir()
    old, new = folder / ".a.json.1.partial", folder / ".b.json.2.partial"
    old.write_text("{")
    new.write_text("{")
    hours_ago = time.time() - 7200.0
    os.utime(old, (hours_ago, hours_ago))
    go(SMALL, tmp_path)
    assert not old.exists()
    assert new.exists()
