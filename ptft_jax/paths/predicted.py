"""Laws and rates beside the measured errors: predictions, never bounds."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from theory import laws, rates, scaling

Row = dict[str, Any]


class Quadratic(NamedTuple):
    """The expected cost of a head near the best one, second order.

    Attributes:
      hessian: H [d, d], of the expected cost at the best head u*.
      score: V [d, d], second moment of one instance's score there.
      best: u* [d].
      least: A, regret at u*.
      radius: r of the ball that u* is the best head of.
    """

    hessian: Float[np.ndarray, "d d"]
    score: Float[np.ndarray, "d d"]
    best: Float[np.ndarray, "d"]
    least: float
    radius: float


class Ball(NamedTuple):
    """The class that the tuned policy is chosen from, as a net of it counts.

    Attributes:
      width: d, its parameters.
      radius: r of the largest ball.
      lipschitz: L of an instance's cost in the head, over that ball.
      largest: B, of the cost there.
      delta: δ.
    """

    width: int
    radius: float
    lipschitz: float
    largest: float
    delta: float


class Curves(NamedTuple):
    """Mean regrets over seeds, by n.

    Attributes:
      n: numbers of instances, increasing.
      pretrain: R_Q(φ₀) − R*_Q.
      finetune: measured regret of the head in the largest ball, by n.
      tuned: measured regret of the tuned policy, by n.
      own_context: measured regret of φ₀ attending to the n instances, by n.
      n_pretrain: instances of a pretraining portfolio.
      ball: of heads.
    """

    n: tuple[int, ...]
    pretrain: float
    finetune: Float[np.ndarray, "n"]
    tuned: Float[np.ndarray, "n"]
    own_context: Float[np.ndarray, "n"]
    n_pretrain: int
    ball: Ball


def head_law(quadratic: Quadratic, n: int) -> float:
    """Regret of the head of least cost in the ball, by the sandwich law.

    A + `sandwich_to_pretrained(H, V, −u*, λ, n)`: a ball is a penalty whose λ makes
    E‖û‖² = ‖(H+λ)⁻¹Hu*‖² + tr((H+λ)⁻¹V(H+λ)⁻¹)/n equal to r², or 0 where it is less.

    Args:
      quadratic: of the expected cost.
      n: instances ≥ 1.

    Returns:
      The prediction, asymptotic, decreasing in n.
    """
    h, v = _regular(quadratic)
    power, basis = np.linalg.eigh(h)
    pull = power * (basis.T @ quadratic.best)
    noise = np.einsum("ik,ij,jk->k", basis, v, basis) / n
    norm2 = lambda lam: float(((pull**2 + noise) / (power + lam) ** 2).sum())
    low, high = np.log(power[0] * 1e-3), np.log(power[-1] * 1e6)
    if norm2(np.exp(low)) <= quadratic.radius**2:
        return quadratic.least + _pulled(quadratic, 0.0, n)
    for _ in range(60):
        middle = (low + high) / 2.0
        if norm2(np.exp(middle)) > quadratic.radius**2:
            low = middle
        else:
            high = middle
    return quadratic.least + _pulled(quadratic, float(np.exp(high)), n)


def pulled_law(quadratic: Quadratic, n: int) -> float:
    """Regret of the best pull to φ₀, by the sandwich law: the harmonic law in d.

    A + min_λ `sandwich_to_pretrained(H, V, −u*, λ, n)`.

    Args:
      quadratic: of the expected cost.
      n: instances ≥ 1.

    Returns:
      The prediction of what a perfectly tuned pull would reach.
    """
    top = float(np.linalg.eigvalsh(quadratic.hessian)[-1])
    grid = top * np.logspace(-8.0, 4.0, 49)
    return quadratic.least + min(_pulled(quadratic, float(lam), n) for lam in grid)


def _regular(quadratic: Quadratic):
    """H and V with directions that no feature uses made definite."""
    h = np.asarray(quadratic.hessian, np.float64)
    h = (h + h.T) / 2.0
    floor = 1e-6 * np.linalg.eigvalsh(h)[-1]
    v = (quadratic.score + quadratic.score.T) / 2.0
    return h + floor * np.eye(len(h)), v


def _pulled(quadratic: Quadratic, penalty: float, n: int) -> float:
    h, v = _regular(quadratic)
    return laws.sandwich_to_pretrained(h, v, -quadratic.best, penalty, n)


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


def crossover(quadratic: Quadratic, pretrain: float) -> float:
    """Where the law's fine-tuning path meets the pretraining path.

    Args:
      quadratic: of the expected cost.
      pretrain: E_pre.

    Returns:
      n*, infinite where the head does not become better than the pretrained one.
    """
    n = np.unique(np.logspace(0.0, 7.0, 141).astype(int))
    path = [head_law(quadratic, int(k)) for k in n]
    at = scaling.crossover(n, path, np.full(len(n), pretrain))
    return math.inf if at is None else at


def by_n(
    curves: Curves, quadratic: Quadratic
) -> dict[str, tuple[str, str, Float[np.ndarray, "n"]]]:
    """Every law and rate, by name: tier, the method it is about, and values by n.

    `harmonic` combines the two measured paths, `harmonic_above_best` what of them lies
    above the best head. `head_law` and `pulled_law` use no measured fine-tuning error;
    `harmonic_predicted` combines E_pre with `head_law`. The rate of universal priors is
    about attending to n instances without fine-tuning, the others about fine-tuning.

    Args:
      curves: of a world.
      quadratic: of its expected cost.

    Returns:
      Laws, and rates with a constant fitted to the method they are about.
    """
    free = np.array([head_law(quadratic, k) for k in curves.n])
    pulled = np.array([pulled_law(quadratic, k) for k in curves.n])
    both = [(curves.pretrain, float(measured)) for measured in curves.finetune]
    harmonic = np.array([laws.harmonic(*pair) for pair in both])
    above = np.array([combine(*pair, quadratic.least) for pair in both])
    predicted = np.array([laws.harmonic(curves.pretrain, float(f)) for f in free])
    found = {
        "harmonic": ("law", "tuned", harmonic),
        "harmonic_above_best": ("law", "tuned", above),
        "harmonic_predicted": ("law", "tuned", predicted),
        "head_law": ("law", "head", free),
        "pulled_law": ("law", "tuned", pulled),
    }
    attended = lambda k: rates.universal_priors(k, curves.n_pretrain)
    net = lambda k: rates.parameter_net(k, *curves.ball)
    for name, about, rate in (
        ("rate_data_pooling", "tuned", rates.data_pooling),
        ("rate_universal_priors", "own_context", attended),
        ("rate_parameter_net", "tuned", net),
    ):
        error = getattr(curves, about)
        fit = rates.fit_constant(curves.n, error, lambda k, r=rate: r(int(k)))
        values = np.array([fit.constant * rate(k) for k in curves.n])
        found[name] = ("rate", about, values)
    return found
