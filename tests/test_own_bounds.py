"""Bounds of a user's own beside the library's."""

import csv
import importlib
import pathlib
import sys

import jax
import numpy as np
import pytest
import tiny

from ptft_jax import (
    bound_figures,
    certify,
    cli,
    data,
    experiment,
    lab,
    own_bounds,
    sources,
)
from ptft_jax.aggregate import Mean
from ptft_jax.crossfit import Scores
from ptft_jax.errors import UsageError
from ptft_jax.method import certify as certify_any
from ptft_jax.method.crossfit import Half

BOUNDS = """
import math
import numpy as np
from theory import certificates

def betting(told):
    return certificates.betting(told.losses, told.delta)

def parts(told):
    mean = float(told.train_losses.mean())
    return {"mean": mean, "kl": told.kl, "rest": told.delta, "total": mean + told.delta}

def nothing(told):
    return math.inf

def nan(told):
    return {"part": 1.0, "total": math.nan}

def huge(told):
    return {"total": 1e308, "part": 1e308}

def my_share_cut(told):
    print("hello")
    return 0.5

def described(told):
    return {"total": 0.5, "method": "mine", "inf": math.inf, "setting_rate": 0.25}

def random(told):
    return np.random.default_rng().uniform()

def least(told):
    return -math.inf

def raises(told):
    return told.radius + 1.0

def moody(told):
    return {"total": 0.9, "low" if told.losses.mean() < 0.5 else "high": 1.0}

number = 3
"""
NAMES = ("betting", "parts", "nothing", "huge", "my_share_cut", "described")
DELTA = 0.1


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "bounds_of_mine", raising=False)
    pathlib.Path("bounds_of_mine.py").write_text(BOUNDS)
    importlib.invalidate_caches()
    return tmp_path


def named(*names):
    return own_bounds.load(",".join(f"bounds_of_mine:{name}" for name in names))


def folds(seed=0, sizes=(30, 20), scales=(2.0, 5.0)):
    draw = np.random.default_rng(seed)
    costs = [b * draw.beta(1, 4, n) for n, b in zip(sizes, scales, strict=True)]
    return tuple(
        Scores({"saa": c, "finetuned": c}, b, {})
        for c, b in zip(costs, scales, strict=True)
    )


def test_a_bound_of_ones_own_is_used_as_the_librarys(place, capsys):
    scores = folds()
    made = certify.cost_bounds(scores, "finetuned", DELTA, own=named(*NAMES))
    found = {statement.name.removeprefix("finetuned_"): statement for statement in made}
    mine = found["bounds_of_mine:betting"]
    assert mine.value == pytest.approx(found["betting"].value, rel=1e-12)
    assert mine.empirical == found["betting"].empirical
    parts = found["bounds_of_mine:parts"]
    assert parts.value == pytest.approx(sum(parts.terms.values()), rel=1e-12)
    assert parts.terms["mean"] == pytest.approx(parts.empirical, rel=1e-12)
    assert parts.terms["kl"] == 0.0  # the policy of a fold has not seen the other
    # δ is halved, and each fold counts in its own unit: (30·2 + 20·5)/50
    assert parts.terms["rest"] == pytest.approx(DELTA / 2 * 3.2, rel=1e-12)
    # no more than the range is ever said, and terms that are no numbers are left out
    for name in ("nothing", "huge"):
        assert found[f"bounds_of_mine:{name}"].value == pytest.approx(3.2)
        assert not found[f"bounds_of_mine:{name}"].terms
    assert found["bounds_of_mine:described"].terms == {"setting_rate": 0.25}
    assert not found["bounds_of_mine:my_share_cut"].is_share
    printed = capsys.readouterr()
    assert (printed.out, "hello" in printed.err) == ("", True)


