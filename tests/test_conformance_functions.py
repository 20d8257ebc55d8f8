"""Mistakes of one function, its shapes, types and keys, are told by its name."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import launch
import numpy as np
import pytest

from ptft_jax import conformance, conformance_keys
from ptft_jax.problems.problem import Inputs

KEY = jax.random.key(0)


def searched(*given):
    """A loop of unknown length has no gradient."""
    lost = launch.PROBLEM.loss(*given)
    return jax.lax.while_loop(lambda x: x.sum() > 9.0, lambda x: 0.5 * x, lost)


MISTAKES = {
    r"loss: returned shape \[\] instead of \[512\]": {
        "loss": lambda *given: launch.PROBLEM.loss(*given).mean()
    },
    "inputs: returned tuple instead of Inputs": {
        "inputs": lambda *given: tuple(launch.PROBLEM.inputs(*given))
    },
    r"inputs.instance: returned shape \[512\] instead of \[512, f\]": {
        "inputs": lambda seen, scale: Inputs(seen.y, jnp.zeros(1))
    },
    r"decide: returned shape \[512, 1\] instead of \[512\]": {
        "decide": lambda *given: launch.PROBLEM.decide(*given)[:, None]
    },
    "decide: not compilable .TracerBoolConversionError: Attempted": {
        "decide": lambda *given: given[0].y if given[1] > 0 else given[0].s
    },
    "summarize: not compilable .TracerArrayConversionError": {
        "summarize": lambda seen: np.square(np.asarray(seen.y)).mean()
    },
    "present: returned float32 instead of bool": {"present": lambda seen: seen.s},
    r"judged: returned shape \[\] instead of \[512\]": {
        "judged": lambda seen: (seen.s > 0).any()
    },
    r"gradient of the loss: raises \(ValueError: Reverse-mode": {"loss": searched},
    r"baseline mean: returned shape \[\] instead of \[512, ...\]": {
        "baselines": {"mean": lambda seen: seen.y.mean()}
    },
    "leave_out: returned no pair": {"leave_out": lambda key, seen: [seen, seen.y]},
}
MISTAKES_OF_WORLDS = {
    r"observe: returned shape \[8\] instead of \[512, ...\]": {
        "observe": lambda key, theta, m: jax.random.normal(key, (8,))
    },
    r"observe: returned shape \[8, 512\] instead of \[512, ...\]": {
        "observe": lambda key, theta, m: jax.random.normal(key, (m, 512))
    },
    r"sample_instances: returned shape \[512\] instead of \[513, ...\]": {
        "sample_instances": lambda key, law, n: jax.random.normal(key, (512,))
    },
    r"expected_cost of full_information: returned shape \[512, 512\]": {
        "full_information": lambda theta: 1.0 * (theta > 0)[:, None]
    },
    r"base: returned shape \[\] instead of \[512\]": {
        "base": lambda theta: theta.sum()
    },
}


@pytest.mark.parametrize("told", MISTAKES)
def test_a_mistake_of_shape_or_type_names_its_function(told):
    world = launch.world(replace(launch.PROBLEM, **MISTAKES[told]))
    with pytest.raises(AssertionError, match=told):
        conformance.require(world, KEY)


@pytest.mark.parametrize("told", MISTAKES_OF_WORLDS)
def test_a_mistake_of_shape_in_a_world_names_its_function(told):
    with pytest.raises(AssertionError, match=told):
        conformance.require(launch.world(**MISTAKES_OF_WORLDS[told]), KEY)


FIXED = jax.random.key(3)
DEAF = {
    "sample_instances": lambda key, law, n: launch.WORLD.sample_instances(
        FIXED, law, n
    ),
    "observe": lambda key, theta, m: launch.WORLD.observe(FIXED, theta, m),
    "outcome": lambda key, theta: theta + jax.random.normal(FIXED, theta.shape),
}


@pytest.mark.parametrize("name", DEAF)
def test_a_sampler_that_ignores_its_key_is_found_out(name):
    found = conformance_keys.keys(launch.world(**{name: DEAF[name]}), KEY, 64, 1)
    assert not found.is_met
    assert found.detail == f"the same for every key: {name}"


def test_numbers_drawn_by_the_host_are_found_out():
    host = np.random.default_rng(0)
    world = launch.world(outcome=lambda key, theta: theta + host.normal(size=64))
    found = conformance_keys.keys(world, KEY, 64, 1)
    assert found.detail == "not the same for the same key: outcome"


def test_what_need_not_be_random_may_ignore_its_key():
    constant = launch.world(
        sample_law=lambda key: jnp.array([0.0, 1.0]),
        sample_instances=lambda key, law, n: jnp.linspace(-1.0, 1.0, n),
    )
    assert conformance_keys.keys(constant, KEY, 64, 1).is_met
