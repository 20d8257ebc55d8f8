import pytest

from ptft_jax import divergence_figure

CELL = {"observations": 10, "quantile": 0.9}
UNIT = 2.0


def row(n, seed, bound, term, value, risk=1.0):
    cell = {**CELL, "n": n, "seed": seed, "tier": "certified"}
    return {**cell, "bound": bound, "term": term, "value": value, "risk": risk}


def cell(n, seed, nats=(0.0, 3.0), total=4.0):
    balls = ((0.01, 6.0, 0.2), (0.1, 10.0, 0.4))
    return [
        row(n, seed, "floor_pretrained", "full_information", UNIT),
        row(n, seed, "path_kl", "total", total),
        row(n, seed, "path_kl", "kl", 0.5),
        *(
            row(n, seed, "path_kl", f"setting_nats_{fold}", value)
            for fold, value in zip("AB", nats, strict=True)
        ),
        row(n, seed, "path_kl", "setting_radius_A", 0.1),
        *(row(n, seed, f"two_path_ball_{r}", "total", v, e) for r, v, e in balls),
        row(n, seed, "two_path_ball_0.1", "selection", 1.0),
    ]


def test_every_cell_has_its_divergence_beside_its_bound():
    rows = [*cell(32, 0), *cell(32, 1, (2.0, 4.0), 5.0), *cell(64, 0, (0.0, 0.0), 3.0)]
    found = divergence_figure.points(rows)
    assert found == {"path_kl": [(1.5, 4.0, 32), (3.0, 5.0, 32), (0.0, 3.0, 64)]}


def test_balls_are_averaged_over_cells_of_one_n():
    rows = [*cell(32, 0), row(32, 1, "two_path_ball_0.01", "total", 8.0, 0.4)]
    found = divergence_figure.by_radius(rows)
    assert list(found) == [32]
    assert found[32][0.01] == pytest.approx((7.0, 0.3))
    assert found[32][0.1] == pytest.approx((10.0, 0.4))


def test_the_figure_divides_costs_and_not_nats_by_the_unit():
    figure = divergence_figure.draw([*cell(32, 0), *cell(64, 0)], "w, iid")
    left, right = figure.axes
    drawn = [line.get_xydata().tolist() for line in left.get_lines()]
    assert [[1.5, 4.0 / UNIT]] in drawn
    lines = [line.get_xydata().tolist() for line in right.get_lines()]
    assert [[0.01, 6.0 / UNIT], [0.1, 10.0 / UNIT]] in lines
    assert [[0.01, 0.2 / UNIT], [0.1, 0.4 / UNIT]] in lines
    assert "nats" in left.get_xlabel()
    assert "radius" in right.get_xlabel()


def test_there_is_none_without_rows_or_unit():
    assert divergence_figure.draw([], "") is None
    assert divergence_figure.draw(cell(32, 0)[1:], "") is None
    assert divergence_figure.draw(cell(32, 0)[:1], "") is None
