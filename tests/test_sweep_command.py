import json
import pathlib
import re
import socket
import subprocess
import sys

import jax
import polars as pl
import pytest

from ptft_jax import cli, grid, grid_files, progress, sweep, sweep_tables, task
from ptft_jax.tasks import gradient, head, pretraining

ROOT = pathlib.Path(__file__).parents[1]
TOML = """
task = "gaussian_law"
about = "law by n"
[[block]]
replications = 50
n = [32, 64, 512]
mismatch = [0.1, 0.4]
seeds = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # the process has its devices already
    monkeypatch.setattr("ptft_jax.commands.sweep._open_devices", lambda given: None)
    (tmp_path / "mine.toml").write_text(TOML)
    return tmp_path


def test_run_status_and_report(mine, capsys):
    assert cli.main(["sweep", "mine.toml", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cells"], told["missing"]) == (18, 18)
    assert not (mine / "results" / "sweep-mine").exists()
    assert cli.main(["sweep", "mine.toml", "run", "--chunk", "5"]) == 0
    out = capsys.readouterr().out
    assert "18 of 18 cells finished, 0 failed, 0 missing" in out
    assert "law_combined" in out
    folder = mine / "results" / "sweep-mine"
    rows = pl.read_parquet(folder / "table.parquet")
    assert rows.equals(pl.read_csv(folder / "table.csv"))
    assert rows.height == 18
    means = pl.read_csv(folder / "summary.csv")
    assert means.columns == [
        "n", "mismatch", "metric", "mean", "se", "seeds", "not_finite",
    ]  # fmt: skip
    assert (folder / "figures" / "mine.pdf").stat().st_size > 1000
    first = (folder / "table.csv").read_bytes()
    (folder / "table.csv").unlink()
    assert cli.main(["sweep", "mine.toml", "report", "--quiet"]) == 0
    assert (folder / "table.csv").read_bytes() == first
    assert json.loads((folder / "manifest.json").read_text())["finished"] == 18


def test_a_run_with_failed_cells_is_no_success(mine, capsys):
    (mine / "mine.py").write_text(
        "from ptft_jax.grid import Grid\n"
        "from ptft_jax.tasks import gaussian_law\n"
        "TASK = gaussian_law.TASK._replace(make=lambda config, folder: nothing)\n"
        "GRIDS = {'walk': Grid(TASK, [{'n': 5}, {'n': 6}], 'a walk')}\n"
    )
    for _ in range(2):
        assert cli.main(["sweep", "mine.py:walk", "--quiet"]) == 2
        said = capsys.readouterr().err
        assert "2 of 2 cells failed" in said
        assert "name 'nothing' is not defined; --retry" in said
    assert cli.main(["sweep", "mine.py:walk", "status"]) == 0


def test_the_examples_of_the_guides_run(mine, capsys):
    guide, readme = ((ROOT / f).read_text() for f in ("CONTRIBUTING.md", "README.md"))
    (code,) = re.findall(r"```python\n(# mine.py.*?)```", guide, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    (mine / "mine.py").write_text(code)
    assert cli.main(["sweep", "mine.py:walk"]) == 0
    assert "48 of 48 cells finished" in capsys.readouterr().out
    rows = pl.read_parquet(mine / "results" / "sweep-walk" / "table.parquet")
    ratio = rows["variance"] * rows["n"]
    assert abs(ratio.mean() - 1.0) < 4.0 * (2.0 / 1000 / len(rows)) ** 0.5
    (mine / "mine.toml").write_text(toml)
    assert cli.main(["sweep", "mine.toml", "status"]) == 0
    assert "0 of 288 cells finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["absent"], "has no grid 'absent'; it has harmonic"),
        (["absent.toml"], "absent.toml is not there"),
        (["mine.toml", "--chunk", "0"], "--chunk must be at least 1, got 0"),
        (["mine.toml", "--out", "mine.toml"], "is a file, a folder is needed"),
    ],
)
def test_bad_input_is_one_line_and_code_2(mine, capsys, arguments, complaint):
    assert cli.main(["sweep", *arguments]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1
    assert [path.name for path in mine.iterdir()] == ["mine.toml"]


def test_two_hosts_on_one_mesh_give_the_table_of_one(mine):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "ptft_jax", "sweep", "mine.toml", "--quiet"]
    hosts = [
        subprocess.Popen(
            [*command, "--out", "two", "--distributed", f"{address},2,{i}"],
            env=None,
        )
        for i in range(2)
    ]
    assert [host.wait(120) for host in hosts] == [0, 0]
    assert cli.main(["sweep", "mine.toml", "--quiet", "--out", "one"]) == 0
    tables = [(mine / name / "table.csv").read_bytes() for name in ("one", "two")]
    assert tables[0] == tables[1]
    assert len(list((mine / "two" / "cells").iterdir())) == 18


def test_shipped_tasks_measure_what_they_say(tmp_path):
    small = {"num_steps": 60, "width": 16, "pool": 1024, "n_max": 256}
    cells = grid.product([small], grid.values("n", (32, 256)), [{"mismatch": 0.4}])
    found = grid.Grid(head.TASK, cells, "head")
    assert sweep.run(found, tmp_path, progress.Silent()) == sweep.Tally(2, 0, 1)
    rows = sweep_tables.cells(sweep.look(found, tmp_path))
    # the mismatch is known exactly: (1 − w)²Δ² is what a perfect network would lose
    assert (rows["pretrained"] > 0.8 * (0.5 / (0.5 + 0.5)) ** 2 * 0.4**2).all()
    assert rows["head"][1] < rows["head"][0]
    assert rows["head"][1] < rows["pretrained"][1]
    assert rows["tightness"][1] < rows["tightness"][0]
    assert rows["holds"].to_list() == [1.0, 1.0]
    # another task in the same world, with the same pool and network
    brief = {"segment_steps": 30, "batch": 64, "rate": 3e-3}
    tuned = grid.product([{**cells[1], **brief}], grid.values("seed", range(4)))
    found = grid.Grid(gradient.TASK, tuned, "gradient")
    assert sweep.run(found, tmp_path, progress.Silent()).failed == 0
    other = sweep_tables.cells(sweep.look(found, tmp_path))
    assert other["pretrained"][0] == pytest.approx(rows["pretrained"][1], rel=1e-4)
    assert other["gain"].mean() > 0.0


def test_every_small_grid_can_be_traced(tmp_path):
    for name, found in grid_files.named().items():
        if name in ("harmonic_small", "pretraining_small"):
            point = task.point(found.task, found.cells[0])
            run = found.task.make(point.config, tmp_path)
            outputs = jax.eval_shape(run, jax.random.key(0), point.swept)
            assert set(found.task.shown) <= set(outputs) | {"law_combined"}


@pytest.mark.parametrize(
    ("made_by", "cell", "complaint"),
    [
        (head.TASK, {"world": "mars"}, "world 'mars' is not known"),
        (head.TASK, {"n": 4096}, r"n must be in \[4, n_max = 2048\], got 4096"),
        (head.TASK, {"mismatch": 3.0}, "mismatch"),
        (head.TASK, {"pool": 0}, "pool = 0"),
        (head.TASK, {"width": 7}, "width must be a multiple of 8"),
        (gradient.TASK, {"batch": 0}, "batch = 0"),
        (head.TASK, {"radius": 0.0}, "radius = 0.0"),
        (head.TASK, {"delta": 1.0}, "delta = 1.0"),
        (gradient.TASK, {"trained": "some"}, "trained must be one of"),
        (pretraining.TASK, {"precision": "fp8"}, "precision must be one of"),
        (pretraining.TASK, {"width": 20}, "width must be a multiple of 2·heads = 8"),
        (pretraining.TASK, {"heads": 0}, "heads = 0"),
        (pretraining.TASK, {"optimizer": "lion"}, "optimizer must be one of"),
        (pretraining.TASK, {"matrix_rate": 0.0}, "matrix_rate = 0.0"),
    ],
)
def test_shipped_tasks_refuse_what_they_cannot_do(made_by, cell, complaint):
    with pytest.raises(task.UsageError, match=complaint):
        task.point(made_by, cell)
