"""What a user would do instead: stocks without a network.

Every rule is a pure function of products, jitted, may be `vmap`ped, and returns a stock
≥ 0; 0 for padding, which changes no other decision.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax import regression_baselines
from ptft_jax.contextual import population, predictive, records, regression
from ptft_jax.contextual.records import Seen

PENALTY = 0.03  # on coefficients, of the order of a standard error
RIDGE = 1e-3  # of a regression with as many covariates as observations


@jax.jit
def hierarchical_eb(seen: Seen) -> Float[Array, "n"]:
    """Level, slopes and sd of each product shrunk to the portfolio's.

    Args:
      seen: n products.

    Returns:
      Stocks: those of the network's problem where the network says 0.
    """
    told = population.summarize(seen)
    rule = predictive.predict(regression.fit(seen, told.units), told)
    nothing = jnp.zeros((len(seen.quantile), predictive.NUM_OUTPUTS))
    return predictive.corrected(rule, seen.quantile, nothing)


@jax.jit
def ignoring(seen: Seen) -> Float[Array, "n"]:
    """`hierarchical_eb` that is shown no covariates.

    Args:
      seen: n products.

    Returns:
      Stocks.
    """
    blind = seen._replace(
        context=jnp.zeros_like(seen.context),
        next_context=jnp.zeros_like(seen.next_context),
    )
    return hierarchical_eb(blind)


@jax.jit
def saa(seen: Seen) -> Float[Array, "n"]:
    """Sample average approximation: the ⌈qm⌉-th smallest demand, without covariates.

    Args:
      seen: n products.

    Returns:
      Stocks; a quantile of all products' demand where one has no observation.
    """
    m = seen.valid.sum(1)
    ordered = jnp.sort(jnp.where(seen.valid, seen.demand, jnp.inf), 1)
    # 1e-4: q·m that is a whole number but for rounding is that number
    rank = jnp.ceil(seen.quantile * m - 1e-4).astype(int).clip(1, jnp.maximum(m, 1))
    found = jnp.take_along_axis(ordered, rank[:, None] - 1, 1)[:, 0]
    fits = regression.fit(seen, regression.scaling(seen))
    return jnp.where(m > 0, found, _unseen(seen, fits)) * records.present(seen)


def _unseen(seen: Seen, fits) -> Float[Array, "n"]:
    """Stock of a product that nothing is known of: log demands of all are normal."""
    used = fits.count > 0.0
    n = jnp.maximum(used.sum(), 1)
    mean = jnp.where(used, fits.level, 0.0).sum() / n
    between = jnp.where(used, (fits.level - mean) ** 2, 0.0).sum() / n
    within = fits.square.sum() / jnp.maximum(fits.count.sum(), 1.0)
    z = predictive.normal_quantile(seen.quantile)
    return jnp.exp(mean + z * jnp.sqrt(between + within))


def _stock(seen: Seen, fits, slope, sd) -> Float[Array, "n"]:
    """exp(ȳ + b·Δ + z_q sd); `_unseen` where a product has no observation."""
    effect = (slope * fits.ahead).sum(1) + predictive.normal_quantile(
        seen.quantile
    ) * sd
    far = predictive.FARTHEST
    stock = jnp.exp(fits.level + effect.clip(-far, far))
    found = jnp.where(fits.count > 0.0, stock, _unseen(seen, fits))
    return jnp.where(records.present(seen), found, 0.0)


@jax.jit
def own_regression(seen: Seen) -> Float[Array, "n"]:
    """Each product's own log-linear regression and residual sd.

    The shortest coefficients, nearly, where covariates are as many as observations.

    Args:
      seen: n products.

    Returns:
      Stocks; `pooled_regression`'s sd where no residual is left.
    """
    fits = regression.fit(seen, regression.scaling(seen))
    eye = jnp.eye(fits.gram.shape[-1])
    cover = regression.inverse(fits.gram + RIDGE * eye)
    slope = jnp.einsum("nij,nj->ni", cover, fits.moment)
    used = jnp.trace(cover @ fits.gram, axis1=1, axis2=2)
    freedom = fits.count - 1.0 - used
    square = regression.residual_square(fits, slope)
    pooled = _pooled(fits)[1]
    variance = jnp.where(freedom > 0.5, square / jnp.maximum(freedom, 0.5), pooled)
    unsure = jnp.einsum("ni,nij,nj->n", fits.ahead, cover, fits.ahead)
    # what the ridge alone makes unsure is no more than a spread of one
    unsure = jnp.minimum(variance * unsure, 1.0)
    wide = variance * (1.0 + 1.0 / jnp.maximum(fits.count, 1.0)) + unsure
    return _stock(seen, fits, slope, jnp.sqrt(wide))


def _pooled(fits) -> tuple[Float[Array, "c"], Float[Array, ""]]:
    """Slopes common to all products, and the variance about them."""
    gram, moment = fits.gram.sum(0), fits.moment.sum(0)
    active = jnp.diagonal(gram) > 1e-6
    cover = regression.inverse(gram + RIDGE * jnp.eye(len(moment)))
    slope = cover @ moment
    square = regression.residual_square(
        fits, jnp.broadcast_to(slope, fits.ahead.shape)
    ).sum()
    freedom = jnp.maximum(fits.count - 1.0, 0.0).sum() - active.sum()
    return slope, (square + 1e-6) / jnp.maximum(freedom, 1.0)


@jax.jit
def pooled_regression(seen: Seen) -> Float[Array, "n"]:
    """One set of slopes and one sd for all products, an intercept each.

    Args:
      seen: n products.

    Returns:
      Stocks.
    """
    fits = regression.fit(seen, regression.scaling(seen))
    slope, variance = _pooled(fits)
    sd = jnp.sqrt(variance * (1.0 + 1.0 / jnp.maximum(fits.count, 1.0)))
    return _stock(seen, fits, jnp.broadcast_to(slope, fits.ahead.shape), sd)


@jax.jit
def global_qr(seen: Seen) -> Float[Array, "n"]:
    """Linear quantile regression of log demand on covariates, one for all products.

    The target is y_ij less the mean of the product's others; features are 1, z_q, the
    product's sd, z_q · sd, and the covariates less the mean of the others, as they will
    be for the next period. A quantile of the log is the log of the quantile.

    Args:
      seen: n products.

    Returns:
      Stocks.

    Source:
      Koenker & Bassett 1978, Regression quantiles.
    """
    fits = regression.fit(seen, regression.scaling(seen))
    m = fits.count[:, None]
    used = seen.valid & (m >= 2.0)
    # leaving out one of m observations moves the mean of the others away from it
    away = jnp.where(used, m / jnp.maximum(m - 1.0, 1.0), 0.0)
    target = away * fits.y
    context = away[..., None] * fits.x
    rest = jnp.maximum(fits.square[:, None] - away * fits.y**2, 0.0)
    sd = jnp.sqrt(rest / jnp.maximum(m - 2.0, 1.0))
    z = predictive.normal_quantile(seen.quantile)
    exists = records.present(seen)
    # less its mean: nothing beside the 1 where all quantiles are alike
    z = jnp.where(exists, z - z.sum() / jnp.maximum(exists.sum(), 1), 0.0)
    rows = _rows(context, sd, jnp.broadcast_to(z[:, None], sd.shape))
    rows = jnp.where(used[..., None], rows, 0.0).reshape(-1, rows.shape[-1])
    quantile = jnp.where(used, seen.quantile[:, None], 0.0).reshape(-1)
    # what the data leave open (sds of pairs of observations) is 0
    penalty = PENALTY * jnp.sqrt(used.sum() + 1.0) * jnp.eye(rows.shape[1])
    rows = jnp.concatenate([rows, penalty])
    quantile = jnp.concatenate([quantile, jnp.full(len(penalty), 0.5)])
    target = jnp.concatenate([target.reshape(-1), jnp.zeros(len(penalty))])
    beta = regression_baselines.quantile_regression(rows, target, quantile)
    own_sd = jnp.sqrt(fits.square / jnp.maximum(fits.count - 1.0, 1.0))
    off = _rows(fits.ahead, own_sd, z) @ beta
    zero = jnp.zeros_like(fits.ahead)
    fits = fits._replace(level=fits.level + off)
    return _stock(seen, fits, zero, jnp.zeros_like(off))


def _rows(context, sd, z) -> Float[Array, "*s p"]:
    """Features of a quantile of log demand."""
    return jnp.concatenate(
        [jnp.stack([jnp.ones_like(sd), z, sd, z * sd], -1), context], -1
    )


CONTEXTUAL: dict[str, Callable] = {
    "saa": saa,
    "ignoring": ignoring,
    "own_regression": own_regression,
    "pooled_regression": pooled_regression,
    "hierarchical_eb": hierarchical_eb,
    "global_qr": global_qr,
}
