"""Newsvendor baseline that regresses the decision on summaries of the data."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax import summaries
from ptft_jax.types import Portfolio

NUM_STEPS = 300
# in units of the mean demand; the objective is within as much of its minimum
FINAL_SMOOTHING = 1e-5
BLOCK = 16_384  # rows at a time: they stay in the processor's cache


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
    k, p = rows.shape
    eye = jnp.eye(p, dtype=rows.dtype)

    def regularise(gram, share):
        return gram + (share * jnp.trace(gram) + 1e-30) * eye

    block = min(k, BLOCK)
    # rows of zeros add nothing to any sum
    cut = lambda x: jnp.pad(x, (0, -k % block)).reshape(-1, block)
    parts = jax.vmap(cut, 1, 1)(rows), cut(target)
    gram, _ = _sums(parts, lambda x, y: jnp.ones_like(y))
    root = jnp.linalg.cholesky(regularise(gram, 1e-6))
    whiten = lambda x: jax.scipy.linalg.solve_triangular(root, x, lower=True)
    white = jax.lax.map(whiten, parts[0])
    tilt = whiten((rows * (2.0 * quantile - 1.0)[:, None]).sum(0))

    def step(i, beta):
        smoothing = jnp.maximum(10.0 ** (-i / 60.0), FINAL_SMOOTHING)
        weigh = lambda x, y: 1.0 / (smoothing + jnp.abs(y - beta @ x))
        gram, moment = _sums((white, parts[1]), weigh)
        return jnp.linalg.solve(regularise(gram, 1e-7), moment + tilt)

    beta = jax.lax.fori_loop(0, NUM_STEPS, step, jnp.zeros_like(tilt))
    return jax.scipy.linalg.solve_triangular(root.T, beta, lower=False)


def _sums(parts, weigh):
    """Σ w x xᵀ and Σ w y x over blocks of rows x, [p, b], and targets y, [b]."""

    def add(total, part):
        x, y = part
        weighted = x * weigh(x, y)
        return (total[0] + weighted @ x.T, total[1] + weighted @ y), None

    p, dtype = parts[0].shape[1], parts[1].dtype
    return jax.lax.scan(add, (jnp.zeros((p, p), dtype), jnp.zeros(p, dtype)), parts)[0]


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
    large = summaries.unit(demand.max())
    count = jnp.maximum(portfolio.valid.sum().astype(demand.dtype), 1.0)
    unit = large * ((demand / large).sum() / count)
    unit = jnp.where(unit > 0.0, unit, 1.0)
    scaled = portfolio._replace(observations=demand / unit)
    rows = _leave_one_out_features(scaled).reshape(-1, 5)
    quantile = jnp.tile(portfolio.quantile, demand.shape[1])
    beta = quantile_regression(rows, scaled.observations.T.reshape(-1), quantile)
    return unit * jnp.maximum(_features(scaled) @ beta, 0.0)
