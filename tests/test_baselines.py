"""The baselines on cases worked by hand or by an independent calculation."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

from ptft_jax import (
    baselines,
    count_baselines,
    pooling_baselines,
    regression_baselines,
    summaries,
)
from ptft_jax.types import Portfolio, portfolio

BLANK = float("nan")


def make(rows, quantile=0.9) -> Portfolio:
    return portfolio(jnp.asarray(rows, jnp.float32), quantile)


def close(a, b, rtol=2e-3):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=1e-3)


@pytest.mark.parametrize("kind", [np.int64, np.float16])
def test_portfolios_are_of_floats_whatever_they_are_made_of(kind):
    rows = [[1, 0, 1], [0, 1, 1]]
    made = portfolio(np.array(rows, kind), 0.9)
    for field, expected in zip(made, make(rows), strict=True):
        if expected is not None:
            assert field.dtype == expected.dtype
            np.testing.assert_array_equal(field, expected)


def test_whole_numbers_may_be_large():
    made = portfolio(np.array([[3_000_000_000, 5_000_000_000]]), 0.9)
    np.testing.assert_array_equal(made.observations, [[3e9, 5e9]])


def test_saa_is_an_order_statistic():
    x = baselines.saa(make([[5, 1, 3, 2, 4], [7, 9, BLANK, BLANK, BLANK]], 0.8))
    close(x, [4.0, 9.0])
    # .95 · 20 = 19 in spite of rounding
    close(baselines.saa(make([range(1, 21)], 0.95)), [19.0])


def test_pooled_mean_by_hand():
    # ratios .5, 1.5 | .8, 1.2: their .75-quantile is 1.2
    close(baselines.pooled_mean(make([[1, 3], [4, 6]], 0.75)), [2.4, 6.0])


def test_pooled_loo_by_hand():
    # ratios 1/3, 3 | 4/6, 6/4: their .75-quantile is 1.5
    close(baselines.pooled_loo(make([[1, 3], [4, 6]], 0.75)), [3.0, 7.5])


def shrunken_saa_by_definition(rows, q, rescale):
    """Mixture quantiles by search over the support, α by an explicit loop."""
    n, m = rows.shape
    others = (rows.sum(1, keepdims=True) - rows) / (m - 1)
    anchor = (rows / others if rescale else rows).ravel()

    def decide(own, scale, inverse):
        support = np.sort(np.concatenate([own, scale * anchor]))
        share = (scale * anchor[None] <= support[:, None]).mean(1)
        count = (own[None] <= support[:, None]).sum(1)
        reached = share + inverse * count >= q + inverse * q * len(own) - 1e-6
        return support[np.argmax(reached)] if reached.any() else np.inf

    def scale_of(own):
        return own.mean() if rescale else 1.0

    costs = []
    for inverse in pooling_baselines.INVERSE_STRENGTHS:
        total = 0.0
        for i in range(n):
            for j in range(m):
                rest = np.delete(rows[i], j)
                short = rows[i, j] - decide(rest, scale_of(rest), inverse)
                total += max(q * short, (q - 1) * short)
        costs.append(total)
    best = pooling_baselines.INVERSE_STRENGTHS[int(np.argmin(costs))]
    return [decide(own, scale_of(own), best) for own in rows]


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_shrunken_saa_is_its_definition(rescale, seed):
    rng = np.random.default_rng(seed)
    spread = [0.1, 0.1, 1.0, 2.0][seed]
    rows = rng.lognormal(0.3 * rng.normal(size=(6, 1)), spread, (6, 4))
    x = baselines.shrunken_saa(make(rows, 0.83), rescale=rescale)
    close(x, shrunken_saa_by_definition(rows, 0.83, rescale))


def test_shrunken_saa_interpolates_saa_and_the_pool():
    rng = np.random.default_rng(0)
    alike = make(rng.lognormal(0.0, 0.4, (60, 4)))
    gap = lambda f, g: jnp.abs(f(alike) - g(alike)).mean()
    to_pool = gap(baselines.shrunken_saa, baselines.pooled_loo)
    assert to_pool < 0.2 * gap(baselines.shrunken_saa, baselines.saa)
    # each instance at two levels of its own, which pooled ratios do not know
    level = rng.permuted(np.tile([1.0, 3.0], (60, 10)), axis=1)
    level[:30] = 1.0 + 0.01 * level[:30]
    unlike = make(level * rng.lognormal(0.0, 0.01, (60, 20)), 0.7)
    error = jnp.abs(baselines.shrunken_saa(unlike) - baselines.saa(unlike))
    assert error.max() < 0.1


def test_normal_t_matches_scipy():
    rows = np.array([[3.0, 5.0, 10.0, 4.0], [8.0, 8.5, 9.0, 7.0]])
    q = 0.92
    spread = stats.t.ppf(q, 3) * rows.std(1, ddof=1) * np.sqrt(1 + 1 / 4)
    close(baselines.normal_t(make(rows, q)), rows.mean(1) + spread)


def test_student_quantile_matches_scipy():
    q, freedom = np.meshgrid([0.02, 0.3, 0.5, 0.8, 0.95, 0.98], [1.0, 4.0, 30.0, 1e3])
    ours = summaries.student_t_quantile(
        *(jnp.asarray(a.ravel(), jnp.float32) for a in (q, freedom))
    )
    expected = stats.t.ppf(q, freedom).ravel()
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)


def test_variance_prior_solves_the_moment_equations():
    rng = np.random.default_rng(0)
    s2 = 2.0 / rng.gamma(3.0, 1.0, 400) * rng.chisquare(4, 400) / 4
    d0, s0 = baselines._variance_prior(
        jnp.asarray(s2, jnp.float32), jnp.full(400, 4.0, jnp.float32)
    )
    e = np.log(s2) - special.digamma(2.0) + np.log(2.0)
    excess = e.var(ddof=1) - special.polygamma(1, 2.0)
    np.testing.assert_allclose(special.polygamma(1, d0 / 2), excess, rtol=1e-3)
    log_s0 = e.mean() + special.digamma(d0 / 2) - np.log(d0 / 2)
    np.testing.assert_allclose(np.log(s0), log_s0, atol=1e-3)
    # the law simulated: d₀ = 6, s₀² = 2/3, both within four standard errors
    assert 4.0 < d0 < 10.0
    np.testing.assert_allclose(s0, 2 / 3, rtol=0.2)


def test_lognormal_eb_with_known_spread_is_james_stein():
    # equal sample variances: d₀ at its cap, so only the level is shrunk
    y = np.log([[1, 2, 4], [3, 6, 12], [16, 32, 64], [0.5, 1, 2]])
    level, m, d0 = y.mean(1), 3, baselines.PRIOR_FREEDOM[1]
    log_s0 = -special.digamma(1.0) + special.digamma(d0 / 2) - np.log(d0 / 2)
    s2 = np.log(2) ** 2 * (d0 * np.exp(log_s0) + 2) / (d0 + 2)
    tau2 = level.var(ddof=1) - s2 / m
    keep = tau2 / (tau2 + s2 / m)
    theta = level.mean() + keep * (level - level.mean())
    expected = np.exp(theta + stats.t.ppf(0.8, d0 + 2) * np.sqrt(s2 * (1 + keep / m)))
    close(baselines.lognormal_eb(make(np.exp(y), 0.8)), expected)


def test_global_qr_reaches_the_minimum_of_the_linear_programme():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 4)) @ np.diag([1.0, 10.0, 0.1, 1.0])
    rows[:, 3] = rows[:, 0] + 0.1 * rows[:, 3]
    target = rows @ np.array([1.0, 0.2, -1.0, 0.5]) + rng.gumbel(size=300)
    q = rng.uniform(0.6, 0.95, 300)
    beta = regression_baselines.quantile_regression(
        *(jnp.asarray(a, jnp.float32) for a in (rows, target, q))
    )
    eye = np.eye(300)
    programme = optimize.linprog(
        np.concatenate([np.zeros(4), q, 1 - q]),
        A_eq=np.concatenate([rows, eye, -eye], axis=1),
        b_eq=target,
        bounds=[(None, None)] * 4 + [(0, None)] * 600,
    )
    short = target - rows @ np.asarray(beta, np.float64)
    cost = np.maximum(q * short, (q - 1) * short).sum()
    assert programme.fun <= cost <= programme.fun * (1 + 1e-4)


def test_global_qr_recovers_a_linear_rule():
    # ξ/level has one law for all, so the best linear rule is near q-quantile × level
    rng = np.random.default_rng(0)
    level = rng.lognormal(3.0, 1.0, (200, 1))
    x = baselines.global_qr(make(level * rng.uniform(0.5, 1.5, (200, 12)), 0.8))
    np.testing.assert_allclose(np.median(x / level[:, 0]), 1.3, rtol=0.03)


def test_negbin_quantile_matches_scipy():
    grid = np.meshgrid(
        [0.3, 0.8, 0.95, 0.98], [0.05, 1.0, 7.5, 400.0], [0.02, 0.4, 0.9]
    )
    q, size, p = (axis.ravel() for axis in grid)
    ours = count_baselines.negbin_quantile(
        *(jnp.asarray(a, jnp.float32) for a in (q, size, p))
    )
    np.testing.assert_allclose(ours, stats.nbinom.ppf(q, size, p), rtol=1e-3)


def test_gamma_poisson_by_moments():
    rows = np.array([[0, 1, 0, 2], [5, 3, 4, 6], [1, 0, 0, 0], [9, 11, 14, 8.0]])
    mean = rows.mean(1)
    tau2 = mean.var(ddof=1) - mean.mean() / 4
    a, b = mean.mean() ** 2 / tau2, mean.mean() / tau2
    p = (b + 4) / (b + 5)
    expected = stats.nbinom.ppf(0.9, a + rows.sum(1), p)
    np.testing.assert_array_equal(baselines.gamma_poisson_eb(make(rows)), expected)


def test_mixture_quantile_matches_scipy():
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet(np.ones(3), 5)
    rate, size = np.array([0.4, 6.0, 40.0]), np.array([0.5, 3.0, 100.0])
    q = np.array([0.2, 0.6, 0.9, 0.95, 0.98])
    ours = count_baselines._mixture_quantile(
        *(jnp.asarray(a, jnp.float32) for a in (q, posterior, rate, size))
    )
    cdf = stats.nbinom.cdf(np.arange(200)[:, None], size, size / (size + rate))
    expected = (posterior @ cdf.T < q[:, None]).sum(1)
    np.testing.assert_array_equal(ours, expected)


def test_npmle_separates_two_groups():
    rng = np.random.default_rng(0)
    rates = np.repeat([1.0, 30.0], 100)
    rows = rng.poisson(rates[:, None], (200, 8)).astype(float)
    x = np.asarray(baselines.npmle_negbin(make(rows, 0.9)))
    # the Poisson quantiles, within the two units that an unknown rate costs
    assert abs(np.median(x[:100]) - stats.poisson.ppf(0.9, 1.0)) <= 1
    assert abs(np.median(x[100:]) - stats.poisson.ppf(0.9, 30.0)) <= 2
