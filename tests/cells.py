"""Cells of `validate` that cost no time, and what a run of them leaves."""

import pathlib

import polars as pl


def fake_cell(room, cell, report=None):
    """A record as of `validate.run_cell`, in no time."""
    excess = (1.0 + cell.seed) / cell.n
    methods = ("pretrained", "finetuned", "scratch", "saa", "full_information")
    methods = (*methods, "bayes")
    cost = [1.0 + k * excess for k in (2, 1, 3, 4, 0, 0.5)]
    return {
        "cell": vars(cell),
        "risks": [
            {
                "method": method,
                "cost": c,
                "cost_full": 1.0,
                "excess": c - 1.0,
                "wall_s": 0.0,
            }
            for method, c in zip(methods, cost, strict=True)
        ],
        "bounds": [
            {
                "bound": "finetuned_betting",
                "tier": "certified",
                "term": "total",
                "value": 2.0,
                "risk": 1.0,
                "delta": 0.05,
                "holds": True,
            }
        ],
        "chosen": {},
        "scales": [1.0, 1.0],
        "wall_s": 0.0,
    }


def arguments(weights, out="out", seeds=5):
    return [
        *("validate", "--data", "good.csv", "--quantile", ".9", "--n", "8,max"),
        *("--observations", "4", "--seeds", str(seeds), "--out", out),
        *("--weights", weights, "--quiet"),
    ]


def listing(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*"))


def tables(out):
    return [pl.read_csv(pathlib.Path(out) / f"{t}.csv") for t in ("risks", "bounds")]
