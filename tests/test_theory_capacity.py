import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from theory import capacity

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
positives = st.floats(0.01, 10.0)
DELTA = 0.05
digits = mpmath.mp.clone()
digits.dps = 50


def head_features(seed, n=40, d=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.gamma(2.0, size=n)


def test_linear_ball_by_hand():
    # Norms 5 and 2, scales 1 and 3: sqrt(25 + 36).
    value = capacity.linear_ball([[3.0, 4.0], [0.0, 2.0]], [1.0, 3.0], 0.5, 2.0)
    assert value == pytest.approx(0.5 * math.sqrt(61.0), rel=1e-15)
    assert type(value) is float


def test_simulated_complexity_is_exact_over_all_signs_and_below_the_closed_form():
    features, scales = head_features(0, n=10)
    signs = (np.arange(2**10)[:, None] >> np.arange(10) & 1) * 2.0 - 1.0
    norms = np.linalg.norm(signs @ (features * scales[:, None]), axis=1)
    exact = 2.0 * 0.3 / 10 * norms.mean()
    estimate = capacity.linear_ball_monte_carlo(features, scales, 0.3, 2.0, 20_000, 1)
    assert abs(estimate.value - exact) < 4.0 * estimate.standard_error
    closed = capacity.linear_ball(features, scales, 0.3, 2.0)
    assert 0.8 * closed < exact < closed


@properties
@hypothesis.given(st.integers(0, 10**6), positives, positives)
def test_simulated_complexity_is_never_above_the_closed_form(seed, radius, lipschitz):
    arguments = (*head_features(seed), radius, lipschitz)
    estimate = capacity.linear_ball_monte_carlo(*arguments, 400, seed)
    closed = capacity.linear_ball(*arguments)
    assert estimate.value <= closed + 4.0 * estimate.standard_error
    wider = (*head_features(seed), 2.0 * radius, lipschitz)
    assert capacity.linear_ball(*wider) == pytest.approx(2.0 * closed, rel=1e-12)


def test_simulation_does_not_depend_on_its_blocks(monkeypatch):
    arguments = (*head_features(3), 1.0, 1.0, 100, 5)
    together = capacity.linear_ball_monte_carlo(*arguments)
    monkeypatch.setattr(capacity, "BLOCK", 400)
    apart = capacity.linear_ball_monte_carlo(*arguments)
    assert apart == pytest.approx(together, rel=1e-12)


def test_contraction_bounds_the_complexity_of_pinball_costs():
    # The supremum over a fine grid of heads in one dimension, over all signs.
    rng = np.random.default_rng(4)
    h, demand, n = rng.normal(size=8), rng.normal(size=8), 8
    heads = np.linspace(-1.0, 1.0, 401)
    gap = demand[:, None] - h[:, None] * heads
    costs = np.maximum(0.9 * gap, -0.1 * gap)
    signs = (np.arange(2**n)[:, None] >> np.arange(n) & 1) * 2.0 - 1.0
    exact = (signs @ costs).max(axis=1).mean() / n
    assert exact <= capacity.linear_ball(h[:, None], np.ones(n), 1.0, 0.9)
    with_half_lipschitz = capacity.linear_ball(h[:, None], np.ones(n), 1.0, 0.9 / 2)
    assert exact > with_half_lipschitz


@properties
@hypothesis.given(st.integers(0, 10**6), positives)
def test_frank_wolfe_gap_is_above_the_excess_of_a_convex_function(seed, radius):
    rng = np.random.default_rng(seed)
    root, target = rng.normal(size=(3, 3)), 3.0 * rng.normal(size=3)
    points = rng.normal(size=(200, 3))
    points *= radius * rng.random((200, 1)) / np.linalg.norm(points, axis=1)[:, None]

    def value(u):
        return np.sum((u - target) @ root * ((u - target) @ root), axis=-1)

    u = points[0]
    gap = capacity.frank_wolfe_gap(2.0 * root @ root.T @ (u - target), u, radius)
    assert gap >= value(u) - value(points).min() - 1e-9


def test_frank_wolfe_gap_by_hand_and_zero_at_a_minimum():
    assert capacity.frank_wolfe_gap([3.0, 4.0], [0.0, 1.0], 2.0) == pytest.approx(14.0)
    # The linear function <g, .> is least at -r g/||g||.
    assert capacity.frank_wolfe_gap([3.0, 4.0], [-1.2, -1.6], 2.0) == pytest.approx(0.0)
    assert capacity.frank_wolfe_gap([0.0, 0.0], [1.0, 0.0], 2.0) == 0.0


def test_parameter_net_at_fifty_digits():
    p, r, slope, n, b = 1_000, 0.5, 3.0, 5_000, 2.0
    log_points = p * digits.log(1 + 2 * digits.mpf(r) * slope * n / b)
    exact = b * digits.sqrt((log_points - digits.log(digits.mpf(DELTA))) / (2 * n))
    exact += 2 * digits.mpf(b) / n
    value = capacity.parameter_net(p, r, slope, n, DELTA, b)
    assert value == pytest.approx(float(exact), rel=1e-14)
    assert value > b / 2  # far above a linear head: the finding to show


@properties
@hypothesis.given(
    st.integers(1, 10**5), positives, positives, st.integers(1_000, 10**7)
)
def test_parameter_net_is_monotone(p, radius, lipschitz, n):
    value = capacity.parameter_net(p, radius, lipschitz, n, DELTA, 1.0)
    assert capacity.parameter_net(2 * p, radius, lipschitz, n, DELTA, 1.0) > value
    assert capacity.parameter_net(p, 2.0 * radius, lipschitz, n, DELTA, 1.0) > value
    assert capacity.parameter_net(p, radius, 2.0 * lipschitz, n, DELTA, 1.0) > value
    assert capacity.parameter_net(p, radius, lipschitz, n, DELTA / 2, 1.0) > value
    assert capacity.parameter_net(p, radius, lipschitz, 2 * n, DELTA, 1.0) < value
    scaled = capacity.parameter_net(p, radius, 7.0 * lipschitz, n, DELTA, 7.0)
    assert scaled == pytest.approx(7.0 * value, rel=1e-12)


def attend(scores, values):
    weights = np.exp(scores - scores.max())
    return weights @ values / weights.sum()


def largest_move(n, kappa, value, seed, tries):
    """Brute force over random attentions and replacements, extreme ones among them."""
    rng = np.random.default_rng(seed)
    worst = 0.0
    for _ in range(tries):
        scores = rng.uniform(-kappa, kappa, n)
        values = rng.normal(size=(n, 2))
        values *= value / np.linalg.norm(values, axis=1)[:, None]
        if n > 1 and rng.random() < 0.3:
            scores = kappa * rng.choice([-1.0, 1.0], n)
            values[1:] = values[1]
        before = attend(scores, values)
        scores[0] = kappa * rng.choice([-1.0, 1.0, rng.uniform(-1.0, 1.0)])
        values[0] = values[0] if rng.random() < 0.3 else -values[0]
        worst = max(worst, float(np.linalg.norm(attend(scores, values) - before)))
    return worst


@pytest.mark.parametrize("n", [1, 2, 5, 40])
@pytest.mark.parametrize("kappa", [0.0, 0.5, 2.0])
def test_no_replaced_token_moves_attention_by_more(n, kappa):
    limit = capacity.attention_sensitivity(kappa, 1.5, n)
    assert largest_move(n, kappa, 1.5, seed=n, tries=400) <= limit * (1.0 + 1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
@pytest.mark.parametrize("kappa", [0.0, 0.5, 2.0])
def test_the_sensitivity_is_attained_so_no_smaller_constant_holds(n, kappa):
    scores, values = np.full(n, -kappa), np.tile([0.6, 0.8], (n, 1)) * 1.5
    scores[0] = kappa
    before = attend(scores, values)
    values[0] *= -1.0
    move = float(np.linalg.norm(attend(scores, values) - before))
    limit = capacity.attention_sensitivity(kappa, 1.5, n)
    assert move == pytest.approx(limit, rel=1e-12)
    assert move > 0.99 * limit  # so half of it fails


@properties
@hypothesis.given(st.floats(0.0, 5.0), positives, st.integers(1, 10**6))
def test_sensitivity_is_monotone_and_of_order_one_over_n(kappa, value, n):
    move = capacity.attention_sensitivity(kappa, value, n)
    assert 0.0 < move <= 2.0 * value
    assert capacity.attention_sensitivity(kappa, value, n + 1) < move
    assert capacity.attention_sensitivity(kappa + 0.5, value, n + 1) >= (
        capacity.attention_sensitivity(kappa, value, n + 1)
    )
    assert n * move <= 2.0 * value * math.exp(2.0 * kappa) * (1.0 + 1e-12)


def test_bounded_differences_of_a_mean_are_hoeffdings():
    value = capacity.mcdiarmid(np.full(50, 3.0 / 50), DELTA)
    assert value == pytest.approx(3.0 * math.sqrt(math.log(1 / DELTA) / 100), rel=1e-14)


def test_difference_of_a_portfolio_by_hand():
    # one of four costs 1 more at most, the other three 2 · 0.1 more
    found = capacity.portfolio_difference(1.0, 2.0, 0.1, 4)
    assert found == pytest.approx(0.25 + 0.75 * 0.2, rel=1e-15)
    assert capacity.portfolio_difference(1.0, 2.0, 9.0, 4) == 1.0
    assert capacity.portfolio_difference(1.0, 2.0, 0.1, 1) == 1.0


def test_mean_cost_of_a_portfolio_in_its_own_context_deviates_by_less():
    """Each instance decides by attention over the portfolio, at cost |x - y|."""
    n, kappa, replications = 60, 0.3, 4_000
    rng = np.random.default_rng(9)
    demand = rng.random((replications, n))
    weights = np.exp(kappa * (2.0 * demand - 1.0))
    decision = (weights * demand).sum(axis=1) / weights.sum(axis=1)
    costs = np.abs(decision[:, None] - demand).mean(axis=1)
    move = capacity.attention_sensitivity(kappa, 1.0, n)
    difference = capacity.portfolio_difference(1.0, 1.0, move, n)
    assert 1.0 / n < difference < 1.0
    deviation = capacity.mcdiarmid(np.full(n, difference), DELTA)
    assert np.mean(costs - costs.mean() > deviation) <= DELTA
    for i in range(20):
        changed = demand[i].copy()
        changed[0] = 1.0 - np.round(changed[0])
        w = np.exp(kappa * (2.0 * changed - 1.0))
        cost = np.abs(w @ changed / w.sum() - changed).mean()
        assert abs(cost - costs[i]) <= difference


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: capacity.linear_ball([[1.0]], [1.0, 2.0], 1.0, 1.0),
            r"features has shape \(1, 1\), scales has shape \(2,\)",
        ),
        (
            lambda: capacity.linear_ball([[math.nan]], [1.0], 1.0, 1.0),
            r"features\[0, 0\]",
        ),
        (
            lambda: capacity.linear_ball([[1.0]], [-1.0], 1.0, 1.0),
            r"scales\[0\] = -1.0",
        ),
        (lambda: capacity.linear_ball([[1.0]], [1.0], -2.0, 1.0), "radius = -2.0"),
        (
            lambda: capacity.linear_ball([[1.0]], [1.0], 1.0, math.inf),
            "lipschitz = inf",
        ),
        (
            lambda: capacity.linear_ball(np.ones((0, 2)), [], 1.0, 1.0),
            "n = 0, expected",
        ),
        (
            lambda: capacity.linear_ball_monte_carlo([[1.0]], [1.0], 1.0, 1.0, 1, 0),
            "draws = 1, expected at least 2",
        ),
        (
            lambda: capacity.frank_wolfe_gap([1.0], [1.0, 2.0], 1.0),
            r"gradient has shape \(1,\), u has shape \(2,\)",
        ),
        (
            lambda: capacity.frank_wolfe_gap([1.0], [1.1], 1.0),
            "u has norm 1.1, above radius = 1.0",
        ),
        (
            lambda: capacity.frank_wolfe_gap([math.nan], [0.1], 1.0),
            r"gradient\[0\] = nan",
        ),
        (
            lambda: capacity.parameter_net(0, 1.0, 1.0, 9, 0.1, 1.0),
            "num_parameters = 0",
        ),
        (lambda: capacity.parameter_net(1, 1.0, 1.0, 9, 0.1, 0.0), "cost_bound = 0.0"),
        (lambda: capacity.parameter_net(1, 1.0, 1.0, 9, 2.0, 1.0), "delta = 2.0"),
        (lambda: capacity.attention_sensitivity(1.0, 1.0, 0), "n = 0, expected"),
        (lambda: capacity.attention_sensitivity(-1.0, 1.0, 3), "kappa = -1.0"),
        (lambda: capacity.attention_sensitivity(1.0, math.nan, 3), "value = nan"),
        (
            lambda: capacity.portfolio_difference(1.0, 1.0, -1.0, 3),
            "sensitivity = -1.0",
        ),
        (lambda: capacity.mcdiarmid([0.1, -0.1], 0.1), r"differences\[1\] = -0.1"),
        (lambda: capacity.mcdiarmid([], 0.1), "n = 0, expected"),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
