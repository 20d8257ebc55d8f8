import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax.method import network as network_
from ptft_jax.method.network import Across
from ptft_jax.pricing import baselines as pricing_baselines
from ptft_jax.pricing import demand_law
from ptft_jax.pricing import regression as pricing_regression
from ptft_jax.pricing.demand_law import DemandLaw, Seen
from ptft_jax.problems import pricing, problem
from ptft_jax.problems.pricing import Outcome
from ptft_jax.worlds import pricing_prior

RULES = pricing_baselines.PRICING
NETWORK = Across(num_outputs=pricing.NUM_OUTPUTS, width=16, num_latents=4, heads=2)


def products(price, units, menu, unit_cost=None):
    price, units, menu = (jnp.asarray(v, jnp.float32) for v in (price, units, menu))
    cost = jnp.zeros(len(price)) if unit_cost is None else jnp.asarray(unit_cost)
    return Seen(price, units, price > 0.0, cost.astype(jnp.float32), menu)


def constant(elasticity):
    zero = jnp.zeros_like(elasticity)
    return DemandLaw(zero, zero + 3.0, elasticity, zero, zero)


@pytest.fixture(scope="module")
def drawn():
    sample = jax.jit(pricing_prior.WORLD.sample_example, static_argnums=(1, 2))
    return problem.first(sample(jax.random.key(3), 12, 8).seen, 9)


@pytest.fixture(scope="module")
def params(drawn):
    init = jax.jit(network_.init, static_argnums=(0, 1))
    params = init(NETWORK, pricing.PROBLEM, drawn, jax.random.key(0))
    # an untrained head is all but 0, and would hide what the network is told
    grow = lambda path, leaf: 30.0 * leaf if "head" in str(path) else leaf
    return jax.tree_util.tree_map_with_path(grow, params)


@jax.jit
def everyone(params, seen):
    """Prices of the network and of all baselines: one program for a shape."""
    network = network_.decide(NETWORK, pricing.PROBLEM, params, seen)
    return {"network": network, **{name: rule(seen) for name, rule in RULES.items()}}


LOSS = jax.jit(
    lambda seen, output, outcome: pricing.loss(
        seen, pricing.summarize(seen), output, (), outcome
    )
)


@pytest.mark.parametrize("elasticity", [1.5, 2.0, 4.0])
def test_constant_elasticity_has_a_known_best_price(elasticity):
    cost = jnp.array([0.7])
    menu = demand_law.menu_between(jnp.array([0.5]), jnp.array([4.0]), 2000)
    value = demand_law.relative_profit(constant(jnp.array([elasticity])), menu, cost)
    found = float(demand_law.best_price(value, menu)[0])
    assert found == pytest.approx(0.7 * elasticity / (elasticity - 1.0), rel=2e-3)


def test_linear_demand_has_a_known_best_price():
    # d = a − bp: p* = (a/b + c)/2; ε at r = 1 is b/(a − b) = 1.25 for a/b = 1.8
    law = jax.jit(pricing_prior.sample_law)(jax.random.key(0))
    sample = jax.jit(pricing_prior.sample_instances, static_argnums=2)
    truth = sample(jax.random.key(1), law, 1)
    menu = demand_law.menu_between(jnp.array([0.5]), jnp.array([1.7]), 2000)
    truth = truth._replace(
        family=jnp.array([1]),
        reference=jnp.array([1.0]),
        elasticity=jnp.array([1.25]),
        lift=jnp.array([0.0]),
        effect=jnp.zeros_like(truth.effect),
        unit_cost=jnp.array([0.4]),
        menu=menu,
    )
    found = float(pricing_prior.WORLD.full_information(truth)[0])
    assert found == pytest.approx((1.8 + 0.4) / 2.0, rel=2e-3)


def test_output_0_is_the_shrunk_regression_with_price_points(drawn):
    plug_in = jax.jit(lambda seen, o: pricing.decide(seen, pricing.summarize(seen), o))
    found = plug_in(drawn, jnp.zeros((12, pricing.NUM_OUTPUTS)))
    np.testing.assert_array_equal(found, RULES["price_points"](drawn))


def test_effects_of_price_points_count_from_nothing_to_twice(drawn):
    told, n = pricing.PROBLEM.summarize(drawn), len(drawn.menu)
    of_points = np.array([-50.0, -1.0, 0.0, 1.0, 50.0])

    def weights(value):
        output = jnp.zeros((n, pricing.NUM_OUTPUTS)).at[:, 4:].set(value)
        effects = pricing.law(drawn, told, output).effects
        return jnp.stack([effects.shared_weight, effects.own_weight])

    found = np.stack([weights(value) for value in of_points])
    np.testing.assert_allclose(
        found[[0, 2, 4]], [[[0.0]], [[1.0]], [[2.0]]] * np.ones((3, 2, n)), atol=1e-6
    )
    assert (np.diff(found, axis=0) > 0.0).all()


def test_currency_and_unit_of_units_are_of_no_matter(drawn, params):
    other = drawn._replace(
        price=100.0 * drawn.price,
        unit_cost=100.0 * drawn.unit_cost,
        menu=100.0 * drawn.menu,
        units=drawn.units / 32.0,
    )
    usual, scaled = everyone(params, drawn), everyone(params, other)
    for name in usual:
        np.testing.assert_allclose(
            scaled[name], 100.0 * usual[name], rtol=1e-4, err_msg=name
        )
    inputs = jax.jit(lambda seen: pricing.PROBLEM.inputs(seen, pricing.summarize(seen)))
    for one, two in zip(inputs(drawn)[:3], inputs(other)[:3], strict=True):
        np.testing.assert_allclose(one[:9], two[:9], atol=2e-3)


