"""Fine-tune, certify and compare with the exact risk, thousands of times.

The world is Gaussian. Instance i has a level θ_i ~ N(0, τ²), m past observations of
variance s² around it, and l held-out ones around θ_i + a_i: the level moves by
a_i ~ N(0, α²), so the held-out observations of one instance are correlated. The
decision with weight w, and what demand exceeds it by, are

  x_w = w x̄ + (1−w) b + Φ⁻¹(q) σ_w,   Y − x_w ~ N(−(1−w) b − Φ⁻¹(q) σ_w, σ_w²),
  σ_w² = (1−w)² τ² + w² s²/m + α² + s²,

b ≠ 0 being the mean that pretraining believed in. Fine-tuning is the Gibbs posterior
∝ exp(−η Σ loss) over a grid of weights with uniform prior, so KL and risk are exact.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from theory import checks, evidence, verdict

TAU2, NOISE2, SHIFT2 = 1.0, 1.0, 2.0
PAST, HELD_OUT = 4, 10
BELIEF = 0.8
QUANTILE = 0.8
WEIGHTS = np.linspace(0.0, 1.0, 11)
START = 0.5  # weight of the pretrained policy, at the centre of the grid
TEMPERATURE = 4.0  # η
LARGEST_COST = 4.0
INSTANCES = 40
BLOCK = 500  # replications simulated at once at n = INSTANCES

WORLDS = ("newsvendor", "stock-out")


class Drawn(NamedTuple):
    """One replication: what a bound is told, δ to be filled in, and the truth."""

    told: evidence.Evidence
    risk: float


class Block(NamedTuple):
    """Losses of all weights j, to fine-tune on, and of l held-out observations."""

    train: Float[np.ndarray, "r n j"]
    fresh: Float[np.ndarray, "r n l j"]


class Demand(NamedTuple):
    """Instances of many replications.

    Attributes:
      held_out: (r, n, l) demand that the decisions are scored on.
      past: (r, n) mean of the m past observations.
    """

    held_out: Float[np.ndarray, "r n l"]
    past: Float[np.ndarray, "r n"]


def spread(weight: Float[np.ndarray, "j"]) -> Float[np.ndarray, "j"]:
    """σ_w, the standard deviation of what demand exceeds the decision by.

    Args:
      weight: w in [0, 1].

    Returns:
      σ_w > 0.
    """
    known = (1.0 - weight) ** 2 * TAU2 + weight**2 * NOISE2 / PAST
    return np.sqrt(known + SHIFT2 + NOISE2)


def losses(world: str, excess: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Loss of what demand exceeds the decision by.

    newsvendor: min(q e⁺ + (1−q) e⁻, B) / B, stock-out: 1{e > 0}.

    Args:
      world: one of `WORLDS`.
      excess: e.

    Returns:
      In [0, 1].
    """
    if world == "stock-out":
        return (excess > 0.0).astype(float)
    cost = np.maximum(QUANTILE * excess, (QUANTILE - 1.0) * excess)
    return np.minimum(cost, LARGEST_COST) / LARGEST_COST


def risks(world: str) -> Float[np.ndarray, "j"]:
    """Exact risk of every weight.

    With e ~ N(μ, σ²) and g(t) = E(e−t)⁺ = σ φ(z) + (μ−t) Φ(z), z = (μ−t)/σ:
    E min(e⁺, a) = g(0) − g(a), and the same for −e.

    Args:
      world: one of `WORLDS`.

    Returns:
      Mean loss in [0, 1], by weight.
    """
    sigma = spread(WEIGHTS)
    mean = -(1.0 - WEIGHTS) * BELIEF - special.ndtri(QUANTILE) * sigma
    if world == "stock-out":
        return special.ndtr(mean / sigma)

    def capped(mean: Float[np.ndarray, "j"], cap: float) -> Float[np.ndarray, "j"]:
        def above(level: float) -> Float[np.ndarray, "j"]:
            z = (mean - level) / sigma
            return sigma * stats.norm.pdf(z) + (mean - level) * special.ndtr(z)

        return above(0.0) - above(cap)

    short = QUANTILE * capped(mean, LARGEST_COST / QUANTILE)
    left = (1.0 - QUANTILE) * capped(-mean, LARGEST_COST / (1.0 - QUANTILE))
    return (short + left) / LARGEST_COST


