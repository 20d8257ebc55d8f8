"""Asymptotic excess risk of a smooth M-estimator: the sandwich formula.

Right as n → ∞ with the number of parameters fixed: a prediction, not a bound, and not
for small n/p.
"""

import numpy as np
from jaxtyping import Float

from theory import checks

Matrix = Float[np.ndarray, "p p"]


def sandwich(
    hessian: checks.Numbers, score_covariance: checks.Numbers, n: int | np.integer
) -> float:
    """Asymptotic excess risk of an M-estimator without a penalty.

    E excess ≈ tr(H⁻¹ V) / 2n, with an error o(1/n).

    Args:
      hessian: H [p, p], Hessian of the risk at its minimum, positive definite.
      score_covariance: V [p, p], covariance of one instance's gradient there.
      n: instances, n ≥ 1; the formula is for large n/p.

    Returns:
      The prediction, decreasing in n, in the unit of the cost.

    Raises:
      ValueError: shapes do not fit, a matrix is not symmetric, H is not positive
        definite, V has a negative eigenvalue, or n = 0.

    Source: Huber (1967); van der Vaart (1998), Theorem 5.23.
    """
    h, v = _curvature(hessian, score_covariance)
    return sandwich_to_pretrained(h, v, np.zeros(len(h)), 0.0, n)


def sandwich_to_pretrained(
    hessian: checks.Numbers,
    score_covariance: checks.Numbers,
    beta_gap: checks.Numbers,
    penalty: checks.Number,
    n: int | np.integer,
) -> float:
    """Asymptotic excess risk of an M-estimator pulled to its pretrained value.

    ½ λ² Dᵀ A H A D + tr(H A V A) / 2n, A = (H + λI)⁻¹.

    û = argmin R̂(u) + (λ/2)‖u − u₀‖² and R is replaced by its second-order expansion at
    the minimum u*, so D = u₀ − u* and λ must be small where R is not quadratic. Squared
    cost has H = 2Σ, and this λ is then twice that of `ridge_to_pretrained`.

    Args:
      hessian: H [p, p], positive definite.
      score_covariance: V [p, p], positive semidefinite.
      beta_gap: D [p], pretrained minus optimal.
      penalty: λ ≥ 0.
      n: instances, n ≥ 1.

    Returns:
      Bias² + variance, decreasing in n, increasing in ‖D‖.

    Raises:
      ValueError: as `sandwich`, or λ is negative or not finite.

    Source: ours, from the expansion of `sandwich`.
    """
    h, v = _curvature(hessian, score_covariance)
    gap = checks.vector("beta_gap", beta_gap, len(h))
    penalty = checks.number("penalty", penalty, 0.0)
    n = checks.count("n", n)
    inverse = np.linalg.inv(h + penalty * np.eye(len(h)))
    bias = penalty * (inverse @ gap)
    variance = np.trace(h @ inverse @ v @ inverse) / n
    return float(bias @ h @ bias + variance) / 2.0


def pinball_hessian(
    features: checks.Numbers,
    scales: checks.Numbers,
    density_at_quantile: checks.Numbers,
) -> Matrix:
    """Hessian in u of the newsvendor risk of the head x = x⁰ + s⟨u, h⟩.

    H = (1/n) Σ f_i(x_i) s_i² h_i h_iᵀ.

    Args:
      features: h [n, p].
      scales: s ≥ 0, one number or [n], in units of demand.
      density_at_quantile: f ≥ 0, one number or [n], demand density at the decision.

    Returns:
      H [p, p], positive semidefinite, increasing in f.

    Raises:
      ValueError: shapes do not fit, or a value is not finite or negative.

    Source: Koenker (2005), chapter 4.
    """
    h = checks.matrix("features", features)
    s = checks.per_instance("scales", scales, len(h))
    f = checks.per_instance("density_at_quantile", density_at_quantile, len(h))
    return _weighted_gram(h, s**2 * f)


def pinball_score_covariance(
    features: checks.Numbers,
    scales: checks.Numbers,
    quantile: checks.Numbers,
    exceedance: checks.Numbers,
) -> Matrix:
    """Second moment of the newsvendor score of the head x = x⁰ + s⟨u, h⟩.

    V = (1/n) Σ [(1−e_i)(1−q)² + e_i q²] s_i² h_i h_iᵀ, the score of i being
    (1{ξ ≤ x} − q) s h. It is q(1−q) s² h hᵀ where e = 1−q. At the minimum of the risk
    the scores have mean zero over instances: their second moment is their covariance.

    Args:
      features: h [n, p].
      scales: s ≥ 0, one number or [n], in units of demand.
      quantile: critical ratio q in [0, 1], one number or [n].
      exceedance: e = P(ξ > x) in [0, 1], one number or [n].

    Returns:
      V [p, p], positive semidefinite.

    Raises:
      ValueError: shapes do not fit, or a value is out of range.

    Source: Koenker (2005), chapter 4, for e = 1−q; ours for other e.
    """
    h = checks.matrix("features", features)
    s = checks.per_instance("scales", scales, len(h))
    q = checks.per_instance("quantile", quantile, len(h), 1.0)
    e = checks.per_instance("exceedance", exceedance, len(h), 1.0)
    return _weighted_gram(h, s**2 * ((1 - e) * (1 - q) ** 2 + e * q**2))


def _weighted_gram(
    h: Float[np.ndarray, "n p"], weight: Float[np.ndarray, "n"]
) -> Matrix:
    """(1/n) Σ weight_i h_i h_iᵀ."""
    return np.einsum("ni,n,nj->ij", h, weight, h) / len(h)


def _curvature(
    hessian: checks.Numbers, score_covariance: checks.Numbers
) -> tuple[Matrix, Matrix]:
    """H positive definite and V positive semidefinite, of one shape."""
    h = checks.matrix("hessian", hessian)
    v = checks.matrix("score_covariance", score_covariance)
    for name, matrix in (("hessian", h), ("score_covariance", v)):
        if matrix.shape != (len(h), len(h)):
            raise ValueError(f"{name} has shape {matrix.shape}, expected (p, p)")
        if np.abs(matrix - matrix.T).max() > 1e-9 * np.abs(matrix).max():
            raise ValueError(f"{name} is not symmetric: {matrix.tolist()}")
    least, smallest = np.linalg.eigvalsh(h)[0], np.linalg.eigvalsh(v)
    if least <= 0.0:
        raise ValueError(f"hessian has an eigenvalue {least:g}, expected > 0")
    if smallest[0] < -1e-9 * max(smallest[-1], 0.0):
        raise ValueError(f"score_covariance has an eigenvalue {smallest[0]:g} < 0")
    return h, v
