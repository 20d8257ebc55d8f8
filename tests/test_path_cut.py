"""Certificates of cut costs on laws whose means are known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ptft_jax.paths import cut, heads, worlds
from ptft_jax.paths import problem as problem_
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.problem import Problem
from theory import certificates

DELTA, FAR = 0.05, 40.0
GAUSSIAN = worlds.WORLDS["gaussian_means"]


def of_costs(label):
    """Instances whose cost is their label, whatever the head; one turn."""
    label = np.atleast_2d(np.asarray(label, float))
    ones = np.ones_like(label)
    return Decided(0.0 * label, ones, ones[..., None], label, label)


@pytest.fixture
def plain():
    fields = dict.fromkeys(Problem._fields)
    return Problem(**(fields | {"host_cost": lambda x, y: 0.0 * x + y}))


@pytest.mark.parametrize("n", [10, 40])
def test_the_cut_cost_is_missed_seldom_and_other_scales_or_costs_too_often(n):
    # L is 1, or 40 with chance p; the fitting instances cost 1, so b = 2
    p, replications = 1.0 / n, 200
    drawn = np.random.default_rng(n).random((replications, n)) < p
    samples = np.where(drawn, FAR, 1.0)
    made = [cut.bound(np.ones(5), each, DELTA) for each in samples]
    assert {found.scale for found in made} == {2.0}
    largest = [each.max() for each in samples]
    of_these = [
        b * certificates.betting(each / b, DELTA)
        for b, each in zip(largest, samples, strict=True)
    ]
    missed = lambda bounds, target: int((np.array(bounds) < target).sum())
    too_often = lambda k: stats.binom.sf(k - 1, replications, DELTA) < 1e-3
    total, target = [found.total for found in made], 1.0 + p
    assert not too_often(missed(total, target))
    # no bound on the cost itself, and none with the largest certified cost as b
    assert too_often(missed(total, 1.0 + (FAR - 1.0) * p))
    assert too_often(missed(of_these, target))
    with pytest.raises(ValueError, match="losses"):  # a cost that is not cut
        certificates.betting(np.array([1.0, FAR]) / 2.0, DELTA)


def test_what_was_fitted_gives_the_scale_and_is_not_certified(plain):
    n = 64
    first, head = cut.num_fitted(n), np.zeros(1)
    label = np.where(np.arange(n + 9) < first, 3.0, 1.0)
    label[n:] = 1e6  # no instance of this sample
    made = cut.certify(plain, of_costs(label), head, n, DELTA)
    assert (made.scale, made.empirical) == (6.0, 1.0)
    assert made.total == pytest.approx(
        6.0 * certificates.betting(np.full(n - first, 1.0 / 6.0), DELTA)
    )
    # where nothing costs anything any scale will do
    free = cut.certify(plain, of_costs(0.0 * label[:n]), head, n, DELTA)
    assert 0.0 < free.total < free.scale == 1.0


def test_the_truth_is_the_mean_of_cut_costs_and_its_row_says_if_it_is_held(plain):
    label = np.array([1.0, 1.0, 2.0, 16.0])
    true = cut.truth(plain, of_costs(label), np.zeros(1), label.mean(), 4.0)
    assert true.risk == pytest.approx(2.0)
    assert true.beyond == pytest.approx(3.0)
    assert true.spread == pytest.approx(np.array([1, 1, 2, 4.0]).std())
    assert cut.wall(true, 100, DELTA) == pytest.approx(
        2.0 + 1.6448536 * true.spread / 10.0
    )
    for total, holds in ((2.01, True), (1.99, False)):
        rows = cut.rows(cut.Bound(total, 1.5, 4.0), true, 100, DELTA)
        found = {row["term"]: row for row in rows if row["bound"] == cut.NAME}
        assert found["total"]["holds"] is holds
        assert found["total"]["risk"] == true.risk
        parts = found["empirical"]["value"] + found["deviation"]["value"]
        assert parts == pytest.approx(total)
        assert [row["holds"] for row in rows if row["tier"] == "law"] == [""]


def mean_of_seen(params, instances):
    """Decides by the mean of what was seen, without a network."""
    seen = instances.portfolio.observations
    base, ones = seen.mean(1), jnp.ones(len(seen))
    return Decided(base, ones, ones[:, None], instances.label, seen.sum(1))


def test_every_observation_is_left_out_once_at_the_risk_of_m_observations():
    n, m = 20_000, 3
    draw = worlds.drawer(GAUSSIAN, 0.0, m)
    instances = draw(jax.random.key(0), n)[1]
    turned = cut.decide(mean_of_seen, None, instances)
    seen = np.column_stack([instances.portfolio.observations, instances.label])
    np.testing.assert_allclose(turned.label, seen.T)
    np.testing.assert_allclose(
        turned.total + turned.label, np.tile(seen.sum(1), (m + 1, 1)), atol=1e-4
    )
    np.testing.assert_allclose(turned.label[-1], instances.label)
    solved = problem_.make(GAUSSIAN, 0.0, m, 1)
    each = cut.costs(solved, turned, np.zeros(1))
    risk = worlds.NOISE2 * (1.0 + 1.0 / m)
    assert abs(each.mean() - risk) < 4.0 * each.std() / math.sqrt(n)
    last = cut.costs(solved, Decided(*(x[-1:] for x in turned)), np.zeros(1))
    assert each.var() < 0.6 * last.var()


def test_the_head_does_not_see_what_it_is_certified_on():
    solved, size = problem_.make(GAUSSIAN, 0.3, 4, 3), 256
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((1, size, 3))
    label = hidden @ np.array([0.3, 0.0, 0.0]) + rng.standard_normal((1, size))
    leaves = (0.0 * label, np.ones_like(label), hidden, label, label)
    decided = Decided(*(jnp.asarray(leaf, jnp.float32) for leaf in leaves))
    other = decided._replace(label=decided.label.at[:, 64:].set(100.0))
    fit = heads.make_fit(solved, (0.1, 0.3))
    u, same = (cut.tune(fit, each, 64) for each in (decided, other))
    np.testing.assert_array_equal(u, same)
    assert u.shape == (1, 3)
    assert u[0, 0] > 0.05  # towards the truth
    assert np.abs(cut.tune(fit, other, 65) - u).max() > 0.01
