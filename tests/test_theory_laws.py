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

excesses = st.floats(0.0, 1e6)

REPLICATIONS = 100_000


def agrees(samples, law):
    """Within 4 standard errors and 2%."""
    mean, error = samples.mean(), samples.std(ddof=1) / math.sqrt(len(samples))
    return abs(mean - law) <= min(4.0 * error, 0.02 * law)


@pytest.mark.parametrize(
    ("n", "combined"), [(4, 0.016544), (16, 0.009221), (64, 0.003328), (256, 0.000936)]
)
def test_gaussian_world_at_fifty_digits(n, combined):
    tau2, s2, gap = digits.mpf("0.5"), digits.mpf(2), digits.mpf("0.3")
    v = s2 / 4
    w = tau2 / (tau2 + v)
    pretrain, finetune = (1 - w) ** 2 * gap**2, (1 - w) ** 2 * (tau2 + v) / n
    exact = {
        "pretrain": pretrain,
        "finetune": finetune,
        "finetune_heldout": (tau2 * (1 - w) ** 2 + s2 + w**2 * v) / n,
        "combined": 1 / (1 / pretrain + 1 / finetune),
        "crossover": n * finetune / pretrain,
    }
    world = laws.gaussian_world(0.5, 2.0, 4, n, 0.3)
    for name, value in world._asdict().items():
        assert type(value) is float
        assert value == pytest.approx(float(exact[name]), rel=1e-14), name
    assert world.combined == pytest.approx(combined, abs=5e-7)
    assert laws.james_stein_regret(n, 0.5, 0.5) == pytest.approx(
        float(3 * v**2 / (n * (tau2 + v))), rel=1e-14
    )
    gain = laws.transfer_gain(world.pretrain, world.finetune)
    assert gain == pytest.approx(float(pretrain - exact["combined"]), rel=1e-13)


def gaussian_portfolios(n, m=4, mu=1.0, tau2=0.5, s2=2.0):
    """Means θ, averages x̄ and held-out observations of many portfolios."""
    rng = np.random.default_rng(n)
    theta = mu + math.sqrt(tau2) * rng.standard_normal((REPLICATIONS, n))
    average = theta + math.sqrt(s2 / m) * rng.standard_normal((REPLICATIONS, n))
    heldout = theta + math.sqrt(s2) * rng.standard_normal((REPLICATIONS, n))
    return theta, average, heldout


@pytest.mark.parametrize("n", [4, 16])
def test_gaussian_world_is_what_simulation_gives(n):
    mu, gap, w = 1.0, 0.3, 0.5
    theta, average, heldout = gaussian_portfolios(n)
    world = laws.gaussian_world(0.5, 2.0, 4, n, gap)
    by_average = average.mean(axis=1)
    by_heldout = (heldout - w * average).mean(axis=1) / (1.0 - w)
    share = world.finetune / (world.pretrain + world.finetune)
    combined = share * (mu + gap) + (1.0 - share) * by_average
    for centre, law in (
        (by_average, world.finetune),
        (by_heldout, world.finetune_heldout),
        (combined, world.combined),
    ):
        assert agrees((1.0 - w) ** 2 * (centre - mu) ** 2, law)
        assert not agrees((1.0 - w) ** 2 * (centre - mu) ** 2, 1.1 * law)
    # The excess itself, on the very instances whose averages were used.
    policy = w * average + (1.0 - w) * combined[:, None]
    bayes = w * average + (1.0 - w) * mu
    excess = ((policy - theta) ** 2 - (bayes - theta) ** 2).mean(axis=1)
    error = excess.std() / math.sqrt(REPLICATIONS)
    assert abs(excess.mean() - world.combined) < 4.0 * error


def james_stein_losses(n, factor):
    """Squared distance per instance from the Bayes rule; both see the same averages."""
    _, average, _ = gaussian_portfolios(n)
    v, w = 0.5, 0.5
    centre = average.mean(axis=1, keepdims=True)
    spread = ((average - centre) ** 2).sum(axis=1, keepdims=True)
    shrunk = centre + (1.0 - factor * v / spread) * (average - centre)
    return ((shrunk - (w * average + (1.0 - w))) ** 2).mean(axis=1)


def test_james_stein_regret_is_what_simulation_gives():
    law = laws.james_stein_regret(12, 0.5, 0.5)
    assert agrees(james_stein_losses(12, 12 - 3), law)
    # With the mean known the factor is n−2; here that is a worse rule.
    assert not agrees(james_stein_losses(12, 12 - 2), law)


@properties
@hypothesis.given(excesses, excesses, st.floats(1.0, 10.0))
def test_the_harmonic_law_is_the_better_path_within_a_factor_of_two(a, b, more):
    combined = laws.harmonic(a, b)
    assert min(a, b) / 2.0 <= combined <= min(a, b)
    assert combined == laws.harmonic(b, a)
    assert laws.harmonic(more * a, b) >= combined * (1 - 1e-15)
    assert laws.harmonic(a, math.inf) == a
    gain = laws.transfer_gain(a, b)
    assert gain == pytest.approx(a - combined, rel=1e-9, abs=1e-9 * a)
    assert laws.transfer_gain(a, more * b) <= gain * (1 + 1e-15)


