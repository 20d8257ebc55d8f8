"""What fine-tuning gains by fitting to more of a portfolio's instances.

    python -m benchmarks.fitted_instances

One portfolio of many instances, each with few observations of a law that no prior of
the network has (most periods next to nothing, some a large sale); fine-tuned on random
parts of it of several sizes, and judged by exact expected costs over all instances.
"""

import argparse
import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np

from ptft_jax import checkpoint, compilation, finetune, left_out, risk, types
from ptft_jax.problems import newsvendor

LEVELS = np.array([0.2, 0.25, 3.0])  # multiples of the instance's own, alike likely
NOISE = 0.1


def draw(rng: np.random.Generator, n: int, m: int, spread: float):
    """Levels of the instances, and observations."""
    level = rng.lognormal(1.5, spread, (n, 1))
    kind = rng.choice(LEVELS, (n, m))
    return level[:, 0], level * kind * rng.lognormal(0.0, NOISE, (n, m))


def expected(x: np.ndarray, level: np.ndarray, quantile: float) -> float:
    """Mean over the instances of the expected cost of their decisions."""
    with types.enable_x64(True):
        law = np.log(level[:, None] * LEVELS)
        cost = newsvendor.expected_cost_lognormal(
            jnp.asarray(x[:, None], float), law, NOISE, quantile
        )
        return float(cost.mean())


def main() -> None:
    """Prints the cost by the number of instances that were fitted to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=32_768)
    parser.add_argument("--observations", type=int, default=6)
    parser.add_argument("--quantile", type=float, default=0.6)
    parser.add_argument("--spread", type=float, default=0.5)
    parser.add_argument("--fitted", default="512,2048,8192,16384")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    compilation.keep_programs()
    network, params, _ = checkpoint.load_shipped()
    level, seen = draw(np.random.default_rng(0), args.n, args.observations, args.spread)
    portfolio = types.portfolio(jnp.asarray(seen, jnp.float32), args.quantile)
    cost = lambda policy: expected(
        left_out.decide(network, policy, portfolio), level, args.quantile
    )
    before = cost(risk.single(network, params))
    print(f"pretrained: {before:.5f}")
    for size in map(int, args.fitted.split(",")):
        config = dataclasses.replace(finetune.FinetuneConfig(), most_instances=size)
        fit, saved, start = finetune.make_fit(network, config), [], time.process_time()
        for seed in range(args.seeds):
            found = fit(params, portfolio, jax.random.key(seed))
            saved.append(1.0 - cost(found.policy) / before)
        busy = (time.process_time() - start) / args.seeds
        shown = ", ".join(f"{s:.3%}" for s in saved)
        print(
            f"{size:6d} fitted to: saves {np.mean(saved):.3%} ({shown}), "
            f"{found.chosen.name} {found.chosen.dial:g}; {busy:.0f} s of processor",
            flush=True,
        )


if __name__ == "__main__":
    main()
