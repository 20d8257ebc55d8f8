"""What items of an allocation are told of their portfolio, and unit-free features.

Three empirical Bayes rules of `shrinkage` are part of it: the network
corrects the first, which shrinks to a common mean, with the help of the others.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.allocation import knapsack, shrinkage
from ptft_jax.allocation.shrinkage import Curve, Items
from ptft_jax.problems.problem import Inputs

TINY = shrinkage.TINY


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
    error: Float[Array, ""]  # mean error of the worth of an item


class Rules(NamedTuple):
    """Posterior means of θ by the three rules, and what the network may add to them."""

    common: Float[Array, "n"]  # shrunk to μ₀
    by_precision: Float[Array, "n"]
    by_cost: Float[Array, "n"]
    scale: Float[Array, "n"]  # a posterior standard deviation of θ
    error: Float[Array, "n"]  # the same and how far the rules are apart
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
    v = shrinkage.variance(items, stats.noise)
    shrunk = lambda g, a: g + a / (a + v) * (items.estimate - g)
    t, u = shrinkage.covariates(items)
    prior = stats.centre, stats.noise, stats.spread
    g, mass = shrinkage.level(t, stats.by_precision, *prior)
    k, other = shrinkage.level(u, stats.by_cost, *prior)
    least = stats.spread + 0.1 * stats.noise + TINY
    common = shrunk(stats.centre, stats.spread)
    others = (
        shrunk(g, stats.by_precision.spread),
        shrunk(k, stats.by_cost.spread),
    )
    variance = v * least / (v + least)
    apart = sum((rule - common) ** 2 for rule in others)
    return Rules(
        common,
        *others,
        jnp.sqrt(variance),
        jnp.sqrt(variance + apart),
        jnp.stack([g, k]),
        jnp.stack([mass, other]),
    )


def summarize(
    items: Items, prior: tuple[Float[Array, ""], Float[Array, ""]] | None = None
) -> Statistics:
    """What is kept of a portfolio.

    Args:
      items: n items.
      prior: mean and variance of θ; by SURE where None.

    Returns:
      The statistics.
    """
    present, known = items.cost > 0.0, items.precision > 0.0
    t, u = shrinkage.covariates(items)
    mean = lambda values, which: shrinkage.average(values, which.astype(values.dtype))
    noise = jnp.exp(-mean(t, known))
    v = shrinkage.variance(items, noise)
    weights = jnp.where(known, 1.0 / (noise + v), 0.0)
    centre, spread = shrinkage.sure(items, noise) if prior is None else prior
    log_cost = mean(jnp.log(jnp.where(present, items.cost, 1.0)), present)
    size = jnp.sqrt(shrinkage.average(items.estimate**2, weights))
    spread_of_t = mean((t - mean(t, known)) ** 2, known)
    stats = Statistics(
        count=present.sum().astype(items.cost.dtype),
        unit=jnp.where(size > 0.0, size, jnp.sqrt(noise)),
        noise=noise,
        logs=jnp.stack([log_cost, log_cost - mean(u, present), spread_of_t]),
        tightness=mean(items.cost, present),
        centre=centre,
        spread=spread,
        by_precision=shrinkage.fit_curve(t, items, centre, spread, noise),
        by_cost=shrinkage.fit_curve(u, items, centre, spread, noise),
        prices=jnp.zeros(3),
        error=jnp.ones(()),
    )
    found = rules(items, stats)
    value = lambda rule: knapsack.solve(items.weight * rule, items.cost).price
    each = jax.vmap(value)(jnp.stack(found[:3]))
    error = mean(items.weight * found.error, present) + TINY
    return stats._replace(prices=each, error=error)


def inputs(items: Items, stats: Statistics) -> Inputs:
    """Features of items and of their portfolio; none has a unit.

    Args:
      items: n items.
      stats: of their portfolio, or of another.

    Returns:
      The network's inputs.
    """
    found, v = rules(items, stats), shrinkage.variance(items, stats.noise)
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
        tame(stats.prices * stats.tightness / stats.error),
    ]
    present = (items.cost > 0.0)[:, None]
    return Inputs(
        jnp.where(present, jnp.stack(columns, -1), 0.0), jnp.concatenate(told)
    )
