import functools

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from scipy import stats

from ptft_jax.means import binomial, gaussian, poisson, rule
from ptft_jax.method import network as network_
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import first, pad
from ptft_jax.tables.problems import DataError

NETWORK = Across(rule.NUM_OUTPUTS, width=16, num_latents=4, num_blocks=1, heads=2)
KEY = jax.random.key(0)
SEEN = {
    "gaussian": gaussian.Seen(
        jnp.array([0.3, -1.2, 2.5, 0.1, 4.0, -0.7, 1.1, 0.9]),
        jnp.array([1.0, 0.5, 2.0, 1.0, 0.3, 0.8, 1.5, 1.0]),
    ),
    "binomial": binomial.Seen(
        jnp.array([3.0, 0.0, 12.0, 7.0, 40.0, 1.0, 2.0, 9.0]),
        jnp.array([10.0, 4.0, 30.0, 9.0, 160.0, 2.0, 2.0, 50.0]),
    ),
    "poisson": poisson.Seen(
        jnp.array([0.0, 3.0, 1.0, 12.0, 7.0, 0.0, 2.0, 25.0]),
        jnp.array([1.0, 2.0, 0.5, 4.0, 1.0, 3.0, 1.0, 2.0]),
    ),
}
MODULES = {
    "gaussian": gaussian,
    "binomial": binomial,
    "poisson": poisson,
}


@functools.cache
def program(name):
    problem = MODULES[name].PROBLEM
    params = network_.init(NETWORK, problem, SEEN[name], jax.random.key(1))
    # decisions that move by as much as trained ones, not by 1 %
    params = jax.tree.map(lambda leaf: 3.0 * leaf, params)
    return jax.jit(functools.partial(network_.decide, NETWORK, problem, params))


def mapped(function, seen):
    return type(seen)(*map(function, seen))


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEN)
def test_permuting_instances_permutes_decisions(name):
    order = jnp.array([3, 1, 7, 0, 2, 6, 5, 4])
    x = program(name)(SEEN[name])
    moved = program(name)(mapped(lambda leaf: leaf[order], SEEN[name]))
    np.testing.assert_allclose(moved, x[order], rtol=1e-3, atol=1e-4)
    assert np.ptp(x) > 0.1


@pytest.mark.parametrize("name", SEEN)
def test_padding_changes_no_decision(name):
    # of the same shape, so that one program serves: 5 instances, then padding
    junk = mapped(lambda leaf: leaf.at[5:].set(0.0), SEEN[name])
    moved = mapped(lambda leaf: jnp.roll(leaf, 3), junk)
    x, other = program(name)(junk), program(name)(moved)
    np.testing.assert_allclose(x[:5], other[3:], rtol=1e-3, atol=1e-4)
    short = mapped(lambda leaf: leaf[:5], SEEN[name])
    alone = pad(short, 8)
    np.testing.assert_array_equal(program(name)(alone), x)
    np.testing.assert_array_equal(first(SEEN[name], 5)[0], junk[0])


@pytest.mark.parametrize("name", SEEN)
def test_at_output_zero_the_rule_is_parametric_empirical_bayes(name):
    problem, seen = MODULES[name].PROBLEM, SEEN[name]
    stats_ = problem.summarize(seen)
    x = problem.decide(seen, stats_, jnp.zeros((8, problem.num_outputs)))
    expected = problem.baselines["parametric_eb"](seen)
    np.testing.assert_allclose(x, expected, rtol=1e-6)


def test_gaussian_decisions_follow_shift_and_scale():
    seen = SEEN["gaussian"]
    x = program("gaussian")(seen)
    moved = gaussian.Seen(5.0 * seen.estimate - 30.0, 25.0 * seen.variance)
    np.testing.assert_allclose(
        program("gaussian")(moved), 5.0 * x - 30.0, rtol=1e-3, atol=5e-3
    )


def test_poisson_decisions_follow_the_unit_of_exposure():
    seen = SEEN["poisson"]
    moved = seen._replace(exposure=40.0 * seen.exposure)
    x = program("poisson")(seen)
    np.testing.assert_allclose(40.0 * program("poisson")(moved), x, rtol=2e-3)


TRUTH = {"gaussian": 0.7, "binomial": 0.3, "poisson": 2.5}
SIZE = {"gaussian": 1.5, "binomial": 9.0, "poisson": 1.6}


def draw(name, key, n):
    theta, size = TRUTH[name], SIZE[name]
    if name == "gaussian":
        y = theta + size**0.5 * jax.random.normal(key, (n,))
    elif name == "binomial":
        y = jax.random.binomial(key, size, theta, (n,))
    else:
        y = jax.random.poisson(key, size * theta, (n,)).astype(jnp.float32)
    return type(SEEN[name])(y, jnp.full(n, size))


def expected_cost(name, x):
    error = (x - TRUTH[name]) ** 2
    if name == "binomial":
        return error + TRUTH[name] * (1.0 - TRUTH[name])
    return error * (SIZE[name] if name == "poisson" else 1.0)


def shrunk(name, seen):
    """Some rule that depends on what it sees."""
    if name == "gaussian":
        return 0.8 * seen.estimate
    return (seen[0] + 1.0) / (seen[1] + 2.0)


