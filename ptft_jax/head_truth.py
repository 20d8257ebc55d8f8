"""What the statements about a fold's heads are about, measured on fresh instances."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from ptft_jax import head_population, head_rows, two_path_rows
from ptft_jax.head_population import Population
from ptft_jax.path_certificates import PathBound
from ptft_jax.two_path_rows import RADII, Fitted

Tried = tuple[float, Float64[np.ndarray, "d"]]  # radius, head


class Truth(NamedTuple):
    """Means over the redraws of the population.

    Attributes:
      paths: risk by name of the bound.
      gaps: cut cost of the chosen head over that of the best of each ball, at most.
      excess: cut cost of the chosen head less that of Bayes, nothing cut; None where
        Bayes is not known.
      pretrain_excess: E_pre, from above.
      approximation: A_j, from above.
    """

    paths: dict[str, float]
    gaps: list[float]
    excess: float | None
    pretrain_excess: float
    approximation: list[float]


def measure(
    paths: list[PathBound],
    fitted: Fitted,
    tried: list[Tried],
    populations: list[Population],
) -> Truth:
    """The truth of a fold.

    R_cut = R − E(c − b)⁺: exact expected costs, less what the labels show beyond b.

    Args:
      paths: statements about Gibbs policies.
      fitted: the chosen head.
      tried: heads of known radius, for the least risk of each ball.
      populations: fresh instances, one a redraw.

    Returns:
      Means over the redraws.
    """
    risk = {p.name: _mean(each.gibbs(p.heads) for each in populations) for p in paths}
    chosen, b = fitted.chosen, fitted.scale
    beyond = _mean(_beyond(each, chosen, b) for each in populations)
    # a cut takes at most this from the risk of any head of the ball
    most = lambda r: _mean(
        two_path_rows.overshoot(each.rows, r, b).mean() for each in populations
    )
    gap = lambda r: _mean(each.gap(chosen, r) for each in populations)
    gaps = [max(0.0, gap(r) - beyond + most(r)) for r in RADII]
    if populations[0].bayes is None:
        return Truth(risk, gaps, None, 0.0, [])
    over = lambda u: np.concatenate(
        [each.expected(u, False) - each.bayes for each in populations]
    )
    pretrain = head_population.upper(over(np.zeros_like(chosen)))
    excesses = [(radius, head_population.upper(over(u))) for radius, u in tried]
    approximation = [
        min([pretrain, *(excess for inner, excess in excesses if inner <= radius)])
        for radius in RADII
    ]
    excess = float(over(chosen).mean()) - beyond
    return Truth(risk, gaps, excess, pretrain, approximation)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _beyond(population: Population, u, scale: float) -> float:
    """E(c − b)⁺ of a head."""
    cost = head_rows.costs(population.rows, u[None], False)[0]
    return float(np.maximum(cost - scale, 0.0).mean())
