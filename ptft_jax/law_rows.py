"""Laws and rates beside a run's errors: what its means over seeds predict.

A law is about expected errors, so it is made from means over the finished seeds of a
run, not in any one cell: these rows are derived from `risks.csv` when the tables are
written, and repeat in every seed the value that all seeds share. The excess is over the
Bayes policy, which the laws and rates are about. Where nobody knows it there are none:
the excess over full information contains a part that no path can remove.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from ptft_jax.bound_terms import SETTING
from theory import laws, rates

REFERENCE = "bayes"
PATHS = ("pretrained", "scratch", "finetuned")
LEAST_N = 3  # below it ln ln n is not positive

MEANING = {
    "harmonic": (
        "law: 1/(1/E_pre + 1/E_ft) of the mean excesses over Bayes, over seeds, of "
        "the pretrained network and of the same network from scratch; beside it the "
        "fine-tuned excess. Exact for quadratic excess and independent paths only."
    ),
    "rate_data_pooling": (
        "rate: 1/sqrt(n) (Gupta & Kallus 2022) times the constant that fits the "
        "fine-tuned excess over Bayes of this run best. A constant is fitted to the "
        "errors it stands beside; it bounds nothing."
    ),
    "James-Stein": (
        "the regret of estimated shrinkage, 3 v^2/((tau^2+v) n), is about means from "
        "one normal law, seen with one known variance, under squared cost; this "
        "command makes no row of it."
    ),
}
UNIVERSAL_PRIORS = (
    "rate: ln^3 k/(k (ln ln k)^2) at k = min(n, n_pre) (Cannella et al. 2026) times "
    "the constant that fits the pretrained excess over Bayes of this run best, which "
    "attends to the n instances; n_pre is {}, the instances of the largest pretraining "
    "portfolio of the shipped weights. A constant is fitted to the errors it stands "
    "beside; it bounds nothing."
)
Row = dict[str, Any]
Rate = Callable[[int], float]
Group = tuple  # world, protocol, observations, quantile


def meaning(pretrained_on: int | None) -> dict[str, str]:
    """What the rows of `over_seeds` say.

    Args:
      pretrained_on: as `over_seeds` takes it.

    Returns:
      Sentences by name of the law or rate.
    """
    if pretrained_on is None:
        return MEANING
    return MEANING | {"rate_universal_priors": UNIVERSAL_PRIORS.format(pretrained_on)}


def key_of(row: Row) -> tuple:
    """The cell that a row belongs to.

    Args:
      row: of `risks.csv`.

    Returns:
      World, protocol, m, quantile, n and seed.
    """
    return (*_group(row), row["n"], row["seed"])


def _group(row: Row) -> Group:
    fields = ("world", "protocol", "observations", "quantile")
    return tuple(row[name] for name in fields)


def excess_over_bayes(risks: list[Row]) -> dict[Group, dict[int, dict[int, dict]]]:
    """Excess of each path over Bayes: group → n → seed → method → cost difference.

    Args:
      risks: rows of `risks.csv`.

    Returns:
      Cells that have Bayes and all three paths only.
    """
    cells: dict = defaultdict(dict)
    for row in risks:
        cells[key_of(row)][row["method"]] = row["cost"]
    found: dict = defaultdict(lambda: defaultdict(dict))
    for (*group, n, seed), cost in cells.items():
        if {REFERENCE, *PATHS} <= set(cost):
            over = {name: cost[name] - cost[REFERENCE] for name in PATHS}
            found[tuple(group)][n][seed] = over
    return found


def _mean(cells: dict[int, dict], method: str) -> float:
    return float(np.mean([cells[seed][method] for seed in sorted(cells)]))


def _rows(bound, tier, values, risk, delta) -> list[Row]:
    total = values.pop("total")
    common = {"tier": tier, "risk": risk, "delta": delta}
    common["holds"] = bool(total >= risk)
    terms = {"total": total} | {f"{SETTING}{k}": v for k, v in values.items()}
    return [
        {**common, "bound": bound, "term": term, "value": value}
        for term, value in terms.items()
    ]


def _rates(pretrained_on: int | None) -> dict[str, tuple[Rate, str]]:
    """Each rate, and the method that it is about: fine-tuning or only attending."""
    found: dict[str, tuple[Rate, str]] = {
        "rate_data_pooling": (rates.data_pooling, "finetuned")
    }
    if pretrained_on is not None:
        attending = lambda n: rates.universal_priors(n, pretrained_on)
        found["rate_universal_priors"] = attending, "pretrained"
    return found


def _predictions(
    by_n: dict[int, dict[int, dict]], pretrained_on: int | None
) -> dict[int, list[tuple]]:
    """Per n: the bound's name, tier, values, and the method it is about."""
    found: dict[int, list[tuple]] = defaultdict(list)
    for n, cells in by_n.items():
        paths = {name: _mean(cells, name) for name in ("pretrained", "scratch")}
        if min(paths.values()) > 0.0:
            total = laws.harmonic(*paths.values())
            values = {"total": total, **paths}
            found[n].append(("harmonic", "law", values, "finetuned"))
    for name, (rate, about) in _rates(pretrained_on).items():
        error = {n: _mean(c, about) for n, c in sorted(by_n.items()) if n >= LEAST_N}
        error = {n: e for n, e in error.items() if e > 0.0}
        if len(error) < 2:
            continue
        fit = rates.fit_constant(list(error), list(error.values()), rate)
        for n in (n for n in by_n if n >= LEAST_N):
            values = {"total": fit.constant * rate(n), **fit._asdict()}
            found[n].append((name, "rate", values, about))
    return found


def over_seeds(
    risks: list[Row], delta: float, pretrained_on: int | None = None
) -> dict[tuple, list[Row]]:
    """Rows of `bounds.csv` that rest on all finished seeds, by cell.

    Args:
      risks: rows of `risks.csv`, of all finished cells.
      delta: of the run; laws and rates have none of their own.
      pretrained_on: n_pre, instances of the largest portfolio that the network was
        pretrained on; None where nobody knows, and `rate_universal_priors` has no rows.

    Returns:
      `harmonic` (law) where both mean excesses are above 0, and `rate_data_pooling` and
      `rate_universal_priors` (rate) where there are two n to fit them to. The constants
      are terms `setting_…`.
    """
    out = {}
    for group, by_n in excess_over_bayes(risks).items():
        predictions = _predictions(by_n, pretrained_on)
        for n, cells in by_n.items():
            for seed, excess in cells.items():
                out[(*group, n, seed)] = [
                    row
                    for name, tier, values, about in predictions[n]
                    for row in _rows(name, tier, dict(values), excess[about], delta)
                ]
    return out
