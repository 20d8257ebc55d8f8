"""The pretrained network's cost over the Bayes cost, in the gamma–Poisson world.

    python -m benchmarks.conjugate_world [--steps 4000]

Two networks: the shipped one, which knows the broad prior only, and one pretrained on
the world's own prior (kept under results/). Laws are drawn from its hyper-prior,
m = 5. The Bayes decision knows the law; hierarchical Bayes infers it from the portfolio
and is the limit of what a network can do. A figure is the mean over portfolios of
Σ cost/Σ Bayes cost, ± its standard error; costs are exact.
"""

import argparse
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
from ptft_jax.worlds import WORLDS

WORLD = WORLDS["gamma_poisson"]
DECIDE = jax.jit(risk.decide, static_argnums=0)
SAMPLE_LAW = jax.jit(WORLD.sample_law)
SAMPLE_INSTANCES = jax.jit(WORLD.sample_instances, static_argnums=2)
SAMPLE_DEMAND = jax.jit(WORLD.sample_demand, static_argnums=2)


def own_network(steps: int, path: pathlib.Path):
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
            sample_example=WORLD.sample_example,
            report=report,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save_network(path, network, params, steps=steps)
    return checkpoint.load_network(path)[:2]


def ratios(networks, seed: int, n: int, m: int, q: float) -> dict[str, float]:
    """Σ cost/Σ Bayes cost of each network and of hierarchical Bayes, one portfolio."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(2026), seed), 3)
    law = SAMPLE_LAW(keys[0])
    instances = SAMPLE_INSTANCES(keys[1], law, n)
    portfolio = types.portfolio(SAMPLE_DEMAND(keys[2], instances, m), q)
    decisions = {
        name: DECIDE(network, risk.single(network, params), portfolio)
        for name, (network, params) in networks.items()
    }
    decisions["hierarchical Bayes"] = oracle.hierarchical_bayes(WORLD, portfolio)
    decisions["gamma_poisson_eb"] = baselines.COUNTS["gamma_poisson_eb"](portfolio)
    quantile = jnp.full(n, q)
    cost = lambda x: oracle.expected_cost(WORLD, instances, x, quantile).sum()
    least = cost(oracle.bayes(WORLD, law, portfolio))
    return {name: float(cost(x) / least) for name, x in decisions.items()}


def main() -> None:
    """Prints the ratios at several quantiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--portfolios", type=int, default=100)
    parser.add_argument("--instances", type=int, default=512)
    parser.add_argument("--weights", default=None, help="instead of the shipped ones")
    parser.add_argument("--out", type=pathlib.Path, default="results/conjugate_world")
    args = parser.parse_args()
    compilation.keep_programs()
    load = checkpoint.load_network if args.weights else checkpoint.load_shipped
    shipped = load(args.weights) if args.weights else load()
    networks = {"broad prior": shipped[:2]}
    path = args.out / f"gamma_poisson_{args.steps}.safetensors"
    if args.steps:
        networks["own prior"] = own_network(args.steps, path)
    for q in (0.5, 0.9, 0.95):
        rows = [
            ratios(networks, seed, args.instances, 5, q)
            for seed in range(args.portfolios)
        ]
        for name in rows[0]:
            values = np.array([row[name] for row in rows])
            error = values.std(ddof=1) / np.sqrt(len(values))
            print(f"q={q:<5g}{name:20s}{values.mean():.4f} ± {error:.4f}", flush=True)


if __name__ == "__main__":
    main()
