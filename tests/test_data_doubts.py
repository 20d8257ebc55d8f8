"""Reading demand: what is doubtful in a file is noted, or left as it stands."""

import numpy as np
import polars as pl
import pytest
import reading

from ptft_jax import data


def test_pairs_without_a_row_are_counted(read):
    table = read("instance,time,value\na,1,1\na,2,2\na,3,1\nb,1,3\nb,3,4\n")
    assert any(note.startswith("1 of 6 pairs of instance") for note in table.notes)
    table = read("instance,time,value\na,1,1\na,2,2\nb,1,3\nb,2,4\n")
    assert not any("have no row" in note for note in table.notes)


@pytest.mark.parametrize(("last", "is_total"), [((6, 3, 9), True), ((6, 3, 8), False)])
def test_a_total_is_pointed_at(read, last, is_total):
    rows = zip((1, 2, ""), (5, 1, 9), last, strict=True)
    table = read("a,b,all\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    assert any("('all') is the sum of all" in n for n in table.notes) == is_total


@pytest.mark.parametrize(
    "rows",
    [
        ("1.250;800", "3.125;9"),
        ("1.250;5", "0;7"),
        ("1.250;3", "0.250;2"),
        ("1.125;4", "2.5;6"),
        ("1.125;4", "3;6"),
    ],
)
def test_decimals_are_no_thousands(read, rows):
    table = read("a;b\n" + "\n".join(rows))
    expected = [[float(cell) for cell in row.split(";")] for row in rows]
    np.testing.assert_array_equal(table.values, expected)


def test_decimals_of_parquet_are_no_thousands(tmp_path):
    kilos = pl.Series(["1.250", "3.000", "7"]).cast(pl.Decimal(10, 3))
    path = tmp_path / "demand.parquet"
    pl.DataFrame({"kilos": kilos, "pieces": [12, 800, 3]}).write_parquet(path)
    table = data.read(path)
    np.testing.assert_array_equal(table.values[:, 0], [1.25, 3.0, 7.0])


@pytest.mark.parametrize(
    "labels",
    [
        ("Januar 2025", "Februar 2025", "März 2025", "April 2025", "Mai 2025"),
        ("jan 2025", "feb 2025", "mars 2025", "april 2025", "maj 2025"),
        ("1 januari 2025", "1 februari 2025", "1 maart 2025", "1 april 2025"),
        ("March 2025", "April 2025", "Easter 2025", "May 2025"),
        ("Marathon 2010", "Open 2011", "Marathon 2012"),
    ],
)
def test_periods_in_other_words_stay_in_the_order_of_the_file(read, labels):
    rows = "".join(f"{label},{k},1\n" for k, label in enumerate(labels))
    table = read("month,a,b\n" + rows + "later,9,2\n")
    assert table.values[:-1, 0].tolist() == list(range(len(labels)))
    assert any("file order" in note for note in table.notes)


def test_a_number_of_the_row_tells_no_instances_apart(read):
    rows = "".join(f"{k},a,{k // 2},{k}\n" for k in range(8))
    message = reading.complaint(read, "transaction,instance,time,value\n" + rows)
    assert "name instances by" not in message


def test_copies_of_one_another_are_no_total(read):
    table = read("a,b,c\n1,1,0\n2,2,0\n5,5,0\n", drop_unusable=True)
    assert not any("sum of all" in note for note in table.notes)


def test_empty_ends_of_a_sheet_are_left_out(read):
    table = read("day,a,b,,\n2025-01-01,1,2,,\n2025-01-02,2,3,,\n,,,,\n,,,,\n")
    assert table.instances == ["a", "b"]
    np.testing.assert_array_equal(table.values, [[1, 2], [2, 3]])
    assert any(n.startswith("2 columns and 2 rows at the end") for n in table.notes)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("1/2/2025", "31/1/2025"),
        ("14-Mar-26", "2-Apr-25"),
        ("1 february 2026", "14 Mar 2025"),
        ("Feb 2026", "October 2025"),
    ],
)
def test_dates_with_one_reading_are_put_in_order(read, later, earlier):
    table = read(f"day,a\n{later},2\n{earlier},1\n")
    np.testing.assert_array_equal(table.values[:, 0], [1.0, 2.0])
    assert not any("file order" in note for note in table.notes)


def test_dates_that_are_not_used_are_pointed_at(read):
    days = ("2025-01-01", "2025-01-02")
    rows = [f"{name},{days[k]},{k}\n" for name in "ab" for k in (0, 1)]
    text = "instance,date,value\n" + "".join(rows)
    (note,) = [note for note in read(text).notes if "name it 'time'" in note]
    assert note.startswith("column 2 ('date') looks like dates")
    assert not any(
        "'time'" in note for note in read(text.replace("date", "time")).notes
    )


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("day,a\n11/01/2025,1\n01/02/2025,2\n", "rows kept in file order"),
        ("week,a\n51,1\n52,2\n1,3\n", "rows kept in file order"),
        ("instance,value,time\na,1,Feb\na,2,Jan\n", "in which they first appear"),
        ("row,a\n1,5\n2,6\n3,7\n", "counts up by 1 and is read as an instance"),
    ],
)
def test_doubts_are_noted(read, text, note):
    table = read(text)
    np.testing.assert_array_equal(table.values[:, -1], np.sort(table.values[:, -1]))
    assert any(note in line for line in table.notes)
