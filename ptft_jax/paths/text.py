"""The result of a run as text, for a terminal, and as JSON's types."""

from typing import Any

from ptft_jax.paths import curves
from ptft_jax.paths.run import Part, Result
from ptft_jax.verdict import Verdict

SHOWN = ("pretrained", "scratch", "head", "adapter", "full", "selected", "tuned")
MORE = ("refitted", "own_context")


def table(result: Result, part: Part) -> str:
    """Regrets over Bayes by method and n, laws and bounds below them.

    Args:
      result: tables of a run.
      part: world and mismatch.

    Returns:
      Lines of text.
    """
    found = curves.curves(result, part)
    totals = curves.totals(result, part)
    n = found["tuned"].n
    facts = result.facts[part]
    lines = [
        f"{part.world}, mismatch {part.mismatch:g} (TV {facts['total_variation']:.3f}, "
        f"Bayes cost {facts['bayes']:.4f}); regret over Bayes, mean ± s.e.",
        f"pretrained: excess {facts['synthetic_excess']:.4f} on fresh synthetic "
        f"instances (certified {facts['bracket']:.4f}), {facts['pretrain']:.4f} on "
        f"real ones; cost {facts['synthetic_cost']:.4f} there, "
        f"{facts['bayes'] + facts['pretrain']:.4f} here",
        f"{'':<34}" + "".join(f"{'n = ' + str(k):>18}" for k in n),
    ]
    for method in (*SHOWN, *MORE):
        if method in found:
            pairs = zip(found[method].mean, found[method].error, strict=True)
            cells = [f"{f'{v:.4f} ± {e:.4f}':>18}" for v, e in pairs]
            lines.append(f"{method:<34}" + "".join(cells))
    lines.insert(2, _pretraining_path(facts))
    for name, curve in totals.items():
        cells = "".join(f"{v:>18.4f}" for v in curve.mean)
        tier = _tier(result, part, name)
        lines.append(f"{f'{name} [{tier}]':<34}" + cells)
    return "\n".join(lines)


def _pretraining_path(facts: dict[str, Any]) -> str:
    """What of E_pre is certified, and whether that says anything."""
    mismatch = 2.0 * facts["trivial"] * facts["total_variation"]
    total = facts["bracket"] + mismatch
    line = (
        f"pretraining path: true {facts['pretrain']:.4f}, certified {total:.4g}, of "
        f"which mismatch 2B·TV {mismatch:.4g}"
    )
    if total >= facts["bayes"]:
        line += "; more than the Bayes cost: this path of the bound says nothing here"
    return line


def _tier(result: Result, part: Part, name: str) -> str:
    rows = (r for r in result.bounds if (r["world"], r["mismatch"]) == part)
    return next(r["tier"] for r in rows if r["bound"] == name)


def report(result: Result, verdicts: dict[Part, list[Verdict]]) -> str:
    """Tables of every part, then the verdicts.

    Args:
      result: tables of a run.
      verdicts: of `claims.all_claims`.

    Returns:
      The text.
    """
    parts = [table(result, part) for part in result.facts]
    lines = [
        f"{v.claim} {part.world}, mismatch {part.mismatch:g}, {v.statement}: "
        f"{v.verdict}: {v.measured}"
        for part, several in verdicts.items()
        for v in several
    ]
    return "\n\n".join([*parts, "\n".join(lines)])


def summary(result: Result, verdicts: dict[Part, list[Verdict]]) -> dict[str, Any]:
    """The run in few numbers, JSON-serialisable.

    Args:
      result: tables of a run.
      verdicts: of `claims.all_claims`.

    Returns:
      Mean regrets and bounds by part, and the verdicts.
    """
    parts = []
    for part in result.facts:
        every = curves.curves(result, part) | curves.totals(result, part)
        found = {
            name: dict(zip(map(str, c.n), c.mean.tolist(), strict=True))
            for name, c in every.items()
        }
        parts.append({**part._asdict(), "facts": result.facts[part], "results": found})
    judged = [
        {"claim": v.claim, **part._asdict(), "statement": v.statement}
        | {"verdict": v.verdict, "measured": v.measured, "numbers": dict(v.numbers)}
        for part, several in verdicts.items()
        for v in several
    ]
    return {"out": str(result.folder), "parts": parts, "verdicts": judged}
