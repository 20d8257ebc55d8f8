"""Out-of-sample revenue of pricing rules on Dominick's orange juice.

`python -m benchmarks.real_pricing --seeds 10` prints, for each number of weeks of data,
revenue over that of per-product regression in percent, ± s.e. over seeds, and paired
differences of the network to every baseline. `--objective profit` takes off the chain's
unit cost; `--apart` draws data and test of all products from different weeks. How a
price is scored: `benchmarks.orange_juice`. Finished seeds are kept under results/, by
weights, and not run again.
"""

import argparse
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import orange_juice
from ptft_jax import compilation, provenance, store
from ptft_jax.method import catalog, finetune
from ptft_jax.problems import pricing

REFERENCE = "own_regression"
METHODS = ("pretrained", "finetuned")


def run_seed(part, seed, network, params, config) -> dict:
    """Scores of every rule on one draw of products and weeks, plain and adjusted."""
    problem = pricing.PROBLEM
    prices = {name: rule(part.seen) for name, rule in problem.baselines.items()}
    compiled = finetune.decide_compiled
    decide = lambda policy: compiled(network, problem, policy, part.seen)
    prices["pretrained"] = decide(finetune.single(params))
    chosen = "not fine-tuned"
    if config is not None:
        fit = finetune.make_fit(problem, network, config)
        found = fit(params, part.seen, jax.random.key(seed))
        prices["finetuned"] = decide(found.params)
        chosen = f"{found.chosen.name} {found.chosen.dial:g}"
    scores = {name: orange_juice.score(price, part) for name, price in prices.items()}
    return {"scores": scores, "chosen": chosen}


def show(results: list[dict], which: int, head: str) -> None:
    """Prints a cell: each rule over per-product regression, then paired differences."""
    column = {
        name: np.array([result["scores"][name][which] for result in results])
        for name in results[0]["scores"]
    }

    def over(name: str, other: str) -> str:
        change = 100.0 * (column[name] / column[other] - 1.0)
        error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.nan
        return f"{change.mean():+.2f}±{error:.2f}"

    rules = [name for name in column if name != REFERENCE]
    print(f"{head}: " + ", ".join(f"{name} {over(name, REFERENCE)}" for name in rules))
    for method in METHODS:
        if method in column:
            others = [name for name in column if name not in METHODS]
            leads = (f"{name} {over(method, name)}" for name in others)
            print(f"  {method} over " + ", ".join(leads), flush=True)


def main() -> None:
    """Parses the command line and runs the cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=913)
    parser.add_argument("--weeks", default="5,10,20")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--objective", default="revenue", choices=("revenue", "profit"))
    parser.add_argument("--weights", default=None)
    parser.add_argument("--pretrained-only", action="store_true")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--out", default="results/real_pricing", type=pathlib.Path)
    args = parser.parse_args()
    compilation.keep_programs()
    weeks = orange_juice.load()
    network, params = catalog.load("pricing", args.weights)
    params = jax.tree.map(jnp.asarray, params)
    config = None if args.pretrained_only else finetune.FinetuneConfig()
    made_by = {"weights": provenance.fingerprint(params), "config": repr(config)}
    out = args.out / store.cell_id(made_by)
    out.mkdir(parents=True, exist_ok=True)
    has_cost, apart = args.objective == "profit", args.apart
    cell = args.objective + "-apart" * apart
    for m in map(int, args.weeks.split(",")):
        results = []
        for seed in range(args.seeds):
            path = out / f"{cell}-{args.n}-{m}-{seed}.json"
            if not path.exists():
                part = orange_juice.split(weeks, seed, args.n, m, has_cost, apart)
                record = run_seed(part, seed, network, params, config)
                path.write_text(json.dumps(record))
            results.append(json.loads(path.read_text()))
        show(results, 0, f"{cell} n={args.n} m={m}")
        show(results, 1, f"{cell} n={args.n} m={m} adjusted")
        print("  chosen: " + ", ".join(result["chosen"] for result in results))


if __name__ == "__main__":
    main()