@pytest.mark.parametrize("name", SEEN)
def test_what_is_left_out_tells_the_cost_of_a_rule_without_bias(name):
    n = 200_000
    module = MODULES[name]
    data_key, split_key = jax.random.split(jax.random.key(3))
    seen = draw(name, data_key, n)
    rest, outcome = module.leave_out(split_key, seen)
    x = shrunk(name, rest)
    excess = np.asarray(
        module.cost(x, outcome) - expected_cost(name, x), dtype=np.float64
    )
    error = excess.std() / n**0.5
    assert abs(excess.mean()) < 4.0 * error
    # a rule that has seen what it is judged on must not pass
    leaky = shrunk(name, seen)
    excess = np.asarray(
        module.cost(leaky, outcome) - expected_cost(name, leaky), dtype=np.float64
    )
    assert abs(excess.mean()) > 4.0 * error


def test_what_is_left_of_a_gaussian_is_one_of_more_variance():
    seen = draw("gaussian", KEY, 100_000)
    rest, outcome = gaussian.leave_out(jax.random.key(5), seen)
    y, out = np.asarray(rest.estimate), np.asarray(outcome.estimate)
    for value, variance in ((y, rest.variance), (out, outcome.variance)):
        expected = float(variance[0])
        assert abs(value.var() - expected) < 4.0 * expected * (2.0 / 100_000) ** 0.5
    assert abs(np.corrcoef(y, out)[0, 1]) < 4.0 / 100_000**0.5


def test_trials_left_out_are_drawn_without_replacement():
    n = 40_000
    seen = binomial.Seen(jnp.full(n, 13.0), jnp.full(n, 40.0))
    rest, outcome = binomial.leave_out(jax.random.key(6), seen)
    np.testing.assert_array_equal(rest.trials, 32.0)
    counts = np.bincount(np.asarray(jnp.round(8.0 * outcome.share), int), minlength=9)
    np.testing.assert_array_equal(
        13.0 - np.asarray(rest.successes), np.asarray(jnp.round(8.0 * outcome.share))
    )
    expected = stats.hypergeom(40, 13, 8).pmf(np.arange(9))
    error = np.sqrt(expected * (1.0 - expected) / n)
    assert (np.abs(counts / n - expected) < 4.5 * error + 1e-6).all()


def test_extreme_instances_are_split():
    seen = binomial.Seen(
        jnp.array([0.0, 5.0, 1.0, 50_000.0, 0.0]),
        jnp.array([5.0, 5.0, 1.0, 100_000.0, 0.0]),
    )
    rest, outcome = binomial.leave_out(KEY, seen)
    np.testing.assert_array_equal(rest.trials, [4.0, 4.0, 0.0, 99_000.0, 0.0])
    np.testing.assert_array_equal(rest.successes[:3], [0.0, 4.0, 0.0])
    np.testing.assert_array_equal(outcome.share[:3], [0.0, 1.0, 1.0])
    assert abs(float(outcome.share[3]) - 0.5) < 5.0 * 0.5 / 1000**0.5
    count = poisson.Seen(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0]))
    rest, outcome = poisson.leave_out(KEY, count)
    np.testing.assert_array_equal(poisson.cost(jnp.ones(2), outcome), [1.0, 0.0])


READ = {
    "gaussian": {"instance": ["a", "b"], "estimate": [1.0, -2.0], "variance": [1, 2]},
    "binomial": {"instance": ["a", "b"], "successes": [0, 3], "trials": [1, 3]},
    "poisson": {"instance": [1, 2], "count": ["0", "3"], "exposure": [0.5, 1.0]},
}


@pytest.mark.parametrize("name", READ)
def test_a_table_is_read(name):
    problem = MODULES[name].PROBLEM
    seen, names = problem.read(pl.DataFrame(READ[name]))
    columns = list(READ[name].values())
    assert names == [str(x) for x in columns[0]]
    np.testing.assert_allclose(seen[0], np.array(columns[1], float))
    np.testing.assert_allclose(seen[1], np.array(columns[2], float))


def test_exposure_is_one_where_the_table_has_none():
    table = pl.DataFrame({"instance": ["a"], "count": [4]})
    seen, _ = poisson.PROBLEM.read(table)
    np.testing.assert_array_equal(seen.exposure, [1.0])


def test_one_message_names_all_bad_rows():
    table = pl.DataFrame(
        {
            "instance": ["a", "b", "b", "", "e", "f"],
            "successes": [1.0, 2.5, 1.0, 1.0, 9.0, None],
            "trials": [2.0, 5.0, 0.0, 3.0, 4.0, 7.0],
        }
    )
    with pytest.raises(DataError) as raised:
        binomial.PROBLEM.read(table)
    message = str(raised.value)
    assert "6 problems" in message
    for row in ("row 3, column 'successes': 2.5", "row 4: 'b' is also in row 3"):
        assert row in message
    for row in ("row 4, column 'trials': 0", "row 5: its instance is blank", "row 7"):
        assert row in message
    assert "row 6: 9 successes in 4 trials" in message


def test_missing_columns_are_named():
    with pytest.raises(DataError, match="no column 'variance'"):
        gaussian.PROBLEM.read(pl.DataFrame({"instance": [1], "estimate": [1.0]}))
