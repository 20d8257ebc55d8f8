import math

import pytest

from ptft_jax import (
    aggregate,
    law_rows,
    path_figure,
    pretrain,
    result_tables,
)
from theory import laws, rates

BASE = {"world": "w", "protocol": "iid", "observations": 10, "quantile": 0.9}
DELTA = 0.05


def risks(over, n, seed):
    costs = {"bayes": 2.0, "full_information": 1.0}
    costs |= {name: 2.0 + excess for name, excess in over.items()}
    cell = {**BASE, "n": n, "seed": seed}
    return [{**cell, "method": name, "cost": c} for name, c in costs.items()]


def paths(pretrained, scratch, finetuned):
    names = ("pretrained", "scratch", "finetuned")
    return dict(zip(names, (pretrained, scratch, finetuned), strict=True))


TWO = [
    *risks(paths(0.1, 0.3, 0.08), 16, 0),
    *risks(paths(0.3, 0.5, 0.12), 16, 1),
    *risks(paths(0.1, 0.1, 0.05), 64, 0),
    *risks(paths(0.3, 0.1, 0.05), 64, 1),
]


def values(rows, bound):
    return {
        row["term"].removeprefix("setting_"): row["value"]
        for row in rows
        if row["bound"] == bound
    }


def test_the_harmonic_law_combines_means_over_seeds():
    found = law_rows.over_seeds(TWO, DELTA)
    assert len(found) == 4
    for seed, finetuned in ((0, 0.08), (1, 0.12)):
        rows = found[("w", "iid", 10, 0.9, 16, seed)]
        # means .2 and .4
        assert laws.harmonic(0.2, 0.4) == pytest.approx(0.4 / 3.0)
        assert values(rows, "harmonic") == pytest.approx(
            {"total": 0.4 / 3.0, "pretrained": 0.2, "scratch": 0.4}
        )
        total = next(r for r in rows if r["bound"] == "harmonic")
        assert total["tier"] == "law"
        assert total["risk"] == pytest.approx(finetuned)
        assert total["holds"]


def test_the_rates_are_scaled_to_the_fine_tuned_errors():
    found = law_rows.over_seeds(TWO, DELTA, 256)
    rows = found[("w", "iid", 10, 0.9, 64, 1)]
    fit = rates.fit_constant([16, 64], [0.1, 0.05], rates.data_pooling)
    # .1 at 16 and .05 at 64 are .4/√n exactly
    assert fit.constant == pytest.approx(0.4)
    assert values(rows, "rate_data_pooling")["total"] == pytest.approx(0.05)
    setting = values(rows, "rate_data_pooling")
    assert setting["constant"] == pytest.approx(0.4)
    assert setting["residual"] == pytest.approx(0.0, abs=1e-12)
    assert values(rows, "rate_universal_priors")["residual"] > 0.01
    assert {r["tier"] for r in rows if r["bound"].startswith("rate")} == {"rate"}


def test_the_rate_of_universal_priors_is_that_of_attending_without_fine_tuning():
    largest = pretrain.PretrainConfig().most_instances
    assert largest == 256
    sizes = (64, 256, 4096)
    rate = [2.5 * rates.universal_priors(n, largest) for n in sizes]
    cells = [
        row
        for n, excess in zip(sizes, rate, strict=True)
        for row in risks(paths(excess, 0.3, 1.0 / n), n, 0)
    ]
    for n, rows in law_rows.over_seeds(cells, DELTA, largest).items():
        setting = values(rows, "rate_universal_priors")
        assert setting["constant"] == pytest.approx(2.5)
        assert setting["residual"] == pytest.approx(0.0, abs=1e-9)
        total = next(r for r in rows if r["bound"] == "rate_universal_priors")
        assert total["risk"] == pytest.approx(rate[sizes.index(n[4])])
        assert total["value"] == pytest.approx(total["risk"])


