import math

import heads
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import head_rows, path_certificates, path_posteriors, risk
from ptft_jax.path_certificates import TERMS
from ptft_jax.path_posteriors import SCALES, Posterior
from theory import certificates, kl, pac_bayes

DELTA, SEEDS = 0.1, 12


def fitted(rows, radii=(0.03, 0.1)):
    n = rows.base.shape[1]
    return head_rows.fit_balls(rows, np.ones((len(radii), n)), radii)


@pytest.fixture(scope="module")
def population():
    return heads.rows(40_000, seed=10_000)


@pytest.fixture(scope="module")
def certified():
    found = []
    for seed in range(SEEDS):
        rows = heads.rows(60, seed)
        rng = np.random.default_rng(seed)
        balls = fitted(rows)
        made = path_certificates.certify_fold(rows, balls, heads.SCALE, DELTA, rng)
        found.append({bound.name: bound for bound in made})
    return found


def test_costs_of_heads_are_those_of_their_decisions():
    rows = heads.rows(3, 0)
    u = np.array([[0.1, 0.0, -0.2, 0.0], np.zeros(heads.DIMENSION)])
    found = head_rows.costs(rows, u, False)
    for head, costs in zip(u, found, strict=True):
        x = rows.base + rows.scale * (rows.hidden @ head)
        short = rows.label - x
        expected = np.maximum(0.8 * short, -0.2 * short).mean(0)
        np.testing.assert_allclose(costs, expected, rtol=1e-6)


def test_settled_decisions_are_those_of_a_policy():
    x = np.array([[[-0.3], [0.74], [1.26], [3.0]]])
    unit = np.array([[0.5, 0.5, 0.5, 0.0]])
    found = head_rows.settle(x, unit)[..., 0]
    np.testing.assert_allclose(
        found, np.asarray(risk.settle(jnp.asarray(x[..., 0]), jnp.asarray(unit)))
    )
    np.testing.assert_allclose(found, [[0.0, 0.5, 1.5, 3.0]])


def test_a_fitted_head_is_in_its_ball_and_within_its_gap_of_others():
    rows = heads.rows(80, 1)
    weights = np.stack([np.ones(80), (np.arange(80) < 30).astype(float)])
    for ball, weight in zip(
        head_rows.fit_balls(rows, weights, (0.05, 0.05)), weights, strict=True
    ):
        assert np.linalg.norm(ball.head) <= 0.05 * (1 + 1e-9)
        others = np.random.default_rng(0).standard_normal((200, heads.DIMENSION))
        others *= 0.05 / np.linalg.norm(others, axis=1, keepdims=True)
        costs = head_rows.costs(rows, np.vstack([ball.head, others]), False)
        mean = costs @ weight / weight.sum()
        assert mean[0] <= mean[1:].min() + ball.gap
        assert 0.0 <= ball.gap < 0.02


def test_a_prior_as_posterior_pays_for_simultaneity_only():
    n, draws = 50, 64
    losses = np.full((draws, n), 0.2)
    terms = path_certificates.gibbs_kl(losses, 0.0, DELTA, 3.0)
    allowed = certificates.betting(losses.mean(1), DELTA / 10)
    share = 0.9 * DELTA / len(SCALES)
    assert terms["kl"] == 0.0
    total = sum(terms.values()) / 3.0
    xi = pac_bayes.maurer_log_xi(n)
    assert total == pytest.approx(
        kl.inverse_upper(allowed, (xi - math.log(share)) / n), rel=1e-12
    )
    # ξ(n) is below the 2√n of the textbook form, by less than half a nat
    textbook = kl.inverse_upper(allowed, math.log(2 * math.sqrt(n) / share) / n)
    assert total < textbook < total + 0.01
    assert terms["empirical"] == pytest.approx(0.6)
    assert terms["mc"] == pytest.approx(3.0 * (allowed - 0.2))


def test_terms_add_up_and_grow_with_the_divergence():
    rng = np.random.default_rng(0)
    losses = np.clip(rng.beta(1, 9, 40) + rng.normal(0, 0.01, (64, 40)), 0, 1)
    for bound in (path_certificates.gibbs_kl, path_certificates.gibbs_coin):
        small, large = (bound(losses, nats, DELTA, 1.0) for nats in (1.0, 10.0))
        assert set(small) == set(TERMS)
        assert min(small.values()) >= 0.0
        assert small["kl"] < large["kl"]
        assert sum(small.values()) < sum(large.values())
    one = path_certificates.drawn_coin(losses[:1], 2.0, DELTA, 1.0)
    assert one["mc"] == 0.0
    assert sum(one.values()) == pytest.approx(
        pac_bayes.coin_betting(losses[0], 2.0, DELTA / len(SCALES))
    )


def test_the_log_density_ratio_has_the_divergence_as_mean():
    posterior = Posterior(np.array([0.03, -0.04]), 0.02, 1.0, 0.05, 3.125)
    assert posterior.nats == pytest.approx(
        pac_bayes.gaussian_kl(posterior.mean, 0.02, 0.02)
    )
    drawn = posterior.draw(np.random.default_rng(0), 4_000)
    ratios = [path_posteriors.log_density_ratio(posterior, u) for u in drawn]
    error = np.std(ratios) / math.sqrt(len(ratios))
    assert abs(np.mean(ratios) - posterior.nats) < 4 * error


def test_the_prior_is_a_candidate_at_every_scale():
    balls = fitted(heads.rows(20, 0))
    found = path_posteriors.candidates(balls)
    assert [p.scale for p in found if p.step == 0.0] == list(SCALES)
    for p in found:
        assert p.nats == pytest.approx(
            float(p.mean @ p.mean) / (2 * p.scale**2), abs=1e-9
        )


def true_risk(bound, population):
    losses = path_certificates.cut_losses(population, bound.heads[:16], heads.SCALE)
    return heads.SCALE * float(losses.mean())


@pytest.mark.parametrize("name", ["path_kl", "path_coin_betting", "path_drawn"])
def test_certificates_hold_where_the_truth_is_known(certified, population, name):
    for found in certified:
        bound = found[name]
        assert sum(bound.terms.values()) >= true_risk(bound, population)


def test_what_was_measured_alone_is_no_certificate(certified, population):
    below = [
        found["path_kl"].terms["empirical"] < true_risk(found["path_kl"], population)
        for found in certified
    ]
    assert any(below)


def test_a_step_is_taken_where_fine_tuning_gains():
    rows = heads.rows(1000, 3)
    rng = np.random.default_rng(0)
    made = path_certificates.certify_fold(rows, fitted(rows), heads.SCALE, DELTA, rng)
    for bound in made[:2]:
        assert bound.posterior.step > 0.0
        assert bound.posterior.nats > 0.0
        assert bound.terms["kl"] > 0.0
    # the step is worth more than it costs
    none = 0.002 * rng.standard_normal((64, heads.DIMENSION))
    losses = path_certificates.cut_losses(rows, none, heads.SCALE)
    for bound, of in zip(
        made, (path_certificates.gibbs_kl, path_certificates.gibbs_coin), strict=False
    ):
        prior = of(losses, 0.0, DELTA, heads.SCALE)
        without_draws = sum(prior.values()) - prior["mc"]
        assert sum(bound.terms.values()) - bound.terms["mc"] < without_draws
