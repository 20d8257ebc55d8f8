import itertools

import jax.numpy as jnp
import numpy as np
import own
import pytest
import tiny

from ptft_jax import (
    baselines,
    bound_terms,
    data,
    empirical,
    lab,
    result_tables,
    sources,
    types,
    validate,
)

M, Q = 4, 0.9
REQUIRED = {
    "pretrained",
    "finetuned",
    "scratch",
    "saa",
    "pooled_loo",
    "shrunken_saa",
    "lognormal_eb",
    "global_qr",
    "full_information",
}


def table(values):
    names = [f"i{k}" for k in range(values.shape[1])]
    return data.Table(names, values, None, None, None, [])


def open_lab(source):
    return lab.open_lab(source, tiny.NETWORK, tiny.params(), tiny.EFFORT, 0.05)


@pytest.fixture(scope="module")
def continuous():
    return open_lab(sources.FileSource("made/up.csv", table(tiny.demand(30, 24))))


@pytest.fixture(scope="module")
def record(continuous):
    return validate.run_cell(continuous, sources.Cell("iid", 16, M, Q, 0))


def by_method(record):
    return {row["method"]: row for row in record["risks"]}


def test_a_bound_of_ones_own_is_told_what_the_librarys_is(record):
    own.check_betting(record, ("pretrained", "finetuned"))


def test_every_method_is_there_and_none_beats_full_information(record):
    rows = by_method(record)
    assert set(rows) >= REQUIRED
    assert not {"gamma_poisson_eb", "bayes"} & set(rows)
    assert rows["full_information"]["excess"] == 0.0
    for row in rows.values():
        assert row["cost"] >= row["cost_full"] > 0.0
        assert row["excess"] == pytest.approx(row["cost"] / row["cost_full"] - 1.0)
        assert row["wall_s"] >= 0.0


def test_a_baseline_costs_what_its_decisions_cost(continuous, record):
    drawn = continuous.source.draw(sources.Cell("iid", 16, M, Q, 0))
    x = np.asarray(baselines.saa(drawn.portfolio), np.float64)
    expected = float(drawn.cost(x).mean())
    assert by_method(record)["saa"]["cost"] == pytest.approx(expected)


def test_bounds_are_sums_of_their_terms_and_hold_where_they_do(record):
    found = {}
    for row in record["bounds"]:
        found.setdefault(row["bound"], {})[row["term"]] = row
    for policy in ("pretrained", "finetuned"):
        for name in ("hoeffding", "empirical_bernstein", "kl_chernoff", "betting"):
            assert f"{policy}_{name}" in found
    assert {"finetuned_gain_over_pretrained", "finetuned_gain_over_saa"} <= set(found)
    assert {"path_kl", "path_coin_betting", "path_drawn"} <= set(found)
    assert {"two_path_ball_0.1", "floor_finetuned", "saa_worst_case"} <= set(found)
    assert "mismatch_pretrained" in found
    assert "two_path" not in found  # nobody knows the Bayes policy of a file
    for name, terms in found.items():
        total = terms.pop("total")
        parts = sum(
            row["value"] for row in terms.values() if not bound_terms.is_setting(row)
        )
        assert total["value"] == pytest.approx(parts)
        above = total["value"] >= total["risk"]
        is_gain = "_gain_" in name and not name.endswith("_share_cut")
        assert total["holds"] == ((not above) if is_gain else above)
        assert set(total) >= set(result_tables.BOUNDS) - {"world", *record["cell"]}


def test_a_floor_is_a_law_and_not_above_what_is_certified(record):
    rows = {r["bound"]: r for r in record["bounds"] if r["term"] == "total"}
    for policy in ("pretrained", "finetuned"):
        floor = rows[f"floor_{policy}"]
        assert floor["tier"] == "law"
        assert floor["risk"] <= floor["value"]
    certified = {name for name, row in rows.items() if row["tier"] == "certified"}
    assert not any(name.startswith(("floor", "saa_")) for name in certified)
    assert rows["saa_worst_case"]["risk"] == by_method(record)["saa"]["cost"]


def test_the_same_cell_gives_the_same_record(continuous, record):
    def timeless(value):
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if k != "wall_s"}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    other = sources.Cell("iid", 20, M, Q, 1)
    validate.run_cell(continuous, other)
    again = validate.run_cell(continuous, sources.Cell("iid", 16, M, Q, 0))
    assert timeless(again) == timeless(record)


def test_smaller_portfolios_are_the_first_part_of_larger_ones(continuous):
    draw = lambda n: continuous.source.draw(sources.Cell("iid", n, M, Q, 3))
    small, large = draw(8), draw(20)
    np.testing.assert_array_equal(
        small.portfolio.observations, large.portfolio.observations[:8]
    )
    np.testing.assert_array_equal(small.full_information, large.full_information[:8])


def test_rolling_data_come_before_their_test():
    values = np.arange(40.0)[:, None] + 100.0 * np.arange(1, 6)
    source = sources.FileSource("ramp.csv", table(values))
    cell = sources.Cell("rolling", 5, M, Q, 0)
    drawn = source.draw(cell)
    seen = np.asarray(drawn.portfolio.observations, np.float64)
    np.testing.assert_allclose(np.diff(seen, axis=1), 1.0)
    # the next ten periods, of which the ninth is the .9-quantile
    np.testing.assert_allclose(drawn.full_information, seen[:, -1] + 9.0)
    again = source.fresh(cell, 0)
    assert set(again.full_information) == set(drawn.full_information)


