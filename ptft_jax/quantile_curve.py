"""The predictive law of every instance as a curve of quantiles, calibrated.

The pretrained network answers any critical ratio. Its answers are put in order
(rearrangement never moves them away from a monotone truth: Chernozhukov, Fernández-Val
and Galichon, Econometrica 2010), and its levels are moved so that observations left out
of the portfolio fall below the q-quantile as often as q says. Fine-tuning is for one
critical ratio and does not enter.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Key

from ptft_jax import risk, shapes, streamed, types
from ptft_jax.model import Context, Network
from ptft_jax.types import Portfolio

# Asked of the network; any level between is interpolated.
LEVELS = (0.01, 0.02, 0.05, *(k / 20.0 for k in range(2, 19)), 0.95, 0.98, 0.99)
NUM_ROWS = 4  # observations left out of each instance
PRIOR_INSTANCES = 16.0  # that the network's own levels count for
LOWER, UPPER = 0.1587, 0.8413  # one standard deviation about a normal mean


class Curve(NamedTuple):
    """Quantiles of every instance.

    Attributes:
      levels: k increasing levels in (0, 1).
      quantiles: [n, k], nondecreasing along the levels, in units of demand.
      uncertainty: half of the range from the 16% to the 84% quantile, [n].
      pit_distance: largest |share of left-out observations below the quantile − level|
        over 1%, …, 99%; the levels were moved by instances of the other fold.
    """

    levels: tuple[float, ...]
    quantiles: Float64[np.ndarray, "n k"]
    uncertainty: Float64[np.ndarray, "n"]
    pit_distance: float


class _Answers(NamedTuple):
    """What the network says of each level, in order, and the unit of counts."""

    x: Float[Array, "n k"]
    unit: Float[Array, "n"]


def _answers(
    network: Network, params: Any, portfolio: Portfolio, context: Context
) -> _Answers:
    def ask(net):
        inputs, tokens, _ = net.tokens(portfolio, context)
        level = lambda q: net.decide(inputs, tokens, jnp.full_like(inputs.scale, q))
        found = jax.lax.map(lambda q: level(q).base, jnp.asarray(LEVELS))
        return _Answers(jnp.sort(found, axis=0).T, inputs.unit)

    return network.apply(params, method=ask)


@functools.partial(jax.jit, static_argnums=0)
def _left_out(network, params, portfolio, context, key):
    """Transforms of left-out observations, [r, n], NaN where there are none."""
    row_key, jitter_key = jax.random.split(key)
    num_rows = min(NUM_ROWS, portfolio.valid.shape[1])
    position, counts = risk.left_out(row_key, portfolio.valid, num_rows)

    def row(given):
        j, is_used, key = given
        rest, label = types.leave_one_out(portfolio, j)
        answers = _answers(network, params, rest, context)
        u = jax.random.uniform(key, label.shape)
        return jnp.where(is_used, transform(answers, label, u), jnp.nan)

    keys = jax.random.split(jitter_key, num_rows)
    return jax.lax.map(row, (position, counts, keys))


_ask = jax.jit(_answers, static_argnums=0)
_summarize = jax.jit(streamed.summarize, static_argnums=0)


def transform(
    answers: _Answers, demand: Float[Array, "n"], u: Float[Array, "n"]
) -> Float[Array, "n"]:
    """Probability integral transform F̂(ξ), of counts F̂(ξ−½) + u (F̂(ξ+½) − F̂(ξ−½)).

    F̂ is linear between the quantiles, from 0 at no demand to 1 beyond the last; counts
    have the mass between the halves about them, as decisions are rounded.

    Args:
      answers: quantiles at `LEVELS`.
      demand: ξ.
      u: uniforms in (0, 1).

    Returns:
      Values in [0, 1], uniform where the quantiles are those of the law of ξ.
    """
    x, unit = answers
    least = -unit[:, None] / 2.0
    last = x[:, -1:] + 2.0 * (x[:, -1:] - x[:, -2:-1])
    ends = jnp.concatenate([least, jnp.maximum(x, least), last], axis=1)
    heights = jnp.concatenate([jnp.zeros(1), jnp.asarray(LEVELS), jnp.ones(1)])
    at = lambda y: jax.vmap(jnp.interp, (0, 0, None))(y, ends, heights)
    below, upto = at(demand - unit / 2.0), at(demand + unit / 2.0)
    return below + u * (upto - below)


def moved_levels(
    pit: Float64[np.ndarray, "r n"], levels: Float64[np.ndarray, "k"]
) -> Float64[np.ndarray, "k"]:
    """Levels at which the network's curve covers as often as `levels` say.

    The inverse of (N G(p) + N₀ p)/(N + N₀), G the law of the transforms of N instances.

    Args:
      pit: transforms of left-out observations, NaN where there are none.
      levels: in (0, 1).

    Returns:
      Levels in (0, 1), nondecreasing.
    """
    seen = np.sort(pit[~np.isnan(pit)])
    count = float((~np.isnan(pit)).any(0).sum())
    grid = np.linspace(0.0, 1.0, 1001)
    share = np.searchsorted(seen, grid, side="right") / max(len(seen), 1)
    share[-1] = 1.0
    mixed = (count * share + PRIOR_INSTANCES * grid) / (count + PRIOR_INSTANCES)
    return np.interp(levels, mixed, grid)


def distance(pit: Float64[np.ndarray, "r n"], moved: Float64[np.ndarray, "k"]) -> float:
    """Largest distance of coverage from the level over 1%, …, 99%.

    Args:
      pit: transforms of left-out observations, NaN where there are none.
      moved: of `moved_levels` at these 99 levels.

    Returns:
      A share; NaN where nothing was left out.
    """
    seen = np.sort(pit[~np.isnan(pit)])
    if not len(seen):
        return float("nan")
    share = np.searchsorted(seen, moved, side="right") / len(seen)
    return float(np.abs(share - _PERCENT).max())


_PERCENT = np.arange(1, 100) / 100.0


def make(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    levels: tuple[float, ...],
    key: Key[Array, ""],
) -> Curve:
    """The curve of every instance.

    Args:
      network: the Transformer.
      params: pretrained.
      portfolio: n instances, those that are padding last.
      levels: in (0, 1), increasing.
      key: typed PRNG key; it chooses what is left out, and the two folds.

    Returns:
      The curve, of the instances that are not padding.
    """
    n = int(portfolio.present.sum())
    row_key, fold_key = jax.random.split(key)
    context = _summarize(network, params, portfolio)
    parts = _parts(portfolio, n)
    rows = [
        _left_out(network, params, part, context, jax.random.fold_in(row_key, i))
        for i, (part, _) in enumerate(parts)
    ]
    pit = np.concatenate(
        [
            np.asarray(r, np.float64)[:, :k]
            for r, (_, k) in zip(rows, parts, strict=True)
        ],
        axis=1,
    )
    order = np.asarray(jax.random.permutation(fold_key, n))
    folds = order[: n // 2], order[n // 2 :]
    apart = [
        distance(pit[:, a], moved_levels(pit[:, b], _PERCENT))
        for a, b in (folds, folds[::-1])
    ]
    wanted = np.array([*levels, LOWER, UPPER])
    # linear interpolation between answers, as a matrix that all instances share
    at, unit_rows = moved_levels(pit, wanted), np.eye(len(LEVELS))
    weights = np.stack([np.interp(at, LEVELS, row) for row in unit_rows])
    found = []
    for part, count in parts:
        x, unit = _ask(network, params, part, context)
        curve = np.asarray(x, np.float64)[:count] @ weights
        found.append(_settled(curve, np.asarray(unit, np.float64)[:count, None]))
    curve = np.concatenate(found)
    half = (curve[:, -1] - curve[:, -2]) / 2.0
    return Curve(tuple(levels), curve[:, :-2], half, float(np.mean(apart)))


def _settled(x, unit):
    """As `risk.settle`, in float64: quantiles that are in order stay so."""
    nearest = np.round(x / np.where(unit > 0, unit, 1.0)) * unit
    return np.maximum(np.where(unit > 0, nearest, x), 0.0)


def _parts(portfolio: Portfolio, n: int) -> list[tuple[Portfolio, int]]:
    """The instances in blocks of one size, and how many of each are not padding."""
    size = min(portfolio.valid.shape[0], streamed.BLOCK)
    starts = range(0, n, size)
    index = [np.arange(start, min(start + size, n)) for start in starts]
    return [(shapes.take(portfolio, each, size), len(each)) for each in index]
