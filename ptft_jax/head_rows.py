"""A linear head on fixed features: left-out costs of many heads, and the best in balls.

The features come from the pretrained network and the context of one fold, the rows from
the instances of the other: given the first fold, the rows of different instances are
independent.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Float64, Int, Key

from ptft_jax import head, head_gap, left_out, risk, shapes, types
from ptft_jax.model import Decision, Network
from ptft_jax.risk import Rows
from ptft_jax.types import Portfolio
from theory import capacity

# Decisions made at a time, to bound the memory.
BLOCK = 4_000_000
SMOOTHING = 0.004  # of the kink of a fitted head's cost, in units of each row's scale


class HeadRows(NamedTuple):
    """Decisions x⁰ + s⟨u, h⟩ on n instances, r observations of each left out in turn.

    Attributes:
      base: x⁰ [r, n].
      scale: s ≥ 0 [r, n].
      hidden: h [r, n, d], in the precision that the policy decides with.
      unit: of counts, [r, n]; 0 where demand is continuous.
      label: the observations left out, [r, n].
      weight: of an instance's rows, [r, n]; they add up to 1 over r.
      quantile: critical ratios, [n].
    """

    base: Float64[np.ndarray, "r n"]
    scale: Float64[np.ndarray, "r n"]
    hidden: Float32[np.ndarray, "r n d"]
    unit: Float64[np.ndarray, "r n"]
    label: Float64[np.ndarray, "r n"]
    weight: Float64[np.ndarray, "r n"]
    quantile: Float64[np.ndarray, "n"]

    def decide(
        self, heads: Float64[np.ndarray, "k d"], rows: slice = slice(None)
    ) -> Float64[np.ndarray, "r n k"]:
        """Decisions of k heads, not settled.

        Args:
          heads: u, [k, d].
          rows: which of the r rows.

        Returns:
          Decisions, [r, n, k].
        """
        hidden = self.hidden[rows]
        flat = hidden.reshape(-1, hidden.shape[-1]) @ heads.T.astype(np.float32)
        pushed = flat.reshape(*hidden.shape[:2], len(heads))
        return self.base[rows, :, None] + self.scale[rows, :, None] * pushed


def gather(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    context: Portfolio,
    key: Key[Array, ""],
    size: int | None = None,
) -> HeadRows:
    """Rows of the first `size` instances of a portfolio, in the context of others.

    Args:
      network: the Transformer.
      params: pretrained.
      portfolio: instances, those beyond `size` being padding.
      context: the portfolio that is attended to.
      key: typed PRNG key; it chooses what is left out, in
        `left_out.num_rows` rows.
      size: n; all instances where None.

    Returns:
      The rows.
    """
    position, counts = positions(portfolio, key)
    lacks = jnp.asarray(position)
    found = left_out.left_out_features(network, params, portfolio, context, lacks)
    weight = counts.astype(np.float64)
    weight /= np.maximum(weight.sum(0), 1.0)
    demand = np.asarray(portfolio.observations, np.float64)
    label = np.take_along_axis(demand, position.T, axis=1).T
    exact = lambda leaf: np.asarray(leaf, np.float64)[:, :size]
    base, scale, unit = (exact(x) for x in (found.base, found.scale, found.unit))
    hidden = np.asarray(found.hidden, np.float32)[:, :size]
    rest = unit, exact(label), exact(weight)
    quantile = np.asarray(portfolio.quantile, np.float64)[:size]
    return HeadRows(base, scale, hidden, *rest, quantile)


def settle(
    x: Float64[np.ndarray, "r n k"], unit: Float64[np.ndarray, "r n"]
) -> Float64[np.ndarray, "r n k"]:
    """As `risk.settle`, in float64.

    Args:
      x: decisions.
      unit: of the lattice, 0 where demand is continuous.

    Returns:
      The nearest decisions that can be carried out.
    """
    if unit.any():
        step = unit[..., None]
        x = np.where(step > 0, np.round(x / np.where(step > 0, step, 1.0)) * step, x)
    return np.maximum(x, 0.0)


def costs(
    rows: HeadRows, heads: Float64[np.ndarray, "k d"], is_settled: bool
) -> Float64[np.ndarray, "k n"]:
    """Left-out cost of every instance under every head: Σ_j w_ij c(x_ij, ξ_ij).

    Args:
      rows: of n instances.
      heads: u, [k, d].
      is_settled: whether decisions are made ≥ 0 and multiples of the unit, as a policy
        makes them; without, the cost is convex in u.

    Returns:
      Costs in units of demand, [k, n], not cut.
    """
    block = max(1, BLOCK // rows.base.size)
    label, q = rows.label[..., None], rows.quantile[:, None]
    found = []
    for start in range(0, len(heads), block):
        x = rows.decide(heads[start : start + block])
        short = label - (settle(x, rows.unit) if is_settled else x)
        cost = np.maximum(q * short, (q - 1.0) * short)
        found.append((rows.weight[..., None] * cost).sum(0).T)
    return np.concatenate(found)


@jax.jit
def _solve(rows, quantile, weights, radii):
    one = lambda pair: head.solve(rows, quantile, *pair, smoothing=SMOOTHING).head
    return jax.lax.map(one, (weights, radii))


class Ball(NamedTuple):
    """A head of a ball, fitted to some of the instances.

    Attributes:
      radius: r of the ball.
      head: û, ‖û‖ ≤ r.
      gap: certified; the mean left-out cost of û, not cut and not settled, is at most
        the least in the ball plus this, in units of demand.
    """

    radius: float
    head: Float64[np.ndarray, "d"]
    gap: float


def fit_balls(
    rows: HeadRows, weights: Float64[np.ndarray, "k n"], radii: tuple[float, ...]
) -> list[Ball]:
    """Heads of least mean left-out cost, one for each weighting and radius.

    Args:
      rows: of n instances.
      weights: 1 for the instances a head is fitted to, otherwise 0, [k, n].
      radii: of the k balls.

    Returns:
      One head a ball.
    """
    extra = shapes.bucket(rows.base.shape[1]) - rows.base.shape[1]
    pad = lambda x, axis: np.pad(
        x, [(0, extra if k == axis else 0) for k in range(x.ndim)]
    )
    single = lambda x, axis=1: jnp.asarray(pad(x, axis), jnp.float32)
    decision = Decision(*(single(leaf) for leaf in rows[:4]))
    padded = Rows(decision, single(rows.label), single(rows.weight))
    quantile = jnp.clip(single(rows.quantile, 0), 1e-6)
    found = _solve(padded, quantile, single(weights), jnp.asarray(radii, jnp.float32))
    heads = head_gap.project(np.asarray(found), np.asarray(radii))
    return [
        Ball(radius, u, _gap(rows, weight, u, radius))
        for weight, u, radius in zip(weights, heads, radii, strict=True)
    ]


def _gap(rows: HeadRows, weight, u, radius: float) -> float:
    """Frank–Wolfe gap of the smoothed mean cost, and what smoothing may add."""
    share = rows.weight * weight / weight.sum()
    each = zip(*rows[:3], rows.label, share, strict=True)
    slope = sum(
        head_gap.pinball_gradient(u, *row, rows.quantile, SMOOTHING) for row in each
    )
    rounded = SMOOTHING * float((share * rows.scale).sum()) / 4.0
    return capacity.frank_wolfe_gap(slope, u, radius) + rounded


def positions(
    portfolio: Portfolio, key: Key[Array, ""]
) -> tuple[Int[np.ndarray, "r n"], Bool[np.ndarray, "r n"]]:
    """Which observation each row of `gather` leaves out, and whether the row counts.

    Args:
      portfolio: as for `gather`.
      key: as for `gather`.

    Returns:
      As of `risk.left_out`, in `left_out.num_rows` rows.
    """
    count = left_out.num_rows(portfolio)
    return jax.tree.map(np.asarray, risk.left_out(key, portfolio.valid, count))


def leave_one_out(portfolio: Portfolio, key: Key[Array, ""], row: int) -> Portfolio:
    """The portfolio as the decisions of one of the rows of `gather` see it.

    Args:
      portfolio: as for `gather`.
      key: as for `gather`.
      row: which row.

    Returns:
      Every instance without one observation.
    """
    position = positions(portfolio, key)[0][row]
    return types.leave_one_out(portfolio, jnp.asarray(position))[0]
