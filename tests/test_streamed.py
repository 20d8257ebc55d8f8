import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ptft_jax import accumulators, left_out, model, risk, shapes, streamed, types
from ptft_jax.types import Portfolio

NETWORK = model.Network(width=16, observation_width=8, num_latents=4, heads=2)
BLOCK = 16
N = 3 * BLOCK + 5
whole = jax.jit(risk.decide, static_argnums=0)
in_blocks = jax.jit(streamed.decide, static_argnums=(0, 3))


@pytest.fixture(scope="module")
def policy():
    data = types.portfolio(jnp.ones((3, 2)), 0.5)
    init = jax.jit(jax.vmap(NETWORK.init, (0, None)))
    params = init(jax.random.split(jax.random.key(0)), data)
    return risk.Policy(params, 0.1 * jnp.asarray(np.eye(2, 16), jnp.float32))


def demands(n, kind="continuous", seed=1):
    rng = np.random.default_rng(seed)
    level = rng.lognormal(1.0, 0.6, (n, 1))
    data = level * rng.lognormal(0.0, 0.5, (n, 5))
    if kind == "counts":
        data = rng.poisson(level, (n, 5)).astype(float)
    data[:, 2:][rng.uniform(size=(n, 3)) < 0.2] = np.nan
    return types.portfolio(
        jnp.asarray(data, jnp.float32),
        jnp.asarray(rng.uniform(0.5, 0.95, n), jnp.float32),
    )


@pytest.mark.parametrize("kind", ["continuous", "counts"])
def test_blocks_decide_as_the_whole(policy, kind):
    data = demands(N, kind)
    expected = whole(NETWORK, policy, data)
    chex.assert_trees_all_close(
        in_blocks(NETWORK, policy, data, BLOCK), expected, rtol=1e-5
    )


def test_blocks_of_padding_change_nothing(policy):
    padded = shapes.extend(demands(BLOCK + 5), N)
    chex.assert_trees_all_close(
        in_blocks(NETWORK, policy, padded, BLOCK),
        whole(NETWORK, policy, padded),
        rtol=1e-5,
    )


def test_permuting_instances_across_blocks_permutes_decisions(policy):
    data, order = demands(N), np.random.default_rng(0).permutation(N)
    shuffled = jax.tree.map(lambda leaf: leaf[order], data)
    chex.assert_trees_all_close(
        in_blocks(NETWORK, policy, shuffled, BLOCK),
        in_blocks(NETWORK, policy, data, BLOCK)[order],
        rtol=1e-5,
    )


def test_every_instance_counts_in_the_decisions_of_every_other_block(policy):
    data = demands(N)
    last = data._replace(observations=data.observations.at[-1].multiply(30.0))
    before, after = (in_blocks(NETWORK, policy, d, BLOCK) for d in (data, last))
    assert (np.abs(after[:BLOCK] / before[:BLOCK] - 1.0) > 1e-4).all()


def test_moments_of_parts_pool_to_those_of_the_whole():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(1e3, 1.0, (6, 40, 2)), jnp.float32)
    weight = jnp.asarray(rng.integers(0, 3, (6, 40)), jnp.float32).at[4].set(0.0)
    found = accumulators.pooled(jax.vmap(accumulators.moments)(x, weight))
    w, flat = np.repeat(weight, 2).reshape(-1, 2), np.asarray(x, float).reshape(-1, 2)
    mean = (w * flat).sum(0) / w.sum(0)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
    variance = (w * (flat - mean) ** 2).sum(0) / w.sum(0)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-3)


def test_attention_to_parts_pools_to_softmax_over_all_keys():
    rng = np.random.default_rng(0)
    scores = rng.normal(0.0, 30.0, (3, 5, 8))
    values = rng.normal(size=(3, 8, 2))
    valid = rng.uniform(size=(3, 8)) < 0.6
    valid[1] = False
    parts = jax.vmap(accumulators.attention)(scores, values, valid)
    found = accumulators.pooled(parts).mean
    flat = np.where(valid[:, None], scores, -np.inf).swapaxes(0, 1).reshape(5, 24)
    expected = jax.nn.softmax(flat) @ values.reshape(24, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_left_out_decisions_of_blocks_are_those_of_the_whole(monkeypatch):
    data, policy = demands(N), risk.single(tiny.NETWORK, tiny.params())
    position, _ = risk.left_out(jax.random.key(0), data.valid, 2)
    args = tiny.NETWORK, policy, data, data, position
    expected = left_out.left_out_decisions(*args)
    monkeypatch.setattr(streamed, "BLOCK", BLOCK)
    found = left_out.left_out_decisions(*args)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_rows_left_out_are_fewer_where_instances_are_many():
    rows = lambda n, m: left_out.num_rows(
        Portfolio(jnp.zeros((n, m)), jnp.ones((n, m), bool), jnp.zeros(n))
    )
    assert rows(1000, 10) == 10
    assert rows(1000, 32) == left_out.MAX_ROWS
    assert rows(2**18, 10) == 2
    assert rows(2**20, 10) == 1


def test_a_program_needs_the_memory_of_a_block_beside_the_portfolio():
    n = 2**16
    given = Portfolio(
        jax.ShapeDtypeStruct((n, 5), jnp.float32),
        jax.ShapeDtypeStruct((n, 5), bool),
        jax.ShapeDtypeStruct((n,), jnp.float32),
    )
    policy = risk.single(tiny.NETWORK, tiny.params())
    program = in_blocks.lower(tiny.NETWORK, policy, given, 1024).compile()
    # the portfolio, cut into blocks, has 29 bytes an instance; features have 300
    assert program.memory_analysis().temp_size_in_bytes < 100 * n
