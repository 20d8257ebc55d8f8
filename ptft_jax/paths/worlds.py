"""The simulated worlds of the two paths, each with a dial for the mismatch of P and Q.

Networks are pretrained on the synthetic law P. The real law Q is P at mismatch 0.
Observations are cut at K, so that costs are bounded: the worlds are those of the cut
observations. Decision makers do not know of the cut; it touches fewer than one of 10⁶
observations at the mismatches offered.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ptft_jax.types import Portfolio
from ptft_jax.worlds import contaminated, gamma_poisson, gaussian_means
from ptft_jax.worlds.world import World
from theory import mismatch


class Instances(NamedTuple):
    """Instances drawn from a law, with a label that no decision has seen."""

    portfolio: Portfolio
    label: Float[Array, "n"]


class PathWorld(NamedTuple):
    """A world with a synthetic and a real law.

    Attributes:
      name: as `--world` takes it.
      description: one line.
      problem: newsvendor (of counts) or means.
      law_of: `mismatch -> (World, law)`; P at 0. The mismatch may be traced. The
        predictive law of an instance depends on its observations through their total.
      distance: `(mismatch, k) -> TV(P, Q)` of the law of k observations.
      quantile: critical ratio q; not used for means.
      cap: K, where demand is cut.
      observations: m of each instance, unless the user asks otherwise.
      mismatches: dials of a run, unless the user asks otherwise.
      largest: largest mismatch for which `cap` is beyond almost all demand.
    """

    name: str
    description: str
    problem: str
    law_of: Callable[[float | Float[Array, ""]], tuple[World, Any]]
    distance: Callable[[float, int], float]
    quantile: float
    cap: int
    observations: int
    mismatches: tuple[float, ...]
    largest: float


def draw(
    world: World,
    law: Any,
    path_world: PathWorld,
    key: Key[Array, ""],
    num_instances: int,
    num_observations: int,
) -> tuple[Any, Instances]:
    """Instances with m observations and one more as the label, all cut at K.

    Args:
      world: of the law.
      law: P or Q.
      path_world: its quantile and cap are used.
      key: typed PRNG key.
      num_instances: n.
      num_observations: m.

    Returns:
      The hidden types θ, and the instances.
    """
    type_key, demand_key = jax.random.split(key)
    types = world.sample_instances(type_key, law, num_instances)
    demand = world.sample_demand(demand_key, types, num_observations + 1)
    demand = jnp.clip(demand, -float(path_world.cap), float(path_world.cap))
    observed = demand[:, :num_observations]
    portfolio = Portfolio(
        observed,
        jnp.ones(observed.shape, bool),
        jnp.full(num_instances, path_world.quantile, jnp.float32),
    )
    return types, Instances(portfolio, demand[:, -1])


def drawer(path_world: PathWorld, mismatch: float, m: int) -> Callable[..., Any]:
    """Returns `(key, n) -> (types, Instances)`, compiled once an n.

    Args:
      path_world: the world.
      mismatch: of the law that is drawn from.
      m: observations of each instance.

    Returns:
      A sampler.
    """
    world, law = path_world.law_of(mismatch)

    def sample(key, n):
        return draw(world, law, path_world, key, n, m)

    return jax.jit(sample, static_argnums=1)


def _law(shape: float, mean: float | Float[Array, ""]) -> gamma_poisson.Law:
    return gamma_poisson.Law(
        jnp.asarray(shape, jnp.float32), jnp.asarray(mean, jnp.float32)
    )


def _negbin_distance(p: tuple[float, float], q: tuple[float, float], k: int) -> float:
    """TV of k Poisson observations with gamma rates: that of their totals."""
    (shape_p, mean_p), (shape_q, mean_q) = p, q
    return mismatch.negative_binomial(
        shape_p,
        shape_p / (shape_p + k * mean_p),
        shape_q,
        shape_q / (shape_q + k * mean_q),
    ).total_variation


SHAPE, MEAN = 20.0, 20.0


def _shifted(dial: float | Float[Array, ""]) -> tuple[World, Any]:
    return gamma_poisson.WORLD, _law(SHAPE, MEAN * jnp.exp(dial))


def _shifted_distance(dial: float, k: int) -> float:
    if dial == 0.0:
        return 0.0
    return _negbin_distance((SHAPE, MEAN), (SHAPE, MEAN * float(np.exp(dial))), k)


BROAD, OTHERS = (3.0, 10.0), (10.0, 25.0)


def _contaminated(eps: float | Float[Array, ""]) -> tuple[World, Any]:
    if not isinstance(eps, jax.core.Tracer) and eps == 0.0:
        return gamma_poisson.WORLD, _law(*BROAD)
    world = contaminated.contaminated(
        gamma_poisson.WORLD, gamma_poisson.WORLD, eps, "contaminated", ""
    )
    law = contaminated.Law(_law(*BROAD), _law(*OTHERS), jnp.asarray(eps))
    return world, law


def _contaminated_distance(eps: float, k: int) -> float:
    return eps * _negbin_distance(BROAD, OTHERS, k)


SPREAD2, NOISE2 = 0.5, 2.0


def _centered(gap: float | Float[Array, ""]) -> tuple[World, Any]:
    numbers = (gap, SPREAD2**0.5, NOISE2**0.5)
    law = gaussian_means.Law(*(jnp.asarray(x, jnp.float32) for x in numbers))
    return _GAUSSIAN, law


_GAUSSIAN = gaussian_means.world(NOISE2**0.5)


def _centered_distance(gap: float, k: int) -> float:
    sd = (SPREAD2 + NOISE2 / k) ** 0.5  # of the mean of k observations
    return mismatch.gaussian(0.0, sd, gap, sd).total_variation


WORLDS: dict[str, PathWorld] = {
    world.name: world
    for world in (
        PathWorld(
            "gaussian_means",
            "normal means, squared cost; mismatch = distance of the prior means",
            "means",
            _centered,
            _centered_distance,
            quantile=0.5,
            cap=10,
            observations=4,
            mismatches=(0.1, 0.3),
            largest=1.0,
        ),
        PathWorld(
            "gamma_poisson",
            "newsvendor, gamma rates; mismatch = log of the ratio of prior means",
            "newsvendor",
            _shifted,
            _shifted_distance,
            quantile=0.9,
            cap=100,
            observations=2,
            mismatches=(0.1, 0.3),
            largest=0.5,
        ),
        PathWorld(
            "contaminated",
            "newsvendor, broad rates; mismatch = share of instances of another law",
            "newsvendor",
            _contaminated,
            _contaminated_distance,
            quantile=0.9,
            cap=100,
            observations=2,
            mismatches=(0.2, 0.5),
            largest=1.0 - 1e-6,
        ),
    )
}
