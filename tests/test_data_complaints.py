"""Reading demand: everything wrong is said at once."""

import pytest
import reading

from ptft_jax import data


def test_everything_wrong_is_said_at_once(read):
    message = reading.complaint(
        read,
        "date,a,b,b,c,d,e,f\n"
        '2025-01-01,x,-3,1,5,,inf,1\n2025-01-02,"1,5",2,2,5,,3,2\n'
        "2025-01-02,3,2,4,5,7,4,#REF!\n2025-01-04,3,2\n\nTotal,9,9,9,5,,9,1e40\n",
    )
    for expected in [
        "demand.csv: 11 problems",
        "row 2, column 2 ('a'): 'x' is not a number",
        "row 3, column 2 ('a'): '1,5' has a decimal comma",
        "row 4, column 8 ('f'): '#REF!' is not a number",
        "row 2, column 3 ('b'): '-3' is negative",
        "row 2, column 7 ('e'): 'inf' is infinite",
        "row 7, column 8 ('f'): '1e40' is larger than 1e+30",
        "columns 3, 4: all are named 'b'",
        "row 5: 3 cells where the header has 8",
        "row 4, column 1 ('date'): '2025-01-02' is already on row 3",
        "row 7, column 1 ('date'): 'Total' is not a time like the others",
        "column 5 ('c'): constant, all 4 observations are 5",
        "What to do:",
        "drop_unusable",
    ]:
        assert expected in message
    assert "column 6" not in message  # the ragged row may hold its 2nd observation


def test_everything_wrong_in_a_long_file(read):
    message = reading.complaint(
        read,
        "instance,value,time,quantile,price\n"
        "a,1,1,.9,2\na,2,1,.9,2\nb,3,1,95,2\nb,4,2,.8,\n,5,x,.5,3\n"
        "c,1,1,.5,-1\nc,2,2,.6,1\nd,7,1,,1\nd,7,,,1\n",
    )
    for expected in [
        "11 problems",
        "row 6, column 1 ('instance'): it is blank",
        "row 10, column 3 ('time'): it is blank",
        "row 6, column 3 ('time'): 'x' is not a time like the others",
        "row 3: instance 'a' at time '1' is already on row 2",
        "row 4, column 4 ('quantile'): '95' is not strictly between 0 and 1",
        "instance 'b' (from row 4): its quantile is 0.8 and also 95",
        "instance 'c' (from row 7): its quantile is 0.5 and also 0.6",
        "instance 'd' (from row 9): its quantile is blank",
        "row 7, column 5 ('price'): '-1' is a negative price",
        "instance 'd' (from row 9): constant, all 2 observations are 7",
        "instance '' (from row 6): 1 observation, at least 2 are needed",
    ]:
        assert expected in message


def test_a_long_file_of_other_names_is_told_apart_from_a_wide_one(read):
    days = [f"{day:02}.01.2026" for day in range(1, 29)]
    rows = "".join(f"{name};{day};1,5\n" for name in "AB" for day in days)
    message = reading.complaint(read, "Artikel;Datum;Menge\n" + rows)
    assert "1 problem" in message
    assert "column 2 ('Datum'): dates where a wide file" in message
    assert "'instance', 'value' and 'time'" in message
    rows = "".join(f"{day};{name};1\n" for name in ("Hut", "Hose") for day in days)
    message = reading.complaint(read, "Datum;Artikel;Menge\n" + rows)
    assert "column 2 ('Artikel'): text instead of demand" in message


def test_long_lists_are_cut_but_counted_and_no_kind_is_hidden(read):
    rows = "".join(f"x{i},1\n" for i in range(60))
    message = reading.complaint(read, "a,b\n" + rows)
    assert "62 problems" in message
    assert message.count("is not a number") == 18
    assert "column 1 ('a'): text instead of demand" in message
    assert "column 2 ('b'): constant, all 60 observations are 1" in message
    assert "and 42 more" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("a,b\n", "no rows below the header"),
        ("date\n2025-01-01\n2025-01-02\n", "no other column follows"),
        ("a,b\n1,\xe9\n".encode("latin-1"), "row 2: byte 0xe9 is not valid UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "not UTF-8"),
        (b"PK\x03\x04rest", "Excel"),
        (b"PAR1rest", "Parquet file is damaged"),
        ('a,b\n1,"2\n3,4\n', "row 2: a quotation mark is not closed"),
        ("a,,b\n1,2,3\n2,3,4\n", "column 2: it has no name"),
        ("1.5,2\n2.5,3\n3.5,4\n", "the header holds numbers"),
        ("a,b\n1,2\n2\n3,4,5\n4,3\n", "row 3: 1 cell where the header has 2"),
        ("a;b\n1,5;2\n2;3\n3;4\n", "'1,5' has a decimal comma"),
        ('a,b\n"1,234.5",2\n2,3\n3,4\n', "'1,234.5' has a decimal comma or a thousand"),
        ("a;b\n1.000;8\n2.800;2\n800;4\n", "'2.800' may be a thousand times as much"),
        ("instance,1,2\na,1.200,300\n", "'1.200' may be a thousand times as much"),
        ("instance,value\na,1.200\na,3\n", "'1.200' may be a thousand times as much"),
        ("a,b\n-2,1\n3,2\n", "add returns back"),
        ("a,b\n-,1\n3,2\n", "where a mark such as - means none, write 0"),
        ("instance,price,units\na,1,2\na,2,1\n", "--problem pricing"),
        ("instance,estimate,variance\na,1,2\n", "--problem gaussian_means"),
        (
            "instance,time,value,store\na,1,2,x\na,1,3,y\na,2,2,x\na,2,4,y\n",
            "name instances by 'store' as well",
        ),
        ("a\ninf\ninf\n3\n", "row 3, column 1 ('a'): 'inf' is infinite"),
        ("a,b\n0,1\n0,2\n", "column 1 ('a'): constant, all 2 observations are 0"),
        ("a,b\n1,1\n,2\n", "column 1 ('a'): 1 observation, at least 2 are needed"),
        ("instance,value\na,1\na,2\nb,3\n", "instance 'b' (from row 4): 1 observation"),
    ],
)
def test_what_cannot_be_used_is_refused(read, text, expected):
    assert expected in reading.complaint(read, text)


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(data.DataError, match="no such file"):
        data.read(tmp_path / "nothing.csv")
    with pytest.raises(data.DataError, match="is a directory"):
        data.read(tmp_path)


def test_everything_wrong_in_rows_that_are_instances(read):
    message = reading.complaint(
        read,
        "instance,1,2,price,quantile\na,1,2,1,.9\nb,x,3,1,.9\na,5,-6,2,\n"
        ",1,2,3,.5\nc,4,,,2\n",
    )
    for expected in [
        "row 5, column 1 ('instance'): it is blank",
        "row 4, column 1 ('instance'): 'a' is already on row 2",
        "row 4, column 5 ('quantile'): it is blank",
        "row 6, column 5 ('quantile'): '2' is not strictly between 0 and 1",
        "column 4 ('price'): is no period",
        "row 3, column 2 ('1'): 'x' is not a number",
        "row 4, column 3 ('2'): '-6' is negative",
        "row 6: instance 'c': 1 observation, at least 2 are needed",
    ]:
        assert expected in message
