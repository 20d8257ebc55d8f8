"""What items of an allocation are told of their portfolio, and unit-free features.

Two empirical Bayes rules are part of it: shrinkage to a common mean (by SURE), which
the network corrects, and shrinkage to a mean that moves with the precision, or with the
cost per unit of weight, fitted by a kernel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.problems import knapsack
from ptft_jax.problems.problem import Inputs

NUM_KNOTS = 16
SPREADS = (0.0, *(10.0 ** (k / 6.0) for k in range(-18, 19)))
MOST_VARIANCE = 1e6  # of an item without data, relative to that of a usual one
TINY = 1e-30


class Items(NamedTuple):
    """n items of a knapsack; all 0 is padding.

    Attributes:
      estimate: μ̂_j ~ N(θ_j, 1/ν_j), of the value of a unit of weight.
      precision: ν_j > 0 (0: nothing is known of the item).
      cost: c_j > 0, as (1/n) Σ c_j x_j ≤ 1.
      weight: w_j > 0; taking the item is worth w_j θ_j.
    """

    estimate: Float[Array, "n"]
    precision: Float[Array, "n"]
    cost: Float[Array, "n"]
    weight: Float[Array, "n"]


class Curve(NamedTuple):
    """Prior mean of θ as a function of one covariate t, and the variance around it.

    g(t) = (κμ₀ + Σ_k φ_k(t) M_k)/(κ + Σ_k φ_k(t) S_k), φ_k Gaussian around knots.
    """

    low: Float[Array, ""]  # least t
    width: Float[Array, ""]  # between knots
    mass: Float[Array, "k"]  # S_k
    total: Float[Array, "k"]  # M_k
    spread: Float[Array, ""]  # variance of θ around g


class Statistics(NamedTuple):
    """Of a portfolio; θ in its own unit, `unit`."""

    count: Float[Array, ""]
    unit: Float[Array, ""]  # root mean square of the estimates
    noise: Float[Array, ""]  # geometric mean of 1/ν
    logs: Float[Array, "3"]  # mean log cost, weight, and variance of log precision
    tightness: Float[Array, ""]  # mean cost
    centre: Float[Array, ""]  # μ₀
    spread: Float[Array, ""]  # variance of θ around μ₀
    by_precision: Curve
    by_cost: Curve
    prices: Float[Array, "3"]  # λ of the three rules
    price_unit: Float[Array, ""]


def variance(items: Items, noise: Float[Array, ""]) -> Float[Array, "n"]:
    """1/ν_j, at most `MOST_VARIANCE` times the usual one.

    Args:
      items: n items.
      noise: the usual variance.

    Returns:
      The variances, > 0.
    """
    return 1.0 / jnp.maximum(items.precision, 1.0 / (MOST_VARIANCE * noise + TINY))


def _average(values, weights):
    return (weights * values).sum() / jnp.maximum(weights.sum(), TINY)


def sure(
    items: Items, noise: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Common mean μ₀ and variance A of θ that minimise an unbiased estimate of risk.

    SURE(A) = Σ_j a_j [(1−B_j)²(μ̂_j−μ₀)² + v_j(2B_j − 1)], B_j = A/(A+v_j), μ₀ the mean
    weighted by 1/(A+v_j), a_j = 1/(v+v_j) with v the usual variance.

    Args:
      items: n items.
      noise: v, the geometric mean of v_j = 1/ν_j.

    Returns:
      μ₀ and A, on a grid of A.

    Source:
      Xie, Kou & Brown 2012.
    """
    v, known = variance(items, noise), items.precision > 0.0

    def risk(spread):
        keep = spread / (spread + v)
        centre = _average(items.estimate, jnp.where(known, 1.0 / (spread + v), 0.0))
        each = (1.0 - keep) ** 2 * (items.estimate - centre) ** 2
        each = each + v * (2.0 * keep - 1.0)
        return _average(each, jnp.where(known, 1.0 / (noise + v), 0.0)), centre

    spreads = noise * jnp.asarray(SPREADS, noise.dtype)
    risks, centres = jax.vmap(risk)(spreads)
    least = jnp.argmin(risks)
    return centres[least], spreads[least]


