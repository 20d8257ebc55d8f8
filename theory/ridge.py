"""Exact expected error of a linear head pulled to its pretrained value.

The head is fitted by least squares on features that are held fixed.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from theory import checks

Vector = Float[np.ndarray, "p"]


class RidgeDirections(NamedTuple):
    """Errors along the eigenvectors of Σ, each pulled by its best penalty."""

    eigenvalue: Vector
    pretrain: Vector
    finetune: Vector
    penalty: Vector
    combined: Vector


def ridge_to_pretrained(
    features: checks.Numbers,
    beta_gap: checks.Numbers,
    noise_variance: checks.Numbers,
    penalty: checks.Number,
) -> float:
    """Expected excess of ridge regression pulled to β₀, fixed design, exact.

    λ² Dᵀ A Σ A D + (1/n) tr(Σ A G A), A = (Σ + λI)⁻¹, Σ = HᵀH/n, G = Hᵀ diag(σ²) H / n.

    y = Hβ + ε with independent errors, Var ε_i = σ_i²;
    β̂ = argmin ‖y − Hb‖²/n + λ‖b − β₀‖², so that β̂ − β = A(Hᵀε/n + λD), and the excess
    is E (β̂−β)ᵀ Σ (β̂−β).

    Args:
      features: H [n, p].
      beta_gap: D = β₀ − β [p], pretrained minus true.
      noise_variance: σ² ≥ 0, one number or one for each instance [n].
      penalty: λ ≥ 0. At 0 the limit λ → 0 is taken, whatever the rank of H.

    Returns:
      The excess squared error of the mean, increasing in σ² and ‖D‖; σ² rank(H)/n at
      λ = 0, DᵀΣD as λ → ∞.

    Raises:
      ValueError: shapes do not fit, or a value is not finite or negative.

    Source: ours; Hoerl & Kennard (1970) at β₀ = 0 and equal variances.
    """
    eigenvalue, gap2, noise = _directions(features, beta_gap, noise_variance)
    penalty = checks.number("penalty", penalty, 0.0)
    kept = eigenvalue > 0.0
    s, d2, g = eigenvalue[kept], gap2[kept], noise[kept]
    pull, trust = penalty / (s + penalty), s / (s + penalty)
    return math.fsum(s * d2 * pull**2) + math.fsum(g / s * trust**2)


def ridge_directions(
    features: checks.Numbers, beta_gap: checks.Numbers, noise_variance: checks.Numbers
) -> RidgeDirections:
    """Harmonic law along each eigenvector u_k of Σ, with a penalty of its own.

    pretrain_k = s_k d_k², finetune_k = g_k / (n s_k), penalty_k = finetune_k / d_k²,
    combined_k = 1 / (1/pretrain_k + 1/finetune_k),

    s_k the eigenvalue, d_k = ⟨u_k, D⟩, g_k = u_kᵀ G u_k, = σ² s_k for equal variances.
    combined_k is the least of s (λ²d² + g/n) / (s+λ)² over λ, at penalty_k. Its sum is
    at most `ridge_to_pretrained` at any one penalty.

    Args:
      features: H [n, p].
      beta_gap: D = β₀ − β [p].
      noise_variance: σ² ≥ 0, one number or one for each instance [n].

    Returns:
      Arrays [p] in increasing order of s. Where s_k = 0 every error is 0; where d_k = 0
      the penalty is infinite.

    Raises:
      ValueError: as `ridge_to_pretrained`.

    Source: ours.
    """
    eigenvalue, gap2, noise = _directions(features, beta_gap, noise_variance)
    pretrain = eigenvalue * gap2
    finetune = np.divide(noise, eigenvalue, where=eigenvalue > 0, out=0.0 * noise)
    both = (pretrain > 0) & (finetune > 0)
    penalty = np.divide(
        finetune, gap2, where=gap2 > 0, out=np.full_like(gap2, math.inf)
    )
    small, large = np.minimum(pretrain, finetune), np.maximum(pretrain, finetune)
    share = np.divide(small, large, where=both, out=0.0 * small)
    return RidgeDirections(
        eigenvalue, pretrain, finetune, penalty, np.where(both, small / (1 + share), 0)
    )


def _directions(
    features: checks.Numbers, beta_gap: checks.Numbers, noise_variance: checks.Numbers
) -> tuple[Vector, Vector, Vector]:
    """Eigenvalues s of Σ, squared gaps d² and noises uᵀGu/n along its eigenvectors."""
    h = checks.matrix("features", features)
    n, p = h.shape
    gap = checks.vector("beta_gap", beta_gap, p)
    noise = checks.per_instance("noise_variance", noise_variance, n)
    # Singular values of H keep the digits that forming HᵀH would square away.
    _, singular, basis = np.linalg.svd(h / math.sqrt(n), full_matrices=n < p)
    s = np.zeros(p)
    rounding = max(n, p) * np.finfo(np.float64).eps * singular.max(initial=0.0)
    s[: len(singular)] = np.where(singular > rounding, singular, 0.0) ** 2
    along = h @ basis.T
    spread = np.einsum("nk,n->k", along**2, noise) / n**2
    return s[::-1], ((basis @ gap) ** 2)[::-1], spread[::-1]
