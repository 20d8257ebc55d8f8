import json
import shutil

import numpy as np
import own
import polars as pl
import pytest

from ptft_jax import cli, own_bounds, own_rows, store
from ptft_jax.commands import paths as command
from ptft_jax.errors import UsageError
from ptft_jax.paths import curves, cut, run
from ptft_jax.paths.gradients import GradientConfig
from ptft_jax.paths.policy import PolicyConfig
from ptft_jax.paths.run import Part, Settings
from ptft_jax.paths.setups import Effort
from ptft_jax.progress import Silent
from theory import two_path

EFFORT = Effort(
    radii=(0.01, 0.1),
    path_radius=1,
    pool=1 << 14,
    far=1 << 11,
    gradient_seeds=2,
    gradient=GradientConfig(segments=2, steps=4, batch=16),
)
POLICY = PolicyConfig(
    width=16, num_latents=4, num_steps=20, batch=(4, 16), context_size=64
)
SETTINGS = Settings((32, 64, 128), 2, None, 0.05, POLICY, EFFORT)
PARTS = [Part("gaussian_means", 0.3), Part("contaminated", 0.5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("paths")


@pytest.fixture(scope="module")
def result(folder):
    return run.run(PARTS, SETTINGS, folder, Silent(), own.BETTING)


def test_terms_add_up(result):
    rows = [row for row in result.bounds if row["tier"] == "certified"]
    assert {row["bound"] for row in rows} >= {"two_path", "pac_bayes_path"}
    # nothing of a sample is in these: one row, not one for each n and seed
    for name in ("mismatch_cost", "pretrain_path"):
        for part in PARTS:
            mine = [r for r in curves.rows_of(result, part) if r["bound"] == name]
            assert [r["n"] for r in mine if r["term"] == "total"] == [""]
    for name in ("two_path", "two_path_paired"):
        for part in PARTS:
            mine = [r for r in curves.rows_of(result, part) if r["bound"] == name]
            found = curves.terms(mine, "value", "term", None)
            total = sum(found[term].seeds for term in two_path.TERMS)
            np.testing.assert_allclose(total, found["total"].seeds, rtol=1e-9)
            assert (np.diff(found["selection"].mean) < 0).all()
    for part in PARTS:
        mine = [r for r in curves.rows_of(result, part) if r["bound"] == cut.NAME]
        found = curves.terms(mine, "value", "term", None)
        parts = found["empirical"].seeds + found["deviation"].seeds
        np.testing.assert_allclose(parts, found["total"].seeds, rtol=1e-9)
        # what is bounded is the risk less what the cut takes off, which is little
        risk = curves.terms(mine, "risk", "term", "total")["total"].seeds
        whole = risk + found["setting_beyond"].seeds
        assert (whole >= result.facts[part]["bayes"]).all()
        assert (0.5 * whole < risk).all()
        assert (risk < found["setting_scale"].seeds).all()


def test_a_bound_of_ones_own_is_told_what_the_librarys_is(result, folder):
    for record in records(folder).values():
        own.check_betting(record, ("pretrained", "tuned"))
    totals = curves.totals(result, PARTS[0])
    assert {"pretrained_mine:betting", "tuned_mine:betting"} <= set(totals)


def test_a_bound_that_fails_leaves_the_tables_without_it(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    plain = run.run(PARTS, SETTINGS, tmp_path / "copy", Silent())
    before = [(copy / name).read_text() for name in ("risks.csv", "bounds.csv")]

    def fails(told):
        if told.n < 100:
            return 0.5
        raise RuntimeError("boom\non two lines")

    where = r"boom on two lines \(gaussian_means, mismatch 0.3, n = 128, seed = 0, "
    with pytest.raises(UsageError, match=where + "policy pretrained"):
        run.run(PARTS, SETTINGS, copy, Silent(), {"mine:fails": fails})
    after = [(copy / name).read_text() for name in ("risks.csv", "bounds.csv")]
    assert after == before
    assert len(plain.facts) == len(PARTS)


def test_no_law_or_rate_is_called_a_certificate(result):
    for row in result.bounds:
        assert row["tier"] in ("certified", "law", "rate")
        assert (row["holds"] == "") == (row["tier"] != "certified")


def test_regrets_are_positive_and_fit_the_costs(result):
    for part in PARTS:
        found = curves.curves(result, part)
        for method, curve in found.items():
            assert (curve.mean > -1e-6).all(), method
        assert (found["bayes"].mean == 0.0).all()
        # the pretrained policy is one policy: nothing of the sample is in it
        assert np.ptp(found["pretrained"].seeds) == 0.0
    full = {row["cost_full"] for row in result.risks if row["world"] == "contaminated"}
    assert len(full) == 1
    bayes = result.facts[PARTS[1]]["bayes"]
    assert full.pop() < bayes


def test_finished_parts_are_not_measured_again(result, folder, tmp_path, monkeypatch):
    before = (folder / "risks.csv").read_text()
    measured = []
    monkeypatch.setattr(run, "_measure", lambda *given: measured.append(given))
    again = run.run(PARTS, SETTINGS, folder, Silent(), own.BETTING)
    assert not measured
    assert (folder / "risks.csv").read_text() == before
    assert again.facts == result.facts
    table = pl.read_csv(folder / "bounds.csv")
    # nor for another bound, which takes the place of the first
    another = {"mine:empirical": lambda told: told.losses.mean()}
    copy = shutil.copytree(folder, tmp_path / "copy")
    rows = run.run(PARTS, SETTINGS, copy, Silent(), another).bounds
    found = {row["bound"] for row in rows if own_bounds.is_own(row["bound"])}
    assert found == {"pretrained_mine:empirical", "tuned_mine:empirical"}
    assert not measured
    assert table.columns == list(run.BOUNDS)
    assert table.columns[-1] == "mismatch"


def records(folder):
    """Of the finished parts."""
    found = store.find(folder, [run.config_of(p, SETTINGS) for p in PARTS])
    return {
        Part(**record["config"]["paths"]): record for record in found.records.values()
    }


def recorded(result):
    """A measurement in no time: the part's finished record."""
    by_part = records(result.folder)
    kept = ("risks", "bounds", "facts", own_rows.KEY)
    return lambda each, *given: {name: by_part[each][name] for name in kept}


def test_interrupted_run_goes_on_to_the_tables_of_a_whole_one(
    result, tmp_path, monkeypatch
):
    measured = []

    def stop(each, *given):
        measured.append(each)
        if each == PARTS[1] and len(measured) == 2:
            raise KeyboardInterrupt
        return recorded(result)(each)

    monkeypatch.setattr(run, "_measure", stop)
    with pytest.raises(KeyboardInterrupt):
        run.run(PARTS, SETTINGS, tmp_path, Silent(), own.BETTING)
    kept = pl.read_csv(tmp_path / "risks.csv")
    assert kept["world"].unique().to_list() == [PARTS[0].world]
    run.run(PARTS, SETTINGS, tmp_path, Silent(), own.BETTING)
    assert measured == [PARTS[0], PARTS[1], PARTS[1]]
    for name in ("risks.csv", "bounds.csv"):
        assert (tmp_path / name).read_text() == (result.folder / name).read_text()


def test_figures_are_written(result, tmp_path):
    command.write_figures(result._replace(folder=tmp_path))
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    wanted = ("paths", "terms", "bounds", "gain")
    assert names == {f"{name}.{form}" for name in wanted for form in ("png", "pdf")}


@pytest.mark.usefixtures("undrawn")
def test_command_prints_json(result, tmp_path, monkeypatch, capsys):
    tiny = command.Preset(SETTINGS.n, SETTINGS.seeds, 1, POLICY, EFFORT)
    monkeypatch.setitem(command.PRESETS, "quick", tiny)
    monkeypatch.setattr(run, "_measure", recorded(result))
    out = str(tmp_path / "out")
    line = ["paths", "--world", "gaussian_means", "--preset", "quick", "--out", out]
    assert cli.main([*line, "--quiet", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    claims = [v["claim"] for v in printed["verdicts"]]
    assert claims == 2 * ["C1"] + 3 * ["C2"] + 4 * ["C3"]
    assert (tmp_path / "out" / "report.txt").exists()


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        (["--world", "nowhere"], "nowhere"),
        (["--mismatch", "7"], "7"),
        (["--mismatch", "nan"], "nan"),
        (["--mismatch", "a"], "'a'"),
        (["--n", "3,32"], "3"),
        (["--n", "32,1000000"], "1000000"),
        (["--seeds", "0"], "0"),
        (["--delta", "1"], "1"),
        (["--observations", "0"], "0"),
    ],
)
def test_bad_input_gets_one_message_and_writes_nothing(
    extra, complaint, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["paths", *extra]) == 2
    message = capsys.readouterr().err
    assert complaint in message
    assert message.count("\n") == 1
    assert not list(tmp_path.iterdir())