def _bumps(t: Float[Array, "n"], curve: Curve) -> Float[Array, "n k"]:
    place = (t - curve.low) / curve.width
    return jnp.exp(-0.5 * (place[:, None] - jnp.arange(NUM_KNOTS)) ** 2)


def level(
    t: Float[Array, "n"], curve: Curve, centre: Float[Array, ""], noise, spread
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Prior mean g(t_j) and the mass Σ_k φ_k(t_j) S_k behind it.

    Args:
      t: covariate, [n].
      curve: the fit.
      centre: μ₀, which counts for one usual item.
      noise: the usual variance.
      spread: A.

    Returns:
      g, in units of θ, and the mass, ≥ 0, in those of a precision.
    """
    bumps = _bumps(t, curve)
    mass, one = bumps @ curve.mass, 1.0 / (noise + spread + TINY)
    return (one * centre + bumps @ curve.total) / (one + mass), mass


def fit_curve(
    t: Float[Array, "n"], items: Items, centre, spread, noise: Float[Array, ""]
) -> Curve:
    """Kernel fit of the estimates by a covariate, weighted by 1/(A + v_j).

    Args:
      t: covariate, [n].
      items: n items.
      centre: μ₀.
      spread: A.
      noise: the usual variance.

    Returns:
      The curve; its variance is that of the residuals less the noise, ≥ 0.
    """
    v, known = variance(items, noise), items.precision > 0.0
    low = jnp.where(known, t, jnp.inf).min()
    high = jnp.where(known, t, -jnp.inf).max()
    low, high = (jnp.where(known.any(), end, 0.0) for end in (low, high))
    width = jnp.maximum((high - low) / (NUM_KNOTS - 1), 0.05)
    weights = jnp.where(known, 1.0 / (spread + v), 0.0)
    empty = Curve(low, width, jnp.zeros(NUM_KNOTS), jnp.zeros(NUM_KNOTS), spread)
    bumps = _bumps(t, empty) * weights[:, None]
    curve = empty._replace(mass=bumps.sum(0), total=items.estimate @ bumps)
    mean, _ = level(t, curve, centre, noise, spread)
    around = _average((items.estimate - mean) ** 2 - v, weights**2)
    return curve._replace(spread=jnp.maximum(around, 0.0))


def covariates(items: Items) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Log precision, and log cost per unit of weight; 0 where there is none.

    Args:
      items: n items.

    Returns:
      The two covariates, [n] each.
    """
    log = lambda x: jnp.log(jnp.where(x > 0.0, x, 1.0))
    return log(items.precision), log(items.cost) - log(items.weight)


class Rules(NamedTuple):
    """Posterior means of θ by the three rules, and what the network may add to them."""

    common: Float[Array, "n"]  # shrunk to μ₀
    by_precision: Float[Array, "n"]
    by_cost: Float[Array, "n"]
    scale: Float[Array, "n"]  # a posterior standard deviation of θ
    means: Float[Array, "2 n"]  # g of the two curves
    masses: Float[Array, "2 n"]  # behind them


def rules(items: Items, stats: Statistics) -> Rules:
    """E[θ_j | μ̂_j] if θ_j ~ N(g_j, A), for three choices of g.

    Args:
      items: n items.
      stats: of their portfolio, or of another.

    Returns:
      The rules. The scale takes A to be at least a tenth of the usual variance.
    """
    v = variance(items, stats.noise)
    shrunk = lambda g, a: g + a / (a + v) * (items.estimate - g)
    t, u = covariates(items)
    fit = lambda t, curve: level(t, curve, stats.centre, stats.noise, stats.spread)
    g, mass = fit(t, stats.by_precision)
    k, other = fit(u, stats.by_cost)
    least = stats.spread + 0.1 * stats.noise + TINY
    return Rules(
        shrunk(stats.centre, stats.spread),
        shrunk(g, stats.by_precision.spread),
        shrunk(k, stats.by_cost.spread),
        jnp.sqrt(v * least / (v + least)),
        jnp.stack([g, k]),
        jnp.stack([mass, other]),
    )


def summarize(items: Items) -> Statistics:
    """What is kept of a portfolio.

    Args:
      items: n items.

    Returns:
      The statistics.
    """
    present, known = items.cost > 0.0, items.precision > 0.0
    t, u = covariates(items)
    mean = lambda values, which: _average(values, which.astype(values.dtype))
    noise = jnp.exp(-mean(t, known))
    v = variance(items, noise)
    weights = jnp.where(known, 1.0 / (noise + v), 0.0)
    centre, spread = sure(items, noise)
    log_cost = mean(jnp.log(jnp.where(present, items.cost, 1.0)), present)
    stats = Statistics(
        count=present.sum().astype(items.cost.dtype),
        unit=jnp.sqrt(_average(items.estimate**2, weights)) + TINY,
        noise=noise,
        logs=jnp.stack([log_cost, log_cost - mean(u, present), t.var(where=known)]),
        tightness=mean(items.cost, present),
        centre=centre,
        spread=spread,
        by_precision=fit_curve(t, items, centre, spread, noise),
        by_cost=fit_curve(u, items, centre, spread, noise),
        prices=jnp.zeros(3),
        price_unit=jnp.ones(()),
    )
    found = rules(items, stats)
    value = lambda rule: knapsack.solve(items.weight * rule, items.cost).price
    each = jax.vmap(value)(jnp.stack(found[:3]))
    unit = mean(items.weight * found.scale, present) / stats.tightness
    return stats._replace(prices=each, price_unit=unit + TINY)


def inputs(items: Items, stats: Statistics) -> Inputs:
    """Features of items and of their portfolio; none has a unit.

    Args:
      items: n items.
      stats: of their portfolio, or of another.

    Returns:
      The network's inputs.
    """
    found, v = rules(items, stats), variance(items, stats.noise)
    log = lambda x: jnp.log(jnp.where(items.cost > 0.0, x, 1.0))
    tame = lambda x: jnp.arcsinh(jnp.clip(x, -1e6, 1e6))
    sd, width = jnp.sqrt(v), items.weight * found.scale
    width = jnp.where(width > 0.0, width, 1.0)
    margins = lambda rule: [
        tame((items.weight * rule - price * items.cost) / width)
        for price in stats.prices
    ]
    off = [items.estimate - g for g in (stats.centre, *found.means)]
    spreads = (stats.spread, stats.by_precision.spread, stats.by_cost.spread)
    columns = [
        *[tame(x / stats.unit) for x in (items.estimate, *found[:3], *found.means)],
        *[tame(x / jnp.sqrt(a + v)) for x, a in zip(off, spreads, strict=True)],
        tame(items.estimate / sd),
        0.5 * (jnp.log(v) - jnp.log(stats.noise + TINY)),
        log(items.cost) - stats.logs[0],
        log(items.weight) - stats.logs[1],
        jnp.log(found.scale / sd),
        jnp.log(sd / stats.unit),
        margins(found.common)[0],
        margins(found.by_precision)[1],
        margins(found.by_cost)[2],
        *[1.0 / (1.0 + (stats.spread + v) * mass) for mass in found.masses],
    ]
    relative = jnp.stack([stats.noise, *spreads]) / stats.unit**2
    told = [
        2.0 / jnp.sqrt(jnp.maximum(stats.count, 1.0))[None],
        jnp.log(stats.tightness + TINY)[None] / 3.0,
        jnp.sqrt(stats.logs[2])[None],
        (stats.centre / stats.unit)[None],
        jnp.log(relative + 1e-3) / 3.0,
        tame(stats.prices / stats.price_unit),
    ]
    present = (items.cost > 0.0)[:, None]
    return Inputs(
        jnp.where(present, jnp.stack(columns, -1), 0.0), jnp.concatenate(told)
    )