def test_whole_numbers_bring_the_count_baselines():
    values = np.random.default_rng(0).poisson(3.0, (30, 24)).astype(float)
    room = open_lab(sources.FileSource("counts.csv", table(values)))
    rows = by_method(validate.run_cell(room, sources.Cell("iid", 16, M, Q, 0)))
    assert set(rows) >= REQUIRED | {"gamma_poisson_eb", "npmle_negbin"}


def test_a_world_has_bayes_and_its_population_is_of_the_same_law(monkeypatch):
    monkeypatch.setattr(sources, "FRESH_INSTANCES", 256)
    room = open_lab(sources.WorldSource("gamma_poisson"))
    cell = sources.Cell("iid", 16, M, Q, 0)
    drawn, fresh = room.source.draw(cell), room.source.fresh(cell, 0)
    assert {"bayes", "hierarchical_bayes"} <= set(drawn.references)
    assert drawn.is_whole
    x = np.asarray(drawn.full_information) + 1.0
    assert (drawn.cost(x) >= drawn.cost(drawn.full_information)).all()
    assert fresh.portfolio.valid.shape == (256, M)
    wide = room.source.draw(sources.Cell("iid", 256, M, Q, 0))
    means = [float(d.portfolio.observations.mean()) for d in (wide, fresh)]
    spread = float(wide.portfolio.observations.mean(1).std()) / 256**0.5
    assert abs(means[0] - means[1]) < 4 * 2**0.5 * spread


@pytest.mark.parametrize("name", ["gamma_poisson", "lognormal"])
def test_portfolios_of_a_world_are_nested(name):
    source = sources.WorldSource(name)
    few, many = (
        source.draw(sources.Cell("iid", n, M, Q, 1)).portfolio.observations
        for n in (64, 200)
    )
    np.testing.assert_array_equal(few, many[:64])


def test_a_left_out_cost_is_over_what_was_not_seen():
    # all the ways to draw 3 of 6 in order, the last of them left out
    columns = np.array(
        [[1.0, 2.0, 4.0, 8.0, 9.0, 11.0], [0.0, 0.0, 0.0, 5.0, 5.0, 7.0]]
    ).T
    orders = np.array(list(itertools.permutations(range(6), 3)))
    source = sources.FileSource("made/up.csv", table(columns))
    truth = source.fresh(sources.Cell("iid", 2, 3, Q, 0), 0)
    total, by_hand = np.zeros(2), np.zeros(2)
    for order in orders:
        seen = jnp.asarray(columns[order].T, jnp.float32)
        drawn = truth._replace(portfolio=types.portfolio(seen, Q))
        x = np.asarray(seen[:, :2].mean(1), np.float64)
        total += drawn.left_out_cost(x, np.array([2, 2]))
        over = x - columns[order[2]]
        by_hand += np.maximum(-Q * over, (1 - Q) * over)
    np.testing.assert_allclose(total, by_hand, rtol=1e-6)


def test_under_rolling_a_left_out_cost_is_of_the_period_itself():
    source = sources.FileSource("made/up.csv", table(tiny.demand(30, 24)))
    drawn = source.fresh(sources.Cell("rolling", 8, M, Q, 0), 0)
    x = np.full(24, 2.0)
    over = x - np.asarray(drawn.portfolio.observations[:, 1], np.float64)
    want = np.maximum(-Q * over, (1 - Q) * over)
    np.testing.assert_allclose(drawn.left_out_cost(x, np.ones(24, int)), want, 1e-5)


def test_the_population_has_every_column(continuous):
    fresh = continuous.source.fresh(sources.Cell("iid", 8, M, Q, 0), 0)
    other = continuous.source.fresh(sources.Cell("iid", 8, M, Q, 0), 1)
    assert fresh.portfolio.valid.shape == (24, M)
    assert (fresh.portfolio.observations != other.portfolio.observations).any()
    truth = empirical.from_columns(tiny.demand(30, 24))
    x = np.ones(24)
    np.testing.assert_allclose(fresh.cost(x), empirical.expected_cost(truth, x, Q))


def test_the_two_paths_are_bounded_where_bayes_is_known(monkeypatch):
    monkeypatch.setattr(sources, "FRESH_INSTANCES", 256)
    room = open_lab(sources.WorldSource("lognormal"))
    made = validate.run_cell(room, sources.Cell("iid", 16, M, Q, 0))
    rows = {r["term"]: r for r in made["bounds"] if r["bound"] == "two_path"}
    assert rows["total"]["tier"] == "certified"
    assert rows["total"]["holds"]
    parts = sum(row["value"] for term, row in rows.items() if term != "total")
    assert rows["total"]["value"] == pytest.approx(parts)
    assert rows["pretrain_excess"]["value"] > 0.0
    held = [r["holds"] for r in made["bounds"] if r["bound"].startswith("path_")]
    assert all(held)
