import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from ptft_jax import head, risk
from ptft_jax.model import Decision, rms_norm
from ptft_jax.problems import newsvendor


def random_rows(seed=0, r=4, n=60, d=6):
    keys = jax.random.split(jax.random.key(seed), 4)
    hidden = rms_norm(jax.random.normal(keys[0], (r, n, d)))
    scale = jnp.exp(0.3 * jax.random.normal(keys[1], (r, n)))
    base = 1.5 * scale
    truth = jnp.linspace(-0.1, 0.1, d)
    label = base + scale * (hidden @ truth + 0.4 * jax.random.normal(keys[2], (r, n)))
    return risk.Rows(
        Decision(base, scale, hidden, jnp.zeros_like(base)),
        label,
        jnp.full((r, n), 1.0 / r),
    )


@jax.jit
def objective(rows, u, quantile):
    omega = rows.weight / (rows.weight * rows.decision.scale).sum()
    x = risk.apply_head(rows.decision, u)
    return (omega * newsvendor.cost(x, rows.label, quantile)).sum()


@pytest.mark.parametrize("radius", [0.01, 0.1, 1.0])
def test_solution_is_in_the_ball_and_its_certificate_holds(radius):
    rows, quantile = random_rows(), jnp.full(60, 0.8)
    found = head.solve(rows, quantile, jnp.ones(60), jnp.array(radius))
    assert np.linalg.norm(found.head) <= radius * (1 + 1e-5)

    # An independent minimiser over the ball, by a smooth parametrisation of it.
    def inside(v):
        return v * radius / max(np.linalg.norm(v), radius)

    value = lambda v: float(
        objective(rows, jnp.asarray(inside(v), jnp.float32), quantile)
    )
    best = min(
        optimize.minimize(value, inside(start), method="Powell").fun
        for start in (np.zeros(6), np.asarray(found.head))
    )
    assert found.objective <= best + found.gap + 1e-6
    assert found.gap < 0.01
    assert found.objective <= value(np.zeros(6)) + 1e-6


def test_radius_zero_changes_nothing():
    found = head.solve(random_rows(), jnp.full(60, 0.8), jnp.ones(60), jnp.array(0.0))
    np.testing.assert_array_equal(found.head, 0.0)


def test_weight_zero_leaves_an_instance_out():
    rows, quantile = random_rows(), jnp.full(60, 0.8)
    weight = jnp.ones(60).at[:10].set(0.0)
    spoiled = rows._replace(label=rows.label.at[:, :10].mul(100.0))
    solve = lambda rows: head.solve(rows, quantile, weight, jnp.array(0.3))
    np.testing.assert_allclose(solve(rows).head, solve(spoiled).head, atol=1e-6)


def test_smoothed_cost_is_above_the_cost_by_at_most_a_quarter_width():
    x = jnp.linspace(-2.0, 2.0, 401)
    demand, q, width = map(jnp.array, (0.3, 0.8, 0.5))
    gap = head.smoothed_cost(x, demand, q, width) - newsvendor.cost(x, demand, q)
    assert gap.min() >= -1e-6
    np.testing.assert_allclose(gap.max(), 0.125, rtol=1e-4)


def test_a_gap_without_the_radius_term_would_be_too_small():
    rows, quantile = random_rows(), jnp.full(60, 0.8)
    rough = head.solve(rows, quantile, jnp.ones(60), jnp.array(1.0), num_steps=1)
    fine = head.solve(rows, quantile, jnp.ones(60), jnp.array(1.0))
    assert rough.objective - fine.objective > 0
    assert rough.gap >= rough.objective - fine.objective
