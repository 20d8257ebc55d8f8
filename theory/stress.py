"""Worlds in which the violation rate of a bound is computed, not simulated.

All losses are 0 or 1. The laws tried are a grid and, because the rate jumps there, the
points just above each value that the bound takes.
"""

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from jaxtyping import Float
from scipy import stats

from theory import checks, evidence, verdict

P_GRID = np.concatenate(
    [[1e-4, 0.001, 0.01, 0.02, 0.03], np.arange(1, 20) / 20, [0.99]]
)

# Risks whose likely counts are called first, and what is left out at either end.
LIKELY = (0.001, 0.01, 0.05, 0.2, 0.5, 0.9)
LEFT_OUT = 1e-6

# All counts are called up to the first n, and up to the second if a call takes at most
# so many seconds; only the likely ones otherwise.
ALWAYS, IF_FAST = 100, 1_000
SLOW = 0.005

Call = Callable[[evidence.Evidence], float]


def counts(bound: Call, n: int, delta: float) -> verdict.Case:
    """Largest violation rate over Bernoulli laws, from one sample for each count.

    sup_p Σ_k P(Bin(n, p) = k)·1{U_k < p}.

    Above n = 1,000, and above 100 for a bound that takes more than 5 ms a call, only
    the counts that are likely under one of six risks are called. The others count as
    no violation, so the rate is then a lower bound of the true one: a mistake may be
    missed, and no valid bound is rejected.

    Args:
      bound: U; it must not depend on the order of the losses.
      n: number of instances, at most n + 1 calls.
      delta: δ in (0, 1).

    Returns:
      The worst law; the rate decreases in the bound.

    Raises:
      ValueError: n = 0, or δ is not in (0, 1).
    """
    n = checks.count("n", n)
    checks.confidence(delta)
    values = np.full(n + 1, np.inf)

    def call(which: Iterable[int]) -> None:
        for k, row in _rows(n, which):
            values[k] = bound(evidence.of_fixed_policy(row, delta))

    likely = likely_counts(n)
    begun = time.perf_counter()
    call(likely)
    fast = time.perf_counter() - begun <= SLOW * len(likely)
    every = n <= ALWAYS or (n <= IF_FAST and fast)
    if every:
        call(sorted(set(range(n + 1)) - set(likely)))
    p = _points(values)
    test = "Bernoulli, every count" if every else "Bernoulli, likely counts"
    return _worst(test, f"n = {n}", delta, p, _rates(values, p))


def likely_counts(n: int) -> list[int]:
    """Counts of losses that are likely under one of the risks `LIKELY`.

    Args:
      n: number of instances ≥ 1.

    Returns:
      The union of the central intervals of Bin(n, p), all but 10⁻⁶ on either side.
    """
    low = stats.binom.ppf(LEFT_OUT, n, LIKELY).astype(int)
    high = stats.binom.isf(LEFT_OUT, n, LIKELY).astype(int)
    return sorted({k for a, b in zip(low, high, strict=True) for k in range(a, b + 1)})


def sequences(bound: Call, n: int, delta: float) -> verdict.Case:
    """Largest violation rate over Bernoulli laws, from all 2ⁿ samples.

    sup_p Σ_x p^|x| (1−p)^(n−|x|)·1{U(x) < p}: exact for every bound.

    Args:
      bound: U.
      n: number of instances, 2ⁿ calls.
      delta: δ in (0, 1).

    Returns:
      The worst law; the rate decreases in the bound.

    Raises:
      ValueError: n = 0, or δ is not in (0, 1).
    """
    n = checks.count("n", n)
    checks.confidence(delta)
    samples = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    values = np.array([bound(evidence.of_fixed_policy(row, delta)) for row in samples])
    ones = samples.sum(axis=-1)
    p = _points(values)[:, None]
    chance = p**ones * (1.0 - p) ** (n - ones)
    rates = (chance * (values < p)).sum(axis=-1)
    return _worst("Bernoulli, every sequence", f"n = {n}", delta, p[:, 0], rates)


