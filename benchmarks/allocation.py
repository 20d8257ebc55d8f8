"""Allocation under a budget: share of the value of full information, by rule.

    python -m benchmarks.allocation three_part [--n 96,384,1536,6144] [--seeds 40]
    python -m benchmarks.allocation broad [--n 64,256]
    python -m benchmarks.allocation crashes [--share 0.25,1,4] [--seeds 20]

`three_part`: the knapsack of Gupta & Rusmevichientong; `broad`: fresh draws of the
world that the network was pretrained on; `crashes`: tracts of New York
(`crash_tracts`), with an oracle that is told the true rates of all other tracts. Every
rule sees the same data; ± are standard errors over seeds. The last column is the lead
of the network over the best baseline, paired by seed; `--zero-shot` leaves fine-tuning
out.
"""

import argparse
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import crash_tracts
from ptft_jax import compilation
from ptft_jax.allocation import baselines as allocation_baselines
from ptft_jax.allocation import counts as allocation_counts
from ptft_jax.allocation import knapsack, trials
from ptft_jax.method import catalog, finetune, network
from ptft_jax.method.finetune import FinetuneConfig
from ptft_jax.problems import allocation
from ptft_jax.problems.problem import Problem
from ptft_jax.worlds import allocation as broad
from ptft_jax.worlds import three_part

WORLDS = {"three_part": three_part.WORLD, "broad": broad.WORLD}
SKIPPED = ("oracle_tau", "oracle", "pretrained", "finetuned", "bayes")
ORACLE = jax.jit(allocation_baselines.oracle_tau)


def own_rules(problem: Problem, shipped, config: FinetuneConfig | None) -> dict:
    """The network, and with a configuration fine-tuned, `(seen, seed) -> x`."""
    net, params = shipped
    decide = jax.jit(lambda p, seen: network.decide(net, problem, p, seen))
    pretrained = lambda seen, seed: decide(params, seen)
    if config is None:
        return {"pretrained": pretrained}
    together = jax.jit(lambda p, seen: finetune.decide(net, problem, p, seen))
    fit = finetune.make_fit(problem, net, config)

    def finetuned(seen, seed):
        found = fit(params, seen, jax.random.key(seed))
        return together(found.params, seen)

    return {"pretrained": pretrained, "finetuned": finetuned}


def draw_world(world, n: int, seed: int):
    """Items of a world, their worths, and the Bayes decision."""
    keys = jax.random.split(jax.random.key(seed), 3)
    law = world.sample_law(keys[0])
    truth = world.sample_instances(keys[1], law, n)
    seen = world.observe(keys[2], truth, 1)
    return seen, np.asarray(truth.weight * truth.theta), world.bayes(law, seen)


def shares(seen, worth, seed, rules: dict[str, Callable], own) -> dict[str, float]:
    """Value of each rule over that of full information."""
    given = {k: lambda seen, rule=rule: rule(seen, seed) for k, rule in own.items()}
    best = knapsack.best(jnp.asarray(worth, jnp.float32), seen.cost)
    full = float(worth @ np.asarray(best, float))
    return {
        name: float(worth @ np.asarray(rule(seen), float)) / full
        for name, rule in (rules | given).items()
    }


def report(label: str, rows: list[dict[str, float]]) -> None:
    """Prints percent of full information and their standard errors."""
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    error = lambda x: 100.0 * x.std(ddof=1) / len(x) ** 0.5
    cells = [f"{k} {100 * x.mean():.1f}±{error(x):.1f}" for k, x in columns.items()]
    peers = [name for name in columns if name not in SKIPPED]
    best = max(peers, key=lambda name: columns[name].mean())
    own = "finetuned" if "finetuned" in columns else "pretrained"
    lead = columns[own] - columns[best]
    shown = f"{own}−{best} {100 * lead.mean():+.1f}±{error(lead):.1f}"
    print(f"{label}  " + "  ".join([*cells, "| " + shown]), flush=True)


def run_world(name: str, sizes, seeds: int, shipped, config) -> None:
    """One row a size of the portfolio."""
    own = own_rules(allocation.PROBLEM, shipped, config)
    for n in sizes:
        rows = []
        for seed in range(seeds):
            seen, worth, bayes = draw_world(WORLDS[name], n, 1000 + seed)
            rules = dict(allocation.PROBLEM.baselines)
            truly = jnp.asarray(worth, jnp.float32)
            rules["oracle_tau"] = lambda seen, truly=truly: ORACLE(seen, truly)
            rules["bayes"] = lambda seen, bayes=bayes: bayes
            rows.append(shares(seen, worth, seed, rules, own))
        report(f"{name} n={n}", rows)


def run_crashes(parts, seeds: int, shipped, config, most_crashes: int) -> None:
    """One row a share of a year's crashes that is seen."""
    tracts = crash_tracts.table(most_crashes)
    problem = allocation_counts.PROBLEM
    gaussian = allocation.PROBLEM.baselines

    def on_items(rule):
        to_items = lambda seen: trials.as_items(seen, trials.beta_prior(seen))
        return lambda seen: rule(to_items(seen))

    own = own_rules(problem, shipped, config)
    for share in parts:
        rows = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            seen, worth = crash_tracts.sample(tracts, share, rng)
            rules = dict(problem.baselines)
            rules |= {k: on_items(gaussian[k]) for k in ("eb_sure", "box_stein")}
            rules["oracle"] = lambda seen: crash_tracts.oracle(seen, tracts)
            rows.append(shares(seen, worth, seed, rules, own))
        report(f"crashes n={len(worth)} q={share:g}", rows)


def main() -> None:
    """Prints one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=(*WORLDS, "crashes"))
    parser.add_argument("--n", default="96,384,1536,6144")
    parser.add_argument("--share", default="0.25,1,4")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--weights", default=None)
    parser.add_argument("--zero-shot", action="store_true")
    parser.add_argument("--most-crashes", type=int, default=crash_tracts.MOST_CRASHES)
    args = parser.parse_args()
    compilation.keep_programs()
    shipped = catalog.load("allocation", args.weights)
    config = None if args.zero_shot else FinetuneConfig()
    if args.which == "crashes":
        parts = [float(share) for share in args.share.split(",")]
        run_crashes(parts, args.seeds, shipped, config, args.most_crashes)
    else:
        sizes = [int(n) for n in args.n.split(",")]
        run_world(args.which, sizes, args.seeds, shipped, config)


if __name__ == "__main__":
    main()
