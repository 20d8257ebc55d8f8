import functools
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ptft_jax import checkpoint, losses, model, pretrain
from ptft_jax.types import Portfolio
from ptft_jax.worlds.example import Example

NETWORK = tiny.NETWORK
CONFIG = pretrain.PretrainConfig(num_steps=6, shapes=((4, 8, 4),), chunk=2)
KEY = jax.random.key(3)


def lognormal_example(key, n, m, num_quantiles, num_future):
    # The broad prior would spend most of the time of these tests on compiling.
    keys = jax.random.split(key, 4)
    level = jnp.exp(0.5 * jax.random.normal(keys[0], (n, 1)))
    draw = lambda key, k: level * jnp.exp(0.4 * jax.random.normal(key, (n, k)))
    quantiles = jax.random.uniform(keys[3], (n, num_quantiles), minval=0.5, maxval=0.95)
    data = Portfolio(draw(keys[1], m), jnp.ones((n, m), bool), quantiles[:, 0])
    return Example(data, quantiles, draw(keys[2], num_future))


run = functools.partial(pretrain.run, sample_example=lognormal_example)


@pytest.fixture(scope="module")
def uninterrupted():
    return run(NETWORK, CONFIG, KEY)


def test_same_key_gives_the_same_weights(uninterrupted):
    again, losses_again = run(NETWORK, CONFIG, KEY)
    chex.assert_trees_all_equal(again, uninterrupted[0])
    assert losses_again == uninterrupted[1]


def test_going_on_after_an_interruption_gives_the_same_weights(uninterrupted, tmp_path):
    class Killed(Exception):
        pass

    def kill(step, loss):
        if step == 4:
            raise Killed

    path = tmp_path / "state.safetensors"
    options = {"path": path, "save_every": 2}
    with pytest.raises(Killed):
        run(NETWORK, CONFIG, KEY, report=kill, **options)
    params, trace = run(NETWORK, CONFIG, KEY, **options)
    assert len(trace) == 1
    chex.assert_trees_all_equal(params, uninterrupted[0])


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    run(NETWORK, CONFIG, KEY, path=path)
    other = pretrain.PretrainConfig(num_steps=8, shapes=CONFIG.shapes, chunk=2)
    with pytest.raises(ValueError, match="another configuration"):
        run(NETWORK, other, KEY, path=path)
    with pytest.raises(ValueError, match="or seed"):
        run(NETWORK, CONFIG, jax.random.key(4), path=path)


def test_a_diverging_loss_is_an_error_that_names_the_step():
    def broken(*args):
        example = lognormal_example(*args)
        return example._replace(future=example.future * jnp.nan)

    with pytest.raises(FloatingPointError, match="at step 0"):
        run(NETWORK, CONFIG, KEY, sample_example=broken)


def test_weights_survive_the_file(uninterrupted, tmp_path):
    path = tmp_path / "net.safetensors"
    checkpoint.save_network(path, NETWORK, uninterrupted[0], seed=3)
    network, params, info = checkpoint.load_network(path)
    assert network == NETWORK
    assert info == {"seed": 3}
    chex.assert_trees_all_equal(params, uninterrupted[0])


def test_a_file_of_another_network_is_refused(uninterrupted, tmp_path):
    path = tmp_path / "net.safetensors"
    checkpoint.save(path, {"a": np.zeros(2)}, {})
    with pytest.raises(ValueError, match="no ptft network"):
        checkpoint.load_network(path)
    with pytest.raises(ValueError, match="holds another network"):
        checkpoint.load(path, uninterrupted[0])


def test_the_loss_is_invariant_to_the_unit_of_demand():
    params = tiny.init_params(NETWORK, KEY)
    example = lognormal_example(jax.random.key(1), 16, 6, 3, 8)
    scaled = example._replace(
        portfolio=example.portfolio._replace(
            observations=example.portfolio.observations * 50.0
        ),
        future=example.future * 50.0,
    )
    loss = jax.jit(losses.pretraining_loss, static_argnums=1)
    np.testing.assert_allclose(
        loss(params, NETWORK, scaled), loss(params, NETWORK, example), rtol=1e-3
    )


class Thrice(model.Network):
    """Decides for three times the observed mean, without a parameter."""

    def setup(self):
        pass

    def tokens(self, portfolio):
        return SimpleNamespace(scale=portfolio.observations.mean(-1)), None, None

    def decide(self, inputs, tokens, quantile):
        return SimpleNamespace(base=3.0 * inputs.scale)


def test_the_loss_by_hand():
    portfolio = Portfolio(
        observations=jnp.asarray([[1.0, 1.0], [3.0, 5.0], [9.0, 9.0]]),  # and padding
        valid=jnp.asarray([[True, True], [True, True], [False, False]]),
        quantile=jnp.full(3, 0.5),
    )
    future = jnp.asarray([[0.0, 2.0], [4.0, 12.0], [7.0, 7.0]])
    told = Example(portfolio, jnp.full((3, 1), 0.5), future)
    # means 1 and 4, 2.5 over the portfolio; decisions 3 and 12 cost 1 and 2, those of
    # one who knows the moments, 1 and 8, cost 0.5 and 2
    weight = 1.0 / (0.8 * np.array([1.0, 4.0]) + 0.2 * 2.5)
    least = weight @ [0.5, 2.0] + 0.003 * weight @ [1.0, 4.0]
    found = losses.pretraining_loss({}, Thrice(), told)
    np.testing.assert_allclose(found, weight @ [1.0, 2.0] / least, rtol=1e-6)


def test_training_gains_on_fresh_portfolios():
    config = pretrain.PretrainConfig(
        num_steps=60, shapes=((16, 16, 6),), chunk=30, average_decay=0.9
    )
    params, _ = run(NETWORK, config, KEY)
    shape = (64, 32, 6)
    loss = jax.jit(pretrain.make_loss(NETWORK, config, shape, lognormal_example))
    fresh = jax.random.split(jax.random.key(99), 3)
    before = [loss(tiny.init_params(NETWORK, KEY), key) for key in fresh]
    after = [loss(params, key) for key in fresh]
    assert np.mean(after) < np.mean(before) - 0.01
