"""How much a class of policies can fit by chance, and how stable attention is."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from theory import checks

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
    scaled = _scaled(features, scales, radius, lipschitz)
    return lipschitz * radius / len(scaled) * float(np.linalg.norm(scaled))


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
    checks.count("draws", draws, 2)
    scaled = _scaled(features, scales, radius, lipschitz)
    n, rng = len(scaled), np.random.default_rng(seed)
    norms, step = [], max(1, BLOCK // n)
    for start in range(0, draws, step):
        signs = rng.integers(0, 2, (min(step, draws - start), n)) * 2.0 - 1.0
        norms.append(np.linalg.norm(signs @ scaled, axis=1))
    values = lipschitz * radius / n * np.concatenate(norms)
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
    g, point = _finite("gradient", gradient), _finite("u", u)
    r = float(_nonnegative("radius", radius))
    if g.ndim != 1 or g.shape != point.shape:
        raise ValueError(f"gradient has shape {g.shape}, u has shape {point.shape}")
    length = float(np.linalg.norm(point))
    if length > r * (1.0 + 1e-6):
        raise ValueError(f"u has norm {length}, above radius = {r}")
    return max(0.0, float(g @ point) + r * float(np.linalg.norm(g)))


def parameter_net(
    num_parameters: int,
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
      δ; decreasing in n once rLn ≥ B. For a network of 10⁵ parameters it is above B
      below n of about 10⁶.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Hoeffding and a union bound over a net of radius B/Ln, which has at most
    (1 + 2rLn/B)^p points (Vershynin 2018, Corollary 4.2.13).
    """
    checks.count("num_parameters", num_parameters)
    checks.count("n", n)
    checks.confidence(delta)
    r, slope = _nonnegative("radius", radius), _nonnegative("lipschitz", lipschitz)
    b = float(checks.positive("cost_bound", cost_bound))
    points = num_parameters * math.log1p(2.0 * float(r) * float(slope) * n / b)
    return b * math.sqrt((points - math.log(delta)) / (2 * n)) + 2.0 * b / n


def attention_sensitivity(kappa: float, value: float, n: int | np.integer) -> float:
    """How far the output of one softmax attention moves when one token is replaced.

    2V / (1 + (n−1) e^(−2κ)), attained: the token has score κ and turns its value from v
    to −v, the others have score −κ.

    With p, p′ ≤ p̄ = 1/(1 + (n−1)e^(−2κ)) the token's weights before and after, and m the
    mean value of the others, the move is ‖p(v−m) − p′(v′−m)‖. That is convex in (p, p′),
    so largest where each is p̄ or its least value p̲: 2V p̄ if both are p̄, and at most
    V(p̄ + p̲ + (p̄−p̲)) = 2V p̄ if one is p̲.

    Args:
      kappa: κ ≥ 0 with |score| ≤ κ for every token.
      value: V ≥ 0 with ‖value‖₂ ≤ V for every token.
      n: number of tokens attended to, n ≥ 1; the query itself is not replaced.

    Returns:
      The move in the unit of the values: increasing in κ and V, decreasing in n, O(1/n).

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: ours.
    """
    checks.count("n", n)
    k, v = _nonnegative("kappa", kappa), _nonnegative("value", value)
    return 2.0 * float(v) / (1.0 + (n - 1) * math.exp(-2.0 * float(k)))


def portfolio_difference(
    cost_bound: float, lipschitz: float, sensitivity: float, n: int | np.integer
) -> float:
    """Change of the mean cost when one instance of a portfolio that is its own context is.

    B/n + (n−1)/n · L Δ.

    Args:
      cost_bound: B ≥ 0, the cost lies in [0, B].
      lipschitz: L ≥ 0, of the cost in the output of the attention.
      sensitivity: Δ ≥ 0, move of that output, as from `attention_sensitivity`.
      n: number of instances, n ≥ 1.

    Returns:
      The difference for `mcdiarmid`: increasing in B, L and Δ.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: ours.
    """
    checks.count("n", n)
    b, slope, move = (
        float(_nonnegative(name, x))
        for name, x in (
            ("cost_bound", cost_bound),
            ("lipschitz", lipschitz),
            ("sensitivity", sensitivity),
        )
    )
    return min(b, b / n + (n - 1) / n * slope * move)


def mcdiarmid(differences: checks.Numbers, delta: float) -> float:
    """Deviation of a function of independent instances from its mean.

    √(Σ_i c_i² ln(1/δ) / 2), one-sided, with probability ≥ 1−δ.

    Args:
      differences: c_i ≥ 0, change of the function when instance i alone is replaced.
      delta: failure probability δ in (0, 1).

    Returns:
      The deviation, increasing in every c_i, decreasing in δ; Hoeffding's at c_i = B/n.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: McDiarmid (1989), Lemma 1.2.
    """
    checks.confidence(delta)
    c = _nonnegative(
        "differences", checks.sample("differences", differences, 0.0, np.inf)
    )
    return float(np.linalg.norm(c)) * math.sqrt(-math.log(delta) / 2.0)


def _scaled(
    features: checks.Numbers, scales: checks.Numbers, radius: float, lipschitz: float
) -> Float[np.ndarray, "n d"]:
    """The rows s_i h_i, once everything is in range."""
    h, s = _finite("features", features), _nonnegative("scales", scales)
    if h.ndim != 2 or s.shape != h.shape[:1]:
        raise ValueError(f"features has shape {h.shape}, scales has shape {s.shape}")
    checks.count("n", len(h))
    _nonnegative("radius", radius)
    _nonnegative("lipschitz", lipschitz)
    return h * s[:, None]


def _finite(name: str, values: checks.Numbers) -> Float[np.ndarray, "*s"]:
    """The values in float64, none NaN or infinite."""
    largest = float(np.finfo(np.float64).max)
    return checks.within(name, values, -largest, largest)


def _nonnegative(name: str, values: checks.Numbers) -> Float[np.ndarray, "*s"]:
    """The values in float64, all at least 0 and finite."""
    return checks.within(name, values, 0.0, float(np.finfo(np.float64).max))
