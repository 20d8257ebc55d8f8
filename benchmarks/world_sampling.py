"""Time of drawing a pretraining batch, beside the textbook samplers.

    python -m benchmarks.world_sampling [--repeats 15]

The worlds draw counts by inverse transform, a fixed number of
operations; `jax.random.poisson` and `jax.random.gamma` reject until the last draw of
the batch is accepted. Both draw 32 portfolios of 64 instances, in turns in one process.
A figure is a median; a ratio above 1 says how many times slower the textbook is.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from unittest import mock

import jax
import jax.numpy as jnp

from ptft_jax.worlds import WORLDS, transforms

NUM_PORTFOLIOS, NUM_INSTANCES, NUM_QUANTILES, NUM_FUTURE = 32, 64, 3, 16


def textbook_poisson(u: jax.Array, rate: jax.Array) -> jax.Array:
    """Poisson draws by rejection; the first uniform becomes the key."""
    bits = jax.lax.bitcast_convert_type(u.ravel()[0], jnp.uint32)
    key = jax.random.key(bits)
    return jax.random.poisson(key, rate, u.shape).astype(u.dtype)


def textbook_gamma(key: jax.Array, shape: jax.Array) -> jax.Array:
    """Gamma(shape, 1) draws by rejection."""
    return jax.random.gamma(key, shape)


def compiled(sample_example: Callable, num_observations: int) -> Callable:
    """The batch as one compiled program of a key."""
    one = lambda key: sample_example(
        key, NUM_INSTANCES, num_observations, NUM_QUANTILES, NUM_FUTURE
    )
    batch = lambda key: jax.vmap(one)(jax.random.split(key, NUM_PORTFOLIOS))
    return jax.jit(batch).lower(jax.random.key(0)).compile()


def timed(program: Callable, key: jax.Array) -> tuple[float, float]:
    """Wall and process time of one call, ms."""
    wall, cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(program(key))
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def compare(name: str, sample_example: Callable, m: int, repeats: int) -> None:
    """Prints one row: both medians and their ratio, wall and process time."""
    ours = compiled(sample_example, m)
    with (
        mock.patch.object(transforms, "poisson_quantile", textbook_poisson),
        mock.patch.object(transforms, "gamma", textbook_gamma),
    ):
        textbook = compiled(sample_example, m)
    times = []
    for key in jax.random.split(jax.random.key(1), repeats + 1):
        times.append((*timed(ours, key), *timed(textbook, key)))
    # the first call pays for buffers
    wall, cpu, slow_wall, slow_cpu = map(
        statistics.median, zip(*times[1:], strict=True)
    )
    print(
        f"{name:<14}{m:>4}{wall:>9.1f}{slow_wall:>10.1f}{slow_wall / wall:>7.1f}"
        f"{cpu:>10.1f}{slow_cpu:>10.1f}{slow_cpu / cpu:>7.1f}"
    )


def main() -> None:
    """Compares on two worlds and two numbers of observations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {repeats} repeats")
    print(f"{'':<18}{'wall, ms':>9}{'textbook':>10}{'ratio':>7}", end="")
    print(f"{'cpu, ms':>10}{'textbook':>10}{'ratio':>7}")
    for m in (8, 32):
        for name in ("demand", "gamma_poisson"):
            compare(name, WORLDS[name].sample_example, m, repeats)


if __name__ == "__main__":
    main()
