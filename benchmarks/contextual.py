"""Stock for promoted weeks: orange juice, and the distance from Bayes in simulation.

`PTFT_DATA=FOLDER python -m benchmarks.contextual --seeds 10` stocks 913 store-brands of
Dominick's orange juice for a week whose price, deal and feature are known, from m other
weeks; all weeks are drawn at random. It prints the mean realised cost of the network
over that of every baseline in percent, ± s.e. over seeds. `--weeks` and `--quantiles`
choose the cells, `--finetune` fine-tunes as well, `--simulated 200` instead prints
excess over Bayes in the world contextual_normal.
"""

import argparse
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jaxtyping import Float64

from benchmarks import datasets
from ptft_jax import compilation, streams
from ptft_jax.contextual.records import NUM_COVARIATES, Outcome, Seen
from ptft_jax.method import catalog, finetune
from ptft_jax.problems import contextual
from ptft_jax.worlds import contextual_normal

COVARIATES = ("price_per_oz", "deal", "feat")
PROBLEM = contextual.PROBLEM
DECIDE = jax.jit(finetune.decide, static_argnums=(0, 1))


class Weeks(NamedTuple):
    """n products by W weeks; NaN where a week is missing.

    Attributes:
      units: ounces sold.
      context: price an ounce, deal and feature.
    """

    units: Float64[np.ndarray, "n W"]
    context: Float64[np.ndarray, "n W k"]


def load() -> Weeks:
    """All 913 store-brands.

    Returns:
      Their weeks.
    """
    table = pl.read_csv(datasets.find("orangejuice_pricing.csv"))
    rows, row = np.unique(table.select("store", "brand"), axis=0, return_inverse=True)
    weeks, column = np.unique(table["week"], return_inverse=True)

    def spread(name: str) -> np.ndarray:
        block = np.full((len(rows), len(weeks)), np.nan)
        block[row.ravel(), column] = table[name]
        return block

    return Weeks(spread("units"), np.stack([spread(k) for k in COVARIATES], -1))


def split(weeks: Weeks, seed: int, m: int, quantile: float) -> tuple[Seen, Outcome]:
    """Draws m weeks of data and another week to stock for, of every product.

    Args:
      weeks: all products.
      seed: of the draw.
      m: weeks of data.
      quantile: critical ratio.

    Returns:
      What is seen, and what sold in the week to stock for.
    """
    rng = streams.generator(seed, f"contextual {m}")
    n, num_weeks = weeks.units.shape
    order = np.where(np.isnan(weeks.units), 2.0, rng.random((n, num_weeks)))
    chosen = order.argsort(1)[:, : m + 1]
    units = np.take_along_axis(weeks.units, chosen, 1)
    context = np.zeros((n, m + 1, NUM_COVARIATES))
    context[..., : len(COVARIATES)] = np.take_along_axis(
        weeks.context, chosen[..., None], 1
    )
    single = lambda block: jnp.asarray(block, jnp.float32)
    q = jnp.full(n, quantile)
    seen = Seen(
        demand=single(units[:, :m]),
        valid=jnp.ones((n, m), bool),
        context=single(context[:, :m]),
        next_context=single(context[:, m]),
        quantile=q,
    )
    return seen, Outcome(single(units[:, m:]), q)


def costs(seen: Seen, outcome: Outcome, network, params, tuned) -> dict[str, float]:
    """Mean realised cost of every rule, ounces a product."""
    stock = {name: rule(seen) for name, rule in PROBLEM.baselines.items()}
    policies = {"pretrained": finetune.single(params)}
    if tuned is not None:
        policies["finetuned"] = tuned(params, seen, jax.random.key(0)).params
    for name, policy in policies.items():
        stock[name] = DECIDE(network, PROBLEM, policy, seen)
    mean = lambda x: float(np.asarray(PROBLEM.cost(x, outcome), float).mean())
    return {name: mean(x) for name, x in stock.items()}


def over(column: np.ndarray, other: np.ndarray) -> str:
    """Mean paired difference in percent ± its standard error."""
    change = 100.0 * (column / other - 1.0)
    error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.nan
    return f"{change.mean():+.2f}±{error:.2f}"


def show(head: str, rows: list[dict[str, float]]) -> None:
    """Prints each policy over every baseline."""
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    policies = [name for name in ("pretrained", "finetuned") if name in column]
    for policy in policies:
        others = (
            f"{name} {over(column[policy], column[name])}"
            for name in column
            if name not in policies
        )
        print(f"{head} {policy} over " + ", ".join(others), flush=True)


def simulated(network, params, count: int, n: int, m: int) -> None:
    """Prints what each rule costs over Bayes in the world of known law."""
    world = contextual_normal.WORLD
    policy = finetune.single(params)

    @jax.jit
    def one(key):
        law_key, truth_key, seen_key = jax.random.split(key, 3)
        law = world.sample_law(law_key)
        truth = world.sample_instances(truth_key, law, n)
        seen = world.observe(seen_key, truth, m)
        rules = {name: rule(seen) for name, rule in PROBLEM.baselines.items()}
        rules["pretrained"] = DECIDE(network, PROBLEM, policy, seen)
        mean = lambda x: world.expected_cost(truth, x).mean()
        bayes = mean(world.bayes(law, seen))
        rules["full_information"] = world.full_information(truth)
        return {name: mean(x) / bayes for name, x in rules.items()}

    rows = [one(key) for key in jax.random.split(jax.random.key(0), count)]
    for name in rows[0]:
        ratios = np.array([float(row[name]) for row in rows])
        error = ratios.std(ddof=1) / np.sqrt(count)
        print(
            f"n={n} m={m} {name} {100 * (ratios.mean() - 1):+.2f}±{100 * error:.2f} "
            f"(median {100 * (np.median(ratios) - 1):+.2f}) % over Bayes",
            flush=True,
        )


def main() -> None:
    """Parses the command line and runs the cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weeks", default="5,10,20")
    parser.add_argument("--quantiles", default=".9,.95")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--weights", default=None)
    parser.add_argument("--finetune", action="store_true")
    parser.add_argument("--simulated", type=int, default=0, metavar="PORTFOLIOS")
    parser.add_argument("--n", type=int, default=128, help="products, simulated")
    args = parser.parse_args()
    compilation.keep_programs()
    network, params = catalog.load(PROBLEM.name, args.weights)
    params = jax.tree.map(jnp.asarray, params)
    tuned = None
    if args.finetune:
        tuned = finetune.make_fit(PROBLEM, network, finetune.FinetuneConfig())
    sizes = [int(m) for m in args.weeks.split(",")]
    if args.simulated:
        for m in sizes:
            simulated(network, params, args.simulated, args.n, m)
        return
    weeks = load()
    for m in sizes:
        for q in map(float, args.quantiles.split(",")):
            rows = [
                costs(*split(weeks, seed, m, q), network, params, tuned)
                for seed in range(args.seeds)
            ]
            show(f"m={m} q={q:g}", rows)


if __name__ == "__main__":
    main()
