"""Reading demand: what is accepted, and what is noted."""

import contextlib
import os
import pathlib

import numpy as np
import polars as pl
import pytest
import reading
from hypothesis import given, settings
from hypothesis import strategies as st

from ptft_jax import data
from ptft_jax.tables import parse_csv
from ptft_jax.tables.problems import Problems

SHARED = pathlib.Path(
    os.environ.get("PTFT_DATA", pathlib.Path(__file__).parents[2] / "shared" / "data")
)
NAN = np.nan


def assert_table(table, instances, values):
    assert table.instances == instances
    np.testing.assert_array_equal(table.values, np.array(values, float))


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,\n2,3\n,5\n",
        "a,b\r\n1,\r\n2,3\r\n,5",
        "a,b\r1,\r2,3\r,5\r",
        "\ufeffa,b\n1,\n2,3\n,5\n",
        "\n a , b \n\n 1 , \n2,3\n,5\n\n",
        '"a","b"\n1,""\n2,"3"\n,5\n',
        "a;b\n1;\n2;3\n;5\n",
        "a\tb\n1\t\n2\t3\n\t5\n",
        "a,b\n1,NA\n2,3\nnull,5\n",
        "t,a,b\n0,1,\n1,2,3\n2,,5\n",
        ",a,b\n0,1,\n1,2,3\n2,,5\n",
        "sold on,a,b\n2025-01-01,1,\n2025-01-02,2,3\n2025-01-03,,5\n",
        "Date,a,b\n2025-01-03,,5\n2025-01-01,1,\n2025-01-02,2,3\n",
        "t,a,b\n3,,5\n2,2,3\n1,1,\n",
        "instance,value\na,1\nb,NA\na,2\nb,3\na,\nb,5\n",
        "VALUE,Time,Instance\n5,10,b\n1,2,a\n3,9,b\n2,9,a\n",
        "instance,value,time\nb,5,2025-03\na,1,2025-01\nb,3,2025-02\na,2,2025-02\n",
    ],
)
def test_one_table_in_many_spellings(read, text):
    table = read(text)
    if table.instances == ["b", "a"]:  # a long file orders by first appearance
        table = table._replace(instances=["a", "b"], values=table.values[:, ::-1])
    assert_table(table, ["a", "b"], [[1, NAN], [2, 3], [NAN, 5]])


def test_notes_count_what_was_decided(read):
    table = read("a;b\n1;NA\n\n2;3\nn/a;5\n;6\n")
    assert table.notes == [
        "wide form: 2 instances × 4 periods",
        "cells are separated by ';'",
        "1 blank line skipped",
        "1 blank cell of demand read as missing",
        "2 cells of demand read as missing (text such as NA)",
    ]
    table = read("instance,value,promotion\na,1,0\na,2,1\n")
    assert "columns not used: 'promotion'" in table.notes


def test_filters_leave_out_and_say_so(read):
    text = "a,b,c,d,e\n1,0,7,,1\n2,0,7,,2\n3,4,7,5,\n"
    table = read(text, drop_unusable=True)
    assert table.instances == ["a", "b", "e"]
    assert "1 instance with fewer than 2 observations left out: 'd'" in table.notes
    assert "1 instance with all observations equal left out: 'c'" in table.notes
    table = read(text, complete_only=True, min_positive=2, drop_unusable=True)
    assert table.instances == ["a"]
    assert "2 instances with a missing period left out: 'd', 'e'" in table.notes
    assert any("fewer than 2 positive" in note for note in table.notes)
    assert "no instance is left" in reading.complaint(read, text, min_positive=9)


def test_parquet_reads_as_csv(tmp_path, read):
    frame = pl.DataFrame({"a": [1.5, None, 3.0], "b": [1, 2, 3], "c": [NAN, 0.1, 0.2]})
    frame.write_parquet(tmp_path / "demand.parquet")
    table = data.read(tmp_path / "demand.parquet")
    assert_table(table, ["a", "b", "c"], [[1.5, 1, NAN], [NAN, 2, 0.1], [3, 3, 0.2]])


def test_portfolio_packs_observations_in_time_order(read):
    table = read("t,a,b,c\n0,,4,1\n1,2,,2\n2,,5,3\n3,3,,\n")
    portfolio = data.to_portfolio(table, 0.9)
    np.testing.assert_array_equal(
        portfolio.observations, [[2, 3, 0], [4, 5, 0], [1, 2, 3]]
    )
    np.testing.assert_array_equal(portfolio.num_observed, [2, 2, 3])
    np.testing.assert_array_equal(portfolio.quantile, np.full(3, 0.9, np.float32))
    for quantile in [None, 0.0, 1.0, 95.0]:
        with pytest.raises(data.DataError):
            data.to_portfolio(table, quantile)


