"""Makes the shipped weights from nothing: `python -m ptft_jax.weights.make [NAME]`.

The same seed on the same versions, kind of device and number of cores gives the same
file; newsvendor is of one core (`taskset -c 0`), the others of two. Interrupted, it
goes on from its last checkpoint.
"""

import argparse
import pathlib
import sys
import time
from typing import Any

import jax

from ptft_jax import checkpoint, pretrain
from ptft_jax.means import pretrain as means_pretrain
from ptft_jax.method import catalog
from ptft_jax.model import Network

# the better of two seeds on demand unlike the prior; 0 where there is no entry
SEEDS = {checkpoint.SHIPPED: 1}
# Network, configuration, and what `pretrain.run` must know beside them.
MADE: dict[str, tuple[Any, pretrain.PretrainConfig, dict[str, Any]]] = {
    checkpoint.SHIPPED: (
        Network(),
        pretrain.PretrainConfig(num_steps=24_000, matrix_rate=0.01),
        {},
    ),
    means_pretrain.SHIPPED: (
        means_pretrain.NETWORK,
        means_pretrain.CONFIG,
        means_pretrain.KIND,
    ),
    **{
        name: (made.network, made.config, made.kind)
        for name, made in catalog.PRETRAINED.items()
    },
}


def main() -> None:
    """Pretrains one of the shipped networks and writes it beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "name", nargs="?", choices=list(MADE), default=checkpoint.SHIPPED
    )
    name = parser.parse_args().name
    network, config, kind = MADE[name]
    start = time.perf_counter()

    def report(step: int, loss: float) -> None:
        if step % 500 == 0:
            seconds = time.perf_counter() - start
            print(
                f"step {step} of {config.num_steps}  loss {loss:.4f}  {seconds:.0f} s"
            )
            sys.stdout.flush()

    path = pathlib.Path(__file__).with_name(f"{name}.safetensors")
    state = path.with_suffix(".state")
    resumed = state.exists()
    seed = SEEDS.get(name, 0)
    key = jax.random.key(seed)
    params, _ = pretrain.run(network, config, key, path=state, report=report, **kind)
    checkpoint.save_network(
        path,
        network,
        params,
        seed=seed,
        config=repr(config),
        jax=jax.__version__,
        device=jax.devices()[0].device_kind,
        seconds=None if resumed else round(time.perf_counter() - start),
    )
    state.unlink()
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
