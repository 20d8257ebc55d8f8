"""C3 in a run of the two paths: misses, size and slope of the certificates."""

import numpy as np

from ptft_jax import seed_statistics, verdict
from ptft_jax.paths import curves as curves_
from ptft_jax.paths import cut
from ptft_jax.paths.run import Part, Result
from ptft_jax.seed_statistics import LEVEL
from ptft_jax.verdict import TARGET, Verdict
from theory import scaling, two_path

LATE = 1024  # n from which the two-path bound is to be below the trivial one
SLOPE, ALLOWED = -0.5, 0.1  # of the two-path bound over its last n, and how far off
LAST = 3  # n that the slope is over
RATIOS = {256: 1.25, 4096: 1.06, 65536: 1.02}  # bound over risk, at most, by n


def coverage(result: Result, part: Part) -> Verdict:
    """Misses of every certificate over seeds, by n, against the stated confidence.

    A row that no sample enters is one statement, not one for each n and seed.
    """
    rows = [r for r in curves_.rows_of(result, part) if r["tier"] == "certified"]
    rows = [r for r in rows if r["term"] == "total"]
    place = lambda r: r["bound"] + (f" at n = {r['n']}" if r["n"] != "" else "")
    found = seed_statistics.coverage(
        [(place(r), bool(r["holds"]), r["delta"]) for r in rows]
    )
    measured = (
        f"{found.misses} misses of {found.trials} statements, {found.tests} tests; "
        f"least p-value times their number {found.p_value:.2g}"
    )
    if found.misses:
        measured += f" ({found.worst})"
    numbers = {"misses": found.misses, "of": found.trials, "tests": found.tests}
    numbers |= {"p_value": found.p_value}
    return Verdict(
        "C3",
        "no certificate misses more often than it may, exact binomial tests over seeds "
        f"at each n, {LEVEL:.0%} together",
        measured,
        verdict.decide(not found.is_rejected),
        numbers=numbers,
    )


def size(result: Result, part: Part) -> Verdict:
    """Whether the two-path bound is below the trivial one where n is large."""
    total = curves_.totals(result, part)["two_path"]
    trivial = result.facts[part]["trivial"]
    below = [n for n, v in zip(total.n, total.mean, strict=True) if v < trivial]
    late = {n for n in total.n if n >= LATE}
    said = verdict.decide(late <= set(below)) if late else TARGET.none
    shown = ", ".join(f"{n}: {name}" for n, name in dominant(result, part).items())
    measured = f"below {trivial:g} at n = {below}; dominant term by n: {shown}"
    statement = f"two-path total below the trivial bound at every n ≥ {LATE}"
    return Verdict("C3", statement, measured, said, numbers={"below_trivial": below})


def slope(result: Result, part: Part) -> Verdict:
    """The exponent of the two-path bound over the last n."""
    total = curves_.totals(result, part)["two_path"]
    statement = (
        f"two-path total falls like n^{SLOPE:g}, to ± {ALLOWED:g}, over the last "
        f"{LAST} n"
    )
    if len(total.n) < LAST:
        return Verdict("C3", statement, f"fewer than {LAST} n", TARGET.none)
    fit = scaling.log_log_slope(total.n[-LAST:], total.mean[-LAST:])
    is_met = abs(fit.slope - SLOPE) <= ALLOWED
    rows = [r for r in curves_.rows_of(result, part) if r["bound"] == "two_path"]
    chosen = {r["n"] for r in rows if r["term"] == "path" and r["value"] == 0.0}
    free = sorted(chosen & set(total.n[-LAST:]))
    numbers = {"slope": fit.slope, "pretraining_path": free}
    measured = f"slope {fit.slope:.2f}"
    if free:
        measured += (
            f"; at n = {free} the pretraining path is the smaller one, and only its "
            "selection term falls with n"
        )
    return Verdict("C3", statement, measured, verdict.decide(is_met), numbers=numbers)


def tightness(result: Result, part: Part) -> Verdict:
    """The certificate of the tuned head's cut cost over what it bounds, by n."""
    value = curves_.totals(result, part).get(cut.NAME)
    wanted = ", ".join(f"{most:g} at n = {n}" for n, most in RATIOS.items())
    statement = (
        f"certified bound of the tuned head's cut cost over its truth ≤ {wanted}"
    )
    at = [n for n in RATIOS if value is not None and n in value.n]
    if value is None or not at:
        return Verdict("C3", statement, "none of these n", TARGET.none)
    risk = curves_.totals(result, part, "risk")
    least = curves_.totals(result, part)["cut_wall"]
    over = lambda c: (c.seeds / risk[cut.NAME].seeds).mean(1)
    ratio, lowest = (dict(zip(value.n, over(c), strict=True)) for c in (value, least))
    shown = [f"{ratio[n]:.3f} at n = {n} (normal law {lowest[n]:.3f})" for n in at]
    said = verdict.decide(all(ratio[n] <= RATIOS[n] for n in at))
    numbers = {"n": at, "ratio": [float(ratio[n]) for n in at]}
    numbers |= {"wall": [float(lowest[n]) for n in at]}
    return Verdict("C3", statement, ", ".join(shown), said, numbers=numbers)


QUESTIONS = (coverage, size, slope, tightness)


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