def test_loss_is_of_no_unit(drawn):
    rest, outcome = pricing.leave_out(jax.random.key(1), drawn)
    output = 0.3 * jax.random.normal(jax.random.key(2), (12, pricing.NUM_OUTPUTS))
    loss = LOSS(rest, output, outcome)
    other = rest._replace(
        price=8.0 * rest.price,
        unit_cost=8.0 * rest.unit_cost,
        menu=8.0 * rest.menu,
        units=rest.units / 4.0,
    )
    scaled = Outcome(8.0 * outcome.price, outcome.units / 4, 8.0 * outcome.unit_cost)
    again = LOSS(other, output, scaled)
    np.testing.assert_allclose(loss, again, rtol=2e-3, atol=2e-4)


def test_order_of_products_and_padding_change_nothing(drawn, params):
    order = jax.random.permutation(jax.random.key(0), 12)
    shuffled = problem.take(drawn, order)
    longer = problem.pad(drawn, 17)
    usual, mixed = everyone(params, drawn), everyone(params, shuffled)
    padded = everyone(params, longer)
    for name, prices in usual.items():
        assert (prices[9:] == 0.0).all(), name
        assert (prices[:9] > 0.0).all(), name
        np.testing.assert_allclose(mixed[name], prices[order], err_msg=name)
        np.testing.assert_allclose(padded[name][:12], prices, err_msg=name)


def test_new_products_get_allowed_prices(drawn, params):
    none = jnp.zeros_like(drawn.valid).at[1:].set(drawn.valid[1:])
    seen = drawn._replace(
        valid=none, price=drawn.price * none, units=drawn.units * none
    )
    for chosen in everyone(params, seen).values():
        assert np.isclose(chosen[0], seen.menu[0], rtol=1e-5).any()


def test_rules_on_cases_solved_by_hand():
    # three products of exact elasticities ½, 2 and 2, and one whose price never moved
    price = [[1.0, 2.0, 4.0]] * 3 + [[3.0, 3.0, 3.0]]
    elasticity = np.array([[0.5], [2.0], [2.0], [0.0]])
    units = 100.0 * np.array(price) ** -elasticity
    seen = products(price, units, [[1.0, 2.0, 4.0]] * 4)
    # revenue p^{1−ε} is greatest at the ends of the menu
    np.testing.assert_allclose(RULES["own_regression"](seen), [4, 1, 1, 4])
    # elasticities ½, 2, 2 of like weight pool to 1.5
    np.testing.assert_allclose(RULES["pooled_elasticity"](seen), [1, 1, 1, 1])
    np.testing.assert_allclose(RULES["hierarchical_eb"](seen)[:3], [4, 1, 1])
    np.testing.assert_allclose(RULES["mean_price"](seen)[:3], [2, 2, 2])
    np.testing.assert_allclose(RULES["last_price"](seen), [4, 4, 4, 4])
    np.testing.assert_allclose(RULES["best_logged"](seen), [4, 1, 1, 4])
    # p = c·ε/(ε − 1) = 2c
    costly = seen._replace(unit_cost=jnp.full(4, 1.0))
    np.testing.assert_allclose(RULES["own_regression"](costly)[1:3], [2, 2])


def test_wild_slopes_are_cut():
    # demand that rises with price has elasticity 0, not a negative one
    seen = products([[1.0, 2.0]], [[1.0, 50.0]], [[1.0, 2.0]])
    fits = pricing_regression.fit(seen)
    assert float(fits.elasticity[0]) < -5.0
    np.testing.assert_allclose(RULES["own_regression"](seen), [2.0])


def test_spread_of_elasticities_is_found():
    key, other = jax.random.split(jax.random.key(0))
    sd = jnp.exp(jax.random.normal(key, (4000,)) - 1.0)
    z = jax.random.normal(other, (2, 4000))
    estimate = 2.0 + 0.5 * z[0] + sd * z[1]
    mean, spread = pricing_regression.spread_by_likelihood(estimate, sd**-2)
    assert float(mean) == pytest.approx(2.0, abs=0.05)
    assert float(spread) == pytest.approx(0.5, abs=0.08)


def test_loss_moves_towards_the_better_price():
    seen = products([[1.0, 2.0, 1.5]], [[10.0, 6.0, 8.0]], [[1.0, 2.0]])
    total = lambda output, outcome: LOSS(seen, output, outcome).sum()
    gradient = jax.jit(jax.grad(total))

    def slope(units):
        outcome = Outcome(seen.menu, jnp.array([units]), seen.unit_cost)
        return float(gradient(jnp.zeros((1, pricing.NUM_OUTPUTS)), outcome)[0, 1])

    # more elasticity costs where the high price earns more, and pays where it does not
    assert slope([10.0, 9.0]) > 0.0
    assert slope([10.0, 1.0]) < 0.0


def test_the_pairs_left_out_are_two_prices_and_no_longer_seen(drawn):
    rest, outcome = pricing.leave_out(jax.random.key(5), drawn)
    gone = drawn.valid & ~rest.valid
    num_prices = [len({float(p) for p in row[row > 0]}) for row in drawn.price[:9]]
    np.testing.assert_array_equal(
        gone.sum(1)[:9], np.minimum(num_prices, pricing.NUM_LEFT_OUT)
    )
    assert not (rest.valid & ~drawn.valid).any()
    np.testing.assert_array_equal(rest.menu, outcome.price)
    np.testing.assert_allclose(
        jnp.where(gone, drawn.units, 0.0).sum(1), outcome.units.sum(1), rtol=1e-5
    )
    np.testing.assert_array_equal(rest.units * gone, 0.0)
