"""Makes the shipped weights from nothing: `python -m ptft_jax.weights.make`.

The same seed on the same versions and kind of device gives the same file. Interrupted,
it goes on from its last checkpoint.
"""

import pathlib
import sys
import time

import jax

from ptft_jax import checkpoint, pretrain
from ptft_jax.model import Network

SEED = 0


def main() -> None:
    """Pretrains the newsvendor network and writes it beside this script."""
    network, config = Network(), pretrain.PretrainConfig()
    start = time.perf_counter()

    def report(step: int, loss: float) -> None:
        if step % 500 == 0:
            seconds = time.perf_counter() - start
            print(
                f"step {step} of {config.num_steps}  loss {loss:.4f}  {seconds:.0f} s"
            )
            sys.stdout.flush()

    path = pathlib.Path(__file__).with_name(f"{checkpoint.SHIPPED}.safetensors")
    state = path.with_suffix(".state")
    key = jax.random.key(SEED)
    params, _ = pretrain.run(network, config, key, path=state, report=report)
    checkpoint.save_network(
        path,
        network,
        params,
        seed=SEED,
        config=repr(config),
        jax=jax.__version__,
        device=jax.devices()[0].device_kind,
        seconds=round(time.perf_counter() - start),
    )
    state.unlink()
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
