import math

import heads
import numpy as np
import pytest

from ptft_jax import head_rows, head_truth, two_path_rows
from ptft_jax.head_population import Population
from ptft_jax.two_path_rows import RADII, Fitted
from theory import capacity

CUT = 0.25


def rows(n, seed):
    """Demand 1 + exponential noise of mean .3, whatever the features."""
    drawn = heads.rows(n, seed)
    noise = np.random.default_rng(seed).exponential(0.3, drawn.label.shape)
    return drawn._replace(label=1.0 + noise)


def expected(x, row=0):
    """Cost of decisions ≥ 1: E(x − y) + E(y − x)⁺, the first at 1 − q."""
    above = 0.3 * np.exp((1.0 - x) / 0.3)
    return (1.0 - heads.QUANTILE) * (x - 1.3) + above


def population(n, seed):
    least = expected(np.array(1.0 + 0.3 * math.log(5.0)))
    return Population(rows(n, seed), expected, np.full(n, float(least)))


@pytest.fixture(scope="module")
def fitted():
    u = np.array([0.05, 0.0, -0.05, 0.0])
    return Fitted([], u, [], [], CUT, 10, 10)


@pytest.fixture(scope="module")
def truth(fitted):
    tried = [(0.1, np.array([0.0, 0.02, 0.0, 0.0]))]
    return head_truth.measure(
        [], fitted, tried, [population(20_000, s) for s in (1, 2)]
    )


def cut_costs(u):
    large = rows(50_000, 9)
    return np.minimum(head_rows.costs(large, np.array(u), False), CUT)


def test_the_excess_is_of_costs_cut_as_in_the_bound(truth, fitted):
    cost = cut_costs([fitted.chosen])[0]
    least = float(population(1, 0).bayes[0])
    error = cost.std() * math.sqrt(1 / 40_000 + 1 / 50_000)
    assert abs(truth.excess - (cost.mean() - least)) < 4.0 * error
    plain = float(population(20_000, 1).expected(fitted.chosen, False).mean())
    assert truth.excess < plain - least - 0.01  # the cut is not a small one


def test_the_gap_to_a_ball_is_of_costs_cut_as_in_the_bound(truth, fitted):
    rng = np.random.default_rng(0)
    for radius, gap in zip(RADII, truth.gaps, strict=True):
        others = rng.standard_normal((30, heads.DIMENSION))
        others *= radius / np.linalg.norm(others, axis=1, keepdims=True)
        risk = cut_costs([fitted.chosen, *others]).mean(1)
        assert risk[0] - risk[1:].min() <= gap


def test_what_a_head_lacks_is_from_above(truth):
    least = float(population(1, 0).bayes[0])
    assert truth.pretrain_excess >= expected(np.array(1.2)) - least
    assert truth.approximation[0] >= truth.approximation[-1] >= 0.0


def test_the_overshoot_is_at_least_what_a_cut_takes_from_any_head():
    drawn, rng = rows(500, 3), np.random.default_rng(0)
    for radius in RADII:
        others = rng.standard_normal((50, heads.DIMENSION))
        others *= radius / np.linalg.norm(others, axis=1, keepdims=True)
        taken = np.maximum(head_rows.costs(drawn, others, False) - CUT, 0.0)
        assert (taken <= two_path_rows.overshoot(drawn, radius, CUT) + 1e-6).all()


@pytest.mark.parametrize("radius", [0.01, 0.1])
def test_the_gap_of_a_ball_is_of_the_head_used_and_in_float64(radius):
    drawn = rows(100, 4)
    weight = (np.arange(100) < 60).astype(float)
    (ball,) = head_rows.fit_balls(drawn, weight[None], (radius,))
    assert np.linalg.norm(ball.head) <= radius
    # by central differences of the smoothed cost at that head
    width = head_rows.SMOOTHING

    def smooth(u):
        total = 0.0
        for row in range(2):
            x = 1.2 + drawn.hidden[row].astype(np.float64) @ u
            t = x - drawn.label[row]
            bend = (np.clip(t, -width, width) + width) ** 2 / (4 * width)
            cost = -heads.QUANTILE * t + bend + np.maximum(t - width, 0.0)
            total += 0.5 * weight @ cost / weight.sum()
        return total

    steps = 1e-6 * np.eye(heads.DIMENSION)
    slope = [(smooth(ball.head + e) - smooth(ball.head - e)) / 2e-6 for e in steps]
    exact = capacity.frank_wolfe_gap(slope, ball.head, radius) + width / 4
    assert ball.gap == pytest.approx(exact, abs=1e-8)
