import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import optimize, stats

from ptft_jax import head_gap
from ptft_jax.paths import heads, policy, predicted, problem, setups, truth, worlds
from ptft_jax.paths.policy import Decided, PolicyConfig
from theory import capacity, laws, rates

TINY = PolicyConfig(
    width=16, num_latents=4, num_steps=20, batch=(4, 16), context_size=64
)
GAUSSIAN = worlds.WORLDS["gaussian_means"]
COUNTS = worlds.WORLDS["gamma_poisson"]


def random_decided(n, d, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, d))
    hidden *= math.sqrt(d) / np.linalg.norm(hidden, axis=1, keepdims=True)
    base, scale = rng.uniform(5.0, 15.0, (2, n))
    label = base + scale * (hidden @ rng.normal(0.0, 0.1, d)) + rng.standard_normal(n)
    leaves = (base, scale, hidden, label, np.round(2 * base))
    return Decided(*(jnp.asarray(leaf, jnp.float32) for leaf in leaves))


@pytest.mark.parametrize("radius", [0.02, 10.0])
def test_least_squares_in_a_ball_is_the_minimum_found_otherwise(radius):
    decided = random_decided(200, 3)
    weight = jnp.asarray(np.arange(200) < 150, jnp.float32)
    u = jax.jit(problem.least_squares)(decided, weight, radius)
    u = head_gap.project(np.asarray(u), radius)
    part = Decided(*(np.asarray(leaf[:150], np.float64) for leaf in decided))
    cost = lambda v: ((problem.decisions(part, v) - part.label) ** 2).mean()
    inside = {"type": "ineq", "fun": lambda v: radius**2 - v @ v}
    best = optimize.minimize(cost, np.zeros(3), constraints=[inside], tol=1e-12)
    assert cost(u) == pytest.approx(best.fun, rel=1e-4)
    assert np.linalg.norm(u) <= radius
    if radius > 1.0:
        phi = part.scale[:, None] * part.hidden
        closed = np.linalg.lstsq(phi, part.label - part.base, rcond=None)[0]
        np.testing.assert_allclose(u, closed, atol=1e-4)
    # the gap is a bound: no head of the ball is better by more
    gap = problem.make(GAUSSIAN, 0.0, 4, 3).gap
    assert cost(u) - best.fun <= gap(part, u, radius) < 1e-3
    far = head_gap.project(-u, radius)
    assert cost(far) - best.fun <= gap(part, far, radius)
    assert gap(part, far, radius) > 0.01


@pytest.mark.parametrize("seed", range(2))
def test_the_gap_of_a_head_in_float32_is_that_in_float64(seed):
    decided = random_decided(300, 3, seed)
    weight, radius = jnp.ones(300), 0.03
    u = np.asarray(jax.jit(problem.least_squares)(decided, weight, radius))
    u = head_gap.project(u, radius)
    part = Decided(*(np.asarray(leaf, np.float64) for leaf in decided))
    phi = [[mpmath.mpf(float(x)) for x in row] for row in part.hidden]
    over = [
        mpmath.mpf(float(b)) + mpmath.mpf(float(s)) * mpmath.fdot(row, u) - y
        for b, s, row, y in zip(part.base, part.scale, phi, part.label, strict=True)
    ]
    slope = [
        2
        * mpmath.fsum(
            o * s * row[k] for o, s, row in zip(over, part.scale, phi, strict=True)
        )
        / 300
        for k in range(3)
    ]
    exact = mpmath.fdot(slope, u) + radius * mpmath.norm(slope)
    found = problem.make(GAUSSIAN, 0.0, 4, 3).gap(part, u, radius)
    assert found == pytest.approx(float(exact), abs=1e-12)


@pytest.mark.parametrize("name", ["gaussian_means", "gamma_poisson"])
def test_fitted_heads_are_in_their_balls_and_no_other_is_better_by_more(name):
    solved = problem.make(worlds.WORLDS[name], 0.0, 2, 3)
    decided = random_decided(256, 3)
    radii = (0.01, 0.1)
    fits = heads.make_fit(solved, radii)(
        jax.tree.map(lambda leaf: leaf[None], decided), 256
    )
    part = Decided(*(np.asarray(leaf[:192], np.float64) for leaf in decided))
    cost = lambda v: solved.host_cost(problem.decisions(part, v), part.label).mean()
    rng = np.random.default_rng(0)
    for u, radius in zip(fits.first[0], radii, strict=True):
        assert np.linalg.norm(u) <= radius
        others = head_gap.project(rng.standard_normal((200, 3)), radius)
        gap = solved.gap(part, u, radius)
        assert cost(u) - min(map(cost, others)) <= gap < 0.02
        assert max(map(cost, others)) - cost(u) > gap  # the gap is no vacuous one


