"""The pretrained networks of the three problems of means."""

from typing import Any

from ptft_jax import checkpoint
from ptft_jax.method import pretrain
from ptft_jax.method.network import Across
from ptft_jax.pretrain import PretrainConfig
from ptft_jax.problems import means_rule
from ptft_jax.problems.problem import ProblemWorld
from ptft_jax.worlds import means_worlds

NETWORK = Across(num_outputs=means_rule.NUM_OUTPUTS, width=32)
CONFIG = PretrainConfig(
    num_steps=1200,
    shapes=((6, 384, 1),),
    learning_rate=3e-3,
    average_decay=0.995,
)
WORLDS = {
    world.name: world
    for world in (means_worlds.GAUSSIAN, means_worlds.BINOMIAL, means_worlds.POISSON)
}


def kind(name: str) -> dict[str, Any]:
    """What `ptft_jax.pretrain.run` must know of a problem's world.

    Args:
      name: of the world.

    Returns:
      Keyword arguments.
    """
    return pretrain.kind(WORLDS[name], 1)


def load(name: str) -> tuple[ProblemWorld, Across, Any]:
    """A pretrained network that comes with the package.

    Args:
      name: of the world.

    Returns:
      The world, the Transformer and its parameters.
    """
    init_params = kind(name)["init_params"]
    network, params, _ = checkpoint.load_shipped(
        name, make_network=Across, init_params=init_params
    )
    return WORLDS[name], network, params
