"""Laws and rates beside the measured errors: predictions, never bounds."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from theory import laws, rates

Row = dict[str, Any]


class Curves(NamedTuple):
    """Mean regrets over seeds, by n.

    Attributes:
      n: numbers of instances, increasing.
      pretrain: R_Q(φ₀) − R*_Q.
      best: least regret of any head, A.
      per_instance: tr(H⁻¹V)/2, so that the head without a pull has A + that/n.
      finetune: measured regret of the head without a pull, by n.
      tuned: measured regret of the tuned policy, by n.
      num_parameters: of the network.
      largest: B, of the cost.
    """

    n: tuple[int, ...]
    pretrain: float
    best: float
    per_instance: float
    finetune: Float[np.ndarray, "n"]
    tuned: Float[np.ndarray, "n"]
    num_parameters: int
    largest: float


def combine(pretrain: float, finetune: float, best: float) -> float:
    """Harmonic law of what lies above the best head.

    A + 1/(1/(E_pre − A) + 1/(E_ft − A)).

    Args:
      pretrain: E_pre.
      finetune: E_ft.
      best: A; larger than a path by rounding or by its own error, it is that path.

    Returns:
      The prediction, between A and the smaller path.
    """
    return best + laws.harmonic(max(pretrain - best, 0.0), max(finetune - best, 0.0))


def crossover(curves: Curves) -> float:
    """Where the law's fine-tuning path meets the pretraining path.

    n* = tr(H⁻¹V)/2 / (E_pre − A).

    Args:
      curves: of a world.

    Returns:
      n*, infinite where no head is better than the pretrained one.
    """
    gap = curves.pretrain - curves.best
    return curves.per_instance / gap if gap > 0.0 else math.inf


def by_n(curves: Curves) -> dict[str, tuple[str, str, Float[np.ndarray, "n"]]]:
    """Every law and rate, by name: tier, the method it is about, and values by n.

    `harmonic` combines the two measured paths; `harmonic_above_best` what of them lies
    above the best head; `head_law` is A + tr(H⁻¹V)/2n (squared cost: the ridge law at
    λ → 0 over random designs), and `harmonic_predicted` combines it with E_pre, using
    no measured fine-tuning error.

    Args:
      curves: of a world.

    Returns:
      Laws, and rates with a constant fitted to the tuned policy.
    """
    n = np.asarray(curves.n, np.float64)
    free = curves.best + curves.per_instance / n
    both = [
        (curves.pretrain, float(measured))
        for measured in np.atleast_1d(curves.finetune)
    ]
    above = [combine(*pair, curves.best) for pair in both]
    predicted = [combine(curves.pretrain, float(f), curves.best) for f in free]
    found = {
        "harmonic": ("law", "tuned", np.array([laws.harmonic(*pair) for pair in both])),
        "harmonic_above_best": ("law", "tuned", np.array(above)),
        "harmonic_predicted": ("law", "tuned", np.array(predicted)),
        "head_law": ("law", "head", free),
    }
    net = lambda k: rates.parameter_net(
        k, curves.num_parameters, 1.0, 1.0, curves.largest, 0.05
    )
    for name, rate in (
        ("rate_data_pooling", rates.data_pooling),
        ("rate_universal_priors", lambda k: rates.universal_priors(k, curves.n[-1])),
        ("rate_parameter_net", net),
    ):
        fit = rates.fit_constant(curves.n, curves.tuned, lambda k, r=rate: r(int(k)))
        values = np.array([fit.constant * rate(k) for k in curves.n])
        found[name] = ("rate", "tuned", values)
    return found
