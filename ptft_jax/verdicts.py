"""What a run says about the claims C1–C4, with intervals over seeds."""

from collections import defaultdict
from typing import Any, NamedTuple

from scipy import stats

from ptft_jax import aggregate, path_excess
from ptft_jax.aggregate import Mean, Panel, Row

NOT_BASELINES = (
    "pretrained",
    "finetuned",
    "scratch",
    "bayes",
    "hierarchical_bayes",
    "full_information",
)


class Verdict(NamedTuple):
    """One claim, what was measured, and what that says.

    Attributes:
      claim: C1 … C4.
      statement: what was compared, in full.
      measured: with its interval.
      verdict: supported, contradicted, or neither.
      rows: it rests on.
      short: what was compared, in few words; empty where a summary leaves it out.
    """

    claim: str
    statement: str
    measured: str
    verdict: str
    rows: tuple[str, ...]
    short: str = ""


def _paired(risks: list[Row]) -> dict[Panel, dict[int, dict[int, dict[str, Any]]]]:
    """Excesses by panel → n → seed → method → (excess, row)."""
    found: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for i, row in enumerate(risks, start=1):
        cell = found[aggregate.panel_of(row)][row["n"]][row["seed"]]
        cell[row["method"]] = (row["excess"], f"risks:{i}")
    return found


def _show(mean: Mean, unit: str = " points", scale: float = 100.0) -> str:
    ends = aggregate.interval(mean)
    text = f"{scale * mean.value:+.2f}{unit}"
    if ends is None:
        return f"{text} (one seed, no interval)"
    return f"{text} (95% interval {scale * ends[0]:+.2f} to {scale * ends[1]:+.2f})"


def _judge(mean: Mean, good_below: bool) -> str:
    """Whether the interval of a difference lies on one side of 0."""
    ends = aggregate.interval(mean)
    if ends is None:
        return "one seed: no verdict"
    if ends == (0.0, 0.0):
        return "no difference in this run"
    low, high = ends if good_below else (-ends[1], -ends[0])
    if high <= 0.0:
        return "supported"
    return "contradicted" if low > 0.0 else "consistent, not settled by this run"


def _difference(cells: dict[int, dict], new, old) -> Mean:
    """Mean over seeds of new(cell) − old(cell); both give (value, rows)."""
    values, rows = [], []
    for seed in sorted(cells):
        (after, one), (before, two) = new(cells[seed]), old(cells[seed])
        values.append(after - before)
        rows += [*one, *two]
    return aggregate.mean_of(values, rows)


def _of(method: str):
    return lambda cell: (cell[method][0], [cell[method][1]])


def _best(methods: list[str], cells: dict[int, dict]) -> str:
    total = lambda method: sum(cell[method][0] for cell in cells.values())
    return min(methods, key=total)


def claim_1(panel: Panel, by_n: dict) -> list[Verdict]:
    """C1: fine-tuned excess against the better of its two paths, at each n."""
    out = []
    for n, cells in sorted(by_n.items()):
        path = _best(["pretrained", "scratch"], cells)
        mean = _difference(cells, _of("finetuned"), _of(path))
        statement = (
            f"error of pretraining then fine-tuning is governed by the better path, "
            f"here {path} ({_where(panel, n)}): fine-tuned minus {path} excess"
        )
        verdict = _judge(mean, good_below=True)
        short = f"fine-tuned − {path}, {_where(panel, n)}"
        out.append(Verdict("C1", statement, _show(mean), verdict, mean.rows, short))
    return out


def harmonic_law(risks: list[Row], bounds: list[Row]) -> list[Verdict]:
    """C1 by the law: fine-tuned excess over Bayes less the harmonic combination."""
    full = aggregate.full_costs(risks)
    found: dict = defaultdict(list)
    for i, row in enumerate(bounds, start=1):
        if row["bound"] == "harmonic" and row["term"] == "total":
            place = (aggregate.panel_of(row), row["n"])
            found[place].append((row["risk"] - row["value"], f"bounds:{i}"))
    out = []
    for (panel, n), pairs in sorted(found.items()):
        values = [value / full[panel][n] for value, _ in pairs]
        mean = aggregate.mean_of(values, [row for _, row in pairs])
        statement = (
            f"the two paths combine as the harmonic law says or better "
            f"({_where(panel, n)}): fine-tuned excess over Bayes minus "
            f"1/(1/E_pre + 1/E_scratch), both of means over the same seeds"
        )
        verdict = _judge(mean, good_below=True)
        short = f"fine-tuned − harmonic law, {_where(panel, n)}"
        out.append(Verdict("C1", statement, _show(mean), verdict, mean.rows, short))
    return out


def crossovers(risks: list[Row]) -> list[Verdict]:
    """C1: where the two measured paths cross; a description, not a test."""
    reference, panels = path_excess.over_reference(risks)
    out = []
    for panel, paths in panels.items():
        star = path_excess.crossover(paths) if len(paths["scratch"]) > 1 else None
        sizes = sorted(paths["scratch"])
        measured = f"n* = {star:.0f}" if star else f"no crossing in n = {sizes}"
        over = reference.replace("_", " ")
        statement = (
            f"n* at which the same network from scratch reaches the pretrained one, "
            f"by interpolation of mean excess over {over} (m = {panel[0]}, "
            f"q = {panel[1]:g})"
        )
        rows = [
            row
            for path in ("pretrained", "scratch")
            for mean in paths[path].values()
            for row in mean.rows
        ]
        short = f"where the paths cross, m = {panel[0]}, q = {panel[1]:g}"
        out.append(Verdict("C1", statement, measured, "described", tuple(rows), short))
    return out


