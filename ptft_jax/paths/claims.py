"""What a run of the two paths says of the claims C1, C2 and C3."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from ptft_jax.paths import curves as curves_
from ptft_jax.paths.curves import Curve
from ptft_jax.paths.run import Part, Result
from theory import laws, scaling, two_path


class Verdict(NamedTuple):
    """One claim in one part: what was measured, and whether the target is met."""

    claim: str
    part: Part
    measured: str
    met: bool
    numbers: dict[str, Any]


def interval(values: Float[np.ndarray, "s"]) -> tuple[float, float]:
    """Student's 95% interval of a mean of jackknife pseudo-values or seeds.

    Args:
      values: one a seed, at least two.

    Returns:
      The ends; NaN for one seed.
    """
    if len(values) < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1))
    half /= math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half


def ratios(found: dict[str, Curve], method: str = "tuned"):
    """Regret of a method over the harmonic combination of the two measured paths.

    Args:
      found: of `curves`.
      method: the numerator.

    Returns:
      Ratio of means by n, and its jackknife pseudo-values over seeds [n, s].
    """
    paths = (found[method], found["pretrained"], found["head"])

    def ratio(keep):
        top, pre, fine = (c.seeds[:, keep].mean(1) for c in paths)
        law = [laws.harmonic(p, f) for p, f in zip(pre, fine, strict=True)]
        return top / np.array(law)

    count = paths[0].seeds.shape[1]
    whole = ratio(np.arange(count))
    if count < 2:
        return whole, whole[:, None]
    without = [ratio(np.delete(np.arange(count), s)) for s in range(count)]
    return whole, count * whole[:, None] - (count - 1) * np.array(without).T


def claim_1(result: Result, part: Part) -> Verdict:
    """C1: the tuned error against the harmonic combination of the two paths."""
    found = curves_.curves(result, part)
    whole, pseudo = ratios(found)
    again = ratios(found, "refitted")[0]
    tuned, pretrain = found["tuned"], found["pretrained"].mean[0]
    worst = int(whole.argmax())
    low, high = interval(pseudo.mean(0))
    tolerance = np.nan_to_num(tuned.error)
    above = [
        n
        for n, v, e in zip(tuned.n, tuned.mean, tolerance, strict=True)
        if v - e > pretrain
    ]
    smaller = np.minimum(found["head"].mean, pretrain)
    governs = float((tuned.mean / smaller).max())
    met = bool(whole.max() <= 1.5 and whole.mean() <= 1.2 and not above)
    measured = (
        f"tuned / harmonic {whole.mean():.2f} on average (95% {low:.2f} to {high:.2f}; "
        f"target 1.2), largest {whole[worst]:.2f} at n = {tuned.n[worst]} "
        "(target 1.5); "
        f"refitted on all n {again.mean():.2f}, largest {again.max():.2f}; "
        f"at most {governs:.2f} times the smaller path; "
        + (f"above pretrained at n = {above}" if above else "never above pretrained")
    )
    numbers = {"n": list(tuned.n), "ratio": whole.tolist(), "average": whole.mean()}
    numbers |= {"interval": [low, high], "above_pretrained": above}
    numbers |= {"refitted_ratio": again.tolist()}
    return Verdict("C1", part, measured, met, numbers)


def claim_2(result: Result, part: Part) -> Verdict:
    """C2: growth of the gain, and where the two paths cross."""
    found, facts = curves_.curves(result, part), result.facts[part]
    tuned, pretrain = found["tuned"], found["pretrained"].mean[0]
    gain, n = pretrain - tuned.seeds, np.array(tuned.n)
    low, high = interval(gain[-1] - gain[0])
    kept = gain.mean(1) > 0.0
    slope = "no slope (fewer than three gains above 0)"
    numbers: dict[str, Any] = {"growth": [low, high]}
    if kept.sum() >= 3:
        fit = scaling.log_log_slope(n[kept], gain.mean(1)[kept])
        slope = f"log-log slope of the gain {fit.slope:.2f} "
        slope += f"(95% {fit.interval[0]:.2f} to {fit.interval[1]:.2f})"
        numbers |= {"slope": fit.slope, "slope_interval": list(fit.interval)}
    head = found["head"].mean
    at = scaling.crossover(n, head, np.full(len(n), pretrain)) if len(n) > 1 else None
    law = facts["crossover_law"]
    where = "outside the n measured" if at is None else f"{at:.0f}"
    measured = (
        f"gain at n = {n[-1]} less that at n = {n[0]}: 95% {low:.3g} to {high:.3g}; "
        f"{slope}; n* measured {where}, by the law {law:.0f}"
    )
    numbers |= {"crossover": at, "crossover_law": law}
    return Verdict("C2", part, measured, bool(low > 0.0), numbers)


def claim_3(result: Result, part: Part) -> Verdict:
    """C3: every certified row on the right side of what it bounds; the slopes."""
    rows = [r for r in curves_.rows_of(result, part) if r["tier"] == "certified"]
    rows = [r for r in rows if r["term"] == "total"]
    held = sum(r["holds"] for r in rows)
    total = curves_.totals(result, part)["two_path"]
    trivial = result.facts[part]["trivial"]
    below = [n for n, v in zip(total.n, total.mean, strict=True) if v < trivial]
    late = [n for n in total.n if n >= 1024]
    shown = ", ".join(f"{n}: {name}" for n, name in dominant(result, part).items())
    measured = (
        f"{held} of {len(rows)} certified rows hold; two-path total below the trivial "
        f"{trivial:g} at n = {below}; dominant term by n: {shown}"
    )
    numbers: dict[str, Any] = {"held": held, "of": len(rows), "below_trivial": below}
    if len(total.n) >= 3:
        fit = scaling.log_log_slope(total.n[-3:], total.mean[-3:])
        numbers["slope"] = fit.slope
        measured += f"; slope over the last three n {fit.slope:.2f}"
    met = held == len(rows) and set(late) <= set(below)
    return Verdict("C3", part, measured, met, numbers)


def dominant(result: Result, part: Part, bound: str = "two_path") -> dict[int, str]:
    """The largest term of the two-path bound by n.

    Args:
      result: tables of a run.
      part: world and mismatch.
      bound: `two_path` or `two_path_paired`.

    Returns:
      Names of terms by n.
    """
    rows = [r for r in curves_.rows_of(result, part) if r["bound"] == bound]
    found = curves_.terms(rows, "value", "term", None)
    n = found["total"].n
    best = np.argmax([found[name].mean for name in two_path.TERMS], axis=0)
    return {k: two_path.TERMS[j] for k, j in zip(n, best, strict=True)}


def all_claims(result: Result) -> list[Verdict]:
    """Every verdict of a run.

    Args:
      result: its tables.

    Returns:
      Three verdicts for each part.
    """
    return [
        claim(result, part)
        for part in result.facts
        for claim in (claim_1, claim_2, claim_3)
    ]
