import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import conformance
from ptft_jax.problems import allocation
from ptft_jax.worlds import allocation as worlds
from ptft_jax.worlds import three_part

PROBLEM, WORLD = allocation.PROBLEM, worlds.WORLD


def values(world, seeds, n, rules):
    """Values of full information, Bayes and rules, over what Bayes expects, by seed."""

    def one(key):
        law_key, truth_key, seen_key = jax.random.split(key, 3)
        law = world.sample_law(law_key)
        truth = world.sample_instances(truth_key, law, n)
        seen = world.observe(seen_key, truth, 1)
        value = lambda x: -world.expected_cost(truth, x).sum()
        bayes = world.bayes(law, seen)
        expected = seen.weight * worlds.posterior_mean(law, seen) * bayes
        found = [world.full_information(truth), bayes]
        found += [rule(seen) for rule in rules.values()]
        return jnp.stack([value(x) for x in found]) / expected.sum()

    keys = jax.random.split(jax.random.key(7), seeds)
    return np.asarray(jax.jit(jax.vmap(one))(keys))


@pytest.mark.slow
def test_no_baseline_beats_bayes():
    value = values(WORLD, 150, 64, PROBLEM.baselines)
    assert (value[:, :1] - value > -1e-4 * abs(value[:, :1])).all()
    bayes = value[:, 1]
    assert abs(bayes.mean() - 1.0) < 4.0 * bayes.std() / len(bayes) ** 0.5
    for i, name in enumerate(PROBLEM.baselines):
        lead = bayes - value[:, 2 + i]
        assert lead.mean() > -3.0 * lead.std() / len(lead) ** 0.5, name


def test_posterior_mean_is_that_of_simulated_items():
    # kinds that only precision tells apart: the mean of θ given μ̂ by kind
    law = jax.jit(WORLD.sample_law)(jax.random.split(jax.random.key(8), 3)[0])
    truth = WORLD.sample_instances(jax.random.key(0), law, 200_000)
    seen = WORLD.observe(jax.random.key(1), truth, 1)
    posterior = jax.jit(worlds.posterior_mean)(law, seen)
    off = truth.theta - posterior
    for test in (jnp.ones_like(off), seen.estimate, jnp.log(seen.precision)):
        moment = np.asarray(off * (test - test.mean() + 1.0), float)
        assert abs(moment.mean()) < 4.5 * moment.std() / len(moment) ** 0.5


PUBLISHED = {
    "saa": 0.086,
    "eb_moments": 0.56,
    "eb_likelihood": 0.53,
    "eb_sure": 0.69,
    "box_stein": 0.63,
    "stein_reg": 0.59,
}


def test_three_part_is_as_published():
    rules = {name: PROBLEM.baselines[name] for name in PUBLISHED}
    share = values(three_part.WORLD, 60, 96, rules)
    np.testing.assert_allclose(share[:, :2], 1.0, atol=1e-4)
    for i, (name, published) in enumerate(PUBLISHED.items()):
        found = share[:, 2 + i]
        # the published figures are of about as many seeds
        error = float(2.0**0.5 * found.std() / len(found) ** 0.5)
        assert found.mean() == pytest.approx(published, abs=4.0 * error), name


@pytest.mark.slow
@pytest.mark.parametrize("world", [WORLD, three_part.WORLD], ids=lambda w: w.name)
def test_worlds_conform(world):
    conformance.require(world, jax.random.key(0), num_instances=96)
