import heads
import numpy as np
import pytest

from ptft_jax import head_rows, two_path_rows
from ptft_jax.head_rows import Ball, HeadRows
from ptft_jax.two_path_rows import RADII
from theory import capacity, two_path

DELTA = 0.1


def fitted(n, seed, scale=heads.SCALE):
    rows = heads.rows(n, seed)
    is_fit = np.random.default_rng(seed).permutation(n) < (n + 1) // 2
    weights = np.tile(is_fit.astype(float), (len(RADII), 1))
    balls = head_rows.fit_balls(rows, weights, RADII)
    return rows, is_fit, two_path_rows.fit(rows, balls, is_fit, scale)


def test_complexity_of_one_row_is_that_of_the_linear_ball():
    rows, is_fit, found = fitted(10, 0)
    single = HeadRows(*(leaf[:1] for leaf in rows[:5]), np.ones((1, 10)), rows.quantile)
    found = two_path_rows.fit(single, found.balls, is_fit, heads.SCALE)
    for radius, value in zip(RADII, found.rademacher, strict=True):
        # ‖h‖ = 2, s = 1, L = q = .8: L r √(4 n₁)/n₁
        assert value == pytest.approx(0.8 * radius * 2.0 / np.sqrt(5), rel=1e-6)
        assert value == pytest.approx(
            capacity.linear_ball(single.hidden[0, is_fit], np.ones(5), radius, 0.8)
        )


def test_a_cut_that_reaches_no_head_leaves_the_gap():
    _, _, far = fitted(40, 1, scale=50.0)
    for ball, error in zip(far.balls, far.optimisation, strict=True):
        assert error == ball.gap
    rows, is_fit, near = fitted(40, 1, scale=0.05)
    cost = np.minimum(
        head_rows.costs(rows, np.array([near.balls[-1].head]), False), 0.05
    )
    assert near.optimisation[-1] == pytest.approx(cost[0, is_fit].mean())
    assert near.optimisation[0] > near.balls[0].gap


def test_the_error_of_the_cut_cost_is_certified():
    rows, is_fit, found = fitted(60, 2, scale=0.4)
    rng = np.random.default_rng(0)
    for ball, error in zip(found.balls, found.optimisation, strict=True):
        others = rng.standard_normal((300, heads.DIMENSION))
        others *= ball.radius / np.linalg.norm(others, axis=1, keepdims=True)
        costs = head_rows.costs(rows, np.vstack([ball.head, others]), False)
        mean = np.minimum(costs, 0.4)[:, is_fit].mean(1)
        assert mean[0] <= mean.min() + error


def test_the_total_is_the_sum_of_the_named_terms():
    _, _, found = fitted(60, 3)
    for j in range(len(RADII)):
        bound = found.within(j, DELTA)
        assert bound.path == j + 1
        assert bound.approximation == bound.pretrain_excess == 0.0
        parts = [getattr(bound, name) for name in two_path.TERMS]
        assert bound.total == pytest.approx(sum(parts))
        assert bound.rademacher == pytest.approx(2 * found.rademacher[j])
        assert bound.optimisation == found.optimisation[j]
    whole = found.bound(0.01, [0.005, 0.004, 0.003], DELTA)
    assert whole.path == 0
    assert whole.total == pytest.approx(0.01 + whole.selection)
    far = found.bound(1e6, [0.005, 0.004, 0.003], DELTA)
    assert far.path > 0
    assert far.total == pytest.approx(
        sum(getattr(far, name) for name in two_path.TERMS)
    )


def test_heads_are_chosen_on_the_instances_they_were_not_fitted_to():
    rows, is_fit, found = fitted(60, 4)
    assert (found.n_fit, found.n_select) == (30, 30)
    # φ̂ far from the fold's own best: its cost on the others decides
    bad = Ball(0.1, np.array([-0.1, 0.0, 0.0, 0.0]), 0.0)
    cut = two_path_rows.fit(rows, [bad] * 3, is_fit, heads.SCALE)
    costs = head_rows.costs(rows, np.array([bad.head, np.zeros(4)]), False)
    is_worse = costs[0, ~is_fit].mean() > costs[1, ~is_fit].mean()
    assert (cut.chosen == 0.0).all() == is_worse


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_holds_where_the_truth_is_known(seed):
    _, _, found = fitted(200, seed)
    population = heads.rows(10_000, seed=20_000)
    grid = np.zeros((21, heads.DIMENSION))
    grid[:, 0] = np.linspace(-0.1, 0.1, 21)
    cost = head_rows.costs(population, np.vstack([found.chosen, grid]), False)
    risk = np.minimum(cost, heads.SCALE).mean(1)
    for j, radius in enumerate(RADII):
        best = risk[1:][np.abs(grid[:, 0]) <= radius + 1e-12].min()
        assert found.within(j, DELTA).total >= risk[0] - best
