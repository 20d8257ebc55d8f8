"""Excess cost on kinds of demand that no network is pretrained on.

    python -m benchmarks.unlike_prior [--kinds retail,parts] [--seeds 3] [--finetune]

A cell is a kind, n (64 or all), m (5, 10, 20) and q (.9, .95). Beside the best baseline
of each cell, chosen afterwards: the network's excess on all periods, on all when it is
told of how many there are (baselines are not), and on the periods not seen. With
`--finetune` it is fine-tuned first, and only portfolios of all instances are shown. The
seven kinds of `demand_kinds` and orange-juice sales are what choices are made on.
"""

import argparse
import math

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import demand_kinds, orange_juice
from ptft_jax import (
    baselines,
    checkpoint,
    compilation,
    empirical,
    finetune,
    finite_population,
    risk,
    streams,
    types,
)

AMOUNTS = ("saa", "pooled_loo", "shrunken_saa", "lognormal_eb", "global_qr")
COUNTS = (*AMOUNTS, "npmle_negbin", "gamma_poisson_eb")
LARGEST = 900
DECIDE = jax.jit(risk.decide, static_argnums=0)


def truth_of(kind: str) -> empirical.EmpiricalTruth:
    """The laws of a kind's products."""
    if kind == "orange_juice":
        return empirical.from_columns(orange_juice.load().units.T)
    return empirical.from_columns(demand_kinds.KINDS[kind]())


def rules(kind: str) -> dict:
    """The baselines of a kind."""
    if kind in ("orange_juice", "weekly", "chain"):
        return {name: baselines.NEWSVENDOR[name] for name in AMOUNTS}
    return {name: baselines.COUNTS[name] for name in COUNTS}


def excesses(kind, truth, network, params, fit, seed, n, m, q) -> dict:
    """Excess in percent on all periods and on those not seen, of every method."""
    rng = streams.generator(seed, f"unlike prior {kind} {n} {m}")
    part = empirical.take(truth, rng.permutation(len(truth.length))[:n])
    seen = empirical.sample_iid(part, rng, m)
    portfolio = types.portfolio(jnp.asarray(seen, jnp.float32), q)
    full = empirical.expected_cost(part, empirical.full_information(part, q), q).sum()
    policy = risk.single(network, params)
    if fit is not None:
        policy = fit(params, portfolio, jax.random.key(seed)).policy
    decisions = {name: rule(portfolio) for name, rule in rules(kind).items()}
    decisions["network"] = DECIDE(network, policy, portfolio)
    decisions["told"] = finite_population.of_policy(
        network, policy, portfolio, part.length
    )

    def both(x):
        x = np.asarray(x, np.float64)
        costs = (
            empirical.expected_cost(part, x, q),
            empirical.unseen_cost(part, x, q, seen),
        )
        return [100.0 * float(cost.sum() / full - 1.0) for cost in costs]

    return {name: both(x) for name, x in decisions.items()}


def cell(kind, truth, network, params, fit, seeds, n, m, q) -> dict[str, float]:
    """Prints a row and returns the ratios to the best baseline."""
    runs = [
        excesses(kind, truth, network, params, fit, seed, n, m, q)
        for seed in range(seeds)
    ]
    mean = {key: np.mean([run[key] for run in runs], axis=0) for key in runs[0]}
    known = [key for key in mean if key not in ("network", "told")]
    best = min(known, key=lambda key: mean[key][0])
    unseen = min(known, key=lambda key: mean[key][1])
    ratio = {
        "all": mean["network"][0] / mean[best][0],
        "told": mean["told"][0] / mean[best][0],
        "unseen": mean["network"][1] / mean[unseen][1],
    }
    shown = " ".join(f"{key} {value:.3f}" for key, value in ratio.items())
    print(
        f"{kind:12s} n={n:<5d} m={m:<3d} q={q:<4g} {best} {mean[best][0]:.2f}, "
        f"unseen {unseen} {mean[unseen][1]:.2f} | {shown}",
        flush=True,
    )
    return ratio


def main() -> None:
    """Parses the command line, runs the cells, prints geometric means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kinds", default=",".join((*demand_kinds.KINDS, "orange_juice"))
    )
    parser.add_argument("--weights", default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--finetune", action="store_true")
    args = parser.parse_args()
    compilation.keep_programs()
    load = checkpoint.load_network if args.weights else checkpoint.load_shipped
    network, params, _ = load(args.weights) if args.weights else load()
    fit = None
    if args.finetune:
        fit = finetune.make_fit(network, finetune.FinetuneConfig())
    found: dict[str, list[dict[str, float]]] = {}
    for kind in args.kinds.split(","):
        truth = truth_of(kind)
        largest = min(LARGEST, len(truth.length))
        for n in (largest,) if fit else (64, largest):
            # small portfolios differ most from draw to draw
            seeds = args.seeds * (3 if n == 64 else 1)
            for m in (5, 10, 20):
                for q in (0.9, 0.95):
                    ratio = cell(kind, truth, network, params, fit, seeds, n, m, q)
                    found.setdefault(kind, []).append(ratio)
    every = [ratio for ratios in found.values() for ratio in ratios]
    geometric = lambda rows, key: math.exp(np.mean([math.log(r[key]) for r in rows]))
    for key in ("all", "told", "unseen"):
        each = " ".join(f"{k} {geometric(v, key):.3f}" for k, v in found.items())
        worst = max(row[key] for row in every)
        above = sum(row[key] > 1.0 for row in every)
        print(
            f"{key:7s} mean {geometric(every, key):.4f} worst {worst:.3f} "
            f"above 1: {above} of {len(every)} | {each}"
        )


if __name__ == "__main__":
    main()
