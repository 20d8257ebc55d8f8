import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from scipy import optimize

from ptft_jax.allocation import baselines as allocation_baselines
from ptft_jax.allocation import counts as allocation_counts
from ptft_jax.allocation import knapsack
from ptft_jax.method import crossfit, finetune, network
from ptft_jax.problems import allocation, problem
from ptft_jax.tables.problems import DataError
from ptft_jax.worlds import allocation as worlds
from ptft_jax.worlds import three_part

PROBLEM, WORLD = allocation.PROBLEM, worlds.WORLD
NETWORK = network.Across(allocation.NUM_OUTPUTS, width=8, num_latents=3, heads=2)


DECIDE = jax.jit(lambda params, seen: network.decide(NETWORK, PROBLEM, params, seen))
SUMMARIZE, SCORE = jax.jit(PROBLEM.summarize), jax.jit(allocation.score)
BEST, INPUTS = jax.jit(knapsack.best), jax.jit(PROBLEM.inputs)


@functools.partial(jax.jit, static_argnums=1)
def draw(seed, n):
    law_key, truth_key, seen_key = jax.random.split(jax.random.key(seed), 3)
    law = WORLD.sample_law(law_key)
    truth = WORLD.sample_instances(truth_key, law, n)
    return law, truth, WORLD.observe(seen_key, truth, 1)


@pytest.fixture(scope="module")
def params():
    make = jax.jit(lambda seen, key: network.init(NETWORK, PROBLEM, seen, key))
    start = make(draw(0, 4)[2], jax.random.key(0))
    return jax.tree.map(lambda leaf: 3.0 * leaf, start)  # outputs far from 0


def test_what_is_certified_spends_about_the_budget(params):
    rest = lambda key, seen: (PROBLEM.leave_out(key, seen)[0], seen.cost)
    spending = replace(PROBLEM, leave_out=rest, cost=lambda x, cost: x * cost)
    policy = finetune.single(jax.tree.map(jnp.zeros_like, params))
    keys = jax.random.split(jax.random.key(3), 4)

    @jax.jit
    def spent(seed):
        key = jax.random.key(seed)
        law = three_part.WORLD.sample_law(key)
        truth = three_part.WORLD.sample_instances(key, law, 768)
        seen = three_part.WORLD.observe(key, truth, 1)
        halves = [problem.take(seen, jnp.arange(k, 768, 2)) for k in (0, 1)]
        return crossfit._mean_cost(
            NETWORK, spending, policy, *halves[::-1], keys
        ).mean()

    shares = np.array([spent(seed) for seed in range(32)])
    assert abs(shares.mean() - 1.0) < 4.0 * shares.std() / 32**0.5


@pytest.mark.parametrize("seed", range(6))
def test_the_linear_programme_is_solved_exactly(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.choice([1, 7, 30]))
    value = rng.normal(0.3, 1.0, n)
    cost = rng.lognormal(rng.normal(0.0, 1.5), 1.0, n)
    bound = [(0.0, 1.0)] * n
    found = optimize.linprog(-value, A_ub=cost[None] / n, b_ub=[1.0], bounds=bound)
    as_float = [jnp.asarray(a, jnp.float32) for a in (value, cost)]
    x = np.asarray(BEST(*as_float), float)
    assert (cost @ x) / n <= 1.0 + 1e-5
    np.testing.assert_allclose(value @ x, -found.fun, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x, found.x, atol=1e-4)
    price = float(knapsack.solve(*as_float).price)
    assert price == pytest.approx(-found.ineqlin.marginals[0] / n, rel=1e-4)


def test_items_of_equal_ratio_share_what_is_left():
    # budget 5 for costs 2, 2, 2 of ratio 3 after an item of cost 2 and ratio 9
    value, cost = jnp.array([6.0, 18.0, 6.0, 6.0, -1.0]), jnp.array([2.0] * 5)
    np.testing.assert_allclose(BEST(value, cost), [0.5, 1.0, 0.5, 0.5, 0.0], rtol=1e-6)
    slack = knapsack.solve(value, cost / 4.0)
    assert float(slack.price) == 0.0
    np.testing.assert_array_equal(
        knapsack.take(value, cost / 4.0, slack), [1.0, 1.0, 1.0, 1.0, 0.0]
    )


