"""The real data sets, read where they lie; they are not part of this repository."""

import os
import pathlib

from ptft_jax import data, empirical

FILES = {
    "rossmann": ("rossmann_daily_adjsales.csv", {}),
    "carparts": ("carparts.csv", {"complete_only": True, "min_positive": 10}),
}


def find(file: str) -> pathlib.Path:
    """Where a file lies: in `PTFT_DATA`, by default ../shared/data."""
    default = pathlib.Path(__file__).parents[2] / "shared" / "data"
    found = pathlib.Path(os.environ.get("PTFT_DATA", default)) / file
    if not found.is_file():
        raise SystemExit(
            f"{found.name} is not in {found.parent}: set PTFT_DATA to the folder of it"
        )
    return found


def path(name: str) -> pathlib.Path:
    """Where the file of a data set of demand lies."""
    return find(FILES[name][0])


def table(name: str) -> data.Table:
    """Rossmann: 1115 stores. Carparts: 1347 parts, no blank, 10 positive months."""
    return data.read(path(name), **FILES[name][1])


def truth(name: str) -> empirical.EmpiricalTruth:
    """The laws of all instances: the whole of each column."""
    return empirical.from_columns(table(name).values)
