import errno
import io
import json

import polars as pl
import pytest

from ptft_jax import result_tables, store

CONFIG = {"source": {"data": "x"}, "delta": 0.05, "cell": {"n": 4}}
CELL = {
    "protocol": "iid",
    "n": 64,
    "observations": 10,
    "quantile": 0.9,
    "seed": 0,
}
RISK = {"method": "saa", "cost": 2.0, "cost_full": 1.0, "excess": 1.0, "wall_s": 0.1}
BOUND = {
    "bound": "pretrained_betting",
    "tier": "certified",
    "term": "total",
    "value": 3.0,
    "risk": 2.0,
    "delta": 0.05,
    "holds": True,
}


def record(**cell):
    return {
        "world": "w",
        "cell": {**CELL, **cell},
        "risks": [RISK],
        "bounds": [BOUND],
        "id": "0" * 16,
    }


def test_a_cell_is_named_by_its_contents_not_their_order():
    name = store.cell_id(CONFIG)
    assert name == store.cell_id(dict(reversed(CONFIG.items())))
    assert len(name) == 16
    for change in ({"delta": 0.1}, {"cell": {"n": 5}}, {"more": None}):
        assert store.cell_id({**CONFIG, **change}) != name


def test_what_was_saved_is_found(tmp_path):
    made = {key: record()[key] for key in ("world", "cell", "risks", "bounds")}
    store.save(tmp_path, CONFIG, made)
    found = store.find(tmp_path, [CONFIG])
    assert list(found.records) == [store.cell_id(CONFIG)]
    assert found.records[store.cell_id(CONFIG)]["risks"] == [RISK]
    assert found.complaints == []
    assert store.find(tmp_path, [{**CONFIG, "delta": 0.1}]).foreign == 1
    assert store.find(tmp_path / "nowhere", [CONFIG]).records == {}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text[: len(text) // 2], "damaged"),
        (lambda text: "[]", "no record"),
        (lambda text: json.dumps({"risks": []}), "no record"),
        (lambda text: json.dumps({**json.loads(text), "config": [1]}), "no record"),
        (
            lambda text: text.replace(f'"schema": {store.SCHEMA}', '"schema": 99'),
            "schema 99",
        ),
        (
            lambda text: text.replace(
                f'"schema": {store.SCHEMA}', f'"schema": {store.SCHEMA - 1}'
            ),
            f"schema {store.SCHEMA - 1}",
        ),
        (lambda text: text.replace("0.05", "0.06"), "does not fit"),
    ],
)
def test_a_file_that_cannot_be_used_is_reported(tmp_path, change, complaint):
    store.save(tmp_path, CONFIG, {"risks": [], "bounds": []})
    (path,) = (tmp_path / store.CELLS).iterdir()
    path.write_text(change(path.read_text()))
    found = store.find(tmp_path, [CONFIG])
    assert found.records == {}
    assert len(found.complaints) == 1
    assert complaint in found.complaints[0]
    assert path.name in found.complaints[0]


def test_a_foreign_file_is_reported_and_a_torn_write_is_not_seen(tmp_path):
    folder = tmp_path / store.CELLS
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    (folder / ".0123.json.17.partial").write_text("{")
    found = store.find(tmp_path, [CONFIG])
    assert found.records == {}
    assert len(found.complaints) == 1


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a" / "file.txt"
    store.write_text(path, "old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(store.os, "fsync", fail)
    with pytest.raises(OSError, match=f"full: '{path}'") as told:
        store.write_text(path, "new")
    assert told.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(IsADirectoryError) as told:
        store.write_text(tmp_path, "new")
    assert (told.value.filename, told.value.filename2) == (str(tmp_path), None)


def test_tables_have_the_agreed_columns_in_one_order(tmp_path):
    records = [record(n=n, seed=s) for n in (256, 64) for s in (1, 0)]
    first = result_tables.write(tmp_path / "a", records, {})
    second = result_tables.write(tmp_path / "b", records[::-1], {})
    assert first == second
    for name in ("risks.csv", "bounds.csv", "records.parquet"):
        a, b = ((tmp_path / f / name).read_bytes() for f in "ab")
        assert a == b
    risks = pl.read_csv(tmp_path / "a" / "risks.csv")
    assert ",".join(risks.columns) == (
        "world,protocol,n,observations,quantile,seed,method,cost,cost_full,excess,wall_s"
    )
    assert risks["n"].to_list() == [64, 64, 256, 256]
    assert risks["seed"].to_list() == [0, 1, 0, 1]
    bounds = pl.read_csv(tmp_path / "a" / "bounds.csv")
    assert ",".join(bounds.columns) == (
        "world,n,observations,quantile,seed,bound,tier,term,value,risk,delta,holds"
    )
    assert bounds["holds"].to_list() == [True] * 4


def test_parquet_rows_name_the_rows_of_the_tables(tmp_path):
    result_tables.write(tmp_path, [record()], {})
    frame = pl.read_parquet(io.BytesIO((tmp_path / "records.parquet").read_bytes()))
    assert frame["row"].to_list() == ["risks:1", "bounds:1"]
    assert frame["cost"].to_list() == [2.0, None]
    assert frame["value"].to_list() == [None, 3.0]


def test_numbers_keep_their_digits():
    text = result_tables.to_csv([{"x": 0.1 + 0.2, "b": False}], ("x", "b"))
    assert text == "x,b\n0.30000000000000004,false\n"
