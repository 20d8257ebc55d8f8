import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ptft_jax import (
    certify,
    crossfit,
    lab,
    mismatch_rows,
    risk,
    shapes,
    sources,
    synthetic,
)
from ptft_jax import types as portfolios
from theory import certificates

M, Q = 4, 0.9


def scores(costs, scale):
    costs = np.asarray(costs)
    return crossfit.Scores({"pretrained": costs, "saa": costs}, scale, {})


def stated(folds, synthetic_losses, true, delta=0.05):
    fresh = lambda n, m, q: np.asarray(synthetic_losses)
    unused = [None] * 4
    room = lab.Lab(*unused, delta, None, None, fresh)
    certified = certify.Certified((), (), folds, delta)
    cell = sources.Cell("iid", sum(len(f.costs["saa"]) for f in folds), M, Q, 0)
    rows = mismatch_rows.statement(room, cell, certified, {"pretrained": true})
    return {row["term"]: row for row in rows}


def test_the_statement_by_hand():
    rng = np.random.default_rng(0)
    costs = 3.0 * rng.beta(2.0, 8.0, 30), 5.0 * rng.beta(2.0, 8.0, 10)
    costs[0][0] = 100.0  # cut at the scale
    fresh = rng.beta(2.0, 20.0, 25)
    found = stated((scores(costs[0], 3.0), scores(costs[1], 5.0)), fresh, (0.9, 1.0))
    # two folds at δ/2, each with its two sides at δ/4
    lower = certificates.betting_lower(fresh, 0.0125)
    upper = [
        certificates.betting(np.minimum(x / b, 1.0), 0.0125)
        for x, b in zip(costs, (3.0, 5.0), strict=True)
    ]
    expected = 0.75 * upper[0] + 0.25 * upper[1] - lower
    assert found["total"]["value"] == pytest.approx(expected, rel=1e-12)
    assert found["total"]["tier"] == "certified"
    gap = 0.75 * 0.3 + 0.25 * 0.2 - fresh.mean()
    assert found["total"]["risk"] == pytest.approx(gap)
    terms = [row["value"] for term, row in found.items() if term != "total"]
    assert sum(terms) == pytest.approx(expected)
    assert found["real_deviation"]["value"] > 0.0
    assert found["synthetic_deviation"]["value"] > 0.0
    assert found["synthetic"]["value"] == pytest.approx(-fresh.mean())


def test_a_true_gap_above_the_bound_is_seen():
    folds = scores(np.full(40, 0.1), 1.0), scores(np.full(40, 0.1), 1.0)
    fresh = np.full(40, 0.1)
    bound = stated(folds, fresh, (0.1, 0.1))["total"]
    assert bound["holds"]
    beyond = bound["value"] + 0.1 + 1e-6
    assert not stated(folds, fresh, (beyond, beyond))["total"]["holds"]


def test_it_holds_as_often_as_it_says():
    # real losses 0 or 1, synthetic ones a mean of some: δ = .5 leaves room for errors
    rng = np.random.default_rng(1)
    missed, runs = 0, 150
    for _ in range(runs):
        folds = [scores(rng.binomial(1, 0.3, 20).astype(float), 1.0) for _ in range(2)]
        fresh = rng.binomial(8, 0.1, 16) / 8.0
        gap = 0.3 - 0.1
        total = stated(tuple(folds), fresh, (0.0, 0.0), delta=0.5)["total"]["value"]
        missed += total < gap
    assert missed <= 0.5 * runs


@pytest.fixture(scope="module")
def policy():
    return risk.single(tiny.NETWORK, tiny.params())


@pytest.fixture(scope="module")
def portfolio():
    return portfolios.portfolio(jnp.asarray(tiny.demand(M, 24).T, jnp.float32), Q)


def test_a_synthetic_portfolio_is_scored_as_a_real_one(policy, portfolio):
    params = jax.tree.map(lambda leaf: leaf[0], policy.params)
    key = jax.random.key(3)
    halves = crossfit.cross_fit(tiny.NETWORK, params, portfolio, None, key)
    folds = crossfit.score(tiny.NETWORK, portfolio, halves, key)
    losses = [np.minimum(f.costs["pretrained"] / f.scale, 1.0).mean() for f in folds]
    order = np.concatenate([half.index for half in halves])
    same = shapes.take(portfolio, order, len(order))
    found = synthetic.mean_loss(tiny.NETWORK, policy, same, key)
    assert found == pytest.approx(certify.weigh(folds, losses), rel=1e-4)


def test_losses_have_no_unit(policy, portfolio):
    larger = portfolio._replace(observations=8.0 * portfolio.observations)
    key = jax.random.key(0)
    found = [
        synthetic.mean_loss(tiny.NETWORK, policy, each, key)
        for each in (portfolio, larger)
    ]
    assert 0.0 < found[0] < 1.0
    assert found[1] == pytest.approx(found[0], rel=1e-4)


def test_losses_are_of_fresh_portfolios_and_remembered():
    losses = synthetic.make_losses(tiny.NETWORK, tiny.params(), 3)
    found = losses(16, M, Q)
    assert found.shape == (3,)
    assert len(set(found)) == 3
    assert ((0.0 <= found) & (found <= 1.0)).all()
    assert losses(16, M, Q) is found
