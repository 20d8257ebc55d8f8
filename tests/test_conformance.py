"""The check of problems of one's own: the example passes, broken variants do not."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import launch
import pytest

from ptft_jax import conformance, conformance_costs

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
    assert len(findings) == 8
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
    assert failed(found) == {"unbiased labels"}


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
