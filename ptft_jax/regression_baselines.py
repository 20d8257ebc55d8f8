"""Newsvendor baseline that regresses the decision on summaries of the data."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax import summaries
from ptft_jax.types import Portfolio

NUM_STEPS = 300
# in units of the mean demand; the objective is within as much of its minimum
FINAL_SMOOTHING = 1e-5


def _features(portfolio: Portfolio) -> Float[Array, "n 5"]:
    """Mean, sd, max − mean, median − mean and mean × log mean of each instance."""
    own, mean = summaries.ordered(portfolio), summaries.mean(portfolio)
    m = portfolio.num_observed
    position = jnp.stack([(m - 1.0) // 2.0, m // 2.0, m - 1.0], 1).astype(int)
    low, high, top = jnp.take_along_axis(own, jnp.maximum(position, 0), 1).T
    log_mean = jnp.log(jnp.where(mean > 0.0, mean, 1.0))
    deviation = jnp.sqrt(summaries.variance(portfolio))
    columns = [mean, deviation, top - mean, (low + high) / 2.0 - mean, mean * log_mean]
    return jnp.where(portfolio.present[:, None], jnp.stack(columns, 1), 0.0)


def _leave_one_out_features(portfolio: Portfolio) -> Float[Array, "m n 5"]:
    """The features of every instance without its j-th observation; 0 if not valid."""

    def without(j):
        rest = portfolio.valid & (jnp.arange(portfolio.valid.shape[1]) != j)[None]
        kept = portfolio.valid[:, j, None]
        return jnp.where(kept, _features(portfolio._replace(valid=rest)), 0.0)

    return jax.lax.map(without, jnp.arange(portfolio.valid.shape[1]))


def quantile_regression(
    rows: Float[Array, "k p"], target: Float[Array, "k"], quantile: Float[Array, "k"]
) -> Float[Array, "p"]:
    """Minimiser β of Σ_k c(rows_k β, target_k), c the pinball cost at quantile_k.

    Majorise–minimise: at residual r the cost lies below a parabola of curvature
    1/(2(ε + |r|)), whose sum is minimised by weighted least squares; ε falls from 1 to
    FINAL_SMOOTHING. The columns are whitened first, as the normal equations square
    their condition number.

    Args:
      rows: k rows of p features.
      target: of the order of 1.
      quantile: q_k in (0, 1).

    Returns:
      The coefficients; the shortest such ones, nearly, where rows do not fix them.

    Source:
      Koenker & Bassett 1978; Hunter & Lange 2000.
    """
    eye = jnp.eye(rows.shape[1], dtype=rows.dtype)

    def regularise(gram, share):
        return gram + (share * jnp.trace(gram) + 1e-30) * eye

    root = jnp.linalg.cholesky(regularise(rows.T @ rows, 1e-6))
    white = jax.scipy.linalg.solve_triangular(root, rows.T, lower=True).T
    tilt = white.T @ (2.0 * quantile - 1.0)

    def step(k, beta):
        smoothing = jnp.maximum(10.0 ** (-k / 60.0), FINAL_SMOOTHING)
        weight = 1.0 / (smoothing + jnp.abs(target - white @ beta))
        gram = regularise((white * weight[:, None]).T @ white, 1e-7)
        return jnp.linalg.solve(gram, white.T @ (weight * target) + tilt)

    beta = jax.lax.fori_loop(0, NUM_STEPS, step, jnp.zeros_like(tilt))
    return jax.scipy.linalg.solve_triangular(root.T, beta, lower=False)


@jax.jit
def global_qr(portfolio: Portfolio) -> Float[Array, "n"]:
    """Global linear quantile regression on leave-one-out features.

    One β for the portfolio minimises Σ_ij c(ψ_i^{(−j)} β, ξ_ij) where ψ = mean × (1,
    sd/mean, (max − mean)/mean, (median − mean)/mean, log mean): the target is
    ξ_ij / mean of the others, weighted by that mean. Then x_i = (ψ_i β)⁺.

    Args:
      portfolio: n instances, demand ≥ 0. Where the q_i differ, each row keeps its own
        cost, and β is a compromise between the levels.

    Returns:
      The decisions, [n], ≥ 0; 0 where x̄_i = 0; equivariant to a common change of unit.

    Source:
      Koenker & Bassett 1978, Regression quantiles.
    """
    demand = jnp.where(portfolio.valid, portfolio.observations, 0.0)
    unit = demand.sum() / jnp.maximum(portfolio.valid.sum().astype(demand.dtype), 1.0)
    unit = jnp.where(unit > 0.0, unit, 1.0)
    scaled = portfolio._replace(observations=demand / unit)
    rows = _leave_one_out_features(scaled).reshape(-1, 5)
    quantile = jnp.tile(portfolio.quantile, demand.shape[1])
    beta = quantile_regression(rows, scaled.observations.T.reshape(-1), quantile)
    return unit * jnp.maximum(_features(scaled) @ beta, 0.0)
