"""The empirical truth: exact costs, both sampling protocols."""

import numpy as np
import pytest

from ptft_jax import empirical

BLANK = np.nan


@pytest.fixture
def ragged():
    """Random laws with ties and blanks, [40 periods, 7 instances]."""
    rng = np.random.default_rng(0)
    columns = np.round(rng.gamma(2.0, 3.0, (40, 7)), 1)
    columns[rng.random((40, 7)) < 0.3] = BLANK
    return empirical.from_columns(columns)


def brute_force_cost(truth, x, quantile):
    costs = []
    for row, x_i, q in zip(truth.series, x, quantile, strict=True):
        xi = row[~np.isnan(row)]
        costs.append(np.mean(np.maximum(q * (xi - x_i), (q - 1) * (xi - x_i))))
    return np.array(costs)


def test_cost_by_hand():
    # law {1, 3, 5}, x = 4, q = .9: (.1·3 + .1·1 + .9·1) / 3
    truth = empirical.from_columns(np.array([[3], [BLANK], [5], [1]]))
    cost = empirical.expected_cost(truth, np.array([4.0]), 0.9)
    np.testing.assert_allclose(cost, [1.3 / 3])


@pytest.mark.parametrize("where", ["at the atoms", "between", "beyond"])
def test_cost_is_the_brute_force_mean(ragged, where):
    rng = np.random.default_rng(1)
    x = {
        "at the atoms": ragged.ordered[:, 4],
        "between": rng.gamma(2.0, 3.0, 7),
        "beyond": np.array([-3.0, 1e4, -1e4, 0.0, 50.0, 1e3, -0.1]),
    }[where]
    q = rng.uniform(0.05, 0.98, 7)
    cost = empirical.expected_cost(ragged, x, q)
    np.testing.assert_allclose(cost, brute_force_cost(ragged, x, q), rtol=1e-10)


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9, 0.95])
def test_full_information_is_the_best_atom(ragged, quantile):
    best = empirical.full_information(ragged, quantile)
    cost = empirical.expected_cost(ragged, best, quantile)
    # a convex piecewise linear cost is minimised at an atom
    for atom in ragged.ordered.T:
        other = np.where(np.isinf(atom), best, atom)
        assert (cost <= empirical.expected_cost(ragged, other, quantile) + 1e-12).all()


def test_rank_survives_the_rounding_of_the_product():
    assert 0.55 * 100 > 55
    truth = empirical.from_columns(np.arange(1, 101)[:, None])
    np.testing.assert_array_equal(empirical.full_information(truth, 0.55), [55.0])


def test_iid_draws_are_distinct_observations_of_the_instance():
    columns = np.arange(60.0).reshape(20, 3)
    columns[3:8, 1] = BLANK
    truth = empirical.from_columns(columns)
    data = empirical.sample_iid(truth, np.random.default_rng(0), 15)
    assert data.shape == (3, 15)
    for drawn, column in zip(data, columns.T, strict=True):
        assert len(set(drawn)) == 15
        assert set(drawn) <= set(column)


def test_iid_marks_what_a_short_instance_lacks():
    truth = empirical.from_columns(np.array([[1.0, 2.0], [BLANK, 3.0]]))
    data = empirical.sample_iid(truth, np.random.default_rng(0), 3)
    np.testing.assert_array_equal((~np.isnan(data)).sum(1), [1, 2])


def test_iid_includes_every_observation_equally_often():
    truth = empirical.from_columns(np.tile(np.arange(8.0)[:, None], (1, 4000)))
    data = empirical.sample_iid(truth, np.random.default_rng(0), 2)
    share = np.bincount(data[:, 0].astype(int), minlength=8) / 4000
    standard_error = np.sqrt(1 / 8 * 7 / 8 / 4000)
    assert np.abs(share - 1 / 8).max() < 4 * standard_error


def test_rolling_skips_blanks_and_keeps_one_origin():
    periods = np.arange(12.0)
    columns = np.stack([periods, np.where(periods % 3 == 1, BLANK, periods)], axis=1)
    truth = empirical.from_columns(columns)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        data, test = empirical.sample_rolling(truth, rng, m=3, horizon=2)
        origin = test[0, 0]
        np.testing.assert_array_equal(data[0], origin - np.array([3, 2, 1]))
        np.testing.assert_array_equal(test[0], origin + np.array([0, 1]))
        observed = columns[~np.isnan(columns[:, 1]), 1]
        np.testing.assert_array_equal(data[1], observed[observed < origin][-3:])
        np.testing.assert_array_equal(test[1], observed[observed >= origin][:2])


def test_rolling_reaches_every_feasible_origin():
    truth = empirical.from_columns(np.arange(6.0)[:, None])
    origins = {
        empirical.sample_rolling(truth, np.random.default_rng(seed), 2, 2)[1][0, 0]
        for seed in range(60)
    }
    assert origins == {2.0, 3.0, 4.0}


def test_take_selects_laws(ragged):
    index = np.array([5, 0])
    part = empirical.take(ragged, index)
    np.testing.assert_array_equal(
        empirical.full_information(part, 0.7),
        empirical.full_information(ragged, 0.7)[index],
    )


def test_unusable_requests_are_named():
    with pytest.raises(ValueError, match="column 1 has no observation"):
        empirical.from_columns(np.array([[1.0, BLANK]]))
    with pytest.raises(ValueError, match="column 0 is infinite in row 1"):
        empirical.from_columns(np.array([[1.0], [np.inf]]))
    truth = empirical.from_columns(np.arange(6.0)[:, None])
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="got 0"):
        empirical.sample_iid(truth, rng, 0)
    with pytest.raises(ValueError, match="shortest has 6"):
        empirical.sample_rolling(truth, rng, 4, 3)


def test_unseen_cost_is_the_mean_over_the_periods_left(ragged):
    truth = ragged
    seen = empirical.sample_iid(truth, np.random.default_rng(2), 2)
    x, q = np.linspace(1.0, 6.0, len(truth.length)), 0.8
    found = empirical.unseen_cost(truth, x, q, seen)
    for i, column in enumerate(truth.series):
        rest = list(column[~np.isnan(column)])
        for value in seen[i]:
            rest.remove(value)
        by_hand = np.mean([max(q * (d - x[i]), (q - 1) * (d - x[i])) for d in rest])
        assert found[i] == pytest.approx(by_hand)