def test_what_the_best_heads_lack_is_measured_from_above():
    rng, size = np.random.default_rng(0), 400
    true = np.array([0.5, 0.2, 0.3])  # of no change and two heads
    below = plain = 0
    for _ in range(200):
        over = true[:, None] * rng.exponential(size=(3, size))
        found = setups.approximation(over)
        assert found[1] <= found[0]  # a smaller ball lies in a larger one
        below += bool((found < [0.2, 0.2]).any())
        plain += bool(over[1].mean() < 0.2)
    assert below <= 1  # 4 standard errors
    assert plain > 60


def test_regret_table_is_the_cost_of_the_negative_binomial():
    world, law = COUNTS.law_of(0.3)
    table = truth.regret_table(world, law, 2, 0.9, 100)
    total, x = 41, np.array([0.0, 17.3, 30.0, 44.9, 100.0])
    a, b = float(law.shape) + total, float(law.shape / law.mean) + 2.0
    demand = np.arange(2000)
    mass = stats.nbinom.pmf(demand, a, b / (b + 1.0))
    cost = lambda x: mass @ np.maximum(0.9 * (demand - x), 0.1 * (x - demand))
    exact = [cost(each) for each in x]
    best = min(cost(k) for k in range(101))
    found = truth.regret(table, jnp.asarray(x), jnp.full(5, float(total)))
    np.testing.assert_allclose(found, np.array(exact) - best, rtol=2e-4, atol=2e-5)
    assert float(table.bayes[total]) == pytest.approx(best, rel=1e-5)
    # beyond the table the cost is the line that it ends with
    beyond = truth.regret(table, jnp.array([-3.0, 110.0]), jnp.full(2, float(total)))
    np.testing.assert_allclose(
        beyond - found[jnp.array([0, -1])], [2.7, 1.0], rtol=1e-4
    )


def test_curvature_is_that_of_the_cost():
    world, law = COUNTS.law_of(0.0)
    table = truth.regret_table(world, law, 2, 0.9, 100)
    total = jnp.full(1, 40.0)
    above, density = truth.curvature(table, jnp.array([24.0]), total)
    a, b = 20.0 + 40, 1.0 + 2.0
    law = stats.nbinom(a, b / (b + 1.0))
    assert float(above[0]) == pytest.approx(law.sf(24), abs=1e-4)
    assert float(density[0]) == pytest.approx(law.pmf(24), abs=1e-4)


@pytest.mark.parametrize("name", list(worlds.WORLDS))
def test_distances_of_worlds_are_those_of_samples(name):
    # TV is at least the difference of two probabilities, and 0 without a mismatch
    path_world = worlds.WORLDS[name]
    dial, m = path_world.mismatches[-1], 2
    assert path_world.distance(0.0, m) == pytest.approx(0.0, abs=1e-12)
    totals = []
    for mismatch in (0.0, dial):
        drawn = worlds.drawer(path_world, mismatch, m)(jax.random.key(1), 40_000)[1]
        totals.append(np.asarray(drawn.portfolio.observations.sum(1)))
    cuts = np.quantile(np.concatenate(totals), np.linspace(0.02, 0.98, 40))
    shares = [np.searchsorted(np.sort(t), cuts) / len(t) for t in totals]
    largest = np.abs(shares[0] - shares[1]).max()
    tv = path_world.distance(dial, m)
    assert largest - 0.02 <= tv  # 4 s.e. of a difference of shares
    assert tv <= largest + 0.1  # shifts of one mode are all but monotone ratios


def test_cut_is_beyond_almost_all_observations():
    for path_world in worlds.WORLDS.values():
        draw = worlds.drawer(path_world, path_world.mismatches[-1], 4)
        drawn = draw(jax.random.key(0), 20_000)[1]
        largest = float(jnp.abs(drawn.portfolio.observations).max())
        assert largest < path_world.cap


def test_frozen_policy_has_the_exact_gaussian_regret():
    frozen = policy.make(GAUSSIAN, 4, TINY)
    solved = problem.make(GAUSSIAN, 0.3, 4, TINY.width)
    types, drawn = worlds.drawer(GAUSSIAN, 0.3, 4)(jax.random.key(5), 40_000)
    decide = policy.make_decide(frozen, GAUSSIAN.cap)
    seen = decide(frozen.params, drawn)
    regret = np.asarray(solved.regret(seen.base, seen.total), np.float64)
    cost = (np.asarray(seen.base) - np.asarray(types.theta)) ** 2 + 2.0
    bayes = np.asarray(solved.bayes(seen.total))
    gap = cost - bayes - regret  # the same mean: θ given the data against the data
    assert abs(gap.mean()) < 4.0 * gap.std() / math.sqrt(len(gap))
    # with the mean of the context and the true shrinkage, the law has it in closed form
    center = float(frozen.context.observations.mean())
    x = 0.5 * np.asarray(seen.total) / 4.0 + 0.5 * center
    exact = laws.gaussian_world(0.5, 2.0, 4, 1, center - 0.3).pretrain
    found = np.asarray(solved.regret(jnp.asarray(x), seen.total), np.float64)
    assert found.mean() == pytest.approx(exact, rel=1e-3)
    assert np.allclose(found, exact, rtol=0.02)  # the same for every instance


