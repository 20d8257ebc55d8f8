import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny
from cells import arguments, fake_cell, listing, tables

from ptft_jax import checkpoint, cli, lab, pretrain, validate
from ptft_jax.method import catalog

MIDDLE = 3


def test_a_run_writes_everything_and_says_where(folder, weights, monkeypatch, capfd):
    monkeypatch.setattr(validate, "run_cell", fake_cell)
    assert cli.main(arguments(weights)[:-1]) == 0
    captured = capfd.readouterr()
    assert "out/report.html" in captured.out
    assert "finetuned" in captured.out
    assert captured.err.count("seed=") == 10
    made = set(listing(folder / "out"))
    wanted = {"risks.csv", "bounds.csv", "report.html", "records.parquet"}
    assert made >= wanted | {"manifest.json", "figures/risk.png", "figures/risk.pdf"}
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert {"settings", "versions", "device", "commit", "seeds", "times"} <= set(
        manifest
    )
    page = (folder / "out" / "report.html").read_text()
    assert 'id="risks:1"' in page
    assert "data:image/png;base64," in page
    assert "http" not in page.split("<body>")[1]


@pytest.mark.usefixtures("undrawn")
def test_json_and_quiet_are_for_machines(folder, weights, monkeypatch, capfd):
    monkeypatch.setattr(validate, "run_cell", fake_cell)
    assert cli.main([*arguments(weights), "--json"]) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    found = json.loads(captured.out)
    assert found["cells"] == {"finished": 10, "total": 10}
    assert found["results"][0]["excess"]["finetuned"]["8"] > 0


@pytest.mark.usefixtures("undrawn")
def test_resumed_equals_uninterrupted(folder, weights, monkeypatch, capfd):
    monkeypatch.setattr(validate, "run_cell", fake_cell)
    assert cli.main(arguments(weights, "whole")) == 0
    calls = []

    def interrupted(room, cell, report=None):
        calls.append(cell)
        if len(calls) == MIDDLE:
            raise KeyboardInterrupt
        return fake_cell(room, cell)

    monkeypatch.setattr(validate, "run_cell", interrupted)
    assert cli.main(arguments(weights, "parts")) == 130
    message = capfd.readouterr().err
    assert "2 of 10 cells" in message
    assert "Traceback" not in message
    assert len(tables("parts")[0]["seed"]) == 2 * 6
    assert set(tables("whole")[1]["tier"]) == {"certified", "law", "rate"}
    assert cli.main(arguments(weights, "parts")) == 0
    assert len(calls) == 10 + 1
    for one, two in zip(tables("whole"), tables("parts"), strict=True):
        assert one.equals(two)
    assert cli.main(arguments(weights, "parts")) == 0
    assert len(calls) == 10 + 1


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_record_is_reported_and_made_again(
    folder, weights, monkeypatch, capfd
):
    monkeypatch.setattr(validate, "run_cell", fake_cell)
    assert cli.main(arguments(weights)) == 0
    before = tables("out")
    path = sorted((folder / "out" / "cells").iterdir())[0]
    path.write_text("{")
    assert cli.main(arguments(weights)[:-1]) == 0
    message = capfd.readouterr().err
    assert path.name in message
    assert "9 of 10 cells are finished already" in message
    assert all(a.equals(b) for a, b in zip(before, tables("out"), strict=True))
    assert json.loads(path.read_text())["risks"]


@pytest.mark.usefixtures("undrawn")
def test_other_settings_do_not_reuse_a_cell(folder, weights, monkeypatch):
    monkeypatch.setattr(validate, "run_cell", fake_cell)
    for extra in ([], ["--delta", ".1"], ["--preset", "quick"]):
        assert cli.main([*arguments(weights, seeds=1), *extra]) == 0
    values = tiny.demand()
    values[0, 0] += 1.0
    tiny.write_csv(folder / "good.csv", values)
    assert cli.main(arguments(weights, seeds=1)) == 0
    # presets differ in effort, which the default --data preset is full of
    assert len(list((folder / "out" / "cells").iterdir())) == 2 * 4


