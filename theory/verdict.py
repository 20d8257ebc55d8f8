"""Whether a bound may be believed: its violation rates, tested against δ."""

from typing import NamedTuple

from scipy import stats

from theory import checks

# A valid bound is rejected with at most this probability, over all sampled cases.
LEVEL = 0.01

# An exact rate above δ by less than this, relative to δ, is rounding.
ROUNDING = 1e-9


class Case(NamedTuple):
    """How often a bound was below the risk in one world.

    Attributes:
      test: what was done.
      where: the law and the sizes.
      delta: nominal failure probability.
      rate: violation rate, exact or observed.
      replications: number of samples it was observed in, 0 where it is exact.
      p_value: chance of a rate as large if the true one were δ; where it is exact, 0
        if it is above δ and 1 if not.
    """

    test: str
    where: str
    delta: float
    rate: float
    replications: int
    p_value: float


class Size(NamedTuple):
    """How large a bound is on losses of known law, mean over samples.

    Attributes:
      bound: its name.
      world: law of the losses.
      n: number of instances.
      risk: true mean loss.
      value: mean of the bound.
      ratio: ρ = value / risk.
      gap: value − risk.
      tau: τ = gap / (risk of a baseline − risk); below 1 it certifies that the policy
        beats the baseline.
      over_floor: value / max(floor, CLT): the floor of `certificates` and mean + 1.645
        standard errors, both from the true law; near 1 for a sharp bound.
      rank: 1 is the smallest among the shipped bounds and the one judged; None for a
        bound that is rejected.
    """

    bound: str
    world: str
    n: int
    risk: float
    value: float
    ratio: float
    gap: float
    tau: float
    over_floor: float
    rank: int | None


class Verdict(NamedTuple):
    """What the arena found.

    Attributes:
      valid: no case is evidence against the bound; never a proof.
      worst: the case with the smallest p-value, then with the largest rate for its δ.
      p_value: smallest over all cases, times the number of sampled cases (Bonferroni).
      cases: violation rates, one row a world, size and δ.
      sizes: of the bound and of the shipped ones.
      calls: number of times the bound was called.
    """

    valid: bool
    worst: Case
    p_value: float
    cases: tuple[Case, ...]
    sizes: tuple[Size, ...]
    calls: int


def exact(test: str, where: str, delta: float, rate: float) -> Case:
    """A case whose violation rate was computed.

    Args:
      test: what was done.
      where: the law and the sizes.
      delta: δ in (0, 1).
      rate: probability that the bound is below the risk.

    Returns:
      The case; its p-value is 0 or 1.

    Raises:
      ValueError: δ is not in (0, 1), or the rate is not in [0, 1].
    """
    checks.confidence(delta)
    checks.within("rate", rate, 0.0, 1.0)
    above = rate > delta * (1.0 + ROUNDING)
    return Case(test, where, delta, rate, 0, 0.0 if above else 1.0)


def sampled(test: str, where: str, delta: float, misses: int, of: int) -> Case:
    """A case whose violation rate was observed in independent samples.

    Its p-value is P(Bin(N, δ) ≥ misses), the exact one-sided binomial test.

    Args:
      test: what was done.
      where: the law and the sizes.
      delta: δ in (0, 1).
      misses: number of samples in which the bound was below the risk.
      of: number of samples N ≥ 1.

    Returns:
      The case; its p-value decreases in the misses.

    Raises:
      ValueError: N = 0, δ is not in (0, 1), or the misses are not in [0, N].
    """
    of = checks.count("of", of)
    checks.confidence(delta)
    checks.within("misses", misses, 0.0, float(of))
    p_value = float(stats.binom.sf(misses - 1, of, delta))
    return Case(test, where, delta, misses / of, of, p_value)


def judge(
    cases: list[Case], sizes: list[Size] | tuple[Size, ...] = (), calls: int = 0
) -> Verdict:
    """Weighs all cases.

    Args:
      cases: at least one.
      sizes: of the bound and of the shipped ones.
      calls: number of times the bound was called.

    Returns:
      The verdict; `valid` where the p-value is at least `LEVEL`.
    """
    tests = max(1, sum(case.replications > 0 for case in cases))

    def adjusted(case: Case) -> float:
        return min(1.0, case.p_value * (tests if case.replications else 1))

    worst = min(cases, key=lambda case: (adjusted(case), -case.rate / case.delta))
    p_value = adjusted(worst)
    valid = p_value >= LEVEL
    # a size is no merit of a bound that does not hold
    ranked = [size if valid else size._replace(rank=None) for size in sizes]
    return Verdict(valid, worst, p_value, tuple(cases), tuple(ranked), calls)


def line(verdict: Verdict) -> str:
    """The verdict in one line.

    Args:
      verdict: of `judge`.

    Returns:
      `verdict: valid`, or `verdict: rejected — ` and the worst case.
    """
    if verdict.valid:
        return "verdict: valid"
    return f"verdict: rejected — {describe(verdict.worst, verdict.p_value)}"


def describe(case: Case, p_value: float) -> str:
    """A case in words.

    Args:
      case: to describe.
      p_value: its p-value over all cases.

    Returns:
      World, violation rate and p-value.
    """
    how = f"{case.replications:,} replications" if case.replications else "exact"
    return (
        f"{case.test}, {case.where}: violation rate {case.rate:.4g} "
        f"at delta = {case.delta:g}, p-value {p_value:.2g} ({how})"
    )