def test_instances_do_not_change_one_another_under_a_frozen_context():
    frozen = policy.make(COUNTS, 2, TINY)
    drawn = worlds.drawer(COUNTS, 0.3, 2)(jax.random.key(5), 64)[1]
    decide = policy.make_decide(frozen, COUNTS.cap)
    whole = decide(frozen.params, drawn).base
    half = decide(frozen.params, jax.tree.map(lambda leaf: leaf[:32], drawn)).base
    np.testing.assert_allclose(whole[:32], half, rtol=1e-5)
    own = decide(frozen.params, drawn, drawn.portfolio).base
    assert not np.allclose(whole, own, rtol=1e-3)


def test_weights_doubt_large_radii_and_follow_what_was_saved():
    none = np.zeros((1, 3))
    few, many = (heads.weigh(none, np.ones(1), n) for n in (32, 8192))
    assert few[0, 0] > many[0, 0] > few[0, -1]
    assert (np.diff(few[0]) < 0).all()
    saved = np.array([[0.0, 0.05, 0.2]])
    weights = heads.weigh(saved, np.ones(1), 8192)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0, -1] > 0.999
    # the unit of the cost is of no matter
    other = heads.weigh(7.0 * saved, np.full(1, 7.0), 256)
    np.testing.assert_allclose(other, heads.weigh(saved, np.ones(1), 256), rtol=1e-12)


def test_head_law_without_a_constraint_is_the_sandwich_and_falls_with_n():
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((3, 3))
    hessian, score = mix @ mix.T + np.eye(3), np.eye(3)
    best = np.array([0.1, -0.2, 0.3])
    wide = predicted.Quadratic(hessian, score, best, 0.5, 100.0)
    assert predicted.head_law(wide, 1000) == pytest.approx(
        0.5 + laws.sandwich(hessian, score, 1000), rel=1e-4
    )
    narrow = wide._replace(radius=0.38)
    path = [predicted.head_law(narrow, n) for n in (50, 500, 5000, 50_000)]
    assert (np.diff(path) < 0).all()
    assert predicted.head_law(narrow, 50) < predicted.head_law(wide, 50)
    for n in (10, 1000):  # a tuned pull is never worse than none or than no change
        pretrain = 0.5 + best @ hessian @ best / 2.0
        least = min(predicted.head_law(wide, n), pretrain)
        assert predicted.pulled_law(wide, n) <= least * (1.0 + 1e-3)


def test_rates_are_fitted_to_what_they_are_about():
    n = (32, 64, 1024)
    quadratic = predicted.Quadratic(np.eye(2), np.eye(2), np.ones(2), 0.1, 1.0)
    ball = predicted.Ball(16, 0.3, 50.0, 200.0, 0.1)
    net = [capacity.parameter_net(16, 0.3, 50.0, k, 0.1, 200.0) for k in n]
    attended = [rates.universal_priors(k, 64) for k in n]
    curves = predicted.Curves(
        n, 1.0, np.ones(3), 3.0 * np.array(net), 0.5 * np.array(attended), 64, ball
    )
    found = predicted.by_n(curves, quadratic)
    tier, about, values = found["rate_universal_priors"]
    assert (tier, about) == ("rate", "own_context")
    np.testing.assert_allclose(values, curves.own_context, rtol=1e-12)
    assert values[1] == values[2]  # the plateau
    tier, about, values = found["rate_parameter_net"]
    assert (tier, about) == ("rate", "tuned")
    np.testing.assert_allclose(values, curves.tuned, rtol=1e-12)


def test_the_ball_is_lipschitz_and_bounded_as_the_net_is_told():
    solved = problem.make(GAUSSIAN, 0.3, 4, 3)
    decided = random_decided(200, 3)._replace(
        scale=jnp.full(200, 0.5**0.5), base=jnp.linspace(-5.0, 5.0, 200)
    )
    radius = 0.3
    move = solved.move(radius)
    rng = np.random.default_rng(0)
    heads_of = rng.standard_normal((2, 3))
    one, two = radius * heads_of / np.linalg.norm(heads_of, axis=1, keepdims=True)
    costs = [
        np.asarray(solved.host_cost(problem.decisions(decided, u), decided.label))
        for u in (one, two)
    ]
    moved = np.abs(np.asarray(problem.decisions(decided, one) - decided.base))
    assert moved.max() <= move * (1.0 + 1e-6)
    steepest = solved.slope(move) * move / radius * np.linalg.norm(one - two)
    assert np.abs(costs[0] - costs[1]).max() <= steepest
