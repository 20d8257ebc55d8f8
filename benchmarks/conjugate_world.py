"""The pretrained network's cost over that of hierarchical Bayes, in conjugate worlds.

    python -m benchmarks.conjugate_world [--worlds gamma_poisson] [--steps 4000]

The shipped network knows the broad prior only; with `--steps` another is pretrained on
each world's own prior (kept under results/). Laws are drawn from the world's
hyper-prior, m = 5. The Bayes decision knows the law; hierarchical Bayes infers it from
the portfolio and is the limit of what a network can do. Figures are means over
portfolios of Σ cost over Σ cost of Bayes and, paired, of hierarchical Bayes, ± standard
errors; costs are exact.
"""

import argparse
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from ptft_jax import (
    baselines,
    checkpoint,
    compilation,
    model,
    oracle,
    pretrain,
    risk,
    types,
)
from ptft_jax.worlds import WORLDS, World

M = 5
DECIDE = jax.jit(risk.decide, static_argnums=0)
PARAMETRIC_EB = {
    "gamma_poisson": baselines.COUNTS["gamma_poisson_eb"],
    "lognormal": baselines.NEWSVENDOR["lognormal_eb"],
}
LIMIT = "hierarchical Bayes"


def own_network(world: World, steps: int, path: pathlib.Path):
    """The default network, pretrained on the world's own prior."""
    if not path.exists():
        network, config = model.Network(), pretrain.PretrainConfig(num_steps=steps)

        def report(step, loss):
            if step % 500 == 0:
                print(f"pretraining: step {step} of {steps}, loss {loss:.4f}")

        params, _ = pretrain.run(
            network,
            config,
            jax.random.key(0),
            sample_example=world.sample_example,
            report=report,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save_network(path, network, params, steps=steps)
    return checkpoint.load_network(path)[:2]


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def draw(world: World, key, n: int, m: int):
    """A law, n instances of it and m observations of each."""
    keys = jax.random.split(key, 3)
    law = world.sample_law(keys[0])
    instances = world.sample_instances(keys[1], law, n)
    return law, instances, world.sample_demand(keys[2], instances, m)


def ratios(world: World, networks, seed: int, n: int, q: float) -> dict[str, float]:
    """Σ cost/Σ Bayes cost of each network and of hierarchical Bayes, one portfolio."""
    key = jax.random.fold_in(jax.random.key(2026), seed)
    law, instances, demand = draw(world, key, n, M)
    portfolio = types.portfolio(demand, q)
    decisions = {
        name: DECIDE(network, risk.single(network, params), portfolio)
        for name, (network, params) in networks.items()
    }
    decisions["parametric EB"] = PARAMETRIC_EB[world.name](portfolio)
    decisions[LIMIT] = oracle.hierarchical_bayes(world, portfolio)
    quantile = jnp.full(n, q)
    cost = lambda x: oracle.expected_cost(world, instances, x, quantile).sum()
    least = cost(oracle.bayes(world, law, portfolio))
    return {name: float(cost(x) / least) for name, x in decisions.items()}


def show(rows: list[dict[str, float]], head: str) -> None:
    """Prints means over portfolios."""
    limit = np.array([row[LIMIT] for row in rows])
    error = lambda x: x.std(ddof=1) / np.sqrt(len(x))
    for name in rows[0]:
        over = np.array([row[name] for row in rows])
        paired = over / limit
        print(
            f"{head} {name:20s}over Bayes {over.mean():.4f} ± {error(over):.4f}, over "
            f"hierarchical Bayes {paired.mean():.4f} ± {error(paired):.4f}",
            flush=True,
        )


def main() -> None:
    """Prints the ratios in each world at several quantiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", default=",".join(PARAMETRIC_EB))
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--portfolios", type=int, default=100)
    parser.add_argument("--instances", type=int, default=512)
    parser.add_argument("--weights", default=None, help="instead of the shipped ones")
    parser.add_argument("--out", type=pathlib.Path, default="results/conjugate_world")
    args = parser.parse_args()
    compilation.keep_programs()
    load = checkpoint.load_network if args.weights else checkpoint.load_shipped
    shipped = load(args.weights) if args.weights else load()
    for world in (WORLDS[name] for name in args.worlds.split(",")):
        networks = {"broad prior": shipped[:2]}
        if args.steps:
            path = args.out / f"{world.name}_{args.steps}.safetensors"
            networks["own prior"] = own_network(world, args.steps, path)
        for q in (0.5, 0.9, 0.95):
            seeds = range(args.portfolios)
            rows = [ratios(world, networks, k, args.instances, q) for k in seeds]
            show(rows, f"{world.name} q={q:g}")


if __name__ == "__main__":
    main()
