import pytest

from ptft_jax import grid, grid_files, task
from ptft_jax.errors import UsageError
from ptft_jax.tasks import gaussian_law

LAW = gaussian_law.TASK


def test_combinators_count_and_order():
    n, seed = grid.values("n", (1, 2)), grid.values("seed", (0, 1, 2))
    crossed = grid.product(n, seed)
    assert len(crossed) == 6
    assert crossed[:3] == [{"n": 1, "seed": s} for s in range(3)]
    assert grid.zipped(n, grid.values("m", (3, 4))) == [
        {"n": 1, "m": 3},
        {"n": 2, "m": 4},
    ]
    assert grid.chain(crossed, crossed[:2], [{"n": 9}]) == [*crossed, {"n": 9}]


def test_what_cannot_be_combined_is_refused():
    n = grid.values("n", (1, 2))
    with pytest.raises(ValueError, match="n is set twice"):
        grid.product(n, n)
    with pytest.raises(ValueError, match=r"equally long, got \[2, 1\]"):
        grid.zipped(n, grid.values("m", (1,)))
    with pytest.raises(ValueError, match="no values for n"):
        grid.values("n", ())


def test_a_point_has_the_defaults_and_one_name_for_one_meaning():
    short, full = {"n": 32}, {"n": 32, "seed": 0, "m": 4, "replications": 1000}
    assert task.point(LAW, short) == task.point(LAW, full)
    assert task.point(LAW, short).name != task.point(LAW, {"n": 33}).name
    assert task.point(LAW, {"tau2": 1}).swept["tau2"] == 1.0


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ({"lr": 1.0}, "no field 'lr'; it has replications, seed, n"),
        ({"n": 2.5}, "n must be a whole number, got 2.5"),
        ({"n": "many"}, "n must be a whole number, got 'many'"),
        ({"n": True}, "n must be a whole number"),
        ({"seed": 2**31}, "fit in 32 bits"),
        ({"tau2": float("nan")}, "tau2 must be finite"),
        ({"tau2": -1.0}, "tau2 = -1.0"),
        ({"replications": 0}, "replications must be at least 1"),
        ({"replications": 1.5}, "replications must be a whole number, got 1.5"),
        ([3], r"a cell maps fields to values, got \[3\]"),
    ],
)
def test_an_impossible_cell_is_refused(cell, complaint):
    with pytest.raises(UsageError, match=complaint.replace("(", r"\(")):
        task.point(LAW, cell)


def test_cells_of_one_configuration_are_one_group():
    cells = grid.product(
        grid.values("replications", (10, 20)), grid.values("n", (4, 8, 4))
    )
    found = task.groups([task.point(LAW, cell) for cell in cells])
    assert [config.replications for config in found] == [10, 20]
    assert [[p.swept["n"] for p in members] for members in found.values()] == [
        [4, 8],
        [4, 8],
    ]


def test_every_named_grid_is_possible_and_has_a_small_twin():
    named = grid_files.named()
    for name, found in named.items():
        assert f"{name.removesuffix('_small')}_small" in named
        points = [task.point(found.task, cell) for cell in found.cells]
        assert len({point.name for point in points}) == len(found.cells)
        assert len(found.cells) <= 16 or not name.endswith("_small")


TOML = """
task = "gaussian_law"
about = "mine"
[[block]]
n = [32, 64]
seeds = 3
zip = { tau2 = [0.1, 0.2], mismatch = [0.3, 0.4] }
[[block]]
n = 32
tau2 = 0.1
mismatch = 0.3
seed = 0
"""


def test_a_toml_file_crosses_zips_and_chains(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TOML)
    found = grid_files.find(str(path))
    assert found.about == "mine"
    assert len(found.cells) == 2 * 3 * 2
    assert {"n": 64, "tau2": 0.2, "mismatch": 0.4, "seed": 2} in found.cells


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("task = ", "no TOML file"),
        ('task = "heads"', "task must be one of gaussian_law, head"),
        ('task = "head"', "needs at least one"),
        ('task = ["head"]', "task must be one of"),
        ('task = "head"\nblock = [1]', "needs at least one"),
        ('task = "head"\n[[block]]\nzip = 3', "zip must be a table of lists"),
        ('task = "head"\n[[block]]\nseeds = true', "seeds must be a whole number"),
        ('task = "head"\n[[block]]\nseeds = 2\nseed = 1', "cannot both be given"),
        ('task = "head"\nseeds = 3', "unknown entries: seeds"),
        ('task = "head"\n[[block]]\nseeds = 0', "seeds must be a whole number above 0"),
        ('task = "head"\n[[block]]\nn = []', "no values for n"),
    ],
)
def test_a_wrong_toml_file_is_refused_in_one_line(tmp_path, text, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint) as caught:
        grid_files.find(str(path))
    assert "\n" not in str(caught.value).partition("(at")[0]


def test_a_python_file_of_grids(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from ptft_jax.grid import Grid\n"
        "from ptft_jax.tasks import gaussian_law\n"
        "GRIDS = {k: Grid(gaussian_law.TASK, [{'n': 5}], k) for k in 'ab'}\n"
    )
    assert grid_files.find(f"{path}:b").about == "b"
    with pytest.raises(UsageError, match="has no grid ''; it has a, b"):
        grid_files.find(str(path))
    path.write_text("GRIDS = 3")
    with pytest.raises(UsageError, match="must define GRIDS"):
        grid_files.find(f"{path}:a")
    path.write_text("import nothing_of_that_name")
    with pytest.raises(UsageError, match="cannot be run: ModuleNotFoundError"):
        grid_files.find(f"{path}:a")
    with pytest.raises(UsageError, match="is not there"):
        grid_files.find(str(tmp_path / "absent.py"))
    with pytest.raises(UsageError, match="no grid 'absent'; it has harmonic"):
        grid_files.find("absent")
