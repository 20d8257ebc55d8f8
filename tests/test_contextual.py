import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax.contextual import population, regression
from ptft_jax.contextual.baselines import CONTEXTUAL as RULES
from ptft_jax.contextual.records import NUM_COVARIATES, Outcome, Seen
from ptft_jax.method import network as network_
from ptft_jax.method.network import Across
from ptft_jax.problems import contextual, newsvendor, problem

PROBLEM = contextual.PROBLEM
NETWORK = Across(num_outputs=4, width=16, num_latents=4, heads=2)
N, M = 24, 8


def products(seed, effects, spread=0.2, noise=0.3, n=N, m=M, quantile=0.9):
    """Log-normal demand by hand, the last period of each to be stocked for."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, m + 1, NUM_COVARIATES))
    x[..., : len(effects)] = rng.normal(size=(n, m + 1, len(effects)))
    slope = np.array(effects) + spread * rng.normal(size=(n, len(effects)))
    theta = 3.0 + rng.normal(size=(n, 1))
    theta = theta + np.einsum("nmc,nc->nm", x[..., : len(effects)], slope)
    demand = np.exp(theta[:, :m] + noise * rng.normal(size=(n, m)))
    single = lambda block: jnp.asarray(block, jnp.float32)
    seen = Seen(
        demand=single(demand),
        valid=jnp.ones((n, m), bool),
        context=single(x[:, :m]),
        next_context=single(x[:, m]),
        quantile=jnp.full(n, quantile),
    )
    return seen, theta[:, m]


@pytest.fixture(scope="module")
def seen():
    return problem.first(products(0, [0.6, -0.4])[0], N - 3)


@pytest.fixture(scope="module")
def params(seen):
    init = jax.jit(network_.init, static_argnums=(0, 1))
    params = init(NETWORK, PROBLEM, seen, jax.random.key(0))
    # an untrained head is all but 0, and would hide what the network is told
    grow = lambda path, leaf: 30.0 * leaf if "head" in str(path) else leaf
    return jax.tree_util.tree_map_with_path(grow, params)


decide = jax.jit(lambda params, seen: network_.decide(NETWORK, PROBLEM, params, seen))


@jax.jit
def everyone(params, seen):
    """Stocks of the network and of all baselines: one program for a shape."""
    return {
        "network": decide(params, seen),
        **{name: rule(seen) for name, rule in RULES.items()},
    }


summarize = jax.jit(population.summarize)
fit = jax.jit(regression.fit)


def test_the_population_solves_the_normal_equations(seen):
    told = summarize(seen)
    fits = fit(seen, told.units)
    x, y = np.asarray(fits.x, float), np.asarray(fits.y, float)
    tau, variance = np.asarray(told.slope_spread, float), float(told.noise) ** 2
    cover = [variance * np.eye(M) + (own * tau**2) @ own.T for own in x]
    ridge = np.eye(NUM_COVARIATES) / population.USUAL_SLOPE**2
    left = sum(own.T @ np.linalg.solve(v, own) for own, v in zip(x, cover, strict=True))
    right = sum(
        own.T @ np.linalg.solve(v, b) for own, v, b in zip(x, cover, y, strict=True)
    )
    slope = np.linalg.solve(left + ridge, right)
    np.testing.assert_allclose(told.slope, slope, atol=1e-4)
    own = jax.jit(population.shrunk_slopes)(
        fits, told.slope, told.slope_spread, told.noise**2
    )
    for i in range(N - 3):
        gain = (tau[:, None] ** 2 * x[i].T) @ np.linalg.inv(cover[i])
        expected = slope + gain @ (y[i] - x[i] @ slope)
        np.testing.assert_allclose(own.mean[i], expected, atol=1e-4)


def test_own_and_pooled_regressions_are_least_squares(seen):
    found = everyone_without_network(seen)
    x, y = (
        np.asarray(seen.context, float)[..., :2],
        np.log(np.maximum(seen.demand, 1e-9)),
    )
    following = np.asarray(seen.next_context, float)[:, :2]
    off_x, off_y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    rows = slice(0, N - 3)
    slope, *_ = np.linalg.lstsq(
        off_x[rows].reshape(-1, 2), off_y[rows].reshape(-1), rcond=None
    )
    left = off_y[rows] - off_x[rows] @ slope
    sd = np.sqrt((left**2).sum() / ((N - 3) * (M - 1) - 2) * (1.0 + 1.0 / M))
    level = y.mean(1) + (following - x.mean(1)) @ slope
    expected = np.exp(level + 1.2815516 * sd)[rows]
    np.testing.assert_allclose(found["pooled_regression"][rows], expected, rtol=2e-3)
    for i in range(3):
        own, *_ = np.linalg.lstsq(off_x[i], off_y[i], rcond=None)
        ahead = following[i] - x[i].mean(0)
        variance = ((off_y[i] - off_x[i] @ own) ** 2).sum() / (M - 3)
        unsure = ahead @ np.linalg.inv(off_x[i].T @ off_x[i]) @ ahead
        sd = np.sqrt(variance * (1.0 + 1.0 / M + unsure))
        stock = np.exp(y[i].mean() + ahead @ own + 1.2815516 * sd)
        assert float(found["own_regression"][i]) == pytest.approx(stock, rel=5e-3)


@jax.jit
def everyone_without_network(seen):
    return {name: rule(seen) for name, rule in RULES.items()}


def test_output_0_is_the_hierarchical_rule(seen):
    plug_in = jax.jit(lambda seen, o: PROBLEM.decide(seen, summarize(seen), o))
    np.testing.assert_allclose(
        plug_in(seen, jnp.zeros((N, 4))), RULES["hierarchical_eb"](seen), rtol=1e-5
    )


def test_units_of_demand_and_of_covariates_are_of_no_matter(seen, params):
    there = seen.valid[..., None]
    scale = jnp.array([4.0, -0.25, 1.0, 1.0, 1.0, 1.0])
    offset = jnp.array([8.0, 1.0, 0.0, 5.0, 0.0, 0.0])
    other = seen._replace(
        demand=8.0 * seen.demand,
        context=jnp.where(there, scale * seen.context + offset, 0.0),
        next_context=scale * seen.next_context + offset,
    )
    usual, scaled = everyone(params, seen), everyone(params, other)
    for name, stock in usual.items():
        np.testing.assert_allclose(
            scaled[name][: N - 3], 8.0 * stock[: N - 3], rtol=2e-2, err_msg=name
        )


def test_order_of_products_and_of_covariates_and_padding_change_nothing(seen, params):
    order = jax.random.permutation(jax.random.key(0), N)
    shuffled = problem.take(seen, order)
    columns = jnp.array([4, 1, 3, 0, 2, 5])
    shuffled = shuffled._replace(
        context=shuffled.context[..., columns],
        next_context=shuffled.next_context[..., columns],
    )
    usual, mixed = everyone(params, seen), everyone(params, shuffled)
    padded = decide(params, problem.pad(seen, 2 * N))
    for name, stock in usual.items():
        assert (stock[N - 3 :] == 0.0).all(), name
        assert (stock[: N - 3] > 0.0).all(), name
        np.testing.assert_allclose(mixed[name], stock[order], rtol=5e-3, err_msg=name)
    np.testing.assert_allclose(padded[:N], usual["network"], rtol=5e-3)


def test_products_without_data_are_stocked_like_the_others(seen, params):
    unseen = (jnp.arange(N) == 0)[:, None]
    new = seen._replace(
        demand=jnp.where(unseen, 0.0, seen.demand),
        valid=seen.valid & ~unseen,
        context=jnp.where(unseen[..., None], 0.0, seen.context),
    )
    for name, stock in everyone(params, new).items():
        assert 1.0 < float(stock[0]) < 1e4, name


def test_what_is_left_out_is_asked_for_and_no_longer_seen(seen):
    single = seen._replace(valid=seen.valid.at[0, 1:].set(False))
    rest, outcome = PROBLEM.leave_out(jax.random.key(5), single)
    gone = np.asarray(single.valid & ~rest.valid)
    np.testing.assert_array_equal(gone.sum(1), [0] + [1] * (N - 4) + [0] * 3)
    where = gone.argmax(1)[1 : N - 3]
    rows = np.arange(1, N - 3)
    np.testing.assert_array_equal(outcome.demand[rows, 0], seen.demand[rows, where])
    np.testing.assert_array_equal(rest.next_context[rows], seen.context[rows, where])
    assert float(jnp.abs(rest.demand * gone).max()) == 0.0
    # one observation cannot be left out
    assert (PROBLEM.cost(jnp.full(N, 7.0), outcome)[0] == 0.0).all()


def test_loss_moves_towards_the_demand(seen):
    def slope(demand, output):
        outcome = Outcome(jnp.full((N, 1), demand), seen.quantile)
        told = summarize(seen)
        total = lambda o: PROBLEM.loss(seen, told, o, (), outcome).sum()
        return jax.grad(total)(output)[: N - 3]

    slope = jax.jit(slope)
    assert (slope(1e6, jnp.zeros((N, 4)))[:, 0] < 0.0).all()
    assert (slope(0.0, jnp.zeros((N, 4)))[:, 0] > 0.0).all()


def test_covariates_help_where_they_matter_and_cost_little_where_not():
    cost = newsvendor.expected_cost_lognormal
    told, untold = (jax.jit(RULES[k]) for k in ("hierarchical_eb", "ignoring"))

    def share(effects, spread):
        found = []
        for seed in range(8):
            seen, theta = products(seed, effects, spread, n=64)
            law = jnp.asarray(theta, jnp.float32), jnp.full(64, 0.3), jnp.full(64, 0.9)
            one = lambda x, law=law: float(cost(x, *law).mean())
            found.append(one(told(seen)) / one(untold(seen)))
        return np.array(found)

    assert share([0.6, -0.4], 0.2).max() < 0.8
    none = share([0.0, 0.0, 0.0], 0.0)
    assert none.mean() < 1.03