def blocks(
    world: str, replications: int, seed: int = 0, instances: int = INSTANCES
) -> Iterator[Block]:
    """Losses of every weight in many replications, at most `BLOCK` of them at a time.

    Args:
      world: one of `WORLDS`.
      replications: how many in all.
      seed: of the draws.
      instances: n.

    Yields:
      Blocks.

    Raises:
      ValueError: the world is not known, no replication is asked for, or n = 0.
    """
    if world not in WORLDS:
        raise ValueError(f"world = {world!r}, expected one of {WORLDS}")
    replications = checks.count("replications", replications)
    instances = checks.count("instances", instances)
    rng = np.random.default_rng([seed, WORLDS.index(world)])
    # fewer at once where n is large, for memory
    step = min(BLOCK, max(1, BLOCK * INSTANCES // instances))
    for start in range(0, replications, step):
        shape = (min(step, replications - start), instances)
        train = _by_weight(world, _demand(rng, shape, 1))[..., 0, :]
        yield Block(train, _by_weight(world, _demand(rng, shape, HELD_OUT)))


def gibbs(
    train: Float[np.ndarray, "r n j"], temperature: float = TEMPERATURE
) -> Float[np.ndarray, "r j"]:
    """Posterior ∝ exp(−η Σ_i loss_ij) over the weights, uniform prior.

    Args:
      train: losses of every weight.
      temperature: η ≥ 0; 0 gives the prior.

    Returns:
      Probabilities.
    """
    return special.softmax(-temperature * train.sum(axis=1), axis=-1)


def draw(
    world: str, replications: int, seed: int = 0, instances: int = INSTANCES
) -> Iterator[Drawn]:
    """Replications of fine-tuning on n instances and certifying on n fresh ones.

    Args:
      world: one of `WORLDS`.
      replications: how many.
      seed: the first replications of a longer run are not those of a shorter one.
      instances: n.

    Yields:
      Evidence and exact risk.

    Raises:
      ValueError: the world is not known, no replication is asked for, or n = 0.
    """
    exact = risks(world)
    for block in blocks(world, replications, seed, instances):
        posterior = gibbs(block.train)
        train_losses = np.einsum("rnj,rj->rn", block.train, posterior)
        scored = np.einsum("rnlj,rj->rnl", block.fresh, posterior)
        # a mean of zeros and ones may round to just above 1
        scored, train_losses = scored.clip(0.0, 1.0), train_losses.clip(0.0, 1.0)
        for array in (scored, train_losses):
            array.setflags(write=False)
        kl = special.rel_entr(posterior, 1.0 / len(WEIGHTS)).sum(axis=-1)
        moved = np.abs(posterior @ WEIGHTS - START)
        risk = posterior @ exact
        for r in range(len(risk)):
            told = evidence.Evidence(
                losses=scored[r, :, 0],
                n=instances,
                delta=0.05,
                train_losses=train_losses[r],
                kl=float(kl[r]),
                radius=START,
                parameter_norms=(float(moved[r]),),
                observation_losses=scored[r],
                loss_range=LARGEST_COST if world == "newsvendor" else 1.0,
            )
            yield Drawn(told, float(risk[r]))


def violations(
    bound: Callable[[evidence.Evidence], float],
    world: str,
    deltas: tuple[float, ...],
    replications: int,
    seed: int = 0,
    instances: int = INSTANCES,
) -> list[verdict.Case]:
    """Observed violation rates with their exact binomial tests.

    Args:
      bound: U.
      world: one of `WORLDS`.
      deltas: each δ in (0, 1); all see the same replications.
      replications: how many, one call each and δ.
      seed: of the replications.
      instances: n.

    Returns:
      One case a δ.
    """
    misses = dict.fromkeys(deltas, 0)
    for told, risk in draw(world, replications, seed, instances):
        for delta in deltas:
            misses[delta] += bound(told._replace(delta=delta)) < risk
    where = f"{world}, n = {instances}"
    return [
        verdict.sampled("fine-tuned and certified", where, delta, count, replications)
        for delta, count in misses.items()
    ]


def _demand(rng: np.random.Generator, shape: tuple[int, int], held_out: int) -> Demand:
    level = np.sqrt(TAU2) * rng.standard_normal(shape)
    past = level + np.sqrt(NOISE2 / PAST) * rng.standard_normal(shape)
    moved = level + np.sqrt(SHIFT2) * rng.standard_normal(shape)
    noise = np.sqrt(NOISE2) * rng.standard_normal((*shape, held_out))
    return Demand(moved[..., None] + noise, past)


def _by_weight(world: str, demand: Demand) -> Float[np.ndarray, "r n l j"]:
    """The losses of every weight."""
    decision = demand.past[..., None] * WEIGHTS + (1.0 - WEIGHTS) * BELIEF
    decision += special.ndtri(QUANTILE) * spread(WEIGHTS)
    return losses(world, demand.held_out[..., None] - decision[..., None, :])
