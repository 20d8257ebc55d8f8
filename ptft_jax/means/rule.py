"""Estimating many means at squared cost: what the three families share.

The network corrects parametric empirical Bayes: x = EB + Σ_k output_k · move_k. The
moves are the posterior's spread, and from EB to posterior means under a normal prior
with a regression on precision, under that prior after few and many EM steps, and under
the nonparametric maximum likelihood estimate. At outputs 0 the rule is parametric.
Features are taken from variance-stabilised estimates, in units of their noise.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax import conjugate_eb, npmle
from ptft_jax.means import mixing
from ptft_jax.means.family import Family, Raw, View
from ptft_jax.problems.problem import Inputs

GRID = 64
EM_STEPS = (6, 54)  # snapshots after 0, 6 and 60
NPMLE_CYCLES = 20
NUM_LAWS = 2 + len(EM_STEPS)  # the normal one, and the nonparametric maximum
NUM_OUTPUTS = 1 + NUM_LAWS
BINS = 16
FLAT = 1e-6  # variance of log noise below which nothing is regressed on it
UNBIASED = (
    "The variance of what is left out is taken off each squared error, so that what is "
    "measured on few instances may be below 0."
)


class Stats(NamedTuple):
    """What an instance is told of its portfolio."""

    prior: conjugate_eb.Prior
    normal: conjugate_eb.Prior  # of stabilised estimates less the regression
    slope: Float[Array, ""]  # on log noise
    log_noise: Float[Array, ""]  # mean
    noise: Float[Array, ""]  # root mean square
    grid: Float[Array, "g"]
    weights: Float[Array, "k g"]
    portfolio: Float[Array, "f"]  # features


class Rule(NamedTuple):
    """Decisions within reach: base + Σ_k output_k · moves_k."""

    base: Float[Array, "n"]
    moves: Float[Array, "n k"]


def _average(x, present):
    return jnp.where(present, x, 0.0).sum() / jnp.maximum(present.sum(), 1)


def _regress(raw: Raw, view: View, log_noise) -> tuple[Array, Array]:
    """Slope of the estimates on log noise, shrunk by (1 − 2/t²)₊, and its t."""
    w = jnp.where(view.present, 1.0 / raw.variance, 0.0)
    total = w.sum().clip(1e-30)
    x = jnp.log(view.noise) - log_noise
    x = x - (w * x).sum() / total
    spread = (w * x**2).sum()
    is_flat = spread < FLAT * total  # precision is the same, or next to it
    slope = (w * x * raw.estimate).sum() / jnp.where(is_flat, 1.0, spread)
    t = jnp.where(is_flat, 0.0, slope * jnp.sqrt(spread))
    keep = jnp.maximum(1.0 - 2.0 / jnp.maximum(t**2, 1e-6), 0.0)
    return jnp.where(is_flat, 0.0, keep * slope * raw.rate), t


def _offset(view: View, stats: Stats) -> Float[Array, "n"]:
    return stats.slope * (jnp.log(view.noise) - stats.log_noise)


def _likelihood(family: Family, seen, view: View, stats: Stats):
    """θ at the grid points of each instance, and its likelihood there."""
    theta = family.invert(stats.grid + _offset(view, stats)[:, None])
    return theta, mixing.likelihood(family.log_likelihood(seen, theta))


def summarize(family: Family, seen: Any) -> Stats:
    """What an instance is told of its portfolio.

    Args:
      family: of the means.
      seen: n instances.

    Returns:
      Statistics of a size that does not depend on n.
    """
    view = family.view(seen)
    present = view.present
    log_noise = _average(jnp.log(view.noise), present)
    noise = jnp.sqrt(_average(view.noise**2, present)).clip(1e-30)
    prior = family.prior(seen)
    slope, t = _regress(family.raw(seen, prior), view, log_noise)
    rest = view.value - slope * (jnp.log(view.noise) - log_noise)
    normal = conjugate_eb.normal(rest, view.noise**2, present)
    among = lambda x, other: jnp.where(present, x, other)
    grid = mixing.warped(
        among(rest - view.noise, jnp.inf).min().clip(max=normal.mean),
        among(rest, -jnp.inf).max().clip(min=normal.mean),
        normal.mean,
        jnp.sqrt(normal.size + noise**2),
        GRID,
    )
    stats = Stats(prior, normal, slope, log_noise, noise, grid, None, None)
    _, likelihood = _likelihood(family, seen, view, stats)
    laws = [mixing.normal_weights(grid, normal.mean, normal.size + 0.05 * noise**2)]
    for steps in EM_STEPS:
        laws.append(mixing.em(laws[-1], likelihood, present, steps))
    laws.append(npmle.solve(likelihood, present, NPMLE_CYCLES))
    stats = stats._replace(weights=jnp.stack(laws))
    evidence = mixing.log_evidence(stats.weights, likelihood)
    gain = jnp.where(present, jnp.diff(evidence, axis=0), 0.0).sum(1)
    found = _portfolio_features(view, stats, rest, t, gain)
    return stats._replace(portfolio=found)


def _portfolio_features(view: View, stats: Stats, rest, t, gain) -> Float[Array, "f"]:
    present, normal = view.present, stats.normal
    z = (rest - normal.mean) / jnp.sqrt(normal.size + view.noise**2)
    x = jnp.log(view.noise) - stats.log_noise
    edges = jnp.linspace(-3.0, 3.0, BINS - 1)
    bins = jax.nn.one_hot(jnp.searchsorted(edges, z), BINS)
    share = jnp.where(present[:, None], bins, 0.0).sum(0) / jnp.maximum(
        present.sum(), 1
    )
    pooled = stats.weights[1:].reshape(NUM_LAWS - 1, BINS, -1).sum(-1)
    spread = jnp.sqrt(_average(x**2, present))
    single = jnp.stack(
        [
            jnp.log(jnp.maximum(present.sum(), 1) / 64.0) / 2.0,
            0.5 * jnp.log(normal.size / stats.noise**2 + 1e-3),
            jnp.arcsinh(t) / 2.0,
            jnp.arcsinh(stats.slope * spread / stats.noise),
            spread,
            jnp.arcsinh(_average(z**3, present)) / 2.0,
            jnp.arcsinh(_average(z**4, present) - 3.0) / 2.0,
            jnp.log((stats.grid[-1] - stats.grid[0]) / stats.noise + 0.1),
        ]
    )
    roots = jnp.sqrt(jnp.concatenate([share, pooled.ravel()]))
    return jnp.concatenate([single, jnp.arcsinh(gain / 2.0), 4.0 * roots - 1.0])


def rule(family: Family, seen: Any, stats: Stats) -> Rule:
    """The decisions within the network's reach.

    Args:
      family: of the means.
      seen: n instances.
      stats: of their portfolio, or of another.

    Returns:
      Parametric empirical Bayes and the moves from it; padding has no moves.
    """
    base, moves, _, _ = _reach(family, seen, stats)
    return Rule(base, moves)


def _reach(family: Family, seen, stats: Stats):
    view = family.view(seen)
    theta, likelihood = _likelihood(family, seen, view, stats)
    base = family.posterior_mean(seen, stats.prior)
    means, spreads = mixing.moments(stats.weights, likelihood, theta)
    unit = spreads[0]
    moves = jnp.concatenate([unit[None], means - base]).T
    moves = jnp.where(view.present[:, None], moves, 0.0)
    return base, moves, spreads, mixing.log_evidence(stats.weights, likelihood)


def inputs(family: Family, seen: Any, stats: Stats) -> Inputs:
    """Features of the instances in the light of their portfolio.

    Args:
      family: of the means.
      seen: n instances.
      stats: of their portfolio, or of another.

    Returns:
      Inputs whose values do not depend on the unit.
    """
    view = family.view(seen)
    base, moves, spreads, evidence = _reach(family, seen, stats)
    rest = view.value - _offset(view, stats) - stats.normal.mean
    total = jnp.sqrt(stats.normal.size + view.noise**2)
    unit = jnp.where(view.present, spreads[0], 1.0).clip(1e-30)
    single = [
        jnp.arcsinh(rest / total),
        jnp.arcsinh(rest / view.noise),
        jnp.arcsinh(rest / stats.noise),
        jnp.log(view.noise / stats.noise),
        stats.normal.size / total**2,
        *jnp.arcsinh(moves[:, 1:].T / unit),
        *jnp.log(spreads[1:] / unit + 1e-3),
        *jnp.diff(evidence, axis=0).clip(-8.0, 8.0),
    ]
    features = jnp.concatenate([jnp.stack(single, 1), family.own(seen, base)], 1)
    return Inputs(jnp.where(view.present[:, None], features, 0.0), stats.portfolio)


def estimate(family: Family, seen, stats: Stats, output) -> Float[Array, "n"]:
    """Estimates x = EB + Σ_k output_k · move_k, linear in the output.

    Args:
      family: of the means.
      seen: n instances.
      stats: of their portfolio, or of another.
      output: of the network, [n, k].

    Returns:
      Estimates, not yet made feasible.
    """
    base, moves = rule(family, seen, stats)
    return base + (moves * output).sum(1)