def test_other_problems_take_the_same_bounds(place):
    halves = (
        Half(np.arange(30), np.arange(30), {}, -2.0, 1.0, 1.0),
        Half(np.arange(20), np.arange(20), {}, -1.0, 4.0, 1.0),
    )
    draw = np.random.default_rng(0)
    costs = [h.low + 3.0 * draw.beta(1, 4, h.others.size) for h in halves]
    found = [{"pretrained": c, "finetuned": c} for c in costs]
    made = certify_any.statements(found, halves, DELTA, named(*NAMES))
    own = {statement.name: statement for statement in made}
    betting = own["finetuned_betting"]
    mine = own["finetuned_bounds_of_mine:betting"]
    assert mine.value == pytest.approx(betting.value, rel=1e-12)
    assert (mine.policy, mine.share_cut) == ("finetuned", betting.share_cut)
    parts = own["finetuned_bounds_of_mine:parts"]
    assert parts.value == pytest.approx(sum(parts.terms.values()), rel=1e-12)
    assert parts.terms["range_begins"] == pytest.approx((30 * -2.0 + 20 * -1.0) / 50)
    high = (30 * 1.0 + 20 * 4.0) / 50
    assert own["finetuned_bounds_of_mine:nothing"].value == pytest.approx(high)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("bounds_of_mine:nan", "the bound returned NaN at n = 8"),
        ("bounds_of_mine:least", "the bound returned -inf"),
        ("bounds_of_mine:random", "bounds_of_mine:random is random"),
        ("bounds_of_mine:betting,", "MODULE:FUNCTION, got ''"),
        ("bounds_of_mine:raises", "the bound raised TypeError"),
        ("bounds_of_mine:number", "no function but int"),
        ("bounds_of_mine:absent", "has no absent"),
        ("bounds_of_mine", "MODULE:FUNCTION"),
        ("not_there:mine", "cannot import not_there"),
    ],
)
def test_what_is_no_bound_is_refused_before_anything_runs(
    place, path, complaint, capfd
):
    assert cli.main(["validate", "--bound", path, "--out", "made"]) == 2
    assert complaint in capfd.readouterr().err
    assert not pathlib.Path("made").exists()


def test_a_bound_may_not_change_what_all_results_depend_on(place):
    pathlib.Path("settles.py").write_text(
        "import jax\njax.config.update('jax_enable_x64', True)\n"
        "def mine(told):\n    print('hello')\n    return 1.0\n"
    )
    before = jax.config.jax_enable_x64
    try:
        with pytest.raises(UsageError, match="settles:mine sets jax_enable_x64 = True"):
            own_bounds.load("settles:mine")
    finally:
        jax.config.update("jax_enable_x64", before)


def test_terms_that_come_and_go_are_refused(place):
    low, high = (
        Scores({"saa": np.zeros(4)}, 1.0, {}),
        Scores({"saa": np.ones(4)}, 1.0, {}),
    )
    with pytest.raises(UsageError, match="bounds_of_mine:moody: it names other terms"):
        certify.cost_bounds((low, high), "saa", DELTA, own=named("moody"))


def test_an_edited_bound_is_another_run(place, monkeypatch):
    names = [f"i{k}" for k in range(24)]
    table = data.Table(names, tiny.demand(30, 24), None, None, None, [])
    source = sources.FileSource("made.csv", table)
    cell = sources.Cell("iid", 16, 4, 0.9, 0)
    given = (source, tiny.NETWORK, tiny.params(), tiny.EFFORT, 0.05)
    config = lambda own: experiment.config_of(lab.open_lab(*given, own), cell)
    before = config(named("parts"))
    assert before == config(named("parts"))
    assert before != config({}) != config(named("betting"))
    pathlib.Path("bounds_of_mine.py").write_text(BOUNDS + "\n# another\n")
    monkeypatch.delitem(sys.modules, "bounds_of_mine")
    assert before != config(named("parts"))


@pytest.mark.usefixtures("undrawn")
def test_it_is_in_the_tables_and_on_the_screen(place, weights, monkeypatch, capfd):
    monkeypatch.setitem(lab.EFFORTS, "quick", tiny.EFFORT)
    line = ["validate", "--world", "lognormal", "--n", "8", "--observations", "3"]
    line += ["--seeds", "1", "--preset", "quick", "--weights", weights, "--out", "made"]
    own = "bounds_of_mine:parts,bounds_of_mine:betting"
    assert cli.main([*line, "--bound", own]) == 0
    shown = capfd.readouterr().out
    assert "finetuned, bounds_of_mine:parts" in shown
    with pathlib.Path("made/bounds.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if ":" in row["bound"]]
    name = "finetuned_bounds_of_mine:parts"
    terms = {row["term"] for row in rows if row["bound"] == name}
    assert terms == {"total", "mean", "kl", "rest"}
    assert {row["tier"] for row in rows} == {"certified"}
    assert "MODULE:FUNCTION" in pathlib.Path("made/report.html").read_text()


def test_figures_show_it_beside_the_others():
    found = {"finetuned_betting": {8: Mean(1.0, 0.0, 1, ())}}
    own = {f"{policy}_m:f": {} for policy in ("finetuned", "pretrained")}
    shown = bound_figures.certified_in(found | own)
    assert list(shown) == ["finetuned_betting", "finetuned_m:f"]
    assert shown["finetuned_m:f"][0] == "m:f"
