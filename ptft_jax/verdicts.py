"""What a run says about the claims C1–C4, with intervals over seeds."""

from collections import defaultdict

from ptft_jax import aggregate, seed_statistics, verdict
from ptft_jax.aggregate import Mean, Panel, Row
from ptft_jax.law_verdicts import crossovers, harmonic_law, show, where
from ptft_jax.verdict import Verdict

NOT_BASELINES = (
    "pretrained",
    "finetuned",
    "scratch",
    "bayes",
    "hierarchical_bayes",
    "full_information",
)


def _difference(cells: dict[int, dict], new, old) -> Mean:
    """Mean over seeds of new(cell) − old(cell); both give (value, rows)."""
    values, rows = [], []
    for seed in sorted(cells):
        (after, one), (before, two) = new(cells[seed]), old(cells[seed])
        values.append(after - before)
        rows += [*one, *two]
    return aggregate.mean_of(values, rows)


def _of(method: str):
    return lambda cell: (cell[method][0]["excess"], [cell[method][1]])


def _best(methods: list[str], cells: dict[int, dict]) -> str:
    total = lambda method: sum(cell[method][0]["excess"] for cell in cells.values())
    return min(methods, key=total)


def claim_1(panel: Panel, by_n: dict) -> list[Verdict]:
    """C1: fine-tuned excess against the better of its two paths, at each n."""
    out = []
    for n, cells in sorted(by_n.items()):
        path = _best(["pretrained", "scratch"], cells)
        mean = _difference(cells, _of("finetuned"), _of(path))
        statement = (
            f"error of pretraining then fine-tuning is governed by the better path, "
            f"here {path} ({where(panel, n)}): fine-tuned minus {path} excess"
        )
        said = verdict.judge(aggregate.interval(mean), good_below=True)
        short = f"fine-tuned − {path}, {where(panel, n)}"
        out.append(Verdict("C1", statement, show(mean), said, mean.rows, short))
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
        f"fine-tuning gains more as n grows ({aggregate.name_of(panel)}): gain "
        f"over pretrained at n = {sizes[-1]} less that at n = {sizes[0]}"
    )
    said = verdict.judge(aggregate.interval(mean), good_below=False)
    short = f"gain at n = {sizes[-1]} − at {sizes[0]}, {aggregate.name_of(panel)}"
    return [Verdict("C2", statement, show(mean), said, mean.rows, short)]


def claim_3(bounds: list[Row]) -> list[Verdict]:
    """C3: misses of each certificate over seeds, against the confidence it states.

    Args:
      bounds: rows of `bounds.csv`, in its order.

    Returns:
      A verdict for each kind of certificate, by `seed_statistics.coverage`.
    """
    out = []
    by_name: dict = defaultdict(list)
    for i, row in enumerate(bounds, start=1):
        if row["term"] == "total" and row["tier"] == "certified":
            by_name[row["bound"]].append((f"bounds:{i}", row))
    for name, rows in by_name.items():
        delta = rows[0][1]["delta"]
        place = lambda row: where(aggregate.panel_of(row), row["n"])
        found = seed_statistics.coverage(
            [(place(row), row["holds"], delta) for _, row in rows]
        )
        measured = (
            f"{found.trials - found.misses} of {found.trials} hold; seeds of each n "
            f"tested alone, {found.tests} tests: p = {found.p_value:.2g}"
        )
        said = "contradicted" if found.is_rejected else "consistent"
        statement = f"{name} holds with probability at least {1.0 - delta:g}"
        named = tuple(row_name for row_name, _ in rows)
        out.append(Verdict("C3", statement, measured, said, named))
    return out


def claim_4(panel: Panel, by_n: dict) -> list[Verdict]:
    """C4: fine-tuned excess against the best baseline of the cell."""
    out = []
    for n, cells in sorted(by_n.items()):
        shared = set.intersection(*(set(cell) for cell in cells.values()))
        best = _best(sorted(shared - set(NOT_BASELINES)), cells)
        mean = _difference(cells, _of("finetuned"), _of(best))
        statement = (
            f"fine-tuned beats what a firm would otherwise do ({where(panel, n)}): "
            f"excess minus that of the best baseline, {best}, chosen afterwards"
        )
        said = verdict.judge(aggregate.interval(mean), good_below=True)
        short = f"fine-tuned − {best}, {where(panel, n)}"
        out.append(Verdict("C4", statement, show(mean), said, mean.rows, short))
    return out


def all_claims(risks: list[Row], bounds: list[Row]) -> list[Verdict]:
    """Every verdict, in the order of the claims.

    Args:
      risks: rows of `risks.csv`, in its order.
      bounds: rows of `bounds.csv`, in its order.

    Returns:
      Verdicts that name the rows they rest on.
    """
    panels = sorted(aggregate.cells(risks).items())
    over_panels = lambda claim: [v for p, by_n in panels for v in claim(p, by_n)]
    return [
        *over_panels(claim_1),
        *harmonic_law(risks),
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
