"""Problems, worlds and pretrained networks by name, the newsvendor's aside."""

from typing import Any, NamedTuple

from ptft_jax import checkpoint
from ptft_jax.contextual import table as contextual_table
from ptft_jax.errors import UsageError
from ptft_jax.means import rule
from ptft_jax.method import pretrain
from ptft_jax.method.network import Across
from ptft_jax.pretrain import PretrainConfig
from ptft_jax.problems import pricing
from ptft_jax.problems.problem import Problem, ProblemWorld
from ptft_jax.worlds import (
    allocation,
    contextual,
    contextual_normal,
    means_worlds,
    pricing_loglog,
    pricing_prior,
    three_part,
)


class Pretrained(NamedTuple):
    """How the shipped network of a problem is made.

    Attributes:
      world: that it is pretrained on.
      network: the Transformer.
      config: of pretraining.
    """

    world: ProblemWorld
    network: Across
    config: PretrainConfig

    @property
    def kind(self) -> dict[str, Any]:
        """What `ptft_jax.pretrain.run` must know beside network and configuration."""
        return pretrain.kind(self.world, self.config.shapes[0][2])


def _means(world: ProblemWorld, num_steps: int = 5000) -> Pretrained:
    network = Across(rule.NUM_OUTPUTS, width=32)
    config = PretrainConfig(
        num_steps=num_steps,
        shapes=((6, 384, 1),),
        learning_rate=3e-3,
        matrix_rate=0.01,
    )
    return Pretrained(world, network, config)


PRETRAINED: dict[str, Pretrained] = {
    made.world.problem.name: made
    for made in (
        _means(means_worlds.GAUSSIAN),
        _means(means_worlds.BINOMIAL),
        _means(means_worlds.POISSON, num_steps=6000),
        Pretrained(
            allocation.WORLD,
            Across(
                allocation.WORLD.problem.num_outputs,
                width=48,
                num_latents=16,
                num_blocks=2,
                heads=4,
            ),
            PretrainConfig(
                num_steps=4000,
                shapes=((40, 32, 1), (6, 384, 1)),
                learning_rate=3e-3,
            ),
        ),
        Pretrained(
            pricing_prior.WORLD,
            Across(pricing.NUM_OUTPUTS),
            PretrainConfig(num_steps=4500, shapes=((6, 192, 20),), learning_rate=3e-3),
        ),
        Pretrained(
            contextual.WORLD,
            Across(4),
            PretrainConfig(
                num_steps=4000,
                shapes=((4, 96, 16),),
                learning_rate=3e-3,
                matrix_rate=0.01,
            ),
        ),
    )
}
PROBLEMS: dict[str, Problem] = {
    name: made.world.problem for name, made in PRETRAINED.items()
}
WORLDS: dict[str, ProblemWorld] = {
    world.name: world
    for world in (
        *(made.world for made in PRETRAINED.values()),
        three_part.WORLD,
        pricing_loglog.WORLD,
        contextual_normal.WORLD,
    )
}

# Critical ratios that are taken where neither the command line nor the file gives one.
USUAL_QUANTILES = {"contextual": contextual_table.USUAL_QUANTILE}


def load(name: str, path: str | None = None) -> tuple[Across, Any]:
    """The pretrained network of a problem.

    Args:
      name: of the problem.
      path: of a file of weights, or None for those shipped.

    Returns:
      The Transformer and its parameters.

    Raises:
      UsageError: the file is absent or holds something else.
    """
    init_params = PRETRAINED[name].kind["init_params"]
    given = {"make_network": Across, "init_params": init_params}
    try:
        if path is None:
            return checkpoint.load_shipped(name, **given)[:2]
        return checkpoint.load_network(path, **given)[:2]
    except FileNotFoundError:
        missing = (
            f"{path} is not there" if path else f"no weights of {name} are shipped"
        )
        raise UsageError(
            f"{missing}; `ptft pretrain --problem {name} --out FILE` makes a network, "
            "and --weights FILE uses it"
        ) from None
    except Exception as error:
        # safetensors raises its own type for a file of another format
        if path is None:
            raise
        raise UsageError(f"{path} is not a network of {name}: {error}") from None