@pytest.mark.parametrize("largest", [16, 64, 256])
def test_the_rate_of_universal_priors_ends_at_the_pretraining_portfolio(largest):
    found = law_rows.over_seeds(TWO, DELTA, largest)
    total = [
        values(found[("w", "iid", 10, 0.9, n, 0)], "rate_universal_priors")["total"]
        for n in (16, 64)
    ]
    ratio = rates.universal_priors(16, largest) / rates.universal_priors(64, largest)
    assert total[0] / total[1] == pytest.approx(ratio)
    assert (total[0] == total[1]) == (largest == 16)
    assert f"n_pre is {largest}" in law_rows.meaning(largest)["rate_universal_priors"]


def test_an_unknown_pretraining_has_no_rate_of_universal_priors():
    for rows in law_rows.over_seeds(TWO, DELTA).values():
        assert values(rows, "rate_data_pooling")
        assert not values(rows, "rate_universal_priors")
    assert "rate_universal_priors" not in law_rows.meaning(None)


def test_no_reference_no_law():
    without = [row for row in TWO if row["method"] != "bayes"]
    assert law_rows.over_seeds(without, DELTA) == {}


def test_a_mean_excess_below_zero_has_no_harmonic_law():
    cells = [*risks(paths(-0.1, 0.3, 0.1), 16, 0), *risks(paths(0.1, 0.1, 0.1), 64, 0)]
    found = law_rows.over_seeds(cells, DELTA)
    assert values(found[("w", "iid", 10, 0.9, 16, 0)], "harmonic") == {}
    assert values(found[("w", "iid", 10, 0.9, 64, 0)], "harmonic")
    one = law_rows.over_seeds(TWO[:8], DELTA)
    assert all(row["tier"] == "law" for rows in one.values() for row in rows)


def record(n, seed, excess):
    methods = risks(paths(*excess), n, seed)
    rows = [
        {
            "method": row["method"],
            "cost": row["cost"],
            "cost_full": 1.0,
            "excess": row["cost"] - 1.0,
            "wall_s": 0.0,
        }
        for row in methods
    ]
    bound = {"bound": "finetuned_betting", "tier": "certified", "term": "total"}
    bound |= {"value": 3.0, "risk": 2.0, "delta": DELTA, "holds": True}
    cell = {k: v for k, v in BASE.items() if k != "world"} | {"n": n, "seed": seed}
    made = {"world": "w", "cell": cell, "risks": rows, "bounds": [bound]}
    return {**made, "id": f"{n}-{seed}"}


def test_tables_have_the_laws_behind_each_cell_and_tiers_apart():
    records = [record(16, 0, (0.1, 0.3, 0.1)), record(64, 0, (0.1, 0.1, 0.05))]
    risks, bounds = result_tables.rows_of(records, 256)
    again = result_tables.rows_of(records[::-1], 256)
    assert (risks, bounds) == again
    assert [row["bound"] for row in bounds if row["n"] == 16][:2] == [
        "finetuned_betting",
        "harmonic",
    ]
    for tier, names in (
        ("certified", {"finetuned_betting"}),
        ("law", {"harmonic"}),
        ("rate", {"rate_data_pooling", "rate_universal_priors"}),
    ):
        assert set(aggregate.bound_values(bounds, tier=tier)[10, 0.9]) == names
    text = result_tables.to_csv(bounds, result_tables.BOUNDS)
    assert text.splitlines()[0] == ",".join(result_tables.BOUNDS)
    assert all(math.isfinite(row["value"]) for row in bounds)


def test_figures_tell_the_tiers_apart_by_line_style():
    records = [record(16, 0, (0.1, 0.3, 0.1)), record(64, 0, (0.4, 0.1, 0.05))]
    figure = path_figure.draw(*result_tables.rows_of(records), "w")
    styles: dict = {}
    for line in figure.axes[0].get_lines():
        if ":" in str(line.get_label()):
            tier = line.get_label().split(":")[0]
            styles.setdefault(tier, set()).add(line.get_linestyle())
    assert styles["law"] == {"-."}
    assert not styles["law"] & styles["rate"]
    texts = [text.get_text() for text in figure.axes[0].texts]
    # ln(scratch/pretrained) goes from ln 3 at 16 to −ln 4 at 64
    star = 16.0 * 4.0 ** (math.log(3) / math.log(12))
    assert texts == [f"n* = {star:.0f}"]