@properties
@hypothesis.given(
    st.floats(0.0, 10.0),
    st.floats(0.01, 10.0),
    st.integers(1, 50),
    st.integers(1, 10_000),
    st.floats(0.001, 5.0),
)
def test_economies_of_scale_in_the_gaussian_world(tau2, s2, m, n, gap):
    now, later = (laws.gaussian_world(tau2, s2, m, k, gap) for k in (n, 2 * n))
    assert later.finetune == pytest.approx(now.finetune / 2.0)
    assert later.combined < now.combined <= min(now.pretrain, now.finetune)
    assert now.finetune <= now.finetune_heldout * (1 + 1e-15)
    assert later.crossover == pytest.approx(now.crossover)
    gains = [laws.transfer_gain(w.pretrain, w.finetune) for w in (now, later)]
    assert gains[0] < gains[1]
    wider = laws.gaussian_world(tau2, s2, m, n, 2.0 * gap)
    assert wider.combined > now.combined
    assert wider.crossover < now.crossover


@properties
@hypothesis.given(st.integers(4, 1000), st.floats(0.01, 10.0), st.floats(0.0, 10.0))
def test_james_stein_regret_is_monotone(n, v, tau2):
    regret = laws.james_stein_regret(n, v, tau2)
    assert laws.james_stein_regret(n + 1, v, tau2) < regret
    assert laws.james_stein_regret(n, 1.1 * v, tau2) > regret
    assert laws.james_stein_regret(n, v, tau2 + 0.1) < regret


def test_no_mismatch_and_no_noise():
    world = laws.gaussian_world(0.5, 2.0, 4, 16, 0.0)
    assert world.pretrain == world.combined == 0.0
    assert world.crossover == math.inf
    assert laws.transfer_gain(0.0, 1.0) == laws.transfer_gain(0.0, 0.0) == 0.0
    assert laws.transfer_gain(1.0, math.inf) == 0.0
    assert laws.transfer_gain(math.inf, 1.0) == math.inf
    assert laws.harmonic(math.inf, math.inf) == math.inf
    assert laws.ridge_to_pretrained(np.eye(2), [0.0, 0.0], 0.0, 0.0) == 0.0


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: laws.harmonic(-1.0, 1.0), "pretrain_excess = -1.0 is not in"),
        (lambda: laws.harmonic(1.0, math.nan), "finetune_excess = nan is not in"),
        (lambda: laws.transfer_gain(math.inf, math.inf), "have no difference"),
        (lambda: laws.gaussian_world(-0.1, 1.0, 1, 1, 0.0), "tau2 = -0.1"),
        (lambda: laws.gaussian_world(1.0, 0.0, 1, 1, 0.0), "s2 = 0.0 is not positive"),
        (lambda: laws.gaussian_world(1.0, 1.0, 0, 1, 0.0), "m = 0, expected"),
        (lambda: laws.gaussian_world(1.0, 1.0, 1, 0, 0.0), "n = 0, expected"),
        (lambda: laws.gaussian_world(1.0, 1.0, 1, 1, math.nan), "mismatch = nan"),
        (lambda: laws.james_stein_regret(3, 1.0, 1.0), "n = 3, expected at least 4"),
        (lambda: laws.james_stein_regret(4, math.nan, 1.0), "v = nan is not positive"),
        (
            lambda: laws.ridge_to_pretrained([1.0], [1.0], 1.0, 1.0),
            r"features has shape \(1,\)",
        ),
        (
            lambda: laws.ridge_to_pretrained(EYE, [1.0], 1.0, 1.0),
            r"beta_gap has shape \(1,\), expected \(2,\)",
        ),
        (
            lambda: laws.ridge_to_pretrained(EYE, [1.0, math.nan], 1.0, 1.0),
            r"beta_gap\[1\] = nan",
        ),
        (
            lambda: laws.ridge_to_pretrained(EYE, [1.0, 1.0], [1.0, -1.0], 1.0),
            r"noise_variance\[1\] = -1.0 is not in",
        ),
        (
            lambda: laws.ridge_to_pretrained(EYE, [1.0, 1.0], [1.0] * 3, 1.0),
            r"noise_variance has shape \(3,\), expected \(\) or \(2,\)",
        ),
        (
            lambda: laws.ridge_to_pretrained(EYE, [1.0, 1.0], 1.0, -1.0),
            "penalty = -1.0 is not in",
        ),
        (lambda: laws.sandwich(0.0 * EYE, EYE, 5), "hessian has an eigenvalue 0"),
        (lambda: laws.sandwich(EYE, -EYE, 5), "score_covariance has an eigenvalue -1"),
        (lambda: laws.sandwich(EYE, EYE, 0), "n = 0, expected"),
        (lambda: laws.sandwich(EYE, np.eye(3), 5), r"score_covariance has shape"),
        (lambda: laws.sandwich([[1.0, 1.0], [0.0, 1.0]], EYE, 5), "not symmetric"),
        (
            lambda: laws.pinball_score_covariance(EYE, 1.0, 1.5, 0.1),
            "quantile = 1.5 is not in",
        ),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
