"""The world of normal means: its law, its Bayes rules, and what mismatch costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from ptft_jax import oracle, types
from ptft_jax.types import Portfolio
from ptft_jax.worlds import gaussian_means, means_posterior
from theory import laws

LAW = gaussian_means.Law(jnp.array(1.0), jnp.array(0.5**0.5), jnp.array(2.0**0.5))


def portfolio(seed, n, m, law=LAW):
    keys = jax.random.split(jax.random.key(seed))
    instances = gaussian_means.sample_instances(keys[0], law, n)
    seen = gaussian_means.sample_observations(keys[1], instances, m)
    return instances, Portfolio(seen, jnp.ones((n, m), bool), jnp.full(n, 0.5))


def ragged(seed=0, n=9):
    rng = np.random.default_rng(seed)
    data = rng.normal(1.0, 2.0, (n, 5))
    data[np.arange(5) >= rng.integers(1, 6, (n, 1))] = np.nan
    data[-1] = np.nan
    return types.portfolio(jnp.asarray(data, jnp.float32), 0.5)


def test_moments_of_the_law_and_negative_observations():
    instances, data = portfolio(0, 20_000, 3)
    theta = np.asarray(instances.theta)
    assert abs(theta.mean() - 1.0) < 4.0 * (0.5 / 20_000) ** 0.5
    assert abs(theta.var() - 0.5) < 4.0 * 0.5 * (2.0 / 20_000) ** 0.5
    noise = np.asarray(data.observations - instances.theta[:, None])
    assert abs(noise.var() - 2.0) < 4.0 * 2.0 * (2.0 / 60_000) ** 0.5
    assert float(data.observations.min()) < 0.0
    kept = types.portfolio(data.observations, 0.5)
    np.testing.assert_array_equal(kept.observations, data.observations)


def test_hyper_prior_is_log_uniform_and_the_noise_is_known():
    world = gaussian_means.world(noise=1.7)
    keys = jax.random.split(jax.random.key(1), 4000)
    drawn = jax.vmap(world.sample_law)(keys)
    low, high = np.log(gaussian_means.SPREAD_RANGE)
    rank = (np.log(np.asarray(drawn.spread)) - low) / (high - low)
    assert stats.kstest(rank, "uniform").pvalue > 1e-3
    np.testing.assert_allclose(drawn.noise, 1.7, rtol=1e-6)
    fixed = gaussian_means.world(law=LAW)
    assert fixed.sample_law(keys[0]) is LAW


def test_future_observations_average_to_the_mean():
    instances, _ = portfolio(2, 5, 1)
    draw = lambda key: gaussian_means.future_observations(key, instances, 64).mean(-1)
    sampled = jax.vmap(draw)(jax.random.split(jax.random.key(0), 200))
    error = np.asarray(sampled.std(0) / 200**0.5)
    assert (np.abs(sampled.mean(0) - instances.theta) < 4.0 * error).all()
    assert (error < 0.4 * (2.0 / 64 / 200) ** 0.5).all()  # evenly spread


def test_example_of_the_world_is_masked():
    example = gaussian_means.world().sample_example(jax.random.key(4), 6, 4, 2, 3)
    assert example.portfolio.observations.shape == (6, 4)
    assert (example.portfolio.observations[~example.portfolio.valid] == 0.0).all()
    assert jnp.isfinite(example.future).all()


def test_bayes_decision_is_the_posterior_mean_by_integration():
    data, law = ragged(), gaussian_means.Law(*map(jnp.array, (0.4, 1.1, 1.5)))
    found = oracle.bayes(gaussian_means.world(law=law), law, data)
    for i in (0, 3):
        seen = np.asarray(data.observations[i])[np.asarray(data.valid[i])]

        def joint(theta, seen=seen):
            return stats.norm.pdf(theta, 0.4, 1.1) * np.prod(
                stats.norm.pdf(seen, theta, 1.5)
            )

        mass = integrate.quad(joint, -9.0, 9.0)[0]
        mean = integrate.quad(lambda t: t * joint(t), -9.0, 9.0)[0] / mass
        assert float(found[i]) == pytest.approx(mean, abs=1e-5)
        evidence = means_posterior.log_evidence(law, data)[i]
        assert float(evidence) == pytest.approx(np.log(mass), abs=1e-4)
    np.testing.assert_allclose(found[-1], 0.4, rtol=1e-6)  # no data: the prior's mean
    assert float(means_posterior.log_evidence(law, data)[-1]) == 0.0


def test_predictive_is_calibrated():
    # 8 observations are data, the ninth is the next one.
    _, seen = portfolio(5, 20_000, 9)
    data = seen._replace(observations=seen.observations[:, :8], valid=seen.valid[:, :8])
    rank = means_posterior.predictive_cdf(LAW, data, seen.observations[:, 8])
    assert stats.kstest(np.asarray(rank), "uniform").pvalue > 1e-3


def test_hierarchical_bayes_is_the_posterior_mean_by_brute_force():
    # μ on a wide grid with a flat prior, τ on a fine one: nothing in closed form.
    data, noise = ragged(), 1.5
    found = oracle.hierarchical_bayes(gaussian_means.world(noise=noise), data)
    center = np.linspace(-14.0, 16.0, 1501)[:, None]
    log_spread = np.linspace(*np.log(gaussian_means.SPREAD_RANGE), 801)
    edge = np.ones(801)
    edge[[0, -1]] = 0.5
    mean, v = map(np.float64, means_posterior.averages(data, noise))
    spread2 = np.exp(2.0 * log_spread)
    log_p = np.log(edge) + np.zeros((1501, 1))
    for i in range(8):
        mixed = v[i] + spread2
        log_p = log_p - (np.log(mixed) + (mean[i] - center) ** 2 / mixed) / 2.0
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    for i in range(8):
        share = v[i] / (v[i] + spread2)
        exact = (weight * (mean[i] + share * (center - mean[i]))).sum()
        assert float(found[i]) == pytest.approx(exact, abs=2e-4)
    assert float(found[8]) == pytest.approx((weight * center).sum(), abs=2e-4)


def test_hierarchical_bayes_follows_a_shift_and_forgets_padding():
    data, world = ragged(), gaussian_means.world(noise=1.5)
    found = oracle.hierarchical_bayes(world, data)
    shifted = data._replace(
        observations=jnp.where(data.valid, data.observations + 3.0, 0.0)
    )
    np.testing.assert_allclose(
        oracle.hierarchical_bayes(world, shifted), found + 3.0, atol=1e-5
    )
    alone = jax.tree.map(lambda leaf: leaf[:-1], data)
    np.testing.assert_allclose(
        oracle.hierarchical_bayes(world, alone), found[:-1], atol=1e-5
    )


def test_hierarchical_bayes_tends_to_bayes_and_beats_james_stein():
    world, regrets = gaussian_means.world(law=LAW), {}
    for n in (8, 64, 512):
        one = []
        for seed in range(4096 // n):
            _, data = portfolio(100 + seed, n, 4)
            gap = oracle.hierarchical_bayes(world, data) - oracle.bayes(
                world, LAW, data
            )
            one.append(float((gap**2).mean()))
        regrets[n] = np.mean(one), np.std(one) / len(one) ** 0.5
    assert regrets[512][0] < regrets[64][0] < regrets[8][0]
    value, error = regrets[8]
    assert value + 4.0 * error < laws.james_stein_regret(8, 0.5, 0.5)


@pytest.mark.parametrize("mismatch", [0.0, 0.3, -1.0])
def test_what_a_wrong_center_costs_is_the_law_of_the_gaussian_world(mismatch):
    _, data = portfolio(6, 50, 4)
    world = gaussian_means.world(law=LAW)
    moved = gaussian_means.mismatched(LAW, mismatch)
    gap = oracle.bayes(world, moved, data) - oracle.bayes(world, LAW, data)
    exact = laws.gaussian_world(0.5, 2.0, 4, 1, mismatch).pretrain
    np.testing.assert_allclose(gap**2, exact, rtol=1e-4, atol=1e-10)


def test_a_noise_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match=r"noise = 0\.0 is not positive"):
        gaussian_means.world(noise=0.0)