def test_output_zero_is_the_shrinkage_rule_and_ones_restore_the_estimate():
    _, _, seen = draw(1, 40)
    stats = SUMMARIZE(seen)
    zero = jnp.zeros((40, 4))
    m = SCORE(seen, stats, zero)
    keep = stats.spread / (stats.spread + 1.0 / seen.precision)
    by_hand = stats.centre + keep * (seen.estimate - stats.centre)
    np.testing.assert_allclose(m, by_hand, rtol=1e-4, atol=1e-5)
    plain = SCORE(seen, stats, zero.at[:, 1].set(1.0))
    np.testing.assert_allclose(plain, seen.estimate, rtol=1e-4, atol=1e-5)


SCALES = {
    "estimates": lambda s, a: s._replace(
        estimate=a * s.estimate, precision=s.precision / a**2
    ),
    "weights": lambda s, a: s._replace(weight=a * s.weight),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALES)
def test_units_do_not_matter(name, params):
    _, _, seen = draw(2, 50)
    x = DECIDE(params, seen)
    scaled = DECIDE(params, SCALES[name](seen, 64.0))
    np.testing.assert_allclose(x, scaled, atol=1e-3)
    for rule in PROBLEM.baselines.values():
        np.testing.assert_allclose(
            rule(seen), rule(SCALES[name](seen, 64.0)), atol=1e-3
        )


@pytest.mark.slow
def test_order_and_padding_do_not_matter(params):
    _, _, seen = draw(3, 30)
    order = jax.random.permutation(jax.random.key(0), 30)
    rules = {
        "network": lambda s: DECIDE(params, s),
        **PROBLEM.baselines,
    }
    for name, rule in rules.items():
        x = rule(seen)
        assert float((seen.cost * x).mean()) <= 1.0 + 1e-4, name
        permuted = rule(problem.take(seen, order))
        np.testing.assert_allclose(x[order], permuted, atol=1e-4, err_msg=name)
        padded = rule(problem.take(seen, jnp.arange(30), 37))
        np.testing.assert_allclose(padded[:30], x, atol=1e-4, err_msg=name)
        np.testing.assert_array_equal(padded[30:], 0.0, err_msg=name)


@pytest.mark.slow
def test_nothing_but_padding_and_one_item_stay_finite(params):
    _, _, seen = draw(4, 8)
    for count in (0, 1):
        few = problem.first(seen, count)
        stats = SUMMARIZE(few)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((stats,)))
        inputs = INPUTS(few, stats)
        assert np.isfinite(inputs.instance).all()
        assert np.isfinite(inputs.portfolio).all()
        x = DECIDE(params, few)
        assert np.isfinite(x).all()
        for rule in PROBLEM.baselines.values():
            assert np.isfinite(rule(few)).all()


@pytest.mark.slow
def test_loss_is_least_in_the_mean_at_the_mean_label():
    _, truth, seen = draw(5, 24)
    stats = SUMMARIZE(seen)
    zero = jnp.zeros((24, 4))
    price = PROBLEM.couple(seen, stats, zero)
    scale = allocation.features.rules(seen, stats).scale
    base = SCORE(seen, stats, zero)

    @jax.jit
    def at(score, label):
        output = zero.at[:, 0].set((score - base) / scale)
        return PROBLEM.loss(seen, stats, output, price, seen.weight * label)

    # linear in the label, so its mean loss is the loss of the mean label
    np.testing.assert_allclose(
        at(truth.theta, base) + at(truth.theta, -base),
        2.0 * at(truth.theta, 0.0 * base),
        rtol=1e-2,
        atol=1e-2,
    )
    least = at(truth.theta, truth.theta)
    for off in (-1.0, -0.1, 0.1, 1.0):
        more = at(truth.theta + off * scale, truth.theta)
        assert (more >= least - 1e-4).all()
    slope = jax.grad(lambda score: at(score, truth.theta).sum())(truth.theta)
    np.testing.assert_allclose(slope * scale, 0.0, atol=1e-3)


