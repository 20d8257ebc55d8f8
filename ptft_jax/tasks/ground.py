"""What cells in one simulated world share: a pretrained policy, and fresh instances."""

import functools
import pathlib
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Key

from ptft_jax.paths import policy, problem, worlds
from ptft_jax.paths.policy import Frozen, PolicyConfig
from ptft_jax.paths.problem import Problem
from ptft_jax.paths.worlds import Instances, PathWorld
from ptft_jax.streams import cell_key
from ptft_jax.task import Swept
from theory import checks


class Ground(NamedTuple):
    """A world of `ptft paths`, and the policy pretrained on its synthetic law.

    Attributes:
      path_world: the world.
      m: observations of each instance.
      frozen: the pretrained policy.
      problem: its cost and its solver; nothing of it depends on the mismatch.
    """

    path_world: PathWorld
    m: int
    frozen: Frozen
    problem: Problem


@functools.lru_cache(maxsize=8)
def prepare(
    world: str, observations: int, width: int, num_steps: int, folder: pathlib.Path
) -> Ground:
    """Pretrains the policy of a world, or reads it where that has been done.

    Args:
      world: name.
      observations: m of each instance, 0 for the world's own.
      width: of the network.
      num_steps: of pretraining.
      folder: the network is kept in its `networks`.

    Returns:
      The ground, the same for the same arguments.
    """
    path_world = worlds.WORLDS[world]
    m = observations or path_world.observations
    config = PolicyConfig(width=width, num_steps=num_steps)
    frozen = policy.make(path_world, m, config, folder / "networks")
    solved = problem.make(path_world, 0.0, m, width)
    return Ground(path_world, m, frozen, solved)


def check(config: Any, swept: Swept) -> None:
    """Refuses cells that no world can have.

    Args:
      config: static configuration of a task in a world.
      swept: n and mismatch are looked at.

    Raises:
      ValueError: naming the value and what is possible.
    """
    world, n_max = config.world, config.n_max
    for name, least in (("pool", 1), ("num_steps", 10), ("observations", 0)):
        checks.count(name, getattr(config, name), least)
    if config.width < 8 or config.width % 8:
        raise ValueError(f"width must be a multiple of 8, got {config.width}")
    if world not in worlds.WORLDS:
        raise ValueError(f"world {world!r} is not known; there are {[*worlds.WORLDS]}")
    if not 4 <= swept["n"] <= n_max:
        raise ValueError(f"n must be in [4, n_max = {n_max}], got {swept['n']}")
    checks.number("mismatch", swept["mismatch"], 0.0, worlds.WORLDS[world].largest)


def draw(
    ground: Ground, key: Key[Array, ""], mismatch: Float[Array, ""], n: int
) -> tuple[Any, Instances]:
    """Instances of the real law; the mismatch may be traced.

    Args:
      ground: of the world.
      key: typed PRNG key.
      mismatch: of the real law.
      n: instances.

    Returns:
      The hidden types, and the instances with their labels.
    """
    world, law = ground.path_world.law_of(mismatch)
    return worlds.draw(world, law, ground.path_world, key, n, ground.m)


class Pool(NamedTuple):
    """Fresh instances, the same for all seeds, n and methods.

    Attributes:
      world: of the real law.
      types: hidden.
      instances: with labels.
      bayes: expected cost of the Bayes decision, each instance.
      quantile: critical ratios.
    """

    world: Any
    types: Any
    instances: Instances
    bayes: Float[Array, "n"]
    quantile: Float[Array, "n"]


def pool(ground: Ground, mismatch: Float[Array, ""], size: int) -> Pool:
    """Fresh instances of the real law.

    Args:
      ground: of the world.
      mismatch: of the real law.
      size: instances.

    Returns:
      The pool.
    """
    world, law = ground.path_world.law_of(mismatch)
    types, instances = draw(ground, cell_key(0, "sweep pool", 0), mismatch, size)
    best = world.bayes_decision(law, instances.portfolio)
    quantile = instances.portfolio.quantile
    bayes = world.expected_cost(types, best, quantile)
    return Pool(world, types, instances, bayes, quantile)


def regret(fresh: Pool, x: Float[Array, "n"]) -> Float[Array, ""]:
    """Mean expected cost of decisions above the Bayes decisions', given the types.

    Args:
      fresh: the pool.
      x: decisions on its instances.

    Returns:
      The regret; by luck of the pool it can be below 0.
    """
    cost = fresh.world.expected_cost(fresh.types, x, fresh.quantile)
    return (cost - fresh.bayes).mean()
