"""What a run of the two paths says of the claims C1 and C2, and every verdict of it."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from ptft_jax import seed_statistics, verdict
from ptft_jax.paths import bound_claims
from ptft_jax.paths import curves as curves_
from ptft_jax.paths.curves import Curve
from ptft_jax.paths.run import Part, Result
from ptft_jax.seed_statistics import Mean
from ptft_jax.verdict import TARGET, Verdict
from theory import laws, scaling

AVERAGE, LARGEST = 1.2, 1.5  # targets of tuned / harmonic
FEWEST = 3  # n that a slope needs


def ratios(found: dict[str, Curve], method: str = "tuned"):
    """Regret of a method over the harmonic combination of the two measured paths.

    Args:
      found: of `curves`.
      method: the numerator.

    Returns:
      Ratio of means by n, and its jackknife pseudo-values over seeds [s, n].
    """
    paths = [found[name].seeds for name in (method, "pretrained", "head")]

    def ratio(kept):
        top, pre, fine = (seeds[:, kept].mean(1) for seeds in paths)
        law = [laws.harmonic(p, f) for p, f in zip(pre, fine, strict=True)]
        return top / np.array(law)

    count = paths[0].shape[1]
    return ratio(np.arange(count)), seed_statistics.pseudo_values(ratio, count)


def law_of_both(result: Result, part: Part) -> Verdict:
    """C1: the tuned error against the harmonic combination of the two paths."""
    found = curves_.curves(result, part)
    whole, pseudo = ratios(found)
    again = ratios(found, "refitted")[0]
    tuned, pretrain = found["tuned"], found["pretrained"].mean[0]
    ends = seed_statistics.mean_of(pseudo.mean(1)).interval()
    tolerance = np.nan_to_num(tuned.error)
    is_above = tuned.mean - tolerance > pretrain
    above = [n for n, is_worse in zip(tuned.n, is_above, strict=True) if is_worse]
    is_met = whole.max() <= LARGEST and whole.mean() <= AVERAGE and not above
    measured = (
        f"{whole.mean():.2f} on average{shown(ends)}, largest {whole.max():.2f} at "
        f"n = {tuned.n[int(whole.argmax())]}; refitted on all n {again.mean():.2f}, "
        f"largest {again.max():.2f}; "
        + (f"above pretrained at n = {above}" if above else "never above pretrained")
    )
    numbers = {"n": list(tuned.n), "ratio": whole.tolist(), "average": whole.mean()}
    numbers |= {"interval": listed(ends), "above_pretrained": above}
    numbers |= {"refitted_ratio": again.tolist()}
    statement = (
        f"tuned / harmonic law at most {AVERAGE:g} on average and {LARGEST:g} at every "
        "n, not above pretrained by more than a standard error"
    )
    said = verdict.decide(bool(is_met))
    return Verdict("C1", statement, measured, said, numbers=numbers)


def smaller_path(result: Result, part: Part) -> Verdict:
    """C1: whether the tuned error is at most the smaller path, at every n.

    It is if it is below both, so no path is chosen by what was measured: met if every
    95% interval of tuned − path is below 0; not met if one of them is above 0 at
    confidence 1 − .05/tests.
    """
    found = curves_.curves(result, part)
    tuned = found["tuned"]
    means = [
        seed_statistics.mean_of(a - b)
        for path in ("pretrained", "head")
        for a, b in zip(tuned.seeds, found[path].seeds, strict=True)
    ]
    said = _all_below_0(means)
    smaller = np.minimum(found["pretrained"].mean, found["head"].mean)
    ratio = tuned.mean / np.maximum(smaller, 1e-300)
    measured = (
        f"largest tuned / smaller path {ratio.max():.2f} at "
        f"n = {tuned.n[int(ratio.argmax())]}"
    )
    numbers = {"n": list(tuned.n), "ratio": ratio.tolist()}
    return Verdict(
        "C1",
        "tuned error at most the smaller of the two paths at every n",
        measured,
        said,
        numbers=numbers,
    )


def _all_below_0(means: list[Mean]) -> str:
    if means[0].count < 2:
        return TARGET.none
    if any(m.interval(1.0 - 0.05 / len(means))[0] > 0.0 for m in means):
        return TARGET.bad
    is_met = all(m.interval()[1] <= 0.0 for m in means)
    return TARGET.good if is_met else TARGET.open


def growth(result: Result, part: Part) -> Verdict:
    """C2: the gain at the largest n against that at the smallest."""
    gain, n = _gain(result, part)
    ends = seed_statistics.mean_of(gain[-1] - gain[0]).interval()
    measured = f"{(gain[-1] - gain[0]).mean():.3g}{shown(ends)}"
    return Verdict(
        "C2",
        f"gain over pretrained at n = {n[-1]:g} above that at n = {n[0]:g}",
        measured,
        verdict.judge(ends, good_below=False, words=TARGET)
        if len(n) > 1
        else TARGET.none,
        numbers={"growth": listed(ends)},
    )


def slope(result: Result, part: Part) -> Verdict:
    """C2: share of E_pre that is gained for ten times as many instances.

    Least squares of gain/E_pre on log₁₀ n, over every n whatever the sign of the gain;
    n is nested, so the interval is over seeds.
    """
    gain, n = _gain(result, part)
    statement = "gain grows along n: share of E_pre for ten times the instances above 0"
    if len(n) < FEWEST:
        return Verdict("C2", statement, f"fewer than {FEWEST} n", TARGET.none)
    pretrain = curves_.curves(result, part)["pretrained"].mean[0]
    x = np.log10(n) - np.log10(n).mean()
    share = lambda kept: x @ gain[:, kept].mean(1) / (x @ x) / pretrain
    values = seed_statistics.pseudo_values(share, gain.shape[1])
    mean = seed_statistics.mean_of(values)
    ends = mean.interval()
    said = verdict.judge(ends, good_below=False, words=TARGET)
    numbers = {"slope": mean.value, "slope_interval": listed(ends)}
    text = f"{mean.value:.2f}{shown(ends)}"
    return Verdict("C2", statement, text, said, numbers=numbers)


def crossing(result: Result, part: Part) -> Verdict:
    """C2: where the measured paths cross, in ln n over seeds, and where by the law."""
    found, law = curves_.curves(result, part), result.facts[part]["crossover_law"]
    head, pretrain = found["head"], found["pretrained"]
    n, count = np.array(head.n), head.seeds.shape[1]

    def star(kept) -> float:
        paths = [np.maximum(c.seeds[:, kept].mean(1), 1e-300) for c in (head, pretrain)]
        at = scaling.crossover(n, *paths) if len(n) > 1 else None
        return math.nan if at is None else math.log(at)

    whole = star(np.arange(count))
    ends = seed_statistics.mean_of(
        seed_statistics.pseudo_values(star, count)
    ).interval()
    low, high = np.exp(ends)
    at = "outside the n measured" if math.isnan(whole) else f"{math.exp(whole):.0f}"
    measured = f"n* measured {at}{shown((low, high), '.0f')}, by the law {law:.0f}"
    is_judged = not math.isnan(low)
    said = verdict.decide(bool(low <= law <= high)) if is_judged else TARGET.none
    numbers: dict[str, Any] = {"crossover_law": law, "interval": listed((low, high))}
    numbers["crossover"] = None if math.isnan(whole) else math.exp(whole)
    statement = "n* of the sandwich law inside the interval of the measured n*"
    return Verdict("C2", statement, measured, said, numbers=numbers)


def _gain(result: Result, part: Part) -> tuple[Float[np.ndarray, "n s"], Any]:
    found = curves_.curves(result, part)
    return found["pretrained"].seeds - found["tuned"].seeds, np.array(found["tuned"].n)


def shown(ends: tuple[float, float], form: str = ".3g") -> str:
    """An interval in words, empty where there is none.

    Args:
      ends: of a 95% interval, or NaN.
      form: of the numbers.

    Returns:
      Words in brackets, after a space.
    """
    if not math.isfinite(sum(ends)):
        return ""
    return f" (95% {ends[0]:{form}} to {ends[1]:{form}})"


def listed(ends: tuple[float, float]) -> list[float] | None:
    """An interval as JSON has it.

    Args:
      ends: of the interval, or NaN.

    Returns:
      The ends, or None where there is no interval.
    """
    return [float(end) for end in ends] if math.isfinite(sum(ends)) else None


def all_claims(result: Result) -> dict[Part, list[Verdict]]:
    """Every verdict of a run.

    Args:
      result: its tables.

    Returns:
      By part, in the order of the claims.
    """
    questions = (law_of_both, smaller_path, growth, slope, crossing)
    questions += bound_claims.QUESTIONS
    return {part: [ask(result, part) for ask in questions] for part in result.facts}
