"""Time of a pretraining step, and the share of it that sampling takes.

    python -m benchmarks.pretraining_step [--repeats 5] [--profile DIR]

For each batch shape of the shipped configuration: the compiled program of `chunk` steps
as `pretrain.run` runs it, and the sampling of as many batches alone, in turns in one
process; medians. With `--profile`, the device's timeline of the timed calls is written
to DIR, for https://ui.perfetto.dev or `xprof DIR`.
"""

import argparse
import contextlib
import statistics
import time

import jax
import jax.numpy as jnp

from ptft_jax import checkpoint, pretrain, train
from ptft_jax.weights import make


def sampler(config: pretrain.PretrainConfig, shape: tuple[int, int, int]):
    """Draws `chunk` batches one after the other; its result depends on all of them."""
    num_portfolios, n, m = shape

    def step(total, key):
        one = lambda key: pretrain.BROAD_PRIOR(
            key, n, m, config.num_quantiles, config.num_future
        )
        batch = jax.vmap(one)(jax.random.split(key, num_portfolios))
        return total + sum(leaf.sum() for leaf in jax.tree.leaves(batch)), None

    return jax.jit(lambda keys: jax.lax.scan(step, jnp.zeros(()), keys)[0])


def seconds(program, *arguments) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    return time.perf_counter() - start


def main() -> None:
    """Prints one row a shape, and the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--profile", metavar="DIR")
    args = parser.parse_args()
    repeats = args.repeats
    network, config, _ = make.MADE[checkpoint.SHIPPED]
    optimizer = pretrain.make_optimizer(config)
    keys = jax.random.split(jax.random.key(0), config.chunk)
    params = jax.jit(pretrain.init_params, static_argnums=0)(network, keys[0])
    state = train.init(params, optimizer)
    steps, draws = [], []
    for shape in config.shapes:
        loss = pretrain.make_loss(network, config, shape)
        train_ = jax.jit(train.make_steps(loss, optimizer, config.average_decay))
        sample = sampler(config, shape)
        seconds(train_, state, keys)
        seconds(sample, keys)
        watched = contextlib.nullcontext()
        if args.profile:
            where = f"{args.profile}/{'x'.join(map(str, shape))}"
            watched = jax.profiler.trace(where, create_perfetto_trace=True)
        with watched:
            pairs = [
                (seconds(train_, state, keys), seconds(sample, keys))
                for _ in range(repeats)
            ]
        whole, alone = (
            statistics.median(column) for column in zip(*pairs, strict=True)
        )
        steps.append(whole)
        draws.append(alone)
        print(
            f"{shape!s:15} step {1e3 * whole / config.chunk:6.1f} ms, sampling "
            f"{1e3 * alone / config.chunk:6.1f} ms, {alone / whole:.1%}"
        )
    print(
        f"mean step {1e3 * sum(steps) / len(steps) / config.chunk:.1f} ms, sampling "
        f"{sum(draws) / sum(steps):.1%}; {config.num_steps} steps take "
        f"{config.num_steps * sum(steps) / len(steps) / config.chunk / 60:.1f} min"
    )


if __name__ == "__main__":
    main()
