import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from theory import laws

digits = mpmath.mp.clone()

digits.dps = 50

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)

REPLICATIONS = 100_000


def agrees(samples, law):
    """Within 4 standard errors and 2%."""
    mean, error = samples.mean(), samples.std(ddof=1) / math.sqrt(len(samples))
    return abs(mean - law) <= min(4.0 * error, 0.02 * law)


def ridge_problem(noise):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((20, 3)) @ np.diag([1.0, 0.5, 0.1])
    gap = np.array([0.3, -0.5, 1.0])
    variance = np.full(20, 0.7) if noise == "equal" else np.linspace(0.1, 3.0, 20)
    return features, gap, variance


@pytest.mark.parametrize("noise", ["equal", "unequal"])
@pytest.mark.parametrize("penalty", [0.0, 0.05, 2.0])
def test_ridge_law_is_what_simulation_gives(noise, penalty):
    features, gap, variance = ridge_problem(noise)
    rng = np.random.default_rng(1)
    pretrained = np.array([1.0, 2.0, 3.0]) + gap
    truth = pretrained - gap
    errors = np.sqrt(variance) * rng.standard_normal((REPLICATIONS, 20))
    gram = features.T @ features / 20
    target = (features @ truth + errors) @ features / 20 + penalty * pretrained
    fitted = np.linalg.solve(gram + penalty * np.eye(3), target.T).T
    excess = (((fitted - truth) @ features.T) ** 2).mean(axis=1)
    assert agrees(excess, laws.ridge_to_pretrained(features, gap, variance, penalty))
    assert not agrees(
        excess, laws.ridge_to_pretrained(features, 1.5 * gap, 1.2 * variance, penalty)
    )


@pytest.mark.parametrize("noise", ["equal", "unequal"])
def test_ridge_law_at_fifty_digits(noise):
    features, gap, variance = ridge_problem(noise)
    h, d = digits.matrix(features.tolist()), digits.matrix(gap.tolist())
    sigma, penalty = h.T * h / 20, digits.mpf(0.05)
    a = digits.inverse(sigma + penalty * digits.eye(3))
    g = h.T * digits.diag([digits.mpf(x) for x in variance]) * h / 20
    bias = (d.T * a * sigma * a * d)[0] * penalty**2
    spread = sigma * a * g * a / 20
    exact = bias + sum(spread[k, k] for k in range(3))
    value = laws.ridge_to_pretrained(features, gap, variance, 0.05)
    assert value == pytest.approx(float(exact), rel=1e-13)
    if noise == "equal":
        assert laws.ridge_to_pretrained(features, gap, 0.7, 0.05) == pytest.approx(
            value, rel=1e-14
        )


@pytest.mark.parametrize("noise", ["equal", "unequal"])
def test_each_direction_is_harmonic_with_its_own_penalty(noise):
    features, gap, variance = ridge_problem(noise)
    best = laws.ridge_directions(features, gap, variance)
    for s, pretrain, finetune, penalty, combined in zip(*best, strict=True):
        assert combined == pytest.approx(laws.harmonic(pretrain, finetune), rel=1e-13)

        def risk(x, s=s, pretrain=pretrain, finetune=finetune):
            return (x**2 * pretrain + s**2 * finetune) / (s + x) ** 2

        assert combined == pytest.approx(risk(penalty), rel=1e-13)
        assert combined < min(risk(0.9 * penalty), risk(1.1 * penalty))
    for penalty in np.geomspace(1e-3, 10.0, 9):
        assert best.combined.sum() <= laws.ridge_to_pretrained(
            features, gap, variance, float(penalty)
        )
    assert best.pretrain.sum() == pytest.approx(
        ((features @ gap) ** 2).mean(), rel=1e-12
    )


def test_ridge_law_of_one_direction_is_the_gaussian_world():
    # θ is the head's only weight, x̄ the least-squares fit to n copies of a constant.
    best = laws.ridge_directions(np.ones((16, 1)), [0.3], 1.0)
    assert best.pretrain[0] == pytest.approx(0.09)
    assert best.finetune[0] == pytest.approx(1.0 / 16.0)
    world = laws.gaussian_world(0.5, 2.0, 4, 16, 0.3)
    assert best.combined[0] == pytest.approx(world.combined / 0.25, rel=1e-12)


