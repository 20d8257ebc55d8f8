import numpy as np
import polars as pl
import pytest

from ptft_jax.pricing import table as pricing_table
from ptft_jax.tables.problems import DataError

GOOD = {
    "instance": ["b", "a", "b", "b"],
    "price": [2.0, 1.0, 3.0, 2.0],
    "units": [5, 7, 4, 6],
    "time": [2, 1, 1, 3],
}


def test_pairs_are_packed_in_time_order():
    seen, names = pricing_table.read(pl.DataFrame(GOOD))
    assert names == ["b", "a"]
    np.testing.assert_allclose(seen.price, [[3, 2, 2], [1, 0, 0]])
    np.testing.assert_allclose(seen.units, [[4, 5, 6], [7, 0, 0]])
    np.testing.assert_array_equal(seen.valid.sum(1), [3, 1])
    np.testing.assert_allclose(seen.menu, [[3, 2], [1, 0]])
    np.testing.assert_allclose(seen.unit_cost, 0.0)


def test_an_interval_becomes_a_menu_with_its_ends():
    table = pl.DataFrame(GOOD).with_columns(
        low=pl.col("price").min().over("instance") / 2.0, high=4.0, unit_cost=0.5
    )
    seen, _ = pricing_table.read(table)
    assert seen.menu.shape == (2, pricing_table.NUM_PRICES)
    np.testing.assert_allclose(seen.menu[:, 0], [1.0, 0.5], rtol=1e-5)
    np.testing.assert_allclose(seen.menu[:, -1], 4.0, rtol=1e-5)
    np.testing.assert_allclose(seen.unit_cost, 0.5)


def test_all_bad_rows_are_named_at_once():
    table = pl.DataFrame(
        {
            "instance": ["a", "a", "", "b", "b", "b", "a"],
            "price": ["1", "0", "2", "x", "2", "3", "2"],
            "units": [1.0, 2.0, 3.0, 4.0, -1.0, None, 2.0],
            "time": [1, 2, 1, 1, 2, 3, 1],
            "unit_cost": [0.1, 0.1, 0.0, 0.0, 0.0, 0.2, 0.1],
        }
    )
    with pytest.raises(DataError) as found:
        pricing_table.read(table)
    message = str(found.value)
    for said in (
        "row 3: price is 0",
        "row 4: its instance is blank",
        "row 5: price is 'x'",
        "row 6: units is -1",
        "row 7: units is None",
        "row 7: unit_cost of 'b' is 0.2, but 0 in row 5",
        "row 8: instance 'a' has a row of the same time 1 above",
    ):
        assert said in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop("units"), "no column 'units'"),
        (lambda t: t.with_columns(low=1.0), "'low' and 'high' without the other"),
        (lambda t: t.with_columns(low=3.0, high=2.0), "low 3 is above high 2"),
        (lambda t: t.clear(), "no rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(change, said):
    with pytest.raises(DataError, match=said):
        pricing_table.read(change(pl.DataFrame(GOOD)))
