"""The tables of a run as curves against n."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ptft_jax.paths.part import Row
from ptft_jax.paths.run import Part, Result


class Curve(NamedTuple):
    """Regret of a method by n: mean over seeds, standard error, and every seed."""

    n: tuple[int, ...]
    mean: Float[np.ndarray, "n"]
    error: Float[np.ndarray, "n"]
    seeds: Float[np.ndarray, "n s"]


def curves(result: Result, part: Part) -> dict[str, Curve]:
    """Regret over Bayes of every method.

    Args:
      result: tables of a run.
      part: world and mismatch.

    Returns:
      Curves by method.
    """
    bayes = result.facts[part]["bayes"]
    found: dict[str, dict[int, list[float]]] = {}
    for row in result.risks:
        if (row["world"], row["mismatch"]) == part:
            by_n = found.setdefault(row["method"], {})
            by_n.setdefault(row["n"], []).append(row["cost"] - bayes)
    return {method: curve_of(by_n) for method, by_n in found.items()}


def curve_of(by_n: dict[int, list[float]]) -> Curve:
    """Means and standard errors over seeds.

    Args:
      by_n: values of every seed, the same number at each n.

    Returns:
      The curve; errors are NaN for one seed.
    """
    n = tuple(sorted(by_n))
    seeds = np.array([by_n[k] for k in n])
    count = seeds.shape[1]
    spread = seeds.std(1, ddof=1) if count > 1 else np.full(len(n), math.nan)
    return Curve(n, seeds.mean(1), spread / math.sqrt(count), seeds)


def totals(result: Result, part: Part, column: str = "value") -> dict[str, Curve]:
    """Every bound's total by n.

    Args:
      result: tables of a run.
      part: world and mismatch.
      column: value or risk.

    Returns:
      Curves by bound.
    """
    return terms(rows_of(result, part), column, "bound", "total")


def terms(rows: list[Row], column: str, by: str, term: str | None) -> dict[str, Curve]:
    """Curves of a column of `bounds.csv`, of the rows that have an n.

    Args:
      rows: of the table.
      column: to average.
      by: column that names the curves.
      term: the rows to take, or None for all.

    Returns:
      Curves by name.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        if row["n"] != "" and term in (None, row["term"]):
            found.setdefault(row[by], {}).setdefault(row["n"], []).append(row[column])
    return {name: curve_of(by_n) for name, by_n in found.items()}


def rows_of(result: Result, part: Part) -> list[Row]:
    """Rows of `bounds.csv` of one part.

    Args:
      result: tables of a run.
      part: world and mismatch.

    Returns:
      The rows.
    """
    return [r for r in result.bounds if (r["world"], r["mismatch"]) == part]
