"""A bound of one's own that is the library's, and what must then be the same."""

import pytest

from ptft_jax import own_rows
from theory import certificates


def betting(told):
    return certificates.betting(told.losses, told.delta)


BETTING = {"mine:betting": betting}


def check_betting(record, policies):
    """Rows of `betting` as a bound of one's own are those of the library's."""
    rows = own_rows.extend(record, BETTING, "here")["bounds"]
    where = ("n", "seed", "term")

    def of(name):
        made = [row for row in rows if row["bound"] == name]
        return {tuple(row.get(key) for key in where): row for row in made}

    for policy in policies:
        mine, theirs = of(f"{policy}_mine:betting"), of(f"{policy}_betting")
        assert set(mine) == set(theirs)
        assert len(mine) >= 3
        for key, row in theirs.items():
            for name in ("value", "risk"):
                assert mine[key][name] == pytest.approx(row[name], rel=1e-9, abs=1e-12)
            for name in ("tier", "delta", "holds"):
                assert mine[key][name] == row[name]
