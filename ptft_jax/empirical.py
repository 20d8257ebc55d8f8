"""Real truth: each column's whole empirical distribution is the instance's law.

Host code in float64 numpy: the truth is evaluated exactly, by prefix sums, never by
sampling. Samples mark missing observations by NaN, as `types.portfolio` reads them.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, Num

PerInstance = Float[np.ndarray | jax.Array, "n"]


class EmpiricalTruth(NamedTuple):
    """The laws of n instances, F_i = the empirical law of N_i ≤ N observations.

    Attributes:
      series: observations in the order of the periods, [n, N], NaN where blank.
      ordered: order statistics ξ_(1) ≤ … ≤ ξ_(N_i), [n, N], +∞ beyond N_i.
      prefix: Σ_{k ≤ l} ξ_(k) for l = 0, …, N, [n, N + 1], constant beyond N_i.
      length: N_i ≥ 1, [n].
    """

    series: Float[np.ndarray, "n N"]
    ordered: Float[np.ndarray, "n N"]
    prefix: Float[np.ndarray, "n N+1"]
    length: Int[np.ndarray, "n"]


def from_columns(columns: Num[np.ndarray, "N n"]) -> EmpiricalTruth:
    """The truth held by a wide table: rows are periods, columns are instances.

    Args:
      columns: observations, [N, n], finite or NaN (blank), consecutive periods.

    Returns:
      One law a column.

    Raises:
      ValueError: a column without observations, or an infinite one.
    """
    series = np.ascontiguousarray(columns.T, dtype=np.float64)
    if np.isinf(series).any():
        i, t = np.argwhere(np.isinf(series))[0]
        raise ValueError(f"column {i} is infinite in row {t}")
    length = (~np.isnan(series)).sum(1)
    if (length == 0).any():
        raise ValueError(f"column {int(np.argmin(length))} has no observation")
    # NaN sorts last, behind every observation
    ordered = np.sort(series, axis=1)
    total = np.cumsum(np.nan_to_num(ordered), axis=1)
    prefix = np.concatenate([np.zeros((len(series), 1)), total], axis=1)
    return EmpiricalTruth(series, np.nan_to_num(ordered, nan=np.inf), prefix, length)


def take(truth: EmpiricalTruth, index: Int[np.ndarray, "k"]) -> EmpiricalTruth:
    """The truth of the chosen instances, in the order of `index`.

    Args:
      truth: n laws.
      index: positions in 0, …, n − 1, [k].

    Returns:
      k laws.
    """
    return EmpiricalTruth(*(field[index] for field in truth))


def sample_iid(
    truth: EmpiricalTruth, rng: np.random.Generator, m: int
) -> Float[np.ndarray, "n m"]:
    """Data under the i.i.d. protocol: m observations without replacement, each alone.

    Args:
      truth: n laws.
      rng: source of randomness, advanced by n·N uniforms.
      m: observations an instance, ≥ 1.

    Returns:
      The data, [n, m]; an instance with N_i < m gives all it has, then NaN.

    Raises:
      ValueError: m < 1.
    """
    if m < 1:
        raise ValueError(f"m must be at least 1, got {m}")
    n, periods = truth.series.shape
    priority = np.where(np.isnan(truth.series), 2.0, rng.random((n, periods)))
    position = np.argsort(priority, axis=1)[:, :m]
    data = np.take_along_axis(truth.series, position, axis=1)
    blank = np.full((n, max(m - periods, 0)), np.nan)
    return np.concatenate([data, blank], axis=1)


def sample_rolling(
    truth: EmpiricalTruth, rng: np.random.Generator, m: int, horizon: int = 10
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n horizon"]]:
    """Data under the rolling protocol: the past before one origin, and what follows.

    One origin in calendar time is drawn for the whole portfolio, so that common shocks
    stay common. Blanks (closed days) are skipped: an instance's data are its last m
    observed periods before the origin, its test the next `horizon` observed ones.

    Args:
      truth: n laws, `series` in the order of the periods.
      rng: source of randomness, advanced by one integer.
      m: observations an instance, ≥ 1.
      horizon: test observations an instance, ≥ 1.

    Returns:
      The data, [n, m], oldest first, and the test, [n, horizon]. The law to judge
      decisions by is `from_columns(test.T)`.

    Raises:
      ValueError: m or horizon < 1, or no origin leaves every instance enough.
    """
    if m < 1 or horizon < 1:
        raise ValueError(f"m and horizon must be at least 1, got {m} and {horizon}")
    seen = ~np.isnan(truth.series)
    past = np.cumsum(seen, axis=1) - seen
    enough = (past >= m) & (truth.length[:, None] - past >= horizon)
    origins = np.flatnonzero(enough.all(0))
    if not len(origins):
        raise ValueError(
            f"no period has {m} observations before it and {horizon} from it on in "
            f"every instance; the shortest has {truth.length.min()} observations"
        )
    first = past[:, rng.choice(origins)] - m
    observed_first = np.argsort(~seen, axis=1, kind="stable")
    window = first[:, None] + np.arange(m + horizon)
    position = np.take_along_axis(observed_first, window, axis=1)
    data = np.take_along_axis(truth.series, position, axis=1)
    return data[:, :m], data[:, m:]


def expected_cost(
    truth: EmpiricalTruth, x: PerInstance, quantile: float | PerInstance
) -> Float[np.ndarray, "n"]:
    """Exact expected newsvendor cost of each decision under its instance's law.

    E c(x, ξ) = q (E ξ − x) + E (x − ξ)⁺, and N E (x − ξ)⁺ = k x − Σ_{l ≤ k} ξ_(l) with
    k = #{ξ ≤ x}.

    Args:
      truth: n laws.
      x: decisions, [n], in units of demand.
      quantile: critical ratio, one for all or one each, in (0, 1).

    Returns:
      The costs, [n], ≥ 0, convex in x; NaN where x is NaN.
    """
    x = np.asarray(x, np.float64)
    q = np.asarray(quantile, np.float64)
    below = (truth.ordered <= x[:, None]).sum(1)
    held = np.take_along_axis(truth.prefix, below[:, None], axis=1)[:, 0]
    mean = truth.prefix[:, -1] / truth.length
    return q * (mean - x) + (below * x - held) / truth.length


def full_information(
    truth: EmpiricalTruth, quantile: float | PerInstance
) -> Float[np.ndarray, "n"]:
    """The best decision under each law, its ⌈q N_i⌉-th order statistic.

    Args:
      truth: n laws.
      quantile: critical ratio, one for all or one each, in (0, 1).

    Returns:
      A minimiser of `expected_cost`, [n]; the smallest where there are several.
    """
    level = np.asarray(quantile, np.float64) * truth.length
    # .55 · 100 is 55.00000000000001, and q may come from float32: rounding must not
    # add one to the rank
    rank = np.ceil(level * (1.0 - 4 * np.finfo(np.float32).eps)).astype(int)
    rank = np.clip(rank, 1, truth.length)
    return np.take_along_axis(truth.ordered, rank[:, None] - 1, axis=1)[:, 0]


def unseen_cost(
    truth: EmpiricalTruth,
    x: PerInstance,
    quantile: float | PerInstance,
    seen: Float[np.ndarray, "n m"],
) -> Float[np.ndarray, "n"]:
    """Mean cost on the periods that a sample without replacement left unseen.

    (N C(x) − Σ_seen c(x, ξ))/(N − m).

    Args:
      truth: n laws.
      x: decisions, [n], in units of demand.
      quantile: critical ratio, one for all or one each, in (0, 1).
      seen: the sample, NaN where missing; fewer than N observations an instance.

    Returns:
      The costs, [n], ≥ 0 up to rounding.
    """
    x = np.asarray(x, np.float64)[:, None]
    q = np.broadcast_to(np.asarray(quantile, np.float64), truth.length.shape)[:, None]
    costs = np.nansum(np.maximum(q * (seen - x), (q - 1.0) * (seen - x)), axis=1)
    m = (~np.isnan(seen)).sum(1)
    whole = truth.length * expected_cost(truth, x[:, 0], quantile)
    return (whole - costs) / (truth.length - m)
