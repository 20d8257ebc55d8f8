"""How tight a bound is, beside the shipped ones, on losses of known law.

The ratio ρ alone can be gamed: at chance level it is near 1 for every bound. It is
shown with the gap, the risk and a comparison with what no valid bound can beat.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from theory import certificates, pac_bayes, replications, scaling
from theory.evidence import Evidence, of_fixed_policy
from theory.verdict import Case, Size, sampled

DELTA = 0.05

# Instances drawn at most for the violations of one law and n.
SAMPLED = 40_000

# Fixed before any losses were seen, as Catoni's bound needs it.
BETAS = tuple(float(beta) for beta in np.geomspace(0.03, 3.0, 9))


class Law(NamedTuple):
    """Losses of known mean.

    Attributes:
      draw: (rng, shape) → losses in [0, 1].
      risk: their mean.
      deviation: their standard deviation.
      baseline: risk of the policy to be beaten.
    """

    draw: Callable[[np.random.Generator, tuple[int, int]], Float[np.ndarray, "r n"]]
    risk: float
    deviation: float
    baseline: float


def _newsvendor() -> Law:
    """The newsvendor of `replications` at the pretrained weight; baseline w = 0."""
    weight = np.array([replications.START])
    sigma = float(replications.spread(weight)[0])
    shift = (1.0 - replications.START) * replications.BELIEF
    mean = -shift - float(special.ndtri(replications.QUANTILE)) * sigma
    exact = replications.risks("newsvendor")
    risk = float(exact[len(exact) // 2])
    z = np.linspace(-9.0, 9.0, 20_001)
    square = replications.losses("newsvendor", mean + sigma * z) ** 2
    variance = float(np.trapezoid(square * stats.norm.pdf(z), z)) - risk**2

    def draw(rng: np.random.Generator, shape: tuple[int, int]):
        excess = mean + sigma * rng.standard_normal(shape)
        return replications.losses("newsvendor", excess)

    return Law(draw, risk, math.sqrt(variance), float(exact[0]))


LAWS = {
    "Beta, mean .05, sd .05": Law(
        lambda rng, shape: rng.beta(0.9, 17.1, shape), 0.05, 0.05, 0.1
    ),
    "Bernoulli(.05)": Law(
        lambda rng, shape: (rng.random(shape) < 0.05).astype(float),
        0.05,
        math.sqrt(0.05 * 0.95),
        0.1,
    ),
    "newsvendor": _newsvendor(),
}


def clopper_pearson(told: Evidence) -> float:
    """The exact binomial bound on losses that are all 0 or 1, and 1 on others.

    Args:
      told: with `losses`.

    Returns:
      The bound.
    """
    if not np.isin(told.losses, (0.0, 1.0)).all():
        return 1.0
    return certificates.clopper_pearson(int(told.losses.sum()), told.n, told.delta)


def of_training(told: Evidence) -> tuple[float, float, int, float]:
    """What a PAC-Bayes bound is a function of.

    Coin betting is not among the shipped bounds here: it needs the losses of one
    policy, and those of the evidence are means over the posterior.

    Args:
      told: with `train_losses` and `kl`.

    Returns:
      Mean training loss, KL, n and δ.
    """
    mean = float(told.train_losses.mean())
    # a mean of ones may round to just above 1
    return min(mean, 1.0), told.kl, told.n, told.delta


SHIPPED: dict[str, Callable[[Evidence], float]] = {
    "hoeffding": lambda told: certificates.hoeffding(told.losses, told.delta),
    "empirical_bernstein": lambda told: certificates.empirical_bernstein(
        told.losses, told.delta
    ),
    "kl_chernoff": lambda told: certificates.kl_chernoff(told.losses, told.delta),
    "bentkus": lambda told: certificates.bentkus(told.losses, told.delta),
    "betting": lambda told: certificates.betting(told.losses, told.delta),
    "clopper_pearson": clopper_pearson,
    "maurer_kl": lambda told: pac_bayes.maurer_kl(*of_training(told)),
    "mcallester": lambda told: pac_bayes.mcallester(*of_training(told)),
    "quadratic": lambda told: pac_bayes.quadratic(*of_training(told)),
    "catoni_grid": lambda told: pac_bayes.catoni_grid(*of_training(told), BETAS),
}


class Table(NamedTuple):
    """Sizes of all bounds, and how often the one that is judged was too small.

    Attributes:
      rows: one a bound, law and n.
      cases: one a law and n.
    """

    rows: list[Size]
    cases: list[Case]


def table(
    bound: Callable[[Evidence], float],
    name: str,
    ns: tuple[int, ...],
    draws: int,
    trials: int = 0,
) -> Table:
    """Mean sizes of a bound and of the shipped ones on the same samples, δ = .05.

    Args:
      bound: the one that is judged; one call a sample.
      name: its name in the rows.
      ns: numbers of instances.
      draws: samples that are averaged.
      trials: samples in which the bound is compared with the risk; fewer above
        n = 40,000 / trials, and never fewer than `draws`.

    Returns:
      The rows, bounds cut to [0, 1] before the mean; and the violations, each with the
      exact binomial test.
    """
    shipped = {each: call for each, call in SHIPPED.items() if each != name}
    rows, cases = [], []
    for world, law in LAWS.items():
        for n in ns:
            of = max(draws, min(trials, SAMPLED // n))
            samples = law.draw(np.random.default_rng([n, len(world)]), (of, n))
            told = [of_fixed_policy(row, DELTA) for row in samples]
            values = np.array([bound(one) for one in told])
            misses = int((values < law.risk).sum())
            where = f"{world}, n = {n}"
            cases.append(sampled("losses of known law", where, DELTA, misses, of))
            means = {name: _mean(values[:draws])}
            for each, call in shipped.items():
                means[each] = _mean(np.array([call(one) for one in told[:draws]]))
            rows += _rows(world, law, n, means)
    return Table(rows, cases)


def _mean(values: Float[np.ndarray, "draws"]) -> float:
    """Mean of bounds cut to [0, 1]."""
    return float(values.clip(0.0, 1.0).mean())


def _rows(world: str, law: Law, n: int, means: dict[str, float]) -> list[Size]:
    """The rows of one law and n; a bound that says nothing has no row but the first."""
    normal = law.risk + float(special.ndtri(1.0 - DELTA)) * law.deviation / math.sqrt(n)
    least = max(certificates.floor(law.risk, n, DELTA), normal)
    first = next(iter(means))
    shown = {k: v for k, v in means.items() if v < 1.0 or k == first}
    return [
        Size(
            each,
            world,
            n,
            law.risk,
            value,
            *scaling.tightness(value, law.risk, law.baseline),
            value / least,
            1 + sum(other < value for other in shown.values()),
        )
        for each, value in shown.items()
    ]
