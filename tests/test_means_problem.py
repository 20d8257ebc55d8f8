import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from ptft_jax.problems import means


def test_costs_by_hand():
    np.testing.assert_allclose(means.cost(jnp.array(3.0), jnp.array(-1.0)), 16.0)
    # θ = −1, s = 2: (3+1)² + 2²
    values = [jnp.array(v) for v in (3.0, -1.0, 2.0)]
    np.testing.assert_allclose(means.expected_cost(*values), 20.0)
    np.testing.assert_allclose(means.regret(jnp.array(3.0), jnp.array(1.0)), 4.0)


def test_expected_cost_is_the_average_cost():
    x, theta, noise = (jnp.array(v) for v in (0.3, -0.7, 1.5))
    draws = theta + noise * jax.random.normal(jax.random.key(0), (400_000,))
    costs = np.asarray(means.cost(x, draws))
    error = costs.std() / len(costs) ** 0.5
    exact = float(means.expected_cost(x, theta, noise))
    assert abs(costs.mean() - exact) < 4.0 * error
    assert abs(costs.mean() - (exact - float(noise) ** 2)) > 4.0 * error


@pytest.mark.parametrize("theta", [-4.0, 0.0, 2.5])
def test_full_information_is_the_minimiser(theta):
    value = lambda x: float(
        means.expected_cost(jnp.array(x), jnp.array(theta), jnp.array(0.5))
    )
    found = optimize.minimize_scalar(value, bounds=(-10.0, 10.0), method="bounded")
    chosen = float(means.full_information(jnp.array(theta)))
    assert chosen == pytest.approx(found.x, abs=1e-3)
    assert value(chosen) == pytest.approx(0.25)


def test_regret_is_the_excess_given_the_data():
    # Given the data, ξ ~ N(x*, s² + posterior variance) whatever the prior was.
    x, bayes = jnp.array(1.2), jnp.array(0.4)
    noise = jnp.array(1.3)
    excess = means.expected_cost(x, bayes, noise) - means.expected_cost(
        bayes, bayes, noise
    )
    np.testing.assert_allclose(means.regret(x, bayes), excess, rtol=1e-5)


def test_scaling_all_scales_the_cost_by_the_square():
    x, xi = jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0])
    np.testing.assert_allclose(
        means.cost(7.0 * x, 7.0 * xi), 49.0 * means.cost(x, xi), rtol=1e-6
    )
