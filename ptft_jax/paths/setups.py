"""What all samples of one world at one mismatch have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ptft_jax import head_gap, head_population
from ptft_jax.paths import certified, policy, predicted, problem, worlds
from ptft_jax.paths.gradients import GradientConfig
from ptft_jax.paths.policy import Decided, Frozen
from ptft_jax.paths.problem import Problem
from ptft_jax.paths.worlds import Instances, PathWorld
from ptft_jax.streams import cell_key
from theory import certificates


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    Attributes:
      radii: r_1 < … < r_J of the heads' balls; the last is hardly a constraint.
      path_radius: position of the radius of the PAC-Bayes path.
      pool: fresh instances that a regret is averaged over.
      far: instances that the best heads of each ball are fitted on.
      gradient_seeds: seeds of the gradient classes and of the own-context line.
      gradient: their training.
    """

    radii: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3)
    path_radius: int = 2
    pool: int = 1 << 17
    far: int = 1 << 16
    gradient_seeds: int = 4
    gradient: GradientConfig = field(default_factory=GradientConfig)


class Synthetic(NamedTuple):
    """The pretrained policy on fresh instances of P, with the real context fixed.

    Attributes:
      cost: R_P(φ₀).
      excess: R_P(φ₀) − R*_P.
      bracket: at least the excess, certified at 1 − BRACKET_SHARE·δ.
    """

    cost: float
    excess: float
    bracket: float


class Setup(NamedTuple):
    """What all samples of a part have in common."""

    path_world: PathWorld
    mismatch: float
    m: int
    frozen: Frozen
    problem: Problem
    decide: Callable[..., Decided]
    pool: Instances
    fresh: Decided
    cost_full: float
    world: certified.World
    quadratic: predicted.Quadratic
    synthetic: Synthetic


def set_up(
    path_world: PathWorld,
    mismatch: float,
    m: int,
    frozen: Frozen,
    effort: Effort,
    delta: float,
) -> Setup:
    """Draws the pools, and computes what does not depend on the samples.

    Args:
      path_world: the world.
      mismatch: of Q.
      m: observations of each instance.
      frozen: its pretrained policy.
      effort: sizes of the pools, and radii.
      delta: δ of every certificate.

    Returns:
      What the samples have in common.
    """
    solved = problem.make(path_world, mismatch, m, frozen.kind.network.width)
    decide = policy.make_decide(frozen, path_world.cap)
    draw = worlds.drawer(path_world, mismatch, m)
    types, pool = draw(cell_key(0, "paths pool", 0), effort.pool)
    fresh = decide(frozen.params, pool)
    far = decide(frozen.params, draw(cell_key(0, "paths far", 0), effort.far)[1])
    best, over = _best_heads(solved, effort.radii, far, fresh)
    synthetic = _synthetic(path_world, m, frozen, decide, effort.pool, delta)
    moments = solved.moments(far, problem.decisions(far, jnp.asarray(best[-1])))
    quadratic = predicted.Quadratic(
        *moments, best[-1], float(over.mean(1).min()), effort.radii[-1]
    )
    world = certified.World(
        problem=solved,
        radii=effort.radii,
        width=frozen.kind.network.width,
        approximation=approximation(over),
        bracket=synthetic.bracket,
        distance=path_world.distance(mismatch, m + 1),
        pretrain=float(over[0].mean()),
        bayes=float(solved.bayes(fresh.total).mean()),
        path_radius=effort.path_radius,
        delta=delta,
    )
    full = _full_information(path_world, mismatch, types)
    drawn = (frozen, solved, decide, pool, fresh, full)
    return Setup(path_world, mismatch, m, *drawn, world, quadratic, synthetic)


def _best_heads(solved: Problem, radii, far: Decided, fresh: Decided):
    """Heads fitted to `far`, one a ball, and regrets [j + 1, N] of φ₀ and of them."""
    weight = jnp.ones_like(far.label)
    solve = jax.jit(
        lambda far, radii: jax.lax.map(lambda r: solved.solve(far, weight, r), radii)
    )
    best = head_gap.project(np.asarray(solve(far, jnp.asarray(radii))), np.array(radii))
    regret = jax.jit(
        lambda u, fresh: solved.regret(problem.decisions(fresh, u), fresh.total)
    )
    tried = [np.zeros_like(best[0]), *best]
    over = [np.asarray(regret(jnp.asarray(u), fresh), np.float64) for u in tried]
    return best, np.stack(over)


def approximation(over: Float[np.ndarray, "k N"]) -> Float[np.ndarray, "j"]:
    """A_1, …, A_J from above: a head of a smaller ball is one of a larger ball.

    Args:
      over: regrets on fresh instances of φ₀ and of one head of each ball, which were
        not fitted to these instances.

    Returns:
      For each ball the least mean of its heads, 4 standard errors added; decreasing.
    """
    least = np.minimum.accumulate([head_population.upper(each) for each in over])
    return least[1:]


def _synthetic(path_world, m, frozen, decide, size, delta) -> Synthetic:
    """What fresh synthetic instances say of the pretrained policy."""
    solved = problem.make(path_world, 0.0, m, frozen.kind.network.width)
    key = cell_key(0, "paths synthetic", 0)
    decided = decide(frozen.params, worlds.drawer(path_world, 0.0, m)(key, size)[1])
    largest = solved.largest(0.0)
    regret = np.asarray(solved.regret(decided.base, decided.total), np.float64)
    bayes = np.asarray(solved.bayes(decided.total), np.float64).mean()
    share = certified.BRACKET_SHARE * delta
    excess = float(regret.mean())
    bracket = largest * certificates.betting(regret / largest, share)
    return Synthetic(float(bayes) + excess, excess, bracket)


def _full_information(path_world: PathWorld, mismatch: float, types: Any) -> float:
    """Mean cost of someone who knows every θ of the pool."""
    world, _ = path_world.law_of(mismatch)

    def cost(types):
        q = jnp.asarray(path_world.quantile)
        return world.expected_cost(types, world.full_information(types, q), q).mean()

    return float(jax.jit(cost)(types))