SLOW = """
import sys, time
sys.path.insert(0, {tests!r})
import cells
from ptft_jax import cli, plotting, validate
def slow(room, cell, report=None):
    time.sleep(0.5)
    return cells.fake_cell(room, cell)
validate.run_cell = slow
plotting.to_bytes = lambda figure, form: b""
sys.exit(cli.main({arguments!r}))
"""


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
)
def test_killed_in_the_middle_it_keeps_what_is_finished(
    folder, weights, monkeypatch, how, code
):
    tests = str(pathlib.Path(__file__).parent)
    program = SLOW.format(tests=tests, arguments=arguments(weights))
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    cells, deadline = folder / "out" / "cells", time.monotonic() + 60.0
    while time.monotonic() < deadline and len(list(cells.glob("*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == code
    kept = {p: p.read_bytes() for p in cells.glob("*.json")}
    assert 2 <= len(kept) < 10
    monkeypatch.setattr(validate, "run_cell", fake_cell)
    assert cli.main(arguments(weights)) == 0
    assert all(path.read_bytes() == text for path, text in kept.items())
    assert len(tables("out")[0]) == 10 * 6


IN_A_CALLBACK = """
import gc, sys, time
from ptft_jax import cli

def interrupted(phase, info):
    gc.callbacks.remove(interrupted)
    raise KeyboardInterrupt

def worlds():
    gc.callbacks.append(interrupted)
    gc.collect()
    time.sleep(30.0)

cli.COMMANDS["worlds"] = worlds
sys.argv = ["ptft", "worlds"]
cli.run()
"""


def test_an_interrupt_in_a_callback_is_not_lost():
    command = [sys.executable, "-c", IN_A_CALLBACK]
    process = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert process.returncode == 130
    assert process.stderr == "interrupted\n"


def test_help_needs_no_heavy_import():
    program = (
        "import sys\nfrom ptft_jax import cli\n"
        "assert cli.main(['validate', '--help']) == 0\n"
        "assert not {'jax', 'polars', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    for option in ("--data", "--quantile", "--observations", "--seeds", "--preset"):
        assert option in done.stdout


def test_worlds_and_info_are_listed(weights, capfd):
    assert cli.main(["worlds", "--json"]) == 0
    assert "gamma_poisson" in json.loads(capfd.readouterr().out)
    assert cli.main(["worlds"]) == 0
    assert "gamma_poisson" in capfd.readouterr().out
    assert cli.main(["info", "--json", "--weights", weights]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["weights"]["width"] == tiny.NETWORK.width
    assert {"versions", "device"} <= set(found)
    assert cli.main(["info", "--weights", weights]) == 0
    assert "jax" in capfd.readouterr().out
    with checkpoint.shipped("pricing") as path:
        assert cli.main(["info", "--json", "--weights", str(path)]) == 0
        network = catalog.load("pricing", str(path))[0]
    found = json.loads(capfd.readouterr().out)
    assert found["weights"]["width"] == network.width


def test_pretrain_keeps_its_state_until_it_is_done(folder, monkeypatch, capfd):
    def run(network, config, key, *, path, report):
        assert config.num_steps == 40
        path.touch()
        report(20, 0.5)
        if not stops:
            return tiny.params(), [0.5]
        raise stops.pop()

    monkeypatch.setattr(pretrain, "run", run)
    monkeypatch.setattr("ptft_jax.commands.others.Network", lambda: tiny.NETWORK)
    stops = [KeyboardInterrupt()]
    line = ["pretrain", "--out", "w.safetensors", "--steps", "40"]
    assert cli.main(line) == 130
    assert "--resume" in capfd.readouterr().err
    assert listing(folder) == ["good.csv", "w.safetensors.state"]
    assert cli.main(line) == 2
    assert cli.main([*line, "--resume"]) == 0
    assert listing(folder) == ["good.csv", "w.safetensors"]
    capfd.readouterr()
    assert cli.main(["info", "--json", "--weights", "w.safetensors"]) == 0
    assert json.loads(capfd.readouterr().out)["weights"]["made_by"]["steps"] == 40


def test_a_real_run_from_the_command_line(folder, weights, monkeypatch, capfd):
    monkeypatch.setitem(lab.EFFORTS, "full", tiny.EFFORT)
    assert cli.main(arguments(weights, seeds=1)) == 0
    risks, bounds = tables("out")
    assert set(risks["n"]) == {8, 12}
    assert np.isfinite(risks["excess"].to_numpy()).all()
    assert set(bounds["tier"]) == {"certified", "law"}
    assert not os.listdir(folder / "out" / "cells") == []


@pytest.mark.parametrize("code", [0, 2, 130])
def test_an_interrupted_program_leaves_without_waiting_for_threads(monkeypatch, code):
    left = []
    monkeypatch.setattr(cli, "main", lambda: code)
    monkeypatch.setattr("os._exit", left.append)
    with pytest.raises(SystemExit) as stop:
        cli.run()
    assert stop.value.code == code
    assert left == ([130] if code == 130 else [])


def test_a_reader_that_leaves_gets_no_traceback():
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "ptft_jax", "worlds"]
    done = subprocess.run(line, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (cli.PIPE_CLOSED, "")