def claim_2(panel: Panel, by_n: dict) -> list[Verdict]:
    """C2: what fine-tuning gains at the largest n against the smallest."""
    sizes = sorted(by_n)
    if len(sizes) < 2:
        return []

    def gain(cells):
        return _difference(cells, _of("pretrained"), _of("finetuned"))

    small, large = gain(by_n[sizes[0]]), gain(by_n[sizes[-1]])
    common = sorted(set(by_n[sizes[0]]) & set(by_n[sizes[-1]]))
    values = [
        gain({s: by_n[sizes[-1]][s]}).value - gain({s: by_n[sizes[0]][s]}).value
        for s in common
    ]
    mean = aggregate.mean_of(values, [*small.rows, *large.rows])
    statement = (
        f"fine-tuning gains more as n grows (m = {panel[0]}, q = {panel[1]:g}): gain "
        f"over pretrained at n = {sizes[-1]} less that at n = {sizes[0]}"
    )
    verdict = _judge(mean, good_below=False)
    short = f"gain at n = {sizes[-1]} − at {sizes[0]}, m = {panel[0]}, q = {panel[1]:g}"
    return [Verdict("C2", statement, _show(mean), verdict, mean.rows, short)]


def claim_3(bounds: list[Row]) -> list[Verdict]:
    """C3: how often the certificates hold, against the confidence they state."""
    out = []
    by_name: dict = defaultdict(list)
    for i, row in enumerate(bounds, start=1):
        if row["term"] == "total" and row["tier"] == "certified":
            by_name[row["bound"]].append((f"bounds:{i}", row))
    for name, rows in by_name.items():
        held = sum(row["holds"] for _, row in rows)
        ends = stats.binomtest(held, len(rows)).proportion_ci(0.95, method="exact")
        nominal = 1.0 - rows[0][1]["delta"]
        measured = (
            f"{held} of {len(rows)} hold (95% interval {ends.low:.3f} to "
            f"{ends.high:.3f}; cells of one seed are not independent)"
        )
        verdict = "contradicted" if ends.high < nominal else "consistent"
        statement = f"{name} holds with probability at least {nominal:g}"
        named = tuple(row_name for row_name, _ in rows)
        out.append(Verdict("C3", statement, measured, verdict, named))
    return out


def claim_4(panel: Panel, by_n: dict) -> list[Verdict]:
    """C4: fine-tuned excess against the best baseline of the cell."""
    out = []
    for n, cells in sorted(by_n.items()):
        shared = set.intersection(*(set(cell) for cell in cells.values()))
        best = _best(sorted(shared - set(NOT_BASELINES)), cells)
        mean = _difference(cells, _of("finetuned"), _of(best))
        statement = (
            f"fine-tuned beats what a firm would otherwise do ({_where(panel, n)}): "
            f"excess minus that of the best baseline, {best}, chosen afterwards"
        )
        verdict = _judge(mean, good_below=True)
        short = f"fine-tuned − {best}, {_where(panel, n)}"
        out.append(Verdict("C4", statement, _show(mean), verdict, mean.rows, short))
    return out


def _where(panel: Panel, n: int) -> str:
    return f"m = {panel[0]}, q = {panel[1]:g}, n = {n}"


def all_claims(risks: list[Row], bounds: list[Row]) -> list[Verdict]:
    """Every verdict, in the order of the claims.

    Args:
      risks: rows of `risks.csv`, in its order.
      bounds: rows of `bounds.csv`, in its order.

    Returns:
      Verdicts that name the rows they rest on.
    """
    panels = sorted(_paired(risks).items())
    over_panels = lambda claim: [v for p, by_n in panels for v in claim(p, by_n)]
    return [
        *over_panels(claim_1),
        *harmonic_law(risks, bounds),
        *crossovers(risks),
        *over_panels(claim_2),
        *claim_3(bounds),
        *over_panels(claim_4),
    ]


def brief(found: list[Verdict]) -> list[Verdict]:
    """The verdicts with C3 in one line, short enough for a terminal.

    Args:
      found: of `all_claims`.

    Returns:
      Every other verdict, and one that counts those on C3.
    """
    third = [v for v in found if v.claim == "C3"]
    against = [v for v in third if v.verdict == "contradicted"]
    names = ", ".join(v.statement.split()[0] for v in against)
    summary = Verdict(
        "C3",
        "certificates hold at least as often as they say",
        f"{len(third) - len(against)} of {len(third)} kinds of certificate do",
        f"contradicted by {names}" if against else "consistent",
        (),
        "certificates hold as often as they say",
    )
    kept = [v for v in found if v.claim in ("C1", "C2")]
    return [*kept, *([summary] if third else []), *(v for v in found if v.claim > "C3")]
