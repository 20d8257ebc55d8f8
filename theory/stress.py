"""Worlds in which the violation rate of a bound is computed, not simulated.

All losses are 0 or 1. The laws tried are a grid and, because the rate jumps there, the
points just above each value that the bound takes.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import stats

from theory import checks, evidence, verdict

P_GRID = np.concatenate(
    [[1e-4, 0.001, 0.01, 0.02, 0.03], np.arange(1, 20) / 20, [0.99]]
)

# Answers that differ by less are the same sum taken in another order.
SAME = 1e-9

# Enough above the bound for losses of 0 to be missed, whatever the order adds.
MARGIN = 0.01

Call = Callable[[evidence.Evidence], float]


def counts(bound: Call, n: int, delta: float) -> verdict.Case:
    """Largest violation rate over Bernoulli laws, from one sample for each count.

    sup_p Σ_k P(Bin(n, p) = k)·1{U_k < p}.

    Args:
      bound: U; it must not depend on the order of the losses.
      n: number of instances, n + 1 calls.
      delta: δ in (0, 1).

    Returns:
      The worst law; the rate decreases in the bound.

    Raises:
      ValueError: n = 0, or δ is not in (0, 1).
    """
    _check(n, delta)
    values = np.array([bound(_fixed(row, delta)) for row in _every_count(n)])
    p = _points(values)
    chance = stats.binom.pmf(np.arange(n + 1), n, p[:, None])
    rates = (chance * (values < p[:, None])).sum(axis=-1)
    return _worst("Bernoulli, every count", f"n = {n}", delta, p, rates)


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
    _check(n, delta)
    samples = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    values = np.array([bound(_fixed(row, delta)) for row in samples])
    ones = samples.sum(axis=-1)
    p = _points(values)[:, None]
    chance = p**ones * (1.0 - p) ** (n - ones)
    rates = (chance * (values < p)).sum(axis=-1)
    return _worst("Bernoulli, every sequence", f"n = {n}", delta, p[:, 0], rates)


def order_matters(bound: Call, n: int, delta: float) -> bool:
    """Whether a few samples in two orders get two answers.

    Args:
      bound: U.
      n: number of instances ≥ 2, at most 12 calls.
      delta: δ in (0, 1).

    Returns:
      True where the ones first and the ones last differ for some count, or where it
      matters how training and certifying losses are paired.
    """
    checks.count("n", n, 2)
    checks.confidence(delta)

    def differ(one: evidence.Evidence, two: evidence.Evidence) -> bool:
        a, b = bound(one), bound(two)
        return a != b and not math.isclose(a, b, rel_tol=SAME, abs_tol=SAME)

    for k in {1, n // 3, n // 2}:
        first = np.repeat([1.0, 0.0], [k, n - k])
        last = first[::-1].copy()
        if differ(_fixed(first, delta), _fixed(last, delta)):
            return True
        paired, crossed = (_best(row.copy(), last, 100, delta) for row in (last, first))
        if differ(paired, crossed):
            return True
    return False


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
    _check(n, delta, num_experts)
    rows = _every_count(n)
    values = np.array(
        [[bound(_best(k, j, num_experts, delta)) for j in rows] for k in rows]
    )
    p = _points(values.ravel())
    train = best_count(n, num_experts, p)
    fresh = stats.binom.pmf(np.arange(n + 1), n, p[:, None])
    below = values < p[:, None, None]
    rates = np.einsum("pk,pj,pkj->p", train, fresh, below)
    where = f"M = {num_experts:,}, n = {n}"
    return _worst("best of M experts", where, delta, p, rates)


def sample(
    bound: Call, n: int, num_experts: int, p: float, delta: float, replications: int
) -> verdict.Case:
    """Observed violation rate of a bound for which the order of the losses matters.

    Args:
      bound: U.
      n: number of instances.
      num_experts: M; with 1 the policy is fixed.
      p: true risk.
      delta: δ in (0, 1).
      replications: number of samples, as many calls at most.

    Returns:
      The case, with the exact binomial test.

    Raises:
      ValueError: n, M or the replications are 0, or δ is not in (0, 1).
    """
    _check(n, delta, num_experts)
    rng = np.random.default_rng([n, num_experts, round(1e6 * p)])
    fresh = (rng.random((replications, n)) < p).astype(float)
    law = best_count(n, num_experts, np.array([p]))[0]
    k = np.searchsorted(np.cumsum(law)[:-1], rng.random(replications), side="right")
    places = rng.permuted(np.tile(np.arange(n), (replications, 1)), axis=-1)
    train = (places < k[:, None]).astype(float)
    seen: dict[bytes, float] = {}
    misses = 0
    for one, two in zip(train, fresh, strict=True):
        key = two.tobytes() + (one.tobytes() if num_experts > 1 else b"")
        if key not in seen:
            one = one if num_experts > 1 else two
            seen[key] = bound(_best(one, two, num_experts, delta))
        misses += seen[key] < p
    test = "best of M experts, sampled" if num_experts > 1 else "Bernoulli, sampled"
    where = f"M = {num_experts:,}, " if num_experts > 1 else ""
    where = f"{where}n = {n}, p = {p:g}"
    return verdict.sampled(test, where, delta, int(misses), replications)


def above_no_loss(bound: Call, n: int, num_experts: int, delta: float) -> float:
    """A risk that a bound must reach even on samples without any loss.

    The best of many experts often has no loss, so a mistake shows at this risk.

    Args:
      bound: U, called once.
      n: number of instances.
      num_experts: M.
      delta: δ in (0, 1).

    Returns:
      A little more than U there, at most .99.
    """
    told = _best(np.zeros(n), np.zeros(n), num_experts, delta)
    return min(max(bound(told), 0.0) + MARGIN, 0.99)


def _check(n: int, delta: float, num_experts: int = 1) -> None:
    """Refuses counts below 1 and δ outside (0, 1)."""
    checks.count("n", n)
    checks.count("num_experts", num_experts)
    checks.confidence(delta)


def _every_count(n: int) -> Float[np.ndarray, "counts n"]:
    """Row k has k ones, at the first k places of a random order."""
    places = np.random.default_rng(n).permutation(n)
    return (places < np.arange(n + 1)[:, None]).astype(float)


def _fixed(losses: Float[np.ndarray, "n"], delta: float) -> evidence.Evidence:
    return evidence.of_fixed_policy(losses, delta)


def _best(
    train: Float[np.ndarray, "n"],
    fresh: Float[np.ndarray, "n"],
    num_experts: int,
    delta: float,
) -> evidence.Evidence:
    """Evidence on the best expert."""
    told = _fixed(fresh, delta)
    train.setflags(write=False)
    return told._replace(train_losses=train, kl=math.log(num_experts))


def _points(values: Float[np.ndarray, "v"]) -> Float[np.ndarray, "points"]:
    """True risks to try: the grid and just above each value of the bound."""
    above = np.nextafter(np.maximum(values, 1e-12), 2.0)
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
