"""Decisions for a finite population of which the observations are part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ptft_jax import baselines, empirical, finite_population, risk, types


@pytest.fixture(scope="module")
def truth():
    """40 instances of 24 periods, of one skewed law each."""
    rng = np.random.default_rng(3)
    level = np.exp(rng.normal(2.0, 0.5, 40))
    return empirical.from_columns(level * rng.gamma(2.0, 0.5, (24, 40)))


def _drawn(truth, seed, m, q):
    seen = empirical.sample_iid(truth, np.random.default_rng(seed), m)
    return types.portfolio(jnp.asarray(seen, jnp.float32), q)


def test_an_endless_population_changes_nothing(truth):
    """At N = ∞ the rule itself decides."""
    portfolio = _drawn(truth, 0, 8, 0.9)
    endless = np.full(40, np.inf)
    for rule in (baselines.lognormal_eb, baselines.saa):
        told = finite_population.of_rule(rule, portfolio, endless)
        np.testing.assert_allclose(told, rule(portfolio), rtol=1e-5)


def test_whoever_has_seen_all_decides_by_full_information(truth):
    """At N = m no rule matters: the sample is the truth."""
    q = 0.9
    portfolio = _drawn(truth, 0, 24, q)
    told = finite_population.of_rule(
        lambda p: 1e6 * p.quantile, portfolio, truth.length
    )
    best = empirical.full_information(truth, q)
    np.testing.assert_allclose(told, best, rtol=1e-5)


@pytest.mark.parametrize("q", [0.3, 0.9])
def test_it_is_the_quantile_of_the_mixture(q):
    """Against the definition: the least x with (m/N) F̂(x) + (1 − m/N) F(x) ≥ q."""
    seen = np.array([[1.0, 4.0, 2.0, 9.0]])
    portfolio = types.portfolio(jnp.asarray(seen, jnp.float32), q)
    population, mean = np.array([10.0]), 3.0
    rule = lambda p: -mean * jnp.log1p(-p.quantile)
    told = finite_population.of_rule(rule, portfolio, population)[0]
    x = np.linspace(0.0, 20.0, 200_001)
    mixed = 0.4 * (seen <= x[:, None]).mean(1) + 0.6 * (1.0 - np.exp(-x / mean))
    assert told == pytest.approx(x[np.argmax(mixed >= q)], abs=2e-4)


def test_knowing_the_population_pays_on_it(truth):
    """Told N, a rule costs less on N periods, of which it has seen a third."""
    q, gains = 0.9, []
    for seed in range(20):
        portfolio = _drawn(truth, seed, 8, q)
        cost = lambda x: empirical.expected_cost(truth, np.asarray(x, float), q).sum()
        told = finite_population.of_rule(
            baselines.lognormal_eb, portfolio, truth.length
        )
        gains.append(cost(baselines.lognormal_eb(portfolio)) - cost(told))
    gains = np.array(gains)
    assert gains.mean() > 3.0 * gains.std(ddof=1) / np.sqrt(len(gains))


def test_a_policy_is_told_by_the_same_rule(truth):
    """Networks: ragged, padded and endless portfolios; the mean of two is one's own."""
    network, params = tiny.NETWORK, tiny.params()
    portfolio = _drawn(truth, 0, 8, 0.9)
    ragged = portfolio._replace(valid=portfolio.valid.at[:5, 4:].set(False))
    ragged = ragged._replace(
        valid=ragged.valid.at[-1].set(False),
        observations=jnp.where(ragged.valid, ragged.observations, 0.0),
    )
    one = risk.single(network, params)
    two = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), one)
    endless = finite_population.of_policy(network, one, ragged, np.full(40, np.inf))
    untold = jax.jit(risk.decide, static_argnums=0)(network, one, ragged)
    np.testing.assert_allclose(endless[:-1], untold[:-1], rtol=1e-4)
    told = finite_population.of_policy(network, one, ragged, truth.length)
    np.testing.assert_allclose(
        told, finite_population.of_policy(network, two, ragged, truth.length), rtol=1e-5
    )
    assert told[-1] == 0.0
    assert not np.allclose(told[:-1], endless[:-1], rtol=1e-3)
