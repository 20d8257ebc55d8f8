import math

import numpy as np
import pytest
from losses_in_01 import (
    BOUNDS,
    DELTA,
    P_GRID,
    beta_losses,
    every_sequence,
    miscoverage_of_counts,
    miscoverage_of_sequences,
    upper_bound,
    zeros_and_ones,
)
from scipy import stats

from theory import certificates, kl, wealth


@pytest.mark.parametrize("n", [1, 2, 7, 50])
@pytest.mark.parametrize("name", BOUNDS[:4])
def test_miscoverage_is_at_most_delta(name, n):
    bounds = [upper_bound(name)(zeros_and_ones(k, n), DELTA) for k in range(n + 1)]
    # just above a bound is where the next miss begins
    grid = np.concatenate([P_GRID, np.nextafter(bounds, 2.0)])
    for p in grid[grid <= 1.0]:
        assert miscoverage_of_counts(bounds, n, p) <= DELTA * (1 + 1e-9), p


@pytest.mark.parametrize(
    ("name", "most"), [("kl_chernoff", 0.045), ("hoeffding", 0.01)]
)
def test_miscoverage_at_a_hundred_is_known(name, most):
    bounds = [upper_bound(name)(zeros_and_ones(k, 100), DELTA) for k in range(101)]
    assert max(miscoverage_of_counts(bounds, 100, p) for p in P_GRID[4:]) <= most


@pytest.mark.parametrize("delta", [0.01, DELTA, 0.5])
def test_clopper_pearson_misses_exactly_delta_above_each_bound(delta):
    n = 40
    bounds = [certificates.clopper_pearson(k, n, delta) for k in range(n + 1)]
    for p in np.array(bounds[:-1]) * (1 + 1e-13):
        assert miscoverage_of_counts(bounds, n, p) == pytest.approx(delta, rel=1e-9)


@pytest.mark.parametrize("delta", [0.01, DELTA, 0.3])
@pytest.mark.parametrize("n", [1, 3, 11])
def test_betting_misses_at_most_delta_over_all_sequences(n, delta):
    sequences = every_sequence(n)
    bounds = wealth.upper(sequences, delta)
    grid = np.concatenate([P_GRID, np.nextafter(np.unique(bounds)[::9], 2.0)])
    for p in grid[grid <= 1.0]:
        assert miscoverage_of_sequences(bounds, sequences, p) <= delta, p


def test_doubled_sample_size_is_caught():
    n = 50
    bounds = [kl.inverse_upper(k / n, -math.log(DELTA) / (2 * n)) for k in range(n + 1)]
    assert max(miscoverage_of_counts(bounds, n, p) for p in P_GRID) > 1.5 * DELTA


def test_bets_that_see_their_own_loss_are_caught(monkeypatch):
    honest = wealth.bets

    def peeking(losses, delta):
        return np.where(losses < 0.5, honest(losses, delta), 0.0)

    monkeypatch.setattr(wealth, "bets", peeking)
    sequences = every_sequence(11)
    bounds = wealth.upper(sequences, DELTA)
    worst = max(miscoverage_of_sequences(bounds, sequences, p) for p in P_GRID)
    assert worst > 1.5 * DELTA


@pytest.mark.parametrize(
    ("losses", "mean"),
    [
        (beta_losses(0, (20_000, 40)), 0.05),
        (np.random.default_rng(1).choice([0.0, 0.3, 1.0], (20_000, 40)), 1.3 / 3),
        ((np.random.default_rng(2).random((20_000, 40)) < 0.08).astype(float), 0.08),
    ],
    ids=["beta", "three points", "rare"],
)
def test_betting_covers_in_simulation(losses, mean):
    misses = int((wealth.upper(losses, DELTA) < mean).sum())
    test = stats.binomtest(misses, len(losses), DELTA, alternative="greater")
    assert test.pvalue > 1e-3
    misses = int((1.0 - wealth.upper(1.0 - losses, DELTA) > mean).sum())
    test = stats.binomtest(misses, len(losses), DELTA, alternative="greater")
    assert test.pvalue > 1e-3


@pytest.mark.parametrize(
    ("n", "rows", "betting", "hoeffding"),
    [
        (100, 400, 0.0805, 0.173),
        (1_000, 100, 0.0543, 0.089),
        (10_000, 20, 0.0515, 0.063),
        (100_000, 3, 0.0505, 0.054),
    ],
)
def test_reference_sizes(n, rows, betting, hoeffding):
    losses = beta_losses(3, (rows, n))
    losses *= 0.05 / losses.mean()
    bounds = wealth.upper(losses.clip(0.0, 1.0), DELTA)
    assert certificates.floor(0.05, n, DELTA) < bounds.mean() < betting
    sizes = [certificates.hoeffding(row.clip(0.0, 1.0), DELTA) for row in losses]
    assert np.mean(sizes) == pytest.approx(hoeffding, abs=1e-3)
