"""What independent seeds say: intervals, and exact tests of a stated confidence."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

LEVEL = 0.01  # of the tests of certificates, all of a family together


class Mean(NamedTuple):
    """A mean over seeds, or over jackknife pseudo-values, and its standard error."""

    value: float
    error: float  # NaN for one seed
    count: int

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Student's interval: value ± t((1+c)/2; s−1) · error.

        Args:
          confidence: c in (0, 1).

        Returns:
          The ends; NaN for one seed.
        """
        if self.count < 2:
            return math.nan, math.nan
        quantile = float(stats.t.ppf(0.5 + confidence / 2.0, self.count - 1))
        return self.value - quantile * self.error, self.value + quantile * self.error


def mean_of(values: Float[np.ndarray, "s"] | list[float]) -> Mean:
    """Mean and standard error, sd/√s.

    Args:
      values: one a seed, s ≥ 1.

    Returns:
      The mean.
    """
    x = np.asarray(values, np.float64)
    error = float(x.std(ddof=1) / math.sqrt(len(x))) if len(x) > 1 else math.nan
    return Mean(float(x.mean()), error, len(x))


def pseudo_values(
    statistic: Callable[[Int[np.ndarray, "k"]], float | Float[np.ndarray, "*v"]],
    count: int,
) -> Float[np.ndarray, "s *v"]:
    """Jackknife pseudo-values of a statistic of all seeds.

    s·T − (s−1)·T₍₋ᵢ₎, T₍₋ᵢ₎ without seed i. Whatever in T is made of the same seeds
    varies along with the rest of it. Their mean is T less its bias of order 1/s.

    Args:
      statistic: positions of the seeds kept → T; smooth in the means over them.
      count: s ≥ 1 seeds.

    Returns:
      One a seed, for `mean_of`; T itself for one seed.

    Source: Quenouille (1956), Tukey (1958).
    """
    every = np.arange(count)
    whole = np.asarray(statistic(every), np.float64)
    if count < 2:
        return whole[None]
    without = [statistic(np.delete(every, seed)) for seed in every]
    return count * whole - (count - 1) * np.asarray(without, np.float64)


class Coverage(NamedTuple):
    """Misses of certificates, tested against the probability they state.

    Attributes:
      misses: of `trials`, all tests together.
      trials: statements that are distinct.
      tests: one for each bound at each place.
      least: the smallest p-value of a test.
      p_value: `least` times the number of tests, at most 1.
      worst: where the smallest p-value is.
    """

    misses: int
    trials: int
    tests: int
    least: float
    p_value: float
    worst: str

    @property
    def is_rejected(self) -> bool:
        """Whether the misses are more than chance explains at `LEVEL`."""
        return self.p_value < LEVEL


def coverage(outcomes: list[tuple[str, bool, float]]) -> Coverage:
    """Exact binomial tests of certificates that fail with probability at most δ.

    p = P(Bin(s, δ) ≥ misses) at each place, over its s independent seeds. The tests are
    dependent where n is nested, so Bonferroni's correction accounts for their number.

    Args:
      outcomes: place, such as a bound at one n, whether the bound held, and its δ in
        [0, 1), the same for one place; one for each seed, at least one.

    Returns:
      The counts, and the p-value of the family.
    """
    found: dict[str, list[bool]] = {}
    for place, held, _ in outcomes:
        found.setdefault(place, []).append(held)
    share = {place: delta for place, _, delta in outcomes}
    misses = {place: len(held) - sum(held) for place, held in found.items()}
    p = {
        place: float(stats.binom.sf(missed - 1, len(found[place]), share[place]))
        for place, missed in misses.items()
    }
    worst = min(p, key=p.__getitem__)
    total = min(1.0, len(p) * p[worst])
    trials = sum(map(len, found.values()))
    return Coverage(sum(misses.values()), trials, len(p), p[worst], total, worst)
