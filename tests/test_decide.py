import csv
import json

import numpy as np
import polars as pl
import pytest
import tiny

from ptft_jax import baselines, cli, data, decide, decision_table

COLUMNS = ["instance", "decision", "decision_pretrained", "saa", "mean", "observations"]


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ptft_jax.commands.decide.FinetuneConfig", lambda: tiny.BRIEF)
    weights = tiny.write_weights(tmp_path / "w.safetensors")

    def call(*options, values=None):
        if values is not None:
            tiny.write_csv(tmp_path / "sales.csv", values)
        line = ["decide", "sales.csv", "--weights", str(weights), *options]
        assert cli.main(line) == 0
        with open(tmp_path / "decisions.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        return rows, capfd.readouterr()

    return call


def test_one_row_an_instance_and_certificates_on_stdout(run):
    values = tiny.demand(4)
    rows, captured = run("--quantile", ".9", values=values)
    assert list(rows[0]) == COLUMNS
    assert [row["instance"] for row in rows] == [f"i{k}" for k in range(12)]
    for k, row in enumerate(rows):
        assert float(row["mean"]) == pytest.approx(values[:, k].mean(), rel=1e-4)
        assert float(row["saa"]) == pytest.approx(values[:, k].max(), rel=1e-4)
        assert int(row["observations"]) == 4
        assert float(row["decision"]) >= 0.0
    for text in (
        "certified cost bound: at most",
        "certified gain over pretrained",
        "certified gain over SAA",
        "cut",
        "unbounded",
    ):
        assert text in captured.out
    assert "periods" in captured.err


def test_without_finetuning_the_pretrained_network_decides(run):
    rows, captured = run("--quantile", ".9", "--no-finetune", values=tiny.demand(4))
    assert all(row["decision"] == row["decision_pretrained"] for row in rows)
    assert "gain over pretrained" not in captured.out
    assert "certified cost bound" in captured.out


def test_machines_get_json_only(run):
    values = tiny.demand(4)
    _, captured = run("--quantile", ".9", "--json", "--quiet", values=values)
    assert captured.err == ""
    found = json.loads(captured.out)
    assert found["instances"] == 12
    bound = found["certified_cost_bound"]
    assert bound["value"] >= bound["measured"] > 0.0
    assert found["delta"] == 0.05
    assert 0.0 <= bound["share_cut"] <= bound["share_cut_bound"] <= 1.0


def test_the_same_file_gives_the_same_decisions(run):
    first, _ = run("--quantile", ".9", values=tiny.demand(4))
    second, _ = run("--quantile", ".9")
    assert first == second


def test_quantiles_may_come_from_the_file(run, tmp_path):
    lines = ["instance,value,quantile"]
    lines += [f"a{k},{v:.3f},{q}" for k, q in ((0, 0.5), (1, 0.75)) for v in (1, 2, 4)]
    (tmp_path / "sales.csv").write_text("\n".join(lines))
    rows, captured = run("--no-finetune")
    assert [float(row["saa"]) for row in rows] == [2.0, 4.0]
    assert "no certificate" in captured.out


def test_few_instances_are_decided_without_certificate(run):
    rows, captured = run("--quantile", ".9", values=tiny.demand(4, 3))
    assert len(rows) == 3
    assert all(np.isfinite(float(row["decision"])) for row in rows)
    assert "no certificate" in captured.out


def test_a_bound_that_says_hardly_anything_is_named(run):
    _, captured = run("--quantile", ".9", values=tiny.demand(6, 4))
    assert "too few instances to say more" in captured.out


def test_demand_whose_order_matters_is_noted(run):
    level = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1, (12, 40)), axis=0))
    assert "neighbouring periods" in run("--quantile", ".9", values=level)[1].out


def test_demand_that_moves_together_is_noted(run):
    shared = np.exp(np.random.default_rng(0).normal(0, 1, (8, 1))) * tiny.demand(8)
    assert "moves together" in run("--quantile", ".9", values=shared)[1].out
    alone = run("--quantile", ".9", values=tiny.demand(8))[1].out
    assert "moves together" not in alone
    assert "neighbouring" not in alone


def test_only_the_most_recent_observations_are_used(run):
    values = tiny.demand(9)
    rows, captured = run("--quantile", ".9", "--observations", "4", values=values)
    assert {row["observations"] for row in rows} == {"4"}
    assert float(rows[0]["mean"]) == pytest.approx(values[-4:, 0].mean(), rel=1e-4)
    assert "the last" in captured.out


def test_recent_skips_blanks():
    values = np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, 4.0], [5.0, np.nan]])
    table = data.Table(["a", "b"], values, None, None, None, [])
    kept, notes = decide.recent(table, 2)
    expected = [[np.nan] * 2, [np.nan, 2.0], [3.0, 4.0], [5.0, np.nan]]
    np.testing.assert_array_equal(kept.values, expected)
    assert len(notes) == 1
    assert decide.recent(table, 3) == (table, [])


def test_saa_in_the_file_is_that_of_the_baselines(run):
    values = tiny.demand(4)
    rows, _ = run("--quantile", ".6", "--no-finetune", values=values)
    table = data.Table([""] * 12, values.round(4), None, None, None, [])
    expected = baselines.saa(data.to_portfolio(table, 0.6))
    found = [float(row["saa"]) for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_parquet_in_and_out_is_as_csv(run, tmp_path):
    values = tiny.demand(4).round(4)
    options = ["--quantile", ".9", "--no-finetune", "--quiet"]
    rows, _ = run(*options, values=values)
    frame = pl.DataFrame({f"i{k}": values[:, k] for k in range(12)})
    frame.write_parquet(tmp_path / "sales.csv")
    run(*options, "--out", "decisions.parquet")
    written = pl.read_parquet(tmp_path / "decisions.parquet")
    assert written.columns == COLUMNS
    for name in COLUMNS[1:]:
        np.testing.assert_array_equal(written[name], [float(r[name]) for r in rows])


def test_numbers_are_written_with_7_digits_and_no_more():
    rng = np.random.default_rng(0)
    x = np.append(rng.lognormal(0.0, 10.0, 10_000), [0.0, 1e-20, 1e25, 123456789.0])
    shown = decision_table.rounded(x)
    np.testing.assert_array_equal(shown, [float(f"{v:.7g}") for v in x])


def test_an_unwritable_place_leaves_nothing_behind(run, tmp_path, capfd):
    run("--quantile", ".9", "--no-finetune", values=tiny.demand(4))
    before = sorted(tmp_path.rglob("*"))
    weights = str(tmp_path / "w.safetensors")
    line = ["decide", "sales.csv", "--quantile", ".9", "--weights", weights]
    assert cli.main([*line, "--no-finetune", "--out", "sales.csv/x.csv"]) == 2
    assert "sales.csv" in capfd.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
