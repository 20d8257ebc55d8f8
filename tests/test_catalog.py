"""Every problem of the catalogue keeps to the protocols and has a usable network."""

import jax
import numpy as np
import pytest

from ptft_jax import conformance, conformance_costs
from ptft_jax.method import catalog, network

M = 8


@pytest.mark.slow
@pytest.mark.parametrize("name", catalog.WORLDS)
def test_every_world_conforms(name):
    world = catalog.WORLDS[name]
    conformance.require(world, jax.random.key(0), num_instances=256, num_observations=M)


@pytest.mark.parametrize("name", catalog.WORLDS)
def test_what_excess_costs_are_shares_of_is_above_0(name):
    world = catalog.WORLDS[name]
    truth = conformance_costs.draw(world, jax.random.key(1), 16, M).truth
    if world.base is None:
        full = world.expected_cost(truth, world.full_information(truth))
        assert abs(full.mean()) > 0.0
    else:
        assert world.base(truth).sum() > 0.0


@pytest.mark.parametrize("name", catalog.PRETRAINED)
def test_the_shipped_network_is_no_worse_than_its_plug_in_rule(name):
    made = catalog.PRETRAINED[name]
    world, problem = made.world, made.world.problem
    transformer, params = catalog.load(name)
    assert transformer == made.network

    @jax.jit
    def one(key):
        law_key, truth_key, seen_key = jax.random.split(key, 3)
        law = world.sample_law(law_key)
        truth = world.sample_instances(truth_key, law, 128)
        seen = world.observe(seen_key, truth, M)
        stats = problem.summarize(seen)
        output = jax.numpy.zeros((128, problem.num_outputs))
        coupling = problem.couple(seen, stats, output)
        plain = problem.decide(seen, stats, output, coupling)
        tuned = network.decide(transformer, problem, params, seen)
        full = world.expected_cost(truth, world.full_information(truth)).mean()
        over = lambda x: world.expected_cost(truth, x).mean() - full
        return over(tuned), over(plain)

    found = np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(1), 32)))
    tuned, plain = found
    # by portfolio, in units of the rule's own distance from full information
    gain = (plain - tuned) / plain.mean()
    assert gain.mean() > -2.0 * gain.std() / len(gain) ** 0.5
    assert np.isfinite(found).all()