def test_portfolio_takes_quantile_and_last_price_of_the_file(read):
    table = read(
        "instance,time,value,price,quantile\n"
        "a,1,5,1,.5\na,2,6,2,.5\na,3,,9,.5\nb,1,1,4,.75\nb,3,2,,.75\n"
        "c,1,1,,.5\nc,2,3,,.5\n"
    )
    portfolio = data.to_portfolio(table)
    np.testing.assert_array_equal(portfolio.price, [2.0, 4.0, np.nan])
    np.testing.assert_array_equal(portfolio.quantile, [0.5, 0.75, 0.5])
    assert any("price" in note for note in table.notes)
    with pytest.raises(data.DataError, match="two quantiles are given"):
        data.to_portfolio(table, 0.9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(*[st.none() | st.floats(0, 1e9)] * 3), min_size=1, max_size=6
    ).filter(lambda rows: any(x is not None for row in rows for x in row))
)
def test_the_fast_and_the_careful_parser_agree(rows):
    lines = [",".join("" if x is None else repr(x) for x in row) for row in rows]
    fast, careful = (
        parse_csv.parse("\n".join([header, *lines]), Problems(pathlib.Path("x")))
        for header in ("a,b,c", '"a",b,c')
    )
    assert fast.header == careful.header
    np.testing.assert_array_equal(fast.rows, careful.rows)
    assert fast.cells.fill_null("").equals(careful.cells)
    numbers = fast.cells.cast(pl.Float64).to_numpy().reshape(3, -1).T
    np.testing.assert_array_equal(numbers, np.array(rows, float))


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("rossmann_daily_adjsales.csv", {}, (629, 1115)),
        ("carparts.csv", {}, (51, 2674)),
        ("carparts.csv", {"complete_only": True, "min_positive": 10}, (51, 1347)),
    ],
)
def test_public_data(name, options, shape):
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not in {SHARED.name}; set PTFT_DATA to its directory")
    table = data.read(SHARED / name, **options)
    assert table.values.shape == shape
    raw = pl.read_csv(SHARED / name, infer_schema_length=None)
    expected = raw.select(table.instances).cast(pl.Float64).to_numpy()
    np.testing.assert_array_equal(table.values, expected)


@pytest.mark.parametrize(
    "text",
    [
        "instance,1,2,3\na,1,2,\nb,,3,5\n",
        "2025-01-03,Instance,2025-01-01,2025-01-02\n,a,1,2\n5,b,,3\n",
        "instance,week 1,week 2,week 3\na,1,2,NA\nb,,3,5\n",
    ],
)
def test_rows_may_be_instances(read, text):
    assert_table(read(text), ["a", "b"], [[1, NAN], [2, 3], [NAN, 5]])


def test_rows_that_are_instances_may_have_quantiles(read):
    table = read("instance,1,quantile,2\na,1,.9,2\nb,3,.5,5\n")
    assert_table(table, ["a", "b"], [[1, 3], [2, 5]])
    np.testing.assert_array_equal(table.quantile, [0.9, 0.5])


def test_many_columns_read_as_few(read):
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(4, parse_csv.MOST_COLUMNS + 5)).round(6)
    header = ",".join(f"i{k}" for k in range(values.shape[1]))
    lines = [",".join(map(str, row)) for row in values]
    lines[1] = lines[1].replace(lines[1].split(",")[1], "", 1)
    values[1, 1] = NAN
    for text in ("\n".join([header, *lines]), "\r\n".join([header, *lines, ""])):
        table = read(text)
        np.testing.assert_array_equal(table.values, values)
        assert table.instances[-1] == f"i{values.shape[1] - 1}"
    bad = "\n".join([header, *lines]).replace(lines[2][-8:], "oops")
    assert f"column {values.shape[1]} (" in reading.complaint(read, bad)


def test_a_parquet_file_changed_anywhere_is_read_or_refused(tmp_path):
    path = tmp_path / "demand.parquet"
    pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 5.0, 1.0]}).write_parquet(path)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(50):
        changed = bytearray(content)
        for where in rng.integers(4, len(content), 3):
            changed[where] = rng.integers(256)
        path.write_bytes(bytes(changed))
        with contextlib.suppress(data.DataError):
            data.read(path)
