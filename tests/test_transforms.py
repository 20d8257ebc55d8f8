"""The samplers' laws, against scipy; fixed seeds, thresholds of at least 4 s.e."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ptft_jax.worlds import transforms

NUM_DRAWS = 20_000
POISSON_QUANTILE = jax.jit(transforms.poisson_quantile)
# P(√n·D > 2.6) ≤ 2·exp(−2·2.6²) = 3·10⁻⁶: beyond 4 s.e. of a normal statistic
KOLMOGOROV = 2.6 / np.sqrt(NUM_DRAWS)


def array(values):
    return jnp.asarray(values, jnp.float32)


@pytest.mark.parametrize("shape", [0.05, 0.3, 1.0, 2.5, 20.0, 400.0])
def test_gamma_has_the_gamma_law(shape):
    draws = jax.jit(transforms.gamma)(jax.random.key(3), jnp.full((NUM_DRAWS,), shape))
    assert (
        stats.kstest(np.asarray(draws), stats.gamma(shape).cdf).statistic < KOLMOGOROV
    )


@pytest.mark.parametrize("rate", [0.01, 0.7, 3.0, 13.9])
def test_poisson_quantile_is_exact_below_the_switch(rate):
    u = np.linspace(0.001, 0.999, 3001)
    # off the jumps, where rounding decides
    jumps = stats.poisson(rate).cdf(np.arange(60))
    u = u[np.abs(u[:, None] - jumps).min(1) > 1e-6]
    counts = POISSON_QUANTILE(array(u), jnp.full(len(u), rate))
    np.testing.assert_array_equal(counts, stats.poisson(rate).ppf(u))


@pytest.mark.parametrize("rate", [14.1, 40.0, 1000.0])
def test_poisson_quantile_is_near_above_the_switch(rate):
    u = (np.arange(NUM_DRAWS) + 0.5) / NUM_DRAWS
    counts = POISSON_QUANTILE(array(u), jnp.full(NUM_DRAWS, rate))
    values = np.arange(int(3 * rate) + 100)
    share = np.bincount(np.asarray(counts, int), minlength=len(values)) / NUM_DRAWS
    total_variation = np.abs(share - stats.poisson(rate).pmf(values)).sum() / 2.0
    # a grid of u adds at most one point a value: √λ values, each 1/NUM_DRAWS
    assert total_variation < 4e-4 + 8.0 * np.sqrt(rate) / NUM_DRAWS


@pytest.mark.parametrize("rate", [0.5, 6.0, 30.0])
def test_poisson_draws_pass_chi_square(rate):
    u = jax.random.uniform(jax.random.key(1), (NUM_DRAWS,), minval=1e-7)
    counts = np.asarray(POISSON_QUANTILE(u, jnp.full(NUM_DRAWS, rate)), int)
    law = stats.poisson(rate)
    low, high = law.ppf([0.001, 0.999]).astype(int)
    inner = np.arange(low, high + 1)
    observed = np.bincount(counts.clip(low, high) - low, minlength=len(inner))
    expected = law.pmf(inner) * NUM_DRAWS
    expected[0] = law.cdf(low) * NUM_DRAWS
    expected[-1] = law.sf(high - 1) * NUM_DRAWS
    # 3·10⁻⁵ is the one-sided tail of 4 s.e.
    assert stats.chisquare(observed, expected).pvalue > 3e-5


def test_poisson_quantile_of_rate_zero_is_zero():
    u = array([1e-7, 0.5, 0.9999999])
    assert (transforms.poisson_quantile(u, jnp.zeros(3)) == 0.0).all()


@pytest.mark.parametrize("skew", [-0.8, 0.0, 0.8])
@pytest.mark.parametrize("tail", [0.5, 1.0, 2.0])
def test_sinh_arcsinh_inverts(skew, tail):
    z = np.linspace(-4.0, 4.0, 101)
    s = transforms.sinh_arcsinh(array(z), *(jnp.full(101, v) for v in (skew, tail)))
    back = np.sinh(np.arcsinh(np.asarray(s, float)) / tail - skew)
    np.testing.assert_allclose(back, z, rtol=1e-4, atol=1e-5)


def test_sinh_arcsinh_without_skew_or_tail_is_the_identity():
    z = jnp.linspace(-5.0, 5.0, 41)
    same = transforms.sinh_arcsinh(z, jnp.zeros(41), jnp.ones(41))
    np.testing.assert_allclose(same, z, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("power", [0.0, 0.01, 1.0 / 3.0, 1.0])
def test_box_cox_inverse_inverts(power):
    t = np.linspace(-0.9, 2.0, 50)
    x = np.asarray(transforms.box_cox_inverse(array(t), jnp.full(50, power)), float)
    back = np.log(x) if power == 0.0 else (x**power - 1.0) / power
    np.testing.assert_allclose(back, t, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_kronecker_is_even_and_within_the_unit_cube(d):
    points = transforms.kronecker(jnp.full((d,), 0.3), 1000)
    assert points.shape == (1000, d)
    assert ((points >= 0.0) & (points < 1.0)).all()
    for column in np.asarray(points).T:
        # independent uniforms are 1/√1000 = .03 off
        assert stats.kstest(column, "uniform").statistic < 0.01


def test_kronecker_average_is_unbiased_over_the_shift():
    shifts = jax.random.uniform(jax.random.key(0), (4000, 1))
    points = jax.vmap(transforms.kronecker, (0, None))(shifts, 5)[..., 0]
    average = np.asarray((points**2).mean(-1))
    standard_error = average.std() / np.sqrt(len(average))
    assert abs(average.mean() - 1.0 / 3.0) < 4.0 * standard_error


def test_same_key_same_gamma_draws_and_vmap_is_the_loop():
    keys = jax.random.split(jax.random.key(5), 3)
    shape = array([0.5, 3.0])
    gamma = jax.jit(transforms.gamma)
    batched = jax.vmap(gamma, (0, None))(keys, shape)
    looped = jnp.stack([gamma(key, shape) for key in keys])
    np.testing.assert_array_equal(looped[0], gamma(keys[0], shape))
    np.testing.assert_allclose(batched, looped, rtol=1e-6)
