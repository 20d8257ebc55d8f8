"""Bounds of a user's own beside the library's."""

import csv
import importlib
import json
import pathlib
import sys

import jax
import numpy as np
import pytest
import tiny

from ptft_jax import bound_figures, certify, cli, lab, own_bounds, own_rows
from ptft_jax.aggregate import Mean
from ptft_jax.crossfit import Scores
from ptft_jax.errors import UsageError
from ptft_jax.method import certify as certify_any
from ptft_jax.method.crossfit import Half
from ptft_jax.own_rows import Fold, Judged
from theory import certificates

BOUNDS = """
import math
import jax
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

def range_begins(told):
    return {"total": 0.5, "range_begins": 0.1}

def late(told):
    if told.n > 8:
        jax.config.update("jax_default_prng_impl", "rbg")
    return 0.5

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


def judged(begins=(None, None), sizes=(30, 20), scales=(2.0, 5.0)):
    """Two folds of cross-fitting, as a record gives them back."""
    draw, n = np.random.default_rng(0), sum(sizes)
    folds = tuple(
        Fold(draw.beta(1, 4, k), b, k / n, least)
        for k, b, least in zip(sizes, scales, begins, strict=True)
    )
    made = Judged("finetuned", folds, DELTA, DELTA / 2, 0.1)
    return own_rows.from_record(json.loads(json.dumps(own_rows.to_record(made))))


def values(rows):
    """Terms by name of each bound."""
    found = {}
    for row in rows:
        name = row["bound"].removeprefix("finetuned_bounds_of_mine:")
        found.setdefault(name, {})[row["term"]] = row["value"]
    return found


def test_a_bound_of_ones_own_is_used_as_the_librarys(place, capsys):
    given = judged()
    scores = tuple(
        Scores({"saa": b * c, "finetuned": b * c}, b, {}) for c, b, _, _ in given.folds
    )
    library = {s.name: s for s in certify.cost_bounds(scores, "finetuned", DELTA)}
    found = values(own_rows.rows(given, named(*NAMES)))
    betting = library["finetuned_betting"]
    assert found["betting"]["total"] == pytest.approx(betting.value, rel=1e-12)
    assert found["betting"]["empirical"] == pytest.approx(betting.empirical, rel=1e-12)
    parts = found["parts"]
    total = parts.pop("total")
    assert total == pytest.approx(sum(parts.values()), rel=1e-12)
    assert parts["mean"] == pytest.approx(betting.empirical, rel=1e-12)
    assert parts["kl"] == 0.0  # the policy of a fold has not seen the other
    # δ is halved, and each fold counts in its own unit: (30·2 + 20·5)/50
    assert parts["rest"] == pytest.approx(DELTA / 2 * 3.2, rel=1e-12)
    # no more than the range is ever said, and terms that are no numbers are left out
    for name in ("nothing", "huge"):
        assert found[name]["total"] == pytest.approx(3.2)
        assert set(found[name]) == {"total", "empirical", "deviation"}
    assert set(found["described"]) == {"total", "setting_rate"}
    assert found["described"]["setting_rate"] == pytest.approx(0.25)
    printed = capsys.readouterr()
    assert (printed.out, "hello" in printed.err) == ("", True)


def test_a_range_of_costs_may_begin_anywhere(place):
    begins = (-2.0, -1.0)
    given = judged(begins, scales=(3.0, 5.0))
    halves = tuple(
        Half(np.arange(len(c)), np.arange(len(c)), {}, least, least + wide, 1.0)
        for c, wide, _, least in given.folds
    )
    costs = [{"pretrained": least + b * c} for c, b, _, least in given.folds]
    library = certify_any.statements(costs, halves, DELTA)
    found = values(own_rows.rows(given, named(*NAMES)))
    assert found["betting"]["total"] == pytest.approx(library[0].value, rel=1e-12)
    parts = found["parts"]
    total = parts.pop("total")
    assert total == pytest.approx(sum(parts.values()), rel=1e-12)
    assert parts["range_begins"] == pytest.approx((30 * -2.0 + 20 * -1.0) / 50)
    assert found["nothing"]["total"] == pytest.approx((30 * 1.0 + 20 * 4.0) / 50)


def test_a_mixture_is_bounded_by_its_candidates(place):
    draw = np.random.default_rng(1)
    candidates = [draw.beta(1, 3, 40) for _ in range(3)]
    weights = (0.5, 0.2, 0.3)
    folds = tuple(Fold(c, 2.0, w) for c, w in zip(candidates, weights, strict=True))
    given = Judged("tuned", folds, DELTA, DELTA / 3, 0.0)
    (total, *_) = own_rows.rows(given, named("betting"))
    each = [2.0 * certificates.betting(c, DELTA / 3) for c in candidates]
    assert total["value"] == pytest.approx(np.dot(weights, each), rel=1e-12)
    assert (total["delta"], total["holds"]) == (DELTA, True)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("bounds_of_mine:nan", "the bound returned NaN at n = 8"),
        ("bounds_of_mine:least", "the bound returned -inf"),
        ("bounds_of_mine:random", "bounds_of_mine:random is random"),
        ("bounds_of_mine:betting,", "MODULE:FUNCTION, got ''"),
        ("bounds_of_mine:range_begins", "the term range_begins is the table's own"),
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
    folds = Fold(np.zeros(4), 1.0, 0.5), Fold(np.ones(4), 1.0, 0.5)
    given = Judged("saa", folds, DELTA, DELTA / 2, 0.0)
    with pytest.raises(UsageError, match=r"it names other terms .* high, low"):
        own_rows.rows(given, named("moody"))


def test_a_setting_that_a_bound_changes_later_is_refused_too(place):
    before = jax.config.jax_default_prng_impl
    try:
        with pytest.raises(UsageError, match="late sets jax_default_prng_impl = rbg"):
            own_rows.rows(judged(), named("late"))
    finally:
        jax.config.update("jax_default_prng_impl", before)


@pytest.mark.usefixtures("undrawn")
def test_it_is_in_the_tables_and_on_the_screen(place, weights, monkeypatch, capfd):
    monkeypatch.setitem(lab.EFFORTS, "quick", tiny.EFFORT)
    line = ["validate", "--world", "lognormal", "--n", "8", "--observations", "3"]
    line += ["--seeds", "1", "--preset", "quick", "--weights", weights, "--out", "made"]
    assert cli.main(line) == 0
    own = "bounds_of_mine:parts,bounds_of_mine:betting"
    capfd.readouterr()
    assert cli.main([*line, "--bound", own]) == 0
    shown = capfd.readouterr()
    assert "1 of 1 cells are finished already" in shown.err
    assert "finetuned, bounds_of_mine:parts" in shown.out
    with pathlib.Path("made/bounds.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if ":" in row["bound"]]
    name = "finetuned_bounds_of_mine:parts"
    terms = {row["term"] for row in rows if row["bound"] == name}
    assert terms == {"total", "mean", "kl", "rest"}
    assert {row["tier"] for row in rows} == {"certified"}
    assert "MODULE:FUNCTION" in pathlib.Path("made/report.html").read_text()
    manifest = json.loads(pathlib.Path("made/manifest.json").read_text())
    before = manifest["bounds"]
    assert (set(before), len(manifest["cells"]["computed"])) == (set(own.split(",")), 0)
    # an edited bound is judged on the cells that there are
    edited = BOUNDS.replace('"rest": told.delta, "total": mean', '"total": 2.0 * mean')
    pathlib.Path("bounds_of_mine.py").write_text(edited + "# edited\n")
    monkeypatch.delitem(sys.modules, "bounds_of_mine")
    importlib.invalidate_caches()
    assert cli.main([*line, "--bound", own]) == 0
    with pathlib.Path("made/bounds.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["bound"] == name]
    assert [row["term"] for row in rows] == ["total", "mean", "kl"]
    manifest = json.loads(pathlib.Path("made/manifest.json").read_text())
    assert manifest["bounds"] != before
    assert manifest["cells"]["computed"] == []


def test_figures_show_it_beside_the_others():
    found = {"finetuned_betting": {8: Mean(1.0, 0.0, 1, ())}}
    own = {f"{policy}_m:f": {} for policy in ("finetuned", "pretrained")}
    shown = bound_figures.certified_in(found | own)
    assert list(shown) == ["finetuned_betting", "finetuned_m:f"]
    assert shown["finetuned_m:f"][0] == "m:f"
