"""Latent attention, linear in n, against full softmax attention between instances.

    python -m benchmarks.full_attention [--steps 1500] [--n 4096] [--seeds 6]

Two networks of one family, budget and seed: in one instances attend to latents that
attend to the instances, in the other to each other. Both are pretrained on the
gamma–Poisson world and decide for the same n instances of m = 5 observations; costs are
exact. A network whose instances attend to nothing says what attention is worth there.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from ptft_jax import compilation, pretrain, streams, types
from ptft_jax.model import Context, Network
from ptft_jax.worlds import gamma_poisson

WORLD = gamma_poisson.WORLD
SHAPE = {"width": 32, "observation_width": 16, "heads": 2, "num_blocks": 1}
M, Q = 5, 0.9


class FullNetwork(Network):
    """Every instance attends to every other; cost is quadratic in n."""

    def attend(self, inputs, present, stats, context: Context | None = None):
        """Instances after attention to those of the same portfolio."""
        x = self.encode(inputs, stats)
        for block in range(self.num_blocks):
            found = self.collect[block].gather(x, x, present)
            x = self.think[block](self.collect[block].take(x, found))
        return x, Context(stats, ())


class LonelyNetwork(Network):
    """Instances know the statistics of their portfolio and nothing else of it."""

    def attend(self, inputs, present, stats, context: Context | None = None):
        """Instances after the perceptrons alone."""
        x = self.encode(inputs, stats)
        for block in range(self.num_blocks):
            x = self.think[block](x)
        return x, Context(stats, ())


NETWORKS = {
    "latent": Network(**SHAPE),
    "full": FullNetwork(**SHAPE),
    "none": LonelyNetwork(**SHAPE),
}


def _ratio(network, params, key, n):
    """Cost of a network's decisions over that of Bayes, on one portfolio."""
    law_key, row_key, demand_key = jax.random.split(key, 3)
    law = WORLD.sample_law(law_key)
    instances = WORLD.sample_instances(row_key, law, n)
    seen = types.portfolio(WORLD.sample_demand(demand_key, instances, M), Q)
    cost = lambda x: WORLD.expected_cost(instances, x, seen.quantile).sum()
    x = jnp.round(network.apply(params, seen).base)
    return cost(x) / cost(WORLD.bayes_decision(law, seen))


def main() -> None:
    """Prints costs over Bayes and their differences, paired by portfolio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--n", type=int, default=4096)
    parser.add_argument("--seeds", type=int, default=6)
    args = parser.parse_args()
    compilation.keep_programs()
    config = pretrain.PretrainConfig(
        num_steps=args.steps,
        shapes=((32, 64, 8), (8, 256, 8), (2, 1024, 8)),
        learning_rate=3e-3,
    )
    ratios = {}
    for name, network in NETWORKS.items():
        start = time.perf_counter()
        params, _ = pretrain.run(
            network, config, jax.random.key(0), sample_example=WORLD.sample_example
        )
        ratio = jax.jit(_ratio, static_argnums=(0, 3))
        keys = [streams.cell_key(seed, "attention", 0) for seed in range(args.seeds)]
        rows = [float(ratio(network, params, key, args.n)) for key in keys]
        ratios[name] = np.array(rows)
        error = ratios[name].std(ddof=1) / args.seeds**0.5
        seconds = time.perf_counter() - start
        print(
            f"{name}: cost over Bayes {ratios[name].mean():.4f} ± {error:.4f} at "
            f"n = {args.n} ({seconds:.0f} s)",
            flush=True,
        )
    for name in ("full", "none"):
        gap = ratios["latent"] / ratios[name] - 1.0
        print(
            f"latent over {name}: {gap.mean():+.3%} ± "
            f"{gap.std(ddof=1) / args.seeds**0.5:.3%}"
        )


if __name__ == "__main__":
    main()