def test_left_out_labels_are_unbiased_and_independent():
    _, truth, _ = draw(6, 200)
    stats = SUMMARIZE(WORLD.observe(jax.random.key(1), truth, 1))
    output = jnp.full((200, 4), 0.1)

    def one(key):
        seen_key, split_key = jax.random.split(key)
        rest, label = PROBLEM.leave_out(split_key, WORLD.observe(seen_key, truth, 1))
        x = PROBLEM.decide(rest, stats, output, PROBLEM.couple(rest, stats, output))
        truly = WORLD.expected_cost(truth, x).sum()
        return (PROBLEM.cost(x, label).sum() - truly), rest.estimate - truth.theta

    keys = jax.random.split(jax.random.key(2), 4000)
    gap, off = jax.jit(jax.vmap(one))(keys)
    assert abs(gap.mean()) < 4.0 * gap.std() / len(keys) ** 0.5
    variance = (off**2 * truth.precision * (1.0 - allocation.SHARE_LEFT_OUT)).mean()
    assert variance == pytest.approx(1.0, abs=4.0 * (2.0 / off.size) ** 0.5)


def test_a_label_that_is_not_independent_is_found_out():
    _, truth, _ = draw(6, 200)

    def one(key):
        seen = WORLD.observe(key, truth, 1)
        x = allocation_baselines.saa(seen)
        wrong = PROBLEM.cost(x, seen.weight * seen.estimate).sum()
        return wrong - WORLD.expected_cost(truth, x).sum()

    gap = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(2), 500))
    assert gap.mean() < -4.0 * gap.std() / 500**0.5


def test_table_names_all_bad_rows():
    good = pl.DataFrame(
        {
            "instance": ["a", "b", "c"],
            "estimate": [1.0, 2.0, -1.0],
            "variance": [0.5, 0.25, 1.0],
            "cost": [1.0, 2.0, 3.0],
        }
    )
    seen, names = PROBLEM.read(good, 2.0)
    assert names == ["a", "b", "c"]
    np.testing.assert_allclose(seen.precision, [2.0, 4.0, 1.0])
    np.testing.assert_allclose(seen.cost, [1.5, 3.0, 4.5])  # 3 · cost / 2
    column, _ = PROBLEM.read(good.with_columns(pl.lit(2.0).alias("budget")))
    np.testing.assert_array_equal(column.cost, seen.cost)
    bad = good.with_columns(
        pl.Series("estimate", [None, 2.0, float("inf")]),
        pl.Series("variance", [0.0, 1.0, 1.0]),
        pl.Series("instance", ["a", "b", "b"]),
    )
    with pytest.raises(DataError) as error:
        PROBLEM.read(bad)
    for part in ("row 2: estimate", "row 4: estimate", "row 2: variance", "'b'"):
        assert part in str(error.value)
    assert "budget" in str(error.value)
    with pytest.raises(DataError, match="precision or variance"):
        PROBLEM.read(good.drop("variance"))


def test_counts_are_read_and_checked():
    good = pl.DataFrame(
        {
            "instance": ["a", "b"],
            "successes": [1, 0],
            "trials": [4, 2],
            "cost": [1, 1],
            "budget": [1, 1],
        }
    )
    seen, _ = allocation_counts.PROBLEM.read(good)
    np.testing.assert_array_equal(seen.cost, [2.0, 2.0])
    bad = good.with_columns(pl.Series("successes", [5, 0]))
    with pytest.raises(DataError, match="row 2: 5 successes of 4 trials"):
        allocation_counts.PROBLEM.read(bad)
