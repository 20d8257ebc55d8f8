"""Worlds for bounds that depend on the order of the losses: samples, not counts.

The worlds are those of `stress`, whose enumeration of counts such a bound escapes.
"""

import math

import numpy as np

from theory import checks, evidence, verdict
from theory.stress import Call, best_count

# Answers that differ by less are the same sum taken in another order.
SAME = 1e-9

# Enough above the bound for losses of 0 to be missed, whatever the order adds.
MARGIN = 0.01


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
    n = checks.count("n", n, 2)
    checks.confidence(delta)

    def differ(one: evidence.Evidence, two: evidence.Evidence) -> bool:
        a, b = bound(one), bound(two)
        return a != b and not math.isclose(a, b, rel_tol=SAME, abs_tol=SAME)

    for k in {1, n // 3, n // 2}:
        first = np.repeat([1.0, 0.0], [k, n - k])
        last = first[::-1].copy()
        if differ(
            evidence.of_fixed_policy(first, delta),
            evidence.of_fixed_policy(last, delta),
        ):
            return True
        paired, crossed = (
            evidence.of_best_expert(row.copy(), last, 100, delta)
            for row in (last, first)
        )
        if differ(paired, crossed):
            return True
    return False


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
    n = checks.count("n", n)
    num_experts = checks.count("num_experts", num_experts)
    checks.confidence(delta)
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
            seen[key] = bound(evidence.of_best_expert(one, two, num_experts, delta))
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
    told = evidence.of_best_expert(np.zeros(n), np.zeros(n), num_experts, delta)
    return min(max(bound(told), 0.0) + MARGIN, 0.99)
