"""Batting averages: the networks against every baseline, on public data.

`python -m benchmarks.real_means` prints, for Major League Baseball 2005 by the protocol
of Brown (2008): TSE on the arcsine scale over that of the naive estimate, for all
batters, pitchers and others (at least 11 at-bats in each half); the root mean square
error of hits in the second half; and the total squared error of Efron & Morris (1975).
The networks are shown pretrained and fine-tuned.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from benchmarks import datasets
from ptft_jax import compilation, count_frequencies
from ptft_jax.means import binomial, gaussian, poisson
from ptft_jax.method import catalog, finetune

LEAST = 11  # at-bats of a half


def decisions(name: str, seen, more: dict | None = None) -> dict[str, np.ndarray]:
    """What every method says, by name."""
    problem, (network, params) = catalog.PROBLEMS[name], catalog.load(name)
    found = {
        key: rule(seen) for key, rule in {**problem.baselines, **(more or {})}.items()
    }
    fit = finetune.make_fit(problem, network, finetune.FinetuneConfig())
    tuned = fit(params, seen, jax.random.key(0))
    print(f"fine-tuned {name}: {tuned.chosen.name} {tuned.chosen.dial:g}", flush=True)
    for key, policy in (
        ("pretrained", finetune.single(params)),
        ("finetuned", tuned.params),
    ):
        found[key] = finetune.decide_compiled(network, problem, policy, seen)
    return {key: np.asarray(x, np.float64) for key, x in found.items()}


def _floats(*columns):
    return tuple(jnp.asarray(np.asarray(x), jnp.float32) for x in columns)


def _angle(hits, at_bats):
    return np.arcsin(np.sqrt((hits + 0.25) / (at_bats + 0.5)))


def show(title: str, figures: dict[str, float]) -> None:
    """Prints figures from the lowest to the highest."""
    ordered = sorted(figures.items(), key=lambda item: item[1])
    print(title + ": " + "  ".join(f"{key} {x:.4g}" for key, x in ordered), flush=True)


def arcsine(table: pl.DataFrame) -> dict[str, float]:
    """Σ (x − X₂)² − Σ 1/(4 N₂) of each method, over that of x = X₁."""
    table = table.filter(pl.col("AB1") >= LEAST)
    hits, at_bats = table["H1"].to_numpy(), table["AB1"].to_numpy()
    seen = gaussian.Seen(*_floats(_angle(hits, at_bats), 0.25 / at_bats))
    judged = table["AB2"].to_numpy() >= LEAST
    later = table["AB2"].to_numpy()[judged]
    target = _angle(table["H2"].to_numpy()[judged], later)

    def tse(x):
        return np.square(x[judged] - target).sum() - (0.25 / later).sum()

    found = decisions("gaussian_means", seen)
    return {key: tse(x) / tse(found["mle"]) for key, x in found.items()}


def hits_by_at_bats(table: pl.DataFrame) -> dict[str, float]:
    """RMSE of second-half hits, the average times the second half's at-bats."""
    table = table.filter(pl.col("AB1") >= LEAST)
    seen = binomial.Seen(*_floats(table["H1"], table["AB1"]))
    later, target = table["AB2"].to_numpy(), table["H2"].to_numpy()
    judged = later >= LEAST
    found = decisions("binomial_means", seen)
    rmse = lambda x: np.sqrt(np.square(later * x - target)[judged].mean())
    return {key: rmse(x) for key, x in found.items()}


def hits_by_hits(table: pl.DataFrame) -> dict[str, float]:
    """RMSE of second-half hits from those of the first alone, as Poisson counts."""
    hit = pl.col("H1") + pl.col("H2") > 0
    table = table.filter((pl.col("pitcher") == 0) & hit)
    target = table["H2"].to_numpy()
    seen = poisson.Seen(*_floats(table["H1"], np.ones(len(table))))
    found = decisions("poisson_means", seen, count_frequencies.EQUAL_EXPOSURE)
    return {key: np.sqrt(np.square(x - target).mean()) for key, x in found.items()}


def efron_morris(table: pl.DataFrame) -> dict[str, float]:
    """Σ (x − rest of the season's average)², 18 batters of 45 at-bats."""
    seen = binomial.Seen(*_floats(table["Hits"], table["AtBats"]))
    target = table["RemainingAverage"].to_numpy()
    found = decisions("binomial_means", seen)
    return {key: np.square(x - target).sum() for key, x in found.items()}


def main() -> None:
    """Parses the command line and prints all tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    compilation.keep_programs()
    batters = pl.read_csv(datasets.find("mlb2005_brown_batting.csv"))
    groups = {"all": batters}
    groups["pitchers"] = batters.filter(pl.col("pitcher") == 1)
    groups["others"] = batters.filter(pl.col("pitcher") == 0)
    for name, group in groups.items():
        show(f"TSE over naive, {name}", arcsine(group))
    for name, group in groups.items():
        show(f"RMSE of hits by at-bats, {name}", hits_by_at_bats(group))
    show("RMSE of hits by hits, 595 batters", hits_by_hits(batters))
    batters = pl.read_csv(datasets.find("efron_morris_1970.csv"))
    show("TSE of Efron & Morris", efron_morris(batters))


if __name__ == "__main__":
    main()
