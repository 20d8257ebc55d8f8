"""How much a class can fit by chance, and how far a fit is from the best."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from theory import checks
from theory.stability import attention_sensitivity as attention_sensitivity
from theory.stability import mcdiarmid as mcdiarmid
from theory.stability import portfolio_difference as portfolio_difference

# Signs drawn at a time, to bound the memory of the Monte Carlo value.
BLOCK = 4_000_000


class Estimate(NamedTuple):
    """A Monte Carlo mean and its standard error."""

    value: float
    standard_error: float


def linear_ball(
    features: checks.Numbers, scales: checks.Numbers, radius: float, lipschitz: float
) -> float:
    """Empirical Rademacher complexity of the costs of a ball of linear heads, at most.

    (L r / n) √(Σ_i s_i² ‖h_i‖²), for decisions x_i = x⁰_i + s_i⟨u, h_i⟩, ‖u‖₂ ≤ r.

    Args:
      features: h, n rows of d finite numbers.
      scales: s, n numbers ≥ 0 in the unit of the decision.
      radius: r ≥ 0.
      lipschitz: L ≥ 0, of the cost in the decision, for every instance.

    Returns:
      The complexity in the unit of the cost; proportional to r and L, increasing in
      every s_i, and free of d for features of given norm.

    Raises:
      ValueError: the shapes do not match, or an argument is out of range.

    Source: contraction (Ledoux & Talagrand 1991, Theorem 4.12, as Mohri et al. 2018,
    Lemma 5.7) and Mohri et al. (2018), Theorem 5.10.
    """
    scaled, scale = _scaled(features, scales, radius, lipschitz)
    return scale / len(scaled) * float(np.linalg.norm(scaled))


def linear_ball_monte_carlo(
    features: checks.Numbers,
    scales: checks.Numbers,
    radius: float,
    lipschitz: float,
    draws: int,
    seed: int,
) -> Estimate:
    """The complexity of `linear_ball` before Jensen's inequality, by simulation.

    (L r / n) E‖Σ_i ε_i s_i h_i‖₂, ε_i = ±1 with equal chance.

    Args:
      features: h, n rows of d finite numbers.
      scales: s, n numbers ≥ 0 in the unit of the decision.
      radius: r ≥ 0.
      lipschitz: L ≥ 0, of the cost in the decision.
      draws: number of sign vectors, ≥ 2.
      seed: of numpy's generator.

    Returns:
      Mean and standard error; the expected mean is at most `linear_ball`. It is an
      estimate: a certificate needs an allowance for the error.

    Raises:
      ValueError: the shapes do not match, or an argument is out of range.

    Source: Mohri et al. (2018), proof of Theorem 5.10, before its last inequality.
    """
    draws = checks.count("draws", draws, 2)
    scaled, scale = _scaled(features, scales, radius, lipschitz)
    n, rng = len(scaled), np.random.default_rng(seed)
    norms, step = [], max(1, BLOCK // n)
    for start in range(0, draws, step):
        signs = rng.integers(0, 2, (min(step, draws - start), n)) * 2.0 - 1.0
        norms.append(np.linalg.norm(signs @ scaled, axis=1))
    values = scale / n * np.concatenate(norms)
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(draws))


def frank_wolfe_gap(
    gradient: checks.Numbers, u: checks.Numbers, radius: float
) -> float:
    """How far a point of the ball can be from the minimum over the ball, at most.

    ⟨g, u⟩ + r‖g‖₂ = max_{‖v‖≤r} ⟨g, u−v⟩ ≥ f(u) − min_{‖v‖≤r} f(v), f convex.

    Args:
      gradient: g, d numbers, gradient or any subgradient of f at u.
      u: d numbers with ‖u‖ ≤ r, up to a relative 1e-6 for float32 projections.
      radius: r ≥ 0.

    Returns:
      The gap, ≥ 0, in the unit of f; 0 only at a minimum; increasing in r.

    Raises:
      ValueError: the shapes differ, ‖u‖ > r, or a number is NaN or infinite.

    Source: Frank & Wolfe (1956); Jaggi (2013), equation (2).
    """
    g, point = checks.finite("gradient", gradient), checks.finite("u", u)
    r = checks.number("radius", radius, 0.0)
    if g.ndim != 1 or g.shape != point.shape:
        raise ValueError(f"gradient has shape {g.shape}, u has shape {point.shape}")
    length = float(np.linalg.norm(point))
    if length > r * (1.0 + 1e-6):
        raise ValueError(f"u has norm {length}, above radius = {r}")
    return max(0.0, float(g @ point) + r * float(np.linalg.norm(g)))


def parameter_net(
    num_parameters: int | np.integer,
    radius: float,
    lipschitz: float,
    n: int | np.integer,
    delta: float,
    cost_bound: float,
) -> float:
    """Uniform deviation over a Euclidean ball of parameters, by a finite net.

    B √((p ln(1 + 2rLn/B) + ln(1/δ)) / 2n) + 2B/n: with probability ≥ 1−δ no parameters
    in the ball have a risk above their empirical risk by more.

    Args:
      num_parameters: p ≥ 1.
      radius: r ≥ 0, of the ball around φ₀.
      lipschitz: L ≥ 0, of an instance's cost in the parameters, over the whole ball.
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).
      cost_bound: B > 0, the cost lies in [0, B].

    Returns:
      The deviation in the unit of the cost: increasing in p, r, L and B, decreasing in
      δ and n. With 10⁵ parameters and rL = B it is above B for all n below 7·10⁵.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Hoeffding and a union bound over a net of radius B/Ln, which has at most
    (1 + 2rLn/B)^p points (Vershynin 2018, Corollary 4.2.13).
    """
    num_parameters = checks.count("num_parameters", num_parameters)
    n = checks.count("n", n)
    checks.confidence(delta)
    r = checks.number("radius", radius, 0.0)
    slope = checks.number("lipschitz", lipschitz, 0.0)
    b = checks.positive("cost_bound", cost_bound)
    points = num_parameters * math.log1p(2.0 * r * slope * n / b)
    return b * math.sqrt((points - math.log(delta)) / (2 * n)) + 2.0 * b / n


def _scaled(
    features: checks.Numbers, scales: checks.Numbers, radius: float, lipschitz: float
) -> tuple[Float[np.ndarray, "n d"], float]:
    """The rows s_i h_i, and L r, once everything is in range."""
    h, s = checks.finite("features", features), checks.finite("scales", scales, 0.0)
    if h.ndim != 2 or s.shape != h.shape[:1]:
        raise ValueError(f"features has shape {h.shape}, scales has shape {s.shape}")
    checks.count("n", len(h))
    r = checks.number("radius", radius, 0.0)
    return h * s[:, None], checks.number("lipschitz", lipschitz, 0.0) * r
