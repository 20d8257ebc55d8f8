from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import conformance, conformance_labels
from ptft_jax.contextual.baselines import CONTEXTUAL as RULES
from ptft_jax.contextual.records import Outcome
from ptft_jax.problems import contextual
from ptft_jax.worlds import contextual as promotions
from ptft_jax.worlds import contextual_normal

PROBLEM = contextual.PROBLEM
M = 8
WORLDS = [promotions.WORLD, contextual_normal.WORLD]


def draw(world, key, n=64, m=M):
    keys = jax.random.split(key, 3)
    law = world.sample_law(keys[0])
    truth = world.sample_instances(keys[1], law, n)
    return law, truth, world.observe(keys[2], truth, m)


def test_bayes_is_the_best_that_data_allow_and_full_information_better():
    world = contextual_normal.WORLD

    def losses(key):
        law, truth, seen = draw(world, key)
        mean = lambda x: world.expected_cost(truth, x).mean()
        full = mean(world.full_information(truth))
        rules = [RULES[name](seen) for name in ("hierarchical_eb", "ignoring", "saa")]
        return jnp.stack([mean(x) / full for x in [world.bayes(law, seen), *rules]])

    table = np.asarray(
        jax.lax.map(jax.jit(losses), jax.random.split(jax.random.key(0), 48))
    )
    assert (table > 1.0).all()
    lead = table[:, 1:] - table[:, :1]
    assert (lead.mean(0) > 3.0 * lead.std(0) / len(lead) ** 0.5).all()


@pytest.mark.slow
def test_expected_costs_are_those_of_simulated_demand():
    world = promotions.WORLD

    def gap(key):
        law_key, key = jax.random.split(key)
        _, truth, seen = draw(world, law_key, n=16)
        stock = RULES["ignoring"](seen)
        exact = world.expected_cost(truth, stock)
        told = jax.lax.map(
            lambda k: PROBLEM.cost(stock, world.outcome(k, truth)),
            jax.random.split(key, 400),
        )
        off = (told.mean(0) - exact) / jnp.maximum(told.std(0) / 20.0, 1e-6 * exact)
        best = world.expected_cost(truth, world.full_information(truth))
        return off, exact - best * (1.0 - 1e-3)

    off, above = jax.lax.map(jax.jit(gap), jax.random.split(jax.random.key(1), 12))
    # heavy tails: a few standardised means are farther out than normal ones
    assert np.abs(np.asarray(off)).mean() == pytest.approx(0.8, abs=0.15)
    assert np.abs(np.asarray(off)).max() < 8.0
    assert (np.asarray(above) >= 0.0).all()


def used_twice(key, seen):
    """Not left out: the label is part of what the decision sees."""
    _, outcome = PROBLEM.leave_out(key, seen)
    gone = seen.demand == outcome.demand
    asked = jnp.where(gone[..., None], seen.context, 0.0).sum(1)
    return seen._replace(next_context=asked), outcome


def test_labels_of_observations_left_out_are_unbiased():
    world = contextual_normal.WORLD

    def errors(key):
        law_key, key = jax.random.split(key)
        _, truth, seen = draw(world, law_key, n=64, m=6)

        def error(leave_out):
            rest, outcome = leave_out(key, seen)
            stock = RULES["hierarchical_eb"](rest)
            exact = world.expected_cost(world.asked(truth, rest), stock)
            return (PROBLEM.cost(stock, outcome) - exact).mean() / exact.mean()

        return jnp.stack([error(PROBLEM.leave_out), error(used_twice)])

    table = np.asarray(
        jax.lax.map(jax.jit(errors), jax.random.split(jax.random.key(2), 150))
    )
    honest, in_sample = table.mean(0) / (table.std(0) / len(table) ** 0.5)
    assert abs(honest) < 4.0
    assert in_sample < -8.0


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_worlds_keep_to_the_protocols(world):
    conformance.require(world, jax.random.key(0), num_instances=256)


def largest(key, seen):
    """Chosen by what it is to be judged by."""
    first = seen.demand.argmax(1)[:, None]
    gone = jnp.arange(seen.demand.shape[1]) == first
    outcome = Outcome(seen.demand.max(1, keepdims=True), seen.quantile)
    asked = jnp.where(gone[..., None], seen.context, 0.0).sum(1)
    rest = seen._replace(valid=seen.valid & ~gone, next_context=asked)
    return rest, outcome


@pytest.mark.slow
def test_a_broken_problem_is_found_out():
    broken = replace(PROBLEM, leave_out=largest)
    world = replace(contextual_normal.WORLD, problem=broken)
    with pytest.raises(AssertionError, match="unbiased labels"):
        conformance.require(world, jax.random.key(0), num_instances=1024)
    for seed in range(1, 4):
        key = jax.random.key(seed)
        assert not conformance_labels.unbiased_labels(world, key, 256, M).is_met
