"""Log-linear regressions of demand on covariates, as sums over the observations.

Covariates are standardised by the portfolio and centred for each product, so that
levels and slopes are estimated independently of each other and of all units.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.contextual.records import Seen

LEAST_SHARE = 0.02  # of the mean demand, that an observation counts for at least
TOTAL_SHARE = 0.1  # of a covariate's sd in its scale, beside the sd within products
FARTHEST = 10.0  # standardised covariates are cut there
ROUNDING = 1e-5  # relative sd below which a covariate is a constant


class Scaling(NamedTuple):
    """Units of a portfolio.

    Attributes:
      centre: mean of each covariate over all observations, [c].
      scale: its sd, mostly that within products, [c]; 0 for a constant.
      floor: half of the smallest demand above 0.
    """

    centre: Float[Array, "c"]
    scale: Float[Array, "c"]
    floor: Float[Array, ""]


class Fits(NamedTuple):
    """Sums that regressions y_ij = a_i + b_i·x_ij of n products need.

    Attributes:
      x: standardised covariates less the product's mean, [n, m, c].
      y: log demands less the product's mean, [n, m].
      mean_context: the product's mean, [n, c]; of the next period where none is seen.
      ahead: the next period's covariates less that mean, [n, c].
      level: mean log demand; 0 where none is seen.
      count: observations m_i.
      gram: S_i = Σ_j x_ij x_ijᵀ.
      moment: r_i = Σ_j x_ij y_ij.
      square: Σ_j y_ij².
      zeros: share of observations without demand.
    """

    x: Float[Array, "n m c"]
    y: Float[Array, "n m"]
    mean_context: Float[Array, "n c"]
    ahead: Float[Array, "n c"]
    level: Float[Array, "n"]
    count: Float[Array, "n"]
    gram: Float[Array, "n c c"]
    moment: Float[Array, "n c"]
    square: Float[Array, "n"]
    zeros: Float[Array, "n"]


def scaling(seen: Seen) -> Scaling:
    """Units of covariates and demand.

    Args:
      seen: n products.

    Returns:
      The units, the same whatever is padded.
    """
    used = seen.valid[..., None]
    total = jnp.maximum(seen.valid.sum(), 1)
    own_count = jnp.maximum(seen.valid.sum(1), 1)[:, None, None]
    centre = jnp.where(used, seen.context, 0.0).sum((0, 1)) / total
    off = jnp.where(used, seen.context - centre, 0.0)
    within = jnp.where(used, off - off.sum(1, keepdims=True) / own_count, 0.0)
    sd = jnp.sqrt((off**2).sum((0, 1)) / total)
    within_sd = jnp.sqrt((within**2).sum((0, 1)) / total)
    size = jnp.where(used, jnp.abs(seen.context), 0.0).max((0, 1))
    scale = jnp.sqrt(within_sd**2 + (TOTAL_SHARE * sd) ** 2)
    smallest = jnp.where(seen.valid & (seen.demand > 0.0), seen.demand, jnp.inf).min()
    return Scaling(
        centre=centre,
        scale=jnp.where(sd > ROUNDING * size, scale, 0.0),
        floor=jnp.where(jnp.isinf(smallest), 1.0, smallest / 2.0),
    )


def standardised(context: Float[Array, "*s c"], units: Scaling) -> Float[Array, "*s c"]:
    """Covariates in units of the portfolio.

    Args:
      context: any units.
      units: of the portfolio.

    Returns:
      Values within ±`FARTHEST`; 0 for constants.
    """
    varies = units.scale > 0.0
    z = (context - units.centre) / jnp.where(varies, units.scale, 1.0)
    return jnp.where(varies, z, 0.0).clip(-FARTHEST, FARTHEST)


def log_demand(seen: Seen, units: Scaling) -> Float[Array, "n m"]:
    """Log demands; what is near 0 counts for half the product's smallest demand.

    Args:
      seen: n products.
      units: of their portfolio.

    Returns:
      log max(ξ, floor_i), the floor at least `LEAST_SHARE` of the product's mean; 0
      where not valid.
    """
    sold = seen.valid & (seen.demand > 0.0)
    smallest = jnp.where(sold, seen.demand, jnp.inf).min(1)
    count = jnp.maximum(seen.valid.sum(1), 1)
    mean = jnp.where(seen.valid, seen.demand, 0.0).sum(1) / count
    own = jnp.maximum(smallest / 2.0, LEAST_SHARE * mean)
    floor = jnp.where(jnp.isinf(smallest), units.floor, own)[:, None]
    return jnp.where(seen.valid, jnp.log(jnp.maximum(seen.demand, floor)), 0.0)


def fit(seen: Seen, units: Scaling) -> Fits:
    """The sums of every product.

    Args:
      seen: n products.
      units: of their portfolio, or of another.

    Returns:
      The fits; zeros for padding.
    """
    valid = seen.valid
    m = valid.sum(1).astype(seen.demand.dtype)
    most = jnp.maximum(m, 1.0)
    z = jnp.where(valid[..., None], standardised(seen.context, units), 0.0)
    following = standardised(seen.next_context, units)
    mean_context = jnp.where(m[:, None] > 0.0, z.sum(1) / most[:, None], following)
    log_d = log_demand(seen, units)
    level = log_d.sum(1) / most
    x = jnp.where(valid[..., None], z - mean_context[:, None], 0.0)
    y = jnp.where(valid, log_d - level[:, None], 0.0)
    return Fits(
        x=x,
        y=y,
        mean_context=mean_context,
        ahead=following - mean_context,
        level=level,
        count=m,
        gram=jnp.einsum("nmi,nmj->nij", x, x),
        moment=jnp.einsum("nmi,nm->ni", x, y),
        square=(y**2).sum(1),
        zeros=(valid & (seen.demand <= 0.0)).sum(1) / most,
    )


def inverse(matrix: Float[Array, "*s c c"]) -> Float[Array, "*s c c"]:
    """Inverses of positive definite matrices by Gauss–Jordan, all at a time.

    A few large elementwise products instead of one small factorisation a matrix.

    Args:
      matrix: symmetric, of no large condition number.

    Returns:
      The inverses.
    """
    index = jnp.arange(matrix.shape[-1])

    def sweep(k, a):
        is_k = index == k
        row = jnp.where(is_k[:, None], a, 0.0).sum(-2)
        column = jnp.where(is_k, a, 0.0).sum(-1)
        pivot = jnp.where(is_k, row, 0.0).sum(-1, keepdims=True)
        row = jnp.where(is_k, 1.0, row) / pivot
        swept = jnp.where(is_k, 0.0, a) - column[..., None] * row[..., None, :]
        return jnp.where(is_k[:, None], row[..., None, :], swept)

    return jax.lax.fori_loop(0, len(index), sweep, matrix)


def residual_square(fits: Fits, slope: Float[Array, "n c"]) -> Float[Array, "n"]:
    """Σ_j (y_ij − b_i·x_ij)².

    Args:
      fits: of n products.
      slope: b.

    Returns:
      The sum of squares, ≥ 0.
    """
    left = fits.y - jnp.einsum("nmi,ni->nm", fits.x, slope)
    return (left**2).sum(1)
