import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ptft_jax import dependence, types


def portfolio(observations, valid=None):
    return types.portfolio(jnp.asarray(observations, jnp.float32), 0.9, valid)


def effect(observations, valid=None):
    return dependence.examine(portfolio(observations, valid)).design_effect


def is_ordered(observations, valid=None):
    return dependence.examine(portfolio(observations, valid)).is_ordered


def wandering(rng, n, m, memory):
    """Autoregressive demand, its level different for every instance."""
    state = rng.normal(size=n)
    found = []
    for _ in range(m):
        state = memory * state + np.sqrt(1 - memory**2) * rng.normal(size=n)
        found.append(state)
    return np.exp(rng.normal(size=(n, 1)) + np.stack(found, 1))


@pytest.mark.parametrize(
    "draw", [lambda r, s: r.lognormal(0, 1, s), lambda r, s: r.poisson(0.3, s)]
)
def test_independent_instances_count_in_full_in_99_of_100_portfolios(draw):
    rng = np.random.default_rng(0)
    found = [effect(draw(rng, (80, 6))) for _ in range(400)]
    # 1% and three standard errors
    assert np.mean(np.array(found) > 1.0) <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 400)


def test_shared_shocks_cost_in_proportion_to_the_number_of_instances():
    rng = np.random.default_rng(1)
    shock = rng.normal(0, 1, 10)
    found = [
        effect(np.exp(shock + rng.normal(0, 1, (n, 10)))) for n in (100, 400, 1600)
    ]
    assert found[0] > 5.0
    np.testing.assert_allclose(found[1] / found[0], 4.0, rtol=0.25)
    np.testing.assert_allclose(found[2] / found[1], 4.0, rtol=0.25)


def test_an_order_of_its_own_for_every_instance_hides_shocks():
    rng = np.random.default_rng(2)
    shared = np.exp(rng.normal(0, 1, 8) + rng.normal(0, 0.3, (500, 8)))
    assert effect(shared) > 50.0
    assert effect(rng.permuted(shared, axis=1)) == 1.0


def test_neither_scale_nor_order_of_instances_nor_padding_matters():
    rng = np.random.default_rng(3)
    data = np.exp(rng.normal(0, 1, 6) + rng.normal(0, 1, (50, 6)))
    want = effect(data)
    np.testing.assert_allclose(effect(data[::-1] * rng.uniform(1, 9, (50, 1))), want)
    padded = np.concatenate([data, np.zeros((14, 6))])
    valid = jnp.asarray(np.arange(64)[:, None] < np.full(6, 50))
    np.testing.assert_allclose(effect(padded, valid), want)


def test_nothing_to_compare_counts_in_full():
    assert effect(np.ones((30, 5))) == effect(np.ones((1, 5))) == 1.0
    assert effect(np.arange(30.0)[:, None]) == 1.0


@pytest.mark.parametrize("n", [20, 200])
def test_order_is_found_to_matter_in_one_of_100_portfolios_where_it_does_not(n):
    rng = np.random.default_rng(4)
    found = [is_ordered(rng.poisson(2.0, (n, 7))) for _ in range(400)]
    assert np.mean(found) <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 400)


def test_order_matters_where_demand_wanders_and_not_after_shuffling():
    rng = np.random.default_rng(5)
    data = wandering(rng, 300, 8, 0.5)
    assert is_ordered(data)
    assert not is_ordered(rng.permuted(data, axis=1))


def test_shared_shocks_alone_do_not_make_order_matter():
    rng = np.random.default_rng(6)
    found = [
        is_ordered(np.exp(rng.normal(0, 1, 9) + rng.normal(0, 1, (200, 9))))
        for _ in range(50)
    ]
    assert np.mean(found) <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 50)


def test_ragged_instances_are_compared_by_the_neighbours_they_have():
    rng = np.random.default_rng(7)
    data = wandering(rng, 400, 12, 0.6)
    valid = rng.uniform(size=data.shape) < 0.7
    assert is_ordered(data, jnp.asarray(valid))
    shuffled = rng.permuted(data, axis=1)
    assert not is_ordered(shuffled, jnp.asarray(valid))


def test_ranks_are_those_among_the_observations_of_the_instance_that_exist():
    rng = np.random.default_rng(5)
    data = rng.poisson(2.0, (200, 7)).astype(float)
    data[rng.uniform(size=data.shape) < 0.3] = np.nan
    found = dependence.ranks(portfolio(data))
    kept = [row[~np.isnan(row)] for row in data]
    kept = [row for row in kept if len(row) > 1 and row.std() > 0]
    assert len(found.z) == len(kept)
    for z, valid, row in zip(found.z, found.valid, kept, strict=True):
        rank = stats.rankdata(row)
        expected = (rank - rank.mean()) / rank.std()
        np.testing.assert_allclose(z[valid], expected, atol=1e-12)
        assert (z[~valid] == 0.0).all()
