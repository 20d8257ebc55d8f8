"""Files of decisions other than the newsvendor's: names, order, sizes, options."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from ptft_jax import options
from ptft_jax.commands import common
from ptft_jax.commands import problem as command
from ptft_jax.commands.decide import DecideOptions
from ptft_jax.errors import UsageError
from ptft_jax.method import catalog, decide
from ptft_jax.pricing import baselines
from ptft_jax.problems import problem
from ptft_jax.tables import load
from ptft_jax.tables.problems import DataError


def read(tmp_path, name, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return catalog.PROBLEMS[name].read(load.frame_of(path)[0])


def test_names_stay_as_they_are_written(tmp_path):
    ids = ("007", "7", "0", "000", " a ")
    text = "instance,price,units\n" + "".join(f"{i},{k},5\n" for i in ids for k in "12")
    seen, names = read(tmp_path, "pricing", text)
    assert names == ["007", "7", "0", "000", "a"]
    np.testing.assert_array_equal(seen.valid.sum(1), 2)
    text = "instance,estimate,variance\n0,1,1\n1,2,1\n"
    assert read(tmp_path, "gaussian_means", text)[1] == ["0", "1"]


def test_fractions_and_text_may_come_late(tmp_path):
    text = "instance,price,units\n" + "1,2,3\n" * 150 + "A2,2,2.5\n"
    seen, names = read(tmp_path, "pricing", text)
    assert names == ["1", "A2"]
    assert float(seen.units[1, 0]) == 2.5


@pytest.mark.parametrize(
    ("times", "last"),
    [
        (("9", "10", "8"), 2.0),
        (("2024-09-01", "2024-10-01", "2024-08-31"), 2.0),
        # neither day nor month is certain to be first: the order of the rows
        (("9/1/2024", "10/1/2024", "11/1/2024"), 3.0),
        (("spring", "summer", "autumn"), 3.0),
        # these can be read in one way only
        (("9/1/2024", "31/10/2024", "11/1/2024"), 2.0),
        (("9/1/2024", "10/31/2024", "11/1/2024"), 3.0),
        (("1.10.2024", "30.9.2024", "2.9.2024"), 1.0),
        (("1.2.24", "30.9.23", "2.9.23"), 1.0),
        # not all years have four digits
        (("1.2.24", "30.9.23", "2.9.2023"), 3.0),
    ],
)
def test_the_last_price_is_last_in_time(tmp_path, times, last):
    rows = [f"a,{price},5,{time}\n" for price, time in zip("123", times, strict=True)]
    text = "instance,price,units,time\n" + "".join(rows)
    seen, _ = read(tmp_path, "pricing", text)
    assert float(baselines.last_price(seen)[0]) == last


def test_any_separator_and_spaces_in_the_header(tmp_path):
    seen, _ = read(tmp_path, "pricing", "instance; price; units\na; 1; 3\na; 2; 2\n")
    np.testing.assert_allclose(seen.units, [[3.0, 2.0]])


def test_demand_that_is_missing_is_the_period_to_stock_for(tmp_path):
    text = "instance,value,price\na,3,1\na,NA,2\nb,4,1\nb,,2\n"
    seen, names = read(tmp_path, "contextual", text)
    assert names == ["a", "b"]
    np.testing.assert_allclose(seen.demand, [[3.0], [4.0]])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pricing", "instance,price,price,units\na,1,1,2\n", "all are named 'price'"),
        ("pricing", "instance,price,units\na,1\n", "row 2: 2 cells where"),
        ("pricing", "", "the file is empty"),
        ("pricing", "instance,price,units\na,1e-50,2\n", "row 2: price is 1e-50"),
        ("pricing", "instance,price,units\na,1e300,2\n", r"row 2: price is 1e\+300"),
        ("contextual", "instance,value,x\na,1e39,2\na,,2\n", r"row 2: value is 1e\+39"),
        ("gaussian_means", "instance,estimate,variance\na,1,1e-60\n", "row 2: var"),
        ("gaussian_means", "instance,estimate,variance\na,1e10,1\n", "row 2: est"),
        ("gaussian_means", "instance,estimate,variance\n,1,1\n", "row 2: its instance"),
        (
            "gaussian_means",
            "instance,estimate,variance\na,1e5,4\nb,-1e6,4\n",
            r"(?s)1 problem.*row 3: estimate -1e\+06 with sd 2",
        ),
        (
            "allocation",
            "instance,estimate,variance,cost,budget\na,1e8,1,1,2\n,1,1,1,2\n",
            r"(?s)row 3: its instance is blank.*row 2: estimate is 1e\+08",
        ),
        ("allocation", "instance,estimate,variance,cost\na,1,1,1\n", "no budget"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, text, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, name, text)


OPTIONS = DecideOptions(
    file="table.csv",
    quantile=None,
    out="decisions.csv",
    finetune=False,
    observations=options.USUAL_OBSERVATIONS,
    delta=0.05,
    seed=0,
)


@pytest.mark.parametrize(
    ("change", "reading"),
    [
        ({"quantile": 0.9}, common.Reading()),
        ({"observations": 4}, common.Reading()),
        ({}, common.Reading(min_positive=3)),
        ({}, common.Reading(drop_unusable=True)),
    ],
)
def test_options_of_demand_are_refused(change, reading):
    with pytest.raises(UsageError, match="of demand, not of pricing"):
        command.decide(
            "pricing", OPTIONS._replace(**change), reading, None, True, False
        )


CONTEXTUAL = "instance,value,price\n" + "".join(
    f"{name},{value},{price}\n"
    for name in "ab"
    for value, price in ((3, 1), (5, 2), ("", 1))
)


def test_a_critical_ratio_is_told_or_said(tmp_path):
    path = tmp_path / "stock.csv"
    path.write_text(CONTEXTUAL)
    asked = OPTIONS._replace(file=str(path))
    seen, _, notes = command.read("contextual", asked, common.Reading())
    np.testing.assert_allclose(seen.quantile, 0.9)
    assert any("no critical ratio is given: 0.9 is taken" in note for note in notes)
    asked = asked._replace(quantile=0.75)
    seen, _, notes = command.read("contextual", asked, common.Reading())
    np.testing.assert_allclose(seen.quantile, 0.75)
    assert notes == []
    with pytest.raises(UsageError, match="--quantile is 75"):
        command.read("contextual", asked._replace(quantile=75.0), common.Reading())
    table = pl.read_csv(path).with_columns(quantile=pl.lit(0.5))
    table.write_csv(path)
    assert (
        float(
            command.read("contextual", asked._replace(quantile=None), common.Reading())[
                0
            ].quantile[0]
        )
        == 0.5
    )
    with pytest.raises(UsageError, match="has a column quantile"):
        command.read("contextual", asked, common.Reading())


def test_only_products_with_a_period_to_leave_out_are_judged(tmp_path):
    path = tmp_path / "stock.csv"
    path.write_text(CONTEXTUAL + "c,4,1\nc,,2\n")
    seen, *_ = command.read(
        "contextual", OPTIONS._replace(file=str(path)), common.Reading()
    )
    judged = problem.judged(catalog.PROBLEMS["contextual"], seen)
    np.testing.assert_array_equal(judged, [True, True, False])


def test_one_long_price_log_needs_no_table_of_pairs(tmp_path):
    rows = [f"p{i},{1 + i % 3},2\n" for i in range(500) for _ in range(2)]
    rows += [f"p0,{1 + k % 7},2\n" for k in range(3000)]
    seen, _ = read(tmp_path, "pricing", "instance,price,units\n" + "".join(rows))
    # three thousand columns for each product and for each of its pairs were 4.5 GB
    np.testing.assert_array_equal(seen.menu[0], np.arange(7.0, 0.0, -1.0))
    np.testing.assert_array_equal(seen.menu[1], [2.0, *[0.0] * 6])


def test_products_whose_prices_nothing_was_learnt_of_are_named(tmp_path):
    text = "instance,price,units\na,1,0\na,2,0\nb,1,5\nb,1,4\nc,1,5\nc,2,0\n"
    seen, names = read(tmp_path, "pricing", text)
    unsold, one_price, no_cost = catalog.PROBLEMS["pricing"].remarks(seen, names)
    assert unsold == "1 product never sold, any price is as good: 'a'"
    assert one_price.startswith("1 product charged one price only")
    assert one_price.endswith(": 'b'")
    assert "unit_cost" in no_cost
    text = "instance,price,units,unit_cost\nc,1,5,.5\nc,2,0,.5\n"
    told = read(tmp_path, "pricing", text)
    assert catalog.PROBLEMS["pricing"].remarks(*told) == []


def test_a_bad_file_is_named_and_nothing_is_written(tmp_path):
    path, out = tmp_path / "prices.csv", tmp_path / "out.csv"
    path.write_text("instance,price,units\na,0,2\n")
    asked = OPTIONS._replace(file=str(path), out=str(out))
    with pytest.raises(DataError, match=r"prices\.csv, prices and sales: 1 problem"):
        command.decide("pricing", asked, common.Reading(), None, True, False)
    assert not out.exists()


def test_a_reader_of_ones_own_may_fail_in_a_line(tmp_path, monkeypatch):
    mine = dataclasses.replace(
        catalog.PROBLEMS["pricing"], read=lambda table: table["price"].cast(pl.Float64)
    )
    monkeypatch.setitem(catalog.PROBLEMS, "mine", mine)
    path = tmp_path / "prices.csv"
    asked = OPTIONS._replace(file=str(path), out=str(tmp_path / "out.csv"))
    for text, said in (("instance\na\n", '"price" not found'), ("price\nx\n", "'x'|x")):
        path.write_text(text)
        with pytest.raises(DataError, match=rf"prices\.csv.*{said}"):
            command.decide("mine", asked, common.Reading(), None, True, False)


def test_weights_that_are_not_shipped_say_how_to_make_them(monkeypatch):
    world = catalog.PRETRAINED["pricing"]
    monkeypatch.setitem(catalog.PRETRAINED, "mine", world)
    with pytest.raises(UsageError, match="pretrain --problem mine --out FILE"):
        catalog.load("mine")


def test_parquet_keeps_its_types(tmp_path):
    path = tmp_path / "table.parquet"
    frame = pl.DataFrame({"instance": [0, 1], "estimate": [1.5, 2.0], "variance": 1})
    frame.write_parquet(path)
    seen, names = catalog.PROBLEMS["gaussian_means"].read(load.frame_of(path)[0])
    assert names == ["0", "1"]
    np.testing.assert_allclose(seen.estimate, [1.5, 2.0])


def test_a_decision_that_is_no_number_is_never_returned(tmp_path):
    text = "instance,estimate,variance\na,1,1\nb,2,1\n"
    seen, names = read(tmp_path, "gaussian_means", text)
    odd = dataclasses.replace(
        catalog.PROBLEMS["gaussian_means"],
        baselines={"odd": lambda seen: seen.estimate / 0.0},
    )
    network, params = catalog.load("gaussian_means")
    with pytest.raises(DataError, match="2 numbers of column 'odd'"):
        decide.decide(odd, network, params, seen, names, config=None)
