import csv
import json
import pathlib
import re
import subprocess
import sys

import pytest
from arena_settings import SMALL

from ptft_jax import arena_figures, cli, plotting
from theory import arena, controls

BOUNDS = """
import math
from theory import certificates

def good(told):
    return certificates.hoeffding(told.losses, told.delta)

def wrong(told):
    spread = math.sqrt(-math.log(told.delta) / (4 * told.n))
    return {"mean": told.losses.mean(), "total": told.losses.mean() + spread}

def nan(told):
    return math.nan

def text(told):
    return "0.3"

def raises(told):
    return 1.0 / told.radius

def by_norms(told):
    return sum(told.parameter_norms) / told.radius

def ends(told):
    raise SystemExit(3)

def changes(told):
    told.losses[0] = 0.0
    return 1.0

class Kept:
    bound = staticmethod(good)

number = 3
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "bounds_to_judge", raising=False)
    monkeypatch.setitem(arena.PRESETS, "quick", SMALL)
    less = SMALL._replace(counts=(), experts=(100,), replications=9)
    monkeypatch.setattr(arena, "CONTROL_SETTINGS", less)
    pathlib.Path("bounds_to_judge.py").write_text(BOUNDS)
    pathlib.Path("broken_to_judge.py").write_text("def (:\n")
    pathlib.Path("ending_to_judge.py").write_text("raise SystemExit('done')\n")
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr(plotting, "to_bytes", lambda figure, form: b"")


def judge(name, *options):
    line = ["arena", f"bounds_to_judge:{name}", "--preset", "quick", *options]
    return cli.main(line)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_good_bound_is_valid_and_everything_is_written(place, undrawn, capfd):
    assert judge("good") == 0
    captured = capfd.readouterr()
    assert captured.out.splitlines()[-1] == "verdict: valid"
    assert "rank" in captured.out
    assert "stock-out: done" in captured.err
    out = place / "results" / "arena" / "bounds_to_judge.good"
    made = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert made == {
        "violations.csv",
        "tightness.csv",
        "controls.csv",
        "verdict.txt",
        "manifest.json",
        "figures/arena.png",
        "figures/arena.pdf",
    }
    assert {row["delta"] for row in rows(out / "violations.csv")} == {"0.05"}
    sizes = rows(out / "tightness.csv")
    assert {row["bound"] for row in sizes} > {"bounds_to_judge.good", "betting"}
    assert all(float(row["ratio"]) > 1.0 for row in sizes if row["rank"] == "6")
    tried = rows(out / "controls.csv")
    assert len({row["control"] for row in tried}) == 9
    assert (out / "verdict.txt").read_text().endswith("\nverdict: valid\n")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["settings"]["replications"] == SMALL.replications


def test_a_wrong_bound_is_rejected_with_exit_code_0(place, undrawn, capfd):
    assert judge("wrong", "--quiet", "--out", "here") == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    (line,) = captured.out.splitlines()
    assert line.startswith("verdict: rejected — Bernoulli, every ")
    assert "violation rate" in line
    assert "p-value 0 (exact)" in line
    assert all(row["rank"] == "" for row in rows(place / "here" / "tightness.csv"))


def test_json_is_for_machines(place, undrawn, capfd):
    assert judge("Kept.bound", "--json", "--quiet") == 0
    captured = capfd.readouterr()
    found = json.loads(captured.out)
    assert (found["valid"], found["verdict"]) == (True, "valid")
    assert found["calls"] > 250
    assert {"rate", "delta", "where"} <= set(found["worst"])
    assert found["sizes"][0]["rank"] >= 1
    assert captured.err == ""


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("bounds_to_judge", "given as MODULE:FUNCTION, got 'bounds_to_judge'"),
        (":good", "given as MODULE:FUNCTION"),
        ("no_such_module:good", "cannot import no_such_module: ModuleNotFoundError"),
        ("broken_to_judge:good", "cannot import broken_to_judge: SyntaxError"),
        ("ending_to_judge:good", "cannot import ending_to_judge: SystemExit: done"),
        ("bounds_to_judge:absent", "bounds_to_judge has no absent"),
        ("bounds_to_judge:number", "bounds_to_judge:number is no function but int"),
        ("bounds_to_judge:nan", "the bound returned NaN at n = "),
        ("bounds_to_judge:text", "the bound returned '0.3', no number at n = "),
        ("bounds_to_judge:raises", "the bound raised TypeError at n = "),
        ("bounds_to_judge:by_norms", "the bound raised TypeError at n = "),
        ("bounds_to_judge:ends", "the bound raised SystemExit at n = "),
        ("bounds_to_judge:changes", "raised ValueError at n = 40, delta = 0.05: assig"),
    ],
)
def test_what_cannot_be_judged_gets_one_message_and_writes_nothing(
    place, capfd, bound, message
):
    before = sorted(path.name for path in place.iterdir())
    assert cli.main(["arena", bound, "--preset", "quick", "--quiet"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    left = {path.name for path in place.iterdir()} - {"__pycache__"}
    assert sorted(left) == before


def test_a_folder_that_is_a_file_is_refused_first(place, capfd):
    (place / "file").write_text("")
    assert judge("good", "--out", "file") == 2
    assert "--out file is a file, a folder is needed" in capfd.readouterr().err


def test_the_example_for_contributors_is_valid(place, undrawn, capfd, monkeypatch):
    guide = pathlib.Path(__file__).parents[1] / "CONTRIBUTING.md"
    find = r"```python\n(# mybounds.*?)```"
    (code,) = re.findall(find, guide.read_text(), re.DOTALL)
    assert len(code.splitlines()) <= 15
    (place / "mybounds.py").write_text(code)
    monkeypatch.delitem(sys.modules, "mybounds", raising=False)
    assert cli.main(["arena", "mybounds:mine", "--preset", "quick", "--quiet"]) == 0
    assert capfd.readouterr().out == "verdict: valid\n"


def test_help_needs_no_heavy_import():
    program = (
        "import sys\nfrom ptft_jax import cli\n"
        "assert cli.main(['arena', '--help']) == 0\n"
        "assert not {'jax', 'scipy', 'matplotlib', 'theory'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    words = ("MODULE:FUNCTION", "--preset", "--json", "verdict: valid", "exit code 2")
    for word in words:
        assert word in done.stdout


def test_the_figure_shows_every_control_and_names_its_axes():
    tried = arena.run(lambda told: 1.0, name="one", settings=SMALL)
    case = tried.cases[0]._replace(rate=0.4)
    names = tuple(controls.CONTROLS)
    figure = arena_figures.draw(tried, {name: [case] for name in names}, "one")
    left, right = figure.subfigs
    (rates,) = left.axes
    labels = rates.get_legend_handles_labels()[1]
    assert {f"control: {name}" for name in names} < set(labels)
    assert "δ" in rates.get_xlabel()
    assert "probability" in rates.get_ylabel()
    assert len(right.axes) == 6
    assert "risk" in right.axes[0].get_ylabel()
    assert right.axes[-1].get_xlabel() == "instances n"
    assert plotting.to_bytes(figure, "png").startswith(b"\x89PNG")
