"""A verdict: what was compared, what was measured, and what that says of a claim."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Verdict(NamedTuple):
    """One question about a claim.

    Attributes:
      claim: C1 … C4.
      statement: what was compared, in full.
      measured: with its interval.
      verdict: in words, those of `SUPPORT` or `TARGET`.
      rows: it rests on.
      short: what was compared, in few words; empty where a summary leaves it out.
      numbers: behind `measured`, JSON-serialisable.
    """

    claim: str
    statement: str
    measured: str
    verdict: str
    rows: tuple[str, ...] = ()
    short: str = ""
    numbers: Mapping[str, Any] = {}


class Words(NamedTuple):
    """How a verdict is called."""

    good: str
    bad: str
    open: str
    none: str


SUPPORT = Words(
    "supported",
    "contradicted",
    "consistent, not settled by this run",
    "one seed: no verdict",
)
TARGET = Words("met", "NOT MET", "not settled by this run", "not judged")


def judge(
    ends: tuple[float, float] | None,
    good_below: bool,
    target: float = 0.0,
    words: Words = SUPPORT,
) -> str:
    """On which side of the target an interval lies.

    Args:
      ends: of the interval; None or NaN where there is none.
      good_below: whether values below the target speak for the claim.
      target: that the claim is about.
      words: for the outcomes.

    Returns:
      `good` where the interval is on the good side or ends at the target, `bad` where
      it is on the other, `open` where the target is inside, `none` without an interval.
    """
    if ends is None or math.isnan(ends[0]):
        return words.none
    low, high = (end - target for end in ends)
    if low == high == 0.0:
        return "no difference in this run"
    if not good_below:
        low, high = -high, -low
    if high <= 0.0:
        return words.good
    return words.bad if low > 0.0 else words.open


def decide(is_met: bool) -> str:
    """The words for a target that a number meets or does not.

    Args:
      is_met: whether it does.

    Returns:
      `TARGET.good` or `TARGET.bad`.
    """
    return TARGET.good if is_met else TARGET.bad
