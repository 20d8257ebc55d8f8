"""Baselines of the allocation on cases solved by hand, and its counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from ptft_jax.allocation import baselines as allocation_baselines
from ptft_jax.allocation import counts as allocation_counts
from ptft_jax.allocation import trials as allocation_trials
from ptft_jax.allocation import worths
from ptft_jax.allocation.trials import Counts
from ptft_jax.problems import allocation, problem

COUNTS = allocation_counts.PROBLEM
RULES = allocation_baselines.GAUSSIAN


def test_shrinkage_changes_the_order_by_hand():
    # budget for one of two; r_j(τ) ∝ ν_j μ̂_j/(ν_j + τ): 2/(1 + 10τ) against 1/(1 + τ)
    seen = allocation.items(*map(jnp.array, ([2.0, 1.0], [0.1, 1.0], [2.0, 2.0])))
    np.testing.assert_array_equal(RULES["saa"](seen), [1.0, 0.0])
    found = jax.jit(lambda s: worths.path(worths.worths(s)))(seen)
    taus = np.linspace(0.0, 5.0, 101) * 0.55  # the median precision
    first = 2.0 / (1.0 + 10.0 * taus) > 1.0 / (1.0 + taus)
    np.testing.assert_array_equal(np.asarray(found.x[:, 0]), first)
    best = jax.jit(allocation_baselines.oracle_tau)(seen, jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(best, [0.0, 1.0])
    # mean (μ̂² − v) = (4 − 10 + 1 − 1)/2 < 0: A = 0, scores ν μ̂ = .2 against 1
    np.testing.assert_array_equal(RULES["eb_moments"](seen), [0.0, 1.0])


def test_prior_variances_maximise_and_minimise_what_they_should():
    rng = np.random.default_rng(0)
    v = rng.lognormal(0.0, 1.0, 400)
    estimate = rng.normal(0.0, np.sqrt(0.8 + v))
    cost = np.full(400, 10.0)
    arrays = [jnp.asarray(a, jnp.float32) for a in (estimate, 1.0 / v, cost)]
    seen = allocation.items(*arrays)
    surprise = lambda a: (np.log(a + v) + estimate**2 / (a + v)).mean()
    risk = lambda a: (
        (v / (a + v)) ** 2 * estimate**2 + v * (2.0 * a / (a + v) - 1.0)
    ).mean()
    for rule, objective in (
        (RULES["eb_likelihood"], surprise),
        (RULES["eb_sure"], risk),
    ):
        found = optimize.minimize_scalar(
            lambda log_a, f=objective: f(np.exp(log_a)),
            bounds=(-5.0, 5.0),
            method="bounded",
        )
        of = worths.worths(seen)
        scores = worths.shrunk(of, jnp.float32(np.exp(found.x)))
        chosen = np.argsort(-np.asarray(scores))[:40]
        x = np.asarray(rule(seen))
        assert x[chosen].sum() >= 38.0  # the grid is 12 % wide


def test_regularised_programme_is_optimal_for_its_strength():
    rng = np.random.default_rng(1)
    n, root = 9, 0.5
    v = np.concatenate([[4.0], rng.uniform(0.3, 3.0, n - 1)])  # ν_min = 1/4
    estimate, cost = rng.normal(0.5, 1.0, n), rng.uniform(1.0, 4.0, n)
    seen = allocation.items(
        *(jnp.asarray(a, jnp.float32) for a in (estimate, 1.0 / v, cost))
    )
    x = np.asarray(RULES["stein_reg"](seen), float)
    assert (cost @ x) / n <= 1.0 + 1e-4
    # some Γ of the grid gives this x: all fractional items agree on it
    margin = lambda gamma, price: np.clip(
        (estimate - price * cost) / (gamma * v * root), 0.0, 1.0
    )
    best = np.inf
    for gamma in np.linspace(1.0, 20.0, 191):
        gap = lambda price, g=gamma: (cost @ margin(g, price)) / n - 1.0
        price = optimize.brentq(gap, 0.0, 9.0) if gap(0.0) > 0.0 else 0.0
        best = min(best, np.abs(margin(gamma, price) - x).max())
    assert best < 1e-3


def counts(seed, n, mean=6.0):
    rng = np.random.default_rng(seed)
    trials = 1.0 + rng.poisson(mean, n)
    rate = rng.beta(2.0, 18.0, n)
    weight = rng.lognormal(0.0, 0.5, n)
    successes = rng.binomial(trials.astype(int), rate)
    cost = np.full(n, 5.0)
    arrays = (successes, trials, cost, weight)
    return rate, Counts(*(jnp.asarray(a, jnp.float32) for a in arrays))


def test_drawn_successes_are_hypergeometric():
    k, s, d = 7.0, 23.0, 9.0
    arrays = [jnp.full(40_000, a) for a in (k, s, d)]
    found = allocation_trials.hypergeometric(jax.random.key(0), *arrays)
    seen = np.bincount(np.asarray(found, int), minlength=8) / 40_000
    exact = stats.hypergeom(23, 7, 9).pmf(np.arange(8))
    error = np.sqrt(exact * (1.0 - exact) / 40_000)
    assert (np.abs(seen - exact) < 4.5 * error + 1e-4).all()


def test_labels_of_counts_are_unbiased_and_independent():
    rate, start = counts(0, 60)
    prior = jax.jit(COUNTS.summarize)(start)
    output = jnp.full((60, 4), 0.1)
    worth = start.weight * rate

    def one(key):
        see_key, split_key = jax.random.split(key)
        uniform = jax.random.uniform(see_key, (60, 64))
        is_trial = jnp.arange(64) < start.trials[:, None]
        k = ((uniform < jnp.asarray(rate)[:, None]) & is_trial).sum(1).astype(float)
        rest, label = COUNTS.leave_out(split_key, start._replace(successes=k))
        x = COUNTS.decide(rest, prior, output, COUNTS.couple(rest, prior, output))
        return COUNTS.cost(x, label).sum() + (worth * x).sum(), rest

    gap, rest = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 4000))
    assert abs(gap.mean()) < 4.0 * gap.std() / 4000**0.5
    assert (rest.successes <= rest.trials).all()
    assert (rest.successes >= 0.0).all()
    seen = np.asarray(rest.successes.mean(0) / np.maximum(rest.trials[0], 1.0))
    error = np.sqrt(rate * (1.0 - rate) / np.maximum(rest.trials[0], 1.0) / 4000)
    known = np.asarray(rest.trials[0]) > 0
    assert (np.abs(seen - rate) < 5.0 * error)[known].all()


def test_beta_prior_is_found_and_shrinks():
    _, seen = counts(3, 20_000, mean=30.0)
    prior = allocation_trials.beta_prior(seen)
    assert float(prior.mean) == pytest.approx(0.1, abs=0.003)
    assert float(prior.size) == pytest.approx(20.0, rel=0.1)
    # (1 + 20·.1)/(10 + 20)
    one = Counts(*(jnp.array([a]) for a in (1.0, 10.0, 1.0, 1.0)))
    beta = allocation_trials.Beta(jnp.float32(0.1), jnp.float32(20.0))
    np.testing.assert_allclose(allocation_trials.shrunk_rate(one, beta), [0.1])


def test_output_zero_is_beta_binomial_empirical_bayes():
    _, seen = counts(5, 80)
    zero = jnp.zeros((80, 4))

    @jax.jit
    def plug_in(seen):
        prior = COUNTS.summarize(seen)
        return COUNTS.decide(seen, prior, zero, COUNTS.couple(seen, prior, zero))

    np.testing.assert_allclose(
        plug_in(seen), COUNTS.baselines["beta_binomial"](seen), atol=1e-3
    )


def test_padding_of_counts_changes_nothing():
    _, seen = counts(4, 30)
    padded = problem.take(seen, jnp.arange(30), 41)
    for rule in COUNTS.baselines.values():
        np.testing.assert_allclose(rule(padded)[:30], rule(seen), atol=1e-5)
    summarize = jax.jit(COUNTS.summarize)
    pairs = (jax.tree.leaves(summarize(given)) for given in (seen, padded))
    for a, b in zip(*pairs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
