import numpy as np
import polars as pl
import pytest

from ptft_jax.contextual import table
from ptft_jax.tables.problems import DataError

GOOD = {
    "instance": ["b", "a", "b", "a", "b"],
    "value": [5.0, 7.0, None, None, 6.0],
    "price": [1.0, 2.0, 3.0, 2.0, 1.5],
    "promotion": [0, 1, 1, 0, 0],
}


def test_a_table_is_packed():
    seen, names = table.read(pl.DataFrame(GOOD))
    assert names == ["b", "a"]
    np.testing.assert_allclose(seen.demand, [[5, 6], [7, 0]])
    np.testing.assert_array_equal(seen.valid, [[True, True], [True, False]])
    np.testing.assert_allclose(seen.quantile, 0.9)
    # standardised: the blank rows are those to stock for
    assert float(seen.next_context[0, 0]) == pytest.approx(1.1 / 0.44**0.5, rel=1e-5)
    promoted, plain = map(float, seen.next_context[:, 1])
    assert promoted == pytest.approx(-1.5 * plain)
    assert (seen.context[..., 2:] == 0.0).all()


def test_all_that_is_wrong_is_said_at_once():
    bad = pl.DataFrame(
        {
            "instance": ["a", "a", "", "b", "b", "b", "c", "c"],
            "value": ["1", "", "2", "x", "", "", "-1", "3"],
            "time": [1, 1, 3, 1, 2, 3, 1, 2],
            "quantile": [0.9, 0.9, 0.9, 0.9, 0.8, 0.9, 1.5, 1.5],
            "price": ["1", "2", "?", "1", "2", "3", "1", "2"],
            "weekday": ["Mon"] * 8,
        }
    )
    with pytest.raises(DataError) as found:
        table.read(bad)
    for said in (
        "row 3: instance 'a' has a row of the same time 1 above",
        "row 4: its instance is blank",
        "row 5: value is 'x'",
        "row 6: quantile of 'b' is 0.8, but 0.9 in row 5",
        "row 8: value is -1",
        "row 8: quantile is 1.5",
        "row 4: 'price' is '?'",
        "column 'weekday' holds no numbers",
        "instance 'b': 2 rows with a blank value",
        "instance 'c': 0 rows with a blank value",
    ):
        assert said in str(found.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop("value"), "no column 'value'"),
        (lambda t: t.clear(), "no rows"),
        (lambda t: t.with_columns(value=pl.col("value") * 0), "no demand is above 0"),
        (
            lambda t: t.with_columns(**{f"x{k}": pl.lit(k) for k in range(5)}),
            "7 covariates",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(change, said):
    with pytest.raises(DataError, match=said):
        table.read(change(pl.DataFrame(GOOD)))