def test_fewer_instances_than_features_leave_directions_without_error():
    features = np.random.default_rng(2).standard_normal((3, 5))
    gap = np.ones(5)
    best = laws.ridge_directions(features, gap, 0.5)
    assert (best.eigenvalue > 0).sum() == 3
    assert best.combined.shape == (5,)
    assert (best.combined[:2] == 0).all()
    least = laws.ridge_to_pretrained(features, gap, 0.5, 0.0)
    assert least == pytest.approx(0.5, rel=1e-12)
    assert laws.ridge_to_pretrained(features, gap, 0.5, 1e12) == pytest.approx(
        ((features @ gap) ** 2).mean(), rel=1e-9
    )
    same = laws.ridge_directions(features, np.zeros(5), 0.5)
    assert np.isinf(same.penalty).all()
    assert (same.combined == 0).all()


def test_sandwich_of_squared_cost_is_the_ridge_law():
    features, gap, _ = ridge_problem("equal")
    gram = features.T @ features / 20
    for penalty in (0.0, 0.05, 2.0):
        assert laws.sandwich_to_pretrained(
            2 * gram, 4 * 0.7 * gram, gap, 2 * penalty, 20
        ) == pytest.approx(
            laws.ridge_to_pretrained(features, gap, 0.7, penalty), rel=1e-12
        )
    assert laws.sandwich(2 * gram, 2.8 * gram, 20) == pytest.approx(0.7 * 3 / 20)


def test_sandwich_of_the_newsvendor_is_what_simulation_gives():
    # One weight, demand s·Exp(1): û is an order statistic, drawn exactly by −ln(1−U).
    n, q, s = 4_000, 0.9, 3.0
    r = math.ceil(q * n)
    rank = np.random.default_rng(3).beta(r, n - r + 1, REPLICATIONS)
    stock, optimum = -np.log1p(-rank), -math.log1p(-q)
    risk = lambda u: q * (1.0 - u) + u - 1.0 + np.exp(-u)
    excess = s * (risk(stock) - risk(optimum))
    ones, scales = np.ones((n, 1)), np.full(n, s)
    hessian = laws.pinball_hessian(ones, scales, np.full(n, (1.0 - q) / s))
    score = laws.pinball_score_covariance(ones, scales, q, 1.0 - q)
    assert agrees(excess, laws.sandwich(hessian, score, n))
    # The variance of a wrong exceedance, and the weight forgotten in H, must fail.
    wrong = laws.pinball_score_covariance(ones, scales, q, 2.0 * (1.0 - q))
    assert not agrees(excess, laws.sandwich(hessian, wrong, n))
    assert not agrees(excess, laws.sandwich(hessian / s, score, n))


def test_pinball_curvature_is_the_average_over_instances():
    rng = np.random.default_rng(4)
    h, s, f = rng.standard_normal((6, 2)), rng.random(6), rng.random(6)
    q, e = rng.random(6), rng.random(6)
    hessian = sum(f[i] * s[i] ** 2 * np.outer(h[i], h[i]) for i in range(6)) / 6
    np.testing.assert_allclose(laws.pinball_hessian(h, s, f), hessian, rtol=1e-13)
    scores = [
        (1 - e[i]) * np.outer((1 - q[i]) * h[i], (1 - q[i]) * h[i])
        + e[i] * np.outer(q[i] * h[i], q[i] * h[i])
        for i in range(6)
    ]
    np.testing.assert_allclose(
        laws.pinball_score_covariance(h, s, q, e),
        sum(s[i] ** 2 * scores[i] for i in range(6)) / 6,
        rtol=1e-13,
    )


@properties
@hypothesis.given(st.integers(0, 1000), st.floats(0.0, 10.0), st.floats(1.0, 3.0))
def test_ridge_law_increases_in_noise_and_in_the_gap(seed, penalty, more):
    rng = np.random.default_rng(seed)
    features, gap = rng.standard_normal((6, 3)), rng.standard_normal(3)
    law = laws.ridge_to_pretrained(features, gap, 1.0, penalty) * (1 - 1e-14)
    assert laws.ridge_to_pretrained(features, more * gap, 1.0, penalty) >= law
    assert laws.ridge_to_pretrained(features, gap, more, penalty) >= law
