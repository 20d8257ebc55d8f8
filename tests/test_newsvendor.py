"""Exact expected costs of the newsvendor, against sums, integrals and known points."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from ptft_jax.problems import newsvendor
from ptft_jax.types import enable_x64

X = np.array([-2.0, 0.0, 0.3, 1.0, 3.7, 4.0, 11.25, 60.0])
QUANTILES = (0.1, 0.5, 0.9, 0.99)
# name: (parameters, the law in scipy)
COUNTS = {
    "poisson": [((0.2,), stats.poisson(0.2)), ((7.5,), stats.poisson(7.5))],
    "negbin": [
        ((0.7, 0.4), stats.nbinom(0.4, 0.4 / 1.1)),
        ((9.0, 3.5), stats.nbinom(3.5, 3.5 / 12.5)),
    ],
}
AMOUNTS = {
    "normal": [((3.0, 2.0), stats.norm(3.0, 2.0))],
    "lognormal": [
        ((1.0, 0.4), stats.lognorm(0.4, scale=np.e)),
        ((-1.0, 1.5), stats.lognorm(1.5, scale=np.exp(-1.0))),
    ],
}
ALL = {**COUNTS, **AMOUNTS}
CASES = [(name, *case) for name, cases in ALL.items() for case in cases]
EACH = pytest.mark.parametrize(
    ("name", "parameters", "law"), CASES, ids=[f"{c[0]}{c[1]}" for c in CASES]
)


def exact_cost(name, x, parameters, quantile):
    function = getattr(newsvendor, f"expected_cost_{name}")
    with enable_x64(True):
        array = lambda value: jnp.asarray(value, jnp.float64)
        arguments = map(array, (x, *parameters, quantile))
        return np.asarray(jax.jit(function)(*arguments))


def best(name, parameters, quantile):
    function = getattr(newsvendor, f"full_information_{name}")
    with enable_x64(True):
        array = lambda value: jnp.asarray(value, jnp.float64)
        return np.asarray(jax.jit(function)(*map(array, (*parameters, quantile))))


def numeric_cost(law, x, q, is_count):
    cost = lambda xi: np.maximum(q * (xi - x), (q - 1.0) * (xi - x))
    if is_count:
        xi = np.arange(3000)
        return (law.pmf(xi) * cost(xi)).sum()
    ends = law.ppf([1e-13, 0.1, 0.5, 0.9, 0.999, 1.0 - 1e-10])
    ends = np.unique([*ends, law.ppf(0.5) + 20_000.0, max(x, ends[0])])
    part = lambda a, b: integrate.quad(lambda s: law.pdf(s) * cost(s), a, b)[0]
    return sum(part(a, b) for a, b in itertools.pairwise(ends))


@EACH
@pytest.mark.parametrize("quantile", [0.3, 0.95])
def test_expected_cost_is_the_sum_or_integral(name, parameters, law, quantile):
    expected = [numeric_cost(law, x, quantile, name in COUNTS) for x in X]
    cost = exact_cost(name, X, parameters, quantile)
    np.testing.assert_allclose(cost, expected, rtol=1e-6)


@EACH
def test_full_information_is_the_quantile(name, parameters, law):
    expected = law.ppf(QUANTILES)
    np.testing.assert_allclose(best(name, parameters, QUANTILES), expected, rtol=1e-9)


@EACH
@pytest.mark.parametrize("quantile", QUANTILES)
def test_full_information_costs_least(name, parameters, law, quantile):
    x = best(name, parameters, quantile)
    around = x + law.std() * np.linspace(-1.0, 1.0, 81)
    least = exact_cost(name, x, parameters, quantile)
    assert (exact_cost(name, around, parameters, quantile) >= least - 1e-12).all()


@EACH
def test_expected_cost_is_convex(name, parameters, law):
    x = np.linspace(-1.0, law.ppf(0.999), 81)
    cost = exact_cost(name, x, parameters, 0.8)
    assert (np.diff(cost, 2) >= -1e-11).all()


def test_poisson_by_hand():
    # ξ = 0 with e⁻¹, 1 with e⁻¹: E(1.5 − ξ)⁺ = (1.5 + .5)/e; q(λ − x) = −.45
    cost = newsvendor.expected_cost_poisson(*map(jnp.float32, (1.5, 1.0, 0.9)))
    np.testing.assert_allclose(cost, -0.45 + 2.0 / np.e, rtol=1e-6)


def test_negbin_tends_to_poisson():
    near = exact_cost("negbin", X, (5.0, 1e6), 0.9)
    np.testing.assert_allclose(near, exact_cost("poisson", X, (5.0,), 0.9), rtol=1e-4)


def test_rate_zero_has_no_demand():
    zero, q = jnp.float32(0.0), jnp.float32(0.9)
    assert newsvendor.full_information_poisson(zero, q) == 0.0
    assert newsvendor.expected_cost_poisson(zero, zero, q) == 0.0
    np.testing.assert_allclose(
        newsvendor.expected_cost_poisson(jnp.float32(2.0), zero, q), 0.2, rtol=1e-5
    )


@EACH
def test_slope_of_the_expected_cost_is_the_cdf_less_q(name, parameters, law):
    function = getattr(newsvendor, f"expected_cost_{name}")
    x = jnp.asarray([0.5, 2.5, 6.25], jnp.float32)
    parameters = [jnp.float32(value) for value in parameters]
    total = lambda x: function(x, *parameters, jnp.float32(0.8)).sum()
    slope = jax.jit(jax.grad(total))(x)
    np.testing.assert_allclose(slope, law.cdf(x) - 0.8, atol=1e-4)


@EACH
def test_vmap_is_the_loop(name, parameters, law):
    function = getattr(newsvendor, f"expected_cost_{name}")
    rest = [jnp.float32(value) for value in (*parameters, 0.7)]
    one = jax.jit(lambda x: function(x, *rest))
    x = jnp.asarray(X, jnp.float32)
    looped = jnp.stack([one(value) for value in x])
    np.testing.assert_allclose(jax.vmap(one)(x), looped, rtol=1e-5, atol=1e-6)
