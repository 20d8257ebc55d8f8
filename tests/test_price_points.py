import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax.pricing import baselines, points, rule
from ptft_jax.pricing.demand_law import Seen
from ptft_jax.worlds import pricing_loglog, pricing_prior

N, M, NOISE = 600, 12, 0.3
SHARED = jax.jit(points.shared)


@jax.jit
def effects_at(known, log_price, left, valid, asked, weight=1.0):
    effects = points.effects(known, log_price, left, valid)
    weight = jnp.full(len(left), weight)
    return points.at(effects._replace(own_weight=weight), asked)


@jax.jit
def told_and_law(seen):
    told = rule.summarize(seen)
    return told, rule.plug_in(seen, told).law


def residuals(key, own, shared, num_points=60, of_product=4):
    """Products that charge a few of many prices, and residuals: no curve is fitted."""
    keys = jax.random.split(key, 5)
    choice = jax.random.randint(keys[0], (N, of_product), 0, num_points)
    which = jax.random.randint(keys[1], (N, M), 0, of_product)
    place = jnp.take_along_axis(choice, which, 1)
    # a product's two choices may be one price point, which then has one effect
    effect = own * jax.random.normal(keys[2], (N, num_points))
    effect += shared * jax.random.normal(keys[3], (num_points,))
    left = jnp.take_along_axis(effect, place, 1)
    left += NOISE * jax.random.normal(keys[4], (N, M))
    log_price = 0.05 * place + 0.0037
    return log_price - log_price.mean(), left


def found(key, own, shared):
    log_price, left = residuals(key, own, shared)
    valid, none = jnp.ones(left.shape, bool), jnp.zeros((N, 2, M))
    return SHARED(log_price, left, valid, none, jnp.array(NOISE**2), jnp.zeros(()))


@pytest.mark.parametrize("own", [0.0, 0.2])
@pytest.mark.parametrize("shared", [0.0, 0.2])
def test_variances_are_those_of_the_effects(own, shared):
    runs = [found(jax.random.key(seed), own, shared) for seed in range(12)]
    for values, truth in (
        ([run.shared_variance for run in runs], shared**2 / NOISE**2),
        ([run.own_variance for run in runs], own**2 / NOISE**2),
    ):
        values = np.array(values, float)
        error = values.std(ddof=1) / np.sqrt(len(values)) + 1e-6
        # pairs between the points of the lattice blur each other a little
        assert abs(values.mean() - truth) < 4.0 * error + 0.02 * truth + 0.002


def test_own_effects_are_shrunk_as_normal_means():
    strength = 0.5
    none, lattice = jnp.zeros(()), jnp.zeros(2 * points.HALF + 1)
    strengths = none, jnp.array(strength), jnp.array(0.2)
    known = points.Shared(lattice, lattice, none, *strengths)
    log_price = jnp.array([[0.0, 0.0, 0.0, 0.4, 9.0]])
    left = jnp.array([[0.3, 0.6, 0.0, -0.5, 7.0]])
    valid = jnp.array([[True, True, True, True, False]])
    seen = known, log_price, left, valid, jnp.array([[0.0, 0.4, 0.2, 9.0]])
    # Σ r/(# + 1/strength): 0.9/(3 + 2) and −0.5/(1 + 2); 0 where none was charged;
    # half of the variances 0.2/(# + 1/strength) beside them
    expected = [[0.18 + 0.02, -0.5 / 3.0 + 0.1 / 3.0, 0.05, 0.05]]
    np.testing.assert_allclose(effects_at(*seen), expected, atol=1e-6)
    np.testing.assert_allclose(effects_at(*seen, weight=0.0), 0.0)


def test_shared_effects_are_found_on_other_products():
    known = found(jax.random.key(3), 0.0, 0.3)
    log_price, left = residuals(jax.random.key(3), 0.0, 0.3)
    log_price, left = np.asarray(log_price), np.asarray(left)
    asked = np.unique(log_price.round(3))
    # a product that sold nothing yet
    none = known, log_price[:1], left[:1], np.zeros((1, M), bool)
    others = effects_at(*none, asked[None].astype(np.float32))[0]
    truth = [left[abs(log_price - p) < 0.01].mean() for p in asked]
    assert len(asked) == 60
    assert np.corrcoef(others, truth)[0, 1] > 0.99


def test_products_in_blocks_are_those_together(monkeypatch):
    log_price, left = residuals(jax.random.key(0), 0.2, 0.0)
    valid = left > -0.4
    together = points.alike(log_price, left, valid)
    monkeypatch.setattr(points, "BLOCK", 7 * M * M)
    for one, two in zip(points.alike(log_price, left, valid), together, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)


def test_residuals_of_fitted_curves_are_not_taken_for_opposite_effects():
    # products with a few pairs at two prices: without leverage o's variance is below 0
    world, m = pricing_loglog.WORLD, 6

    @jax.jit
    def own_variance(key, loaded):
        keys = jax.random.split(key, 3)
        law = world.sample_law(keys[0])
        truth = world.sample_instances(keys[1], law, 256)
        seen = world.observe(keys[2], truth, m)
        told = rule.summarize(seen)
        found = rule.plug_in(seen, told)
        noise = told.population.noise
        loading = loaded * rule._loading(found.fits, found.shrunk, noise)
        log_p = jnp.log(seen.price)
        product, pairs = points.alike(log_p, found.left, seen.valid)
        for k in range(2):
            product += noise**2 * points.alike(log_p, loading[:, k], seen.valid)[0]
        return product.sum() / pairs.sum() / noise**2

    keys = jax.random.split(jax.random.key(1), 40)
    with_, without = (
        np.array([own_variance(key, loaded) for key in keys]) for loaded in (1.0, 0.0)
    )
    assert with_.mean() > -0.02
    assert with_.mean() < 0.06
    assert without.mean() < -0.08


@functools.partial(jax.jit, static_argnums=2)
def lost(key, effect, m):
    """Share of full information's profit that two rules lose on 256 products."""
    keys = jax.random.split(key, 3)
    world = pricing_prior.WORLD
    law = world.sample_law(keys[0])
    law = law._replace(own_effect=effect, point_effect=jnp.zeros_like(law.point_effect))
    truth = world.sample_instances(keys[1], law, 256)
    seen = world.observe(keys[2], truth, m)
    least = world.expected_cost(truth, world.full_information(truth)).sum()
    share = lambda rule: 1.0 - world.expected_cost(truth, rule(seen)).sum() / least
    return share(baselines.hierarchical_eb), share(baselines.price_points)


@pytest.mark.parametrize(("effect", "gain"), [(0.35, 0.01), (0.0, -0.001)])
def test_price_points_pay_where_there_are_some_and_cost_nothing_elsewhere(effect, gain):
    keys = jax.random.split(jax.random.key(5), 60)
    plain, with_ = np.array([lost(key, effect, 16) for key in keys], float).T
    saved = plain - with_
    error = saved.std(ddof=1) / np.sqrt(len(saved))
    assert saved.mean() > gain - 2.0 * error
    if effect:
        assert saved.mean() > 4.0 * error


def test_a_product_alone_and_one_never_sold_are_finite():
    price = jnp.array([[1.0, 1.0, 2.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    units = jnp.array([[4.0, 5.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    menu = jnp.array([[1.0, 2.0]] * 3)
    seen = Seen(price, units, price > 0.0, jnp.zeros(3), menu)
    for part in (seen, jax.tree.map(lambda leaf: leaf[:1], seen)):
        found = jax.tree.leaves(told_and_law(part))
        assert all(np.isfinite(leaf).all() for leaf in found)
        assert (baselines.price_points(part) > 0.0).all()
