"""The check of problems of one's own: the example passes, broken variants do not."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import launch
import numpy as np
import pytest

from ptft_jax import conformance, conformance_costs, conformance_labels
from ptft_jax.method import certify, network

KEY = jax.random.key(0)
SIZES = {"num_instances": 1024, "num_observations": 1}


def failed(findings):
    return {f.name for f in findings if not f.is_met}


@pytest.fixture
def check(monkeypatch):
    """Checks a world; `require` then judges the same findings, not found again."""

    def once(world):
        findings = conformance.check(world, KEY, **SIZES)
        monkeypatch.setattr(conformance, "check", lambda *given, **sizes: findings)
        return findings

    return once


def test_the_example_of_the_notebook_conforms(check):
    findings = check(launch.WORLD)
    assert [f for f in findings if not f.is_met] == []
    assert len(findings) == 10
    conformance.require(launch.WORLD, KEY, **SIZES)


def used_twice(key, seen):
    """Not left out: the label is part of what the decision sees."""
    return seen, seen.y


def half_fissioned(key, seen):
    """Half the noise that would make the two parts independent."""
    noise = 0.5 * jax.random.normal(key, seen.y.shape)
    return seen._replace(y=seen.y + noise), seen.y - noise


def told_of_padding(seen):
    return jnp.sqrt((seen.y**2).mean())


def told_of_position(seen, scale):
    inputs = launch.PROBLEM.inputs(seen, scale)
    return inputs._replace(
        instance=inputs.instance + jnp.arange(len(seen.y), dtype=float)[:, None]
    )


BROKEN = {
    "unbiased labels": replace(launch.PROBLEM, leave_out=used_twice),
    "padding": replace(launch.PROBLEM, summarize=told_of_padding),
    "permutation": replace(launch.PROBLEM, inputs=told_of_position),
    "shapes": replace(
        launch.PROBLEM, loss=lambda seen, r, out, _, y: -y * (out[:, 0] > 0)
    ),
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("leave_out", [used_twice, half_fissioned])
def test_labels_that_are_not_left_out_are_found_out_at_any_seed(leave_out, seed):
    world = launch.world(replace(launch.PROBLEM, leave_out=leave_out))
    found = conformance.check(world, jax.random.key(seed))
    assert failed(found) - {"keys"} == {"unbiased labels"}


def test_a_loss_of_the_wrong_sign_is_found_out():
    wrong = lambda *given: -launch.PROBLEM.loss(*given)
    world = launch.world(replace(launch.PROBLEM, loss=wrong))
    assert failed(conformance.check(world, KEY)) == {"loss"}


def test_a_loss_that_has_nothing_to_do_with_the_cost_is_found_out():
    idle = lambda seen, scale, output, _, outcome: jnp.sin(37.0 * output.sum(-1))
    world = launch.world(replace(launch.PROBLEM, loss=idle))
    found = [
        conformance_costs.ranks_as_cost(world, jax.random.key(seed), 256, 1)
        for seed in range(6)
    ]
    assert not any(each.is_met for each in found), found


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_problem_is_found_out(name, check):
    world = launch.world(BROKEN[name])
    assert name in failed(check(world))
    with pytest.raises(AssertionError, match=name):
        conformance.require(world, KEY, **SIZES)


def test_a_broken_world_is_found_out():
    never = lambda theta: 0.0 * theta
    found = conformance.check(launch.world(full_information=never), KEY, **SIZES)
    assert failed(found) >= {"full information"}
    always = lambda law, seen: 0.0 * seen.y + 1.0
    found = conformance.check(launch.world(bayes=always), KEY, **SIZES)
    assert failed(found) == {"bayes"}


@pytest.mark.parametrize(
    ("costs", "is_met"), [((-99.0, 99.0), True), ((-1.0, 1.0), False)]
)
def test_costs_outside_their_range_are_found_out(costs, is_met):
    world = launch.world(replace(launch.PROBLEM, costs=costs))
    (found,) = conformance_labels.within_range(world, KEY, 64, 1)
    assert found.name == "costs"
    assert found.is_met == is_met


def test_a_cost_outside_its_range_is_not_certified():
    seen = launch.WORLD.observe(KEY, jnp.linspace(-2.0, 2.0, 64), 1)

    def certified(costs):
        problem = replace(launch.PROBLEM, costs=costs)
        params = network.init(launch.NETWORK, problem, seen, KEY)
        given = launch.NETWORK, problem, params, seen, None, KEY
        return certify.certify(*given, 0.05)

    lowest = min(fold["pretrained"].min() for fold in certified((-9.0, 9.0)).scores)
    certified((float(lowest) * (1.0 - 1e-6), 9.0))
    with pytest.raises(ValueError, match=rf"cost of {lowest:.6g} is outside .*-0.5"):
        certified((-0.5, 9.0))


def test_a_range_of_costs_is_exceeded_on_either_side_and_by_what_is_no_number():
    for costs, told in {
        (0.0, 1.00001): None,
        (-0.1, 2.0): -0.1,
        (0.5, 2.0): 2.0,
    }.items():
        assert certify.beyond(np.array(costs), (0.0, 1.0)) == told
    assert np.isnan(certify.beyond(np.array([0.5, np.nan]), (0.0, 1.0)))


def test_an_output_that_does_nothing_is_found_out(check):
    found = check(launch.world(replace(launch.PROBLEM, num_outputs=2)))
    assert failed(found) == {"shapes"}
    assert "no gradient in output 1" in str(found)


BASELINES = {
    "padding": lambda seen: 1.0 * (seen.y > seen.y.mean()),
    "permutation": lambda seen: jnp.arange(len(seen.y)) % 2.0,
}


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_that_padding_or_order_moves_is_found_out(name, check):
    problem = replace(launch.PROBLEM, baselines={"wrong": BASELINES[name]})
    found = check(launch.world(problem))
    assert failed(found) == {name}
    assert "costs of wrong move" in str(found)


@pytest.mark.parametrize("base", [jnp.zeros_like, lambda theta: theta])
def test_a_base_that_is_not_above_0_is_found_out(base):
    found = conformance_costs.none_below_the_best(launch.world(base=base), KEY, 64, 1)
    assert failed(found) == {"base"}
