"""Pretraining of the allocation network on the broad prior over mixtures."""

from typing import Any

from ptft_jax import checkpoint
from ptft_jax.method import pretrain
from ptft_jax.method.network import Across
from ptft_jax.pretrain import PretrainConfig
from ptft_jax.problems.allocation import NUM_OUTPUTS
from ptft_jax.worlds import allocation

SHIPPED = "allocation"
NETWORK = Across(NUM_OUTPUTS, width=48, num_latents=16, num_blocks=2, heads=4)
CONFIG = PretrainConfig(
    num_steps=4000,
    shapes=((40, 32, 1), (6, 384, 1)),
    learning_rate=3e-3,
)
# What `ptft_jax.pretrain.run` needs to know.
KIND: dict[str, Any] = pretrain.kind(allocation.WORLD, 1)


def load_shipped() -> tuple[Across, Any, dict[str, Any]]:
    """The pretrained allocation network that comes with the package.

    Returns:
      The Transformer, its parameters, and what made it.
    """
    return checkpoint.load_shipped(
        SHIPPED, make_network=Across, init_params=KIND["init_params"]
    )