def best_count(
    n: int, num_experts: int, p: Float[np.ndarray, "points"]
) -> Float[np.ndarray, "points counts"]:
    """Law of the fewest losses among M independent experts.

    P(min ≤ k) = 1 − (1 − F(k))^M, F the distribution function of Bin(n, p).

    Args:
      n: number of instances.
      num_experts: M ≥ 1.
      p: true risk of every expert.

    Returns:
      P(min = k) for k = 0 … n.
    """
    below = stats.binom.cdf(np.arange(n + 1), n, p[:, None])
    with np.errstate(divide="ignore"):
        at_most = -np.expm1(num_experts * np.log1p(-below))
    return np.diff(at_most, axis=-1, prepend=0.0)


def experts(bound: Call, n: int, num_experts: int, delta: float) -> verdict.Case:
    """Largest violation rate for the best of M experts, all of one true risk.

    The policy is the expert with the fewest training losses, the prior is uniform:
    KL = ln M. The certifying losses are fresh. With K the count of training losses,
    rate = Σ_{k,j} P(K = k) P(Bin(n, p) = j)·1{U_{k,j} < p}; of a bound that sees the
    training alone, 1 − (1 − F(k*))^M with k* the largest count at which U_k < p.

    Args:
      bound: U; it must not depend on the order of the losses.
      n: number of instances, (n + 1)² calls.
      num_experts: M ≥ 1.
      delta: δ in (0, 1).

    Returns:
      The worst law; the rate decreases in the bound and, for one that ignores KL and
      sees the training alone, increases in M.

    Raises:
      ValueError: n or M is 0, or δ is not in (0, 1).
    """
    n = checks.count("n", n)
    num_experts = checks.count("num_experts", num_experts)
    checks.confidence(delta)
    rows = [row for _, row in _rows(n, range(n + 1))]
    values = np.array(
        [
            [bound(evidence.of_best_expert(k, j, num_experts, delta)) for j in rows]
            for k in rows
        ]
    )
    p = _points(values.ravel())
    train = best_count(n, num_experts, p)
    fresh = stats.binom.pmf(np.arange(n + 1), n, p[:, None])
    below = values < p[:, None, None]
    rates = np.einsum("pk,pj,pkj->p", train, fresh, below)
    where = f"M = {num_experts:,}, n = {n}"
    return _worst("best of M experts", where, delta, p, rates)


def _rows(
    n: int, counts: Iterable[int]
) -> Iterator[tuple[int, Float[np.ndarray, "n"]]]:
    """Samples with k ones each, at the first k places of a random order."""
    places = np.random.default_rng(n).permutation(n)
    for k in counts:
        yield k, (places < k).astype(float)


def _rates(
    values: Float[np.ndarray, "counts"], p: Float[np.ndarray, "points"]
) -> Float[np.ndarray, "points"]:
    """P(U_K < p), K ~ Bin(n, p): a difference of F for each run of counts below p."""
    n = len(values) - 1
    below = (values < p[:, None]).astype(np.int8)
    steps = np.diff(below, axis=-1, prepend=np.int8(0), append=np.int8(0))
    at, k = np.nonzero(steps)
    # a run from k adds −F(k−1), one that ends before k adds F(k−1)
    parts = -steps[at, k] * stats.binom.cdf(k - 1, n, p[at])
    return np.bincount(at, weights=parts, minlength=len(p)).astype(float)


def _points(values: Float[np.ndarray, "v"]) -> Float[np.ndarray, "points"]:
    """True risks to try: the grid and just above each value of the bound."""
    above = np.nextafter(np.maximum(values[values < 2.0], 1e-12), 2.0)
    p = np.unique(np.concatenate([P_GRID, above]))
    return p[p <= 1.0]


def _worst(
    test: str,
    where: str,
    delta: float,
    p: Float[np.ndarray, "points"],
    rates: Float[np.ndarray, "points"],
) -> verdict.Case:
    """The law with the largest rate."""
    i = int(rates.argmax())
    rate = min(1.0, float(rates[i]))
    return verdict.exact(test, f"{where}, p = {p[i]:.6g}", delta, rate)
