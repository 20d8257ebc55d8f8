import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import (
    grid,
    program,
    store,
    sweep,
    task,
)
from ptft_jax.tasks import gaussian_law
from tests import sweep_process
from tests.small_sweep import SMALL, counted, go, table

ROOT = pathlib.Path(__file__).parents[1]


def test_each_group_is_traced_and_compiled_once(tmp_path):
    found, runs = counted(SMALL)
    tally = go(found, tmp_path, chunk=4)
    assert tally == sweep.Tally(24, 0, 2)
    assert [config.steps for config in runs] == [3, 4]


def test_a_finished_sweep_computes_and_compiles_nothing(tmp_path):
    go(SMALL, tmp_path)
    found, runs = counted(SMALL)
    assert go(found, tmp_path) == sweep.Tally(0, 0, 0)
    assert runs == []


def test_results_do_not_depend_on_chunks_order_or_the_rest_of_the_grid(tmp_path):
    go(SMALL, tmp_path / "a", chunk=1)
    go(SMALL._replace(cells=SMALL.cells[::-1]), tmp_path / "b", chunk=7)
    go(SMALL._replace(cells=SMALL.cells[5:6]), tmp_path / "c")
    a, b = table(SMALL, tmp_path / "a"), table(SMALL, tmp_path / "b")
    assert a.equals(b)
    c = table(SMALL._replace(cells=SMALL.cells[5:6]), tmp_path / "c")
    assert c.equals(a[5:6])


def test_a_cell_is_the_jitted_single_run(tmp_path):
    go(SMALL, tmp_path)
    cell = SMALL.cells[-1]
    point = task.point(SMALL.task, cell)
    run = SMALL.task.make(point.config, tmp_path)
    alone = jax.jit(program.keyed(SMALL.task, run))(point.swept)
    row = table(SMALL, tmp_path).row(-1, named=True)
    np.testing.assert_allclose(row["loss"], alone["loss"], rtol=1e-5)
    np.testing.assert_allclose(row["error"], alone["error"], rtol=1e-5)


def test_the_same_seed_sees_the_same_draws_at_every_n(tmp_path):
    run = lambda key, swept: {"draw": jax.random.normal(key), "twice": 2.0 * swept["n"]}
    own = SMALL.task._replace(make=lambda config, folder: run)
    cells = grid.product(grid.values("n", (8, 64)), grid.values("seed", (0, 1)))
    found = grid.Grid(own, cells, "draws")
    go(found, tmp_path)
    draws = table(found, tmp_path).pivot("n", index="seed", values="draw")
    assert draws["8"].to_list() == draws["64"].to_list()
    assert draws["8"].n_unique() == 2


def test_memory_counts_what_is_held_at_once():
    def chained(x):
        for _ in range(9):
            x = x * 2.0
        return x.sum()

    def held(x):
        kept = [x * float(i) for i in range(9)]
        return sum(kept[1:], kept[0]).sum()

    size = 4 * 1000
    trace = lambda f: program.peak_bytes(jax.make_jaxpr(f)(jnp.zeros(1000)).jaxpr)
    assert trace(chained) == 2 * size
    assert 9 * size <= trace(held) <= 11 * size
    looped = lambda x: jax.lax.scan(lambda c, _: (held(x) + c, None), 0.0, length=5)[0]
    assert trace(looped) >= 9 * size


def test_the_law_task_agrees_with_its_law(tmp_path):
    cells = grid.product(
        grid.values("n", (32, 512)), grid.values("mismatch", (0.1, 0.5)),
        grid.values("seed", range(8)),
    )  # fmt: skip
    found = grid.Grid(gaussian_law.TASK, cells, "law")
    go(found, tmp_path)
    rows = table(found, tmp_path)
    gap = rows["finetune"] - rows["law_finetune"]
    se = rows["law_finetune"] * (2.0 / 1000 / 8) ** 0.5
    for n in (32, 512):
        mine = rows["n"] == n
        assert abs(gap.filter(mine).mean()) < 4.0 * se.filter(mine).mean()


def start(folder, devices, *chunk):
    command = [sys.executable, "-m", "tests.sweep_process", str(folder), str(devices)]
    return subprocess.Popen([*command, *map(str, chunk)], cwd=ROOT)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    go(sweep_process.GRID, folder)
    return table(sweep_process.GRID, folder)


def test_killed_sweeps_and_two_at_once_give_the_undisturbed_table(
    tmp_path, undisturbed
):
    written = lambda: len(list((tmp_path / store.CELLS).glob("*.json")))
    for _ in range(2):
        before, process = written(), start(tmp_path, 1, 8)
        # a quick machine needs less than a tenth of a second for the whole sweep
        while process.poll() is None and written() == before:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = sweep.look(sweep_process.GRID, tmp_path)
    assert 0 < len(found.records) < len(found.points)
    assert found.complaints == []
    both = [start(tmp_path, 1, 8), start(tmp_path, 1, 8)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert table(sweep_process.GRID, tmp_path).equals(undisturbed)


def test_four_devices_give_the_same_table(tmp_path, undisturbed):
    assert start(tmp_path, 4).wait(120) == 0
    found = table(sweep_process.GRID, tmp_path)
    numbers = ["loss", "error"]
    assert found.drop(numbers).equals(undisturbed.drop(numbers))
    for name in numbers:
        np.testing.assert_allclose(found[name], undisturbed[name], rtol=1e-5)
    record = next((tmp_path / store.CELLS).glob("*.json"))
    assert json.loads(record.read_text())["device"]["count"] == 4


def test_sequences_are_static_fields_too_and_text_in_tables(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Config:
        shape: tuple[int, ...] = (2, 3)

    def make(config, folder):
        return lambda key, swept: {"size": jnp.ones(config.shape).sum()}

    own = SMALL.task._replace(static=Config, make=make, shown=())
    found = grid.Grid(own, [{"shape": [4, 5]}, {"shape": (2, 3)}], "shapes")
    assert go(found, tmp_path).computed == 2
    assert go(found, tmp_path).computed == 0
    rows = table(found, tmp_path)
    assert rows.columns == ["shape", "seed", "n", "rate", "size"]
    assert rows["shape"].to_list() == ["(4, 5)", "(2, 3)"]
    assert rows["size"].to_list() == [20.0, 6.0]
