"""Fine-tuned and pretrained excess cost against every baseline on real demand.

`python -m benchmarks.real_demand rossmann --n 1115 --seeds 5` prints the rows of each
cell: excess over full information in percent, and its ratio to the best baseline. `all`
scores on all periods, of which the data are part; `told` does when every method is told
of how many (`finite_population`); `unseen` scores on the others.
Finished seeds are kept under results/, by weights and configuration, and not run again.
"""

import argparse
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import datasets
from ptft_jax import (
    baselines,
    checkpoint,
    compilation,
    empirical,
    finetune,
    finite_population,
    provenance,
    risk,
    store,
    streams,
    types,
)

CONTINUOUS = ("saa", "pooled_loo", "shrunken_saa", "lognormal_eb", "global_qr")
COUNTS = ("saa", "shrunken_saa", "npmle_negbin", "gamma_poisson_eb")


def rules(name: str) -> dict:
    """The baselines of a data set."""
    if name == "rossmann":
        return {key: baselines.NEWSVENDOR[key] for key in CONTINUOUS}
    return {key: baselines.COUNTS[key] for key in COUNTS}


def sample(truth, protocol, seed, n, m):
    """Truth and data of one portfolio."""
    rng = streams.generator(seed, f"real demand {protocol} {n} {m}")
    part = empirical.take(truth, rng.permutation(len(truth.length))[:n])
    if protocol == "iid":
        return part, empirical.sample_iid(part, rng, m)
    past, future = empirical.sample_rolling(part, rng, m)
    return empirical.from_columns(future.T), past


def run_seed(name, truth, protocol, seed, n, m, q, shipped, fit) -> dict:
    """Excess cost of every method on one portfolio, scored in three ways."""
    network, params, _ = shipped
    part, observed = sample(truth, protocol, seed, n, m)
    portfolio = types.portfolio(jnp.asarray(observed, jnp.float32), q)
    full = empirical.expected_cost(part, empirical.full_information(part, q), q).sum()

    def excess(x):
        x = np.asarray(x, np.float64)
        return float(empirical.expected_cost(part, x, q).sum() / full - 1.0)

    def unseen(x):
        cost = empirical.unseen_cost(part, x, q, observed)
        return float(cost.sum() / full - 1.0)

    found = fit(params, portfolio, jax.random.key(seed))
    known = rules(name)
    policies = {"pretrained": risk.single(network, params), "finetuned": found.policy}
    plain = {key: rule(portfolio) for key, rule in known.items()}
    plain |= {key: DECIDE(network, p, portfolio) for key, p in policies.items()}
    result = {"all": {key: excess(x) for key, x in plain.items()}}
    if protocol == "iid":
        of_rule, of_policy = finite_population.of_rule, finite_population.of_policy
        told = {
            key: of_rule(f, portfolio, part.length)
            for key, f in known.items()
            if key != REFITTED
        }
        told |= {
            key: of_policy(network, policy, portfolio, part.length)
            for key, policy in policies.items()
        }
        result["told"] = {key: excess(x) for key, x in told.items()}
        result["unseen"] = {key: unseen(x) for key, x in plain.items()}
    result["chosen"] = f"{found.chosen.name} {found.chosen.dial:g}"
    return result


DECIDE = jax.jit(risk.decide, static_argnums=0)
NETWORKS = ("pretrained", "finetuned")
REFITTED = "global_qr"  # anew at each of the m + 1 levels: too slow to be told N


def cell(name, truth, protocol, n, m, q, seeds, shipped, fit, out) -> None:
    """Runs the seeds of a cell that are not on disk and prints its rows."""
    results = []
    for seed in seeds:
        path = out / f"{name}-{protocol}-{n}-{m}-{q}-{seed}.json"
        if not path.exists():
            record = run_seed(name, truth, protocol, seed, n, m, q, shipped, fit)
            path.write_text(json.dumps(record))
            compilation.spare_mappings()
        results.append(json.loads(path.read_text()))
    print(f"{name} {protocol} n={n} m={m} q={q:g}")
    for scored in ("all", "told", "unseen"):
        if scored in results[0]:
            print(f"  {scored:6s} {_row(scored, results)}")
    print(f"  chosen {', '.join(result['chosen'] for result in results)}", flush=True)


def _row(scored, results) -> str:
    """Every method's mean, and the fine-tuned network's lead on the best baseline."""
    column = {
        key: 100.0 * np.array([result[scored][key] for result in results])
        for key in results[0][scored]
    }
    error = lambda x: x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.nan
    best = lambda columns: min(
        (key for key in columns if key not in NETWORKS),
        key=lambda key: columns[key].mean(),
    )
    first = best(column)
    text = " ".join(f"{k} {x.mean():.2f}±{error(x):.2f}" for k, x in column.items())
    mine = column["finetuned"]
    change = mine - column["pretrained"]
    text += f" | ft−pre {change.mean():+.2f}±{error(change):.2f}"
    text += f" | ft/{first} {mine.mean() / column[first].mean():.3f}"
    if scored == "told":
        plain = {
            key: 100.0 * np.array([result["all"][key] for result in results])
            for key in results[0]["all"]
        }
        untold = best(plain)
        text += f" | ft/{untold} not told {mine.mean() / plain[untold].mean():.3f}"
    return text


def main() -> None:
    """Parses the command line and runs the cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=datasets.FILES)
    parser.add_argument("--n", default="max")
    parser.add_argument("--observations", default="5,10,20")
    parser.add_argument("--quantile", default="0.9,0.95")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--protocol", default="iid", choices=("iid", "rolling"))
    parser.add_argument("--weights", default=None)
    parser.add_argument("--out", default="results/real_demand", type=pathlib.Path)
    args = parser.parse_args()
    compilation.keep_programs()
    truth = datasets.truth(args.name)
    load = checkpoint.load_network if args.weights else checkpoint.load_shipped
    shipped = load(args.weights) if args.weights else load()
    config = finetune.FinetuneConfig()
    fit = finetune.make_fit(shipped[0], config)
    made_by = {"weights": provenance.fingerprint(shipped[1]), "config": repr(config)}
    out = args.out / store.cell_id(made_by)
    out.mkdir(parents=True, exist_ok=True)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    for n in args.n.split(","):
        size = len(truth.length) if n == "max" else int(n)
        for m in map(int, args.observations.split(",")):
            for q in map(float, args.quantile.split(",")):
                settings = (args.name, truth, args.protocol, size, m, q)
                cell(*settings, seeds, shipped, fit, out)


if __name__ == "__main__":
    main()
