"""Exact predictions of the error: two paths, and where they cross.

A law predicts an expected error, exactly or asymptotically; it certifies nothing about
one run. The statements here are ours or cited, with every constant, and each is checked
by simulation. The laws of a linear head are in `ridge` and
`curvature` and re-exported.
"""

import math
from typing import NamedTuple

import numpy as np

from theory import checks
from theory.curvature import pinball_hessian as pinball_hessian
from theory.curvature import pinball_score_covariance as pinball_score_covariance
from theory.curvature import sandwich as sandwich
from theory.curvature import sandwich_to_pretrained as sandwich_to_pretrained
from theory.ridge import RidgeDirections as RidgeDirections
from theory.ridge import ridge_directions as ridge_directions
from theory.ridge import ridge_to_pretrained as ridge_to_pretrained


class GaussianWorld(NamedTuple):
    """Expected excess squared cost per instance by path, and where the paths cross."""

    pretrain: float
    finetune: float
    finetune_heldout: float
    combined: float
    crossover: float


def harmonic(pretrain_excess: checks.Number, finetune_excess: checks.Number) -> float:
    """Excess of the best convex combination of two independent paths.

    min_a a² E_pre + (1−a)² E_ft = 1 / (1/E_pre + 1/E_ft), at a = E_ft / (E_pre + E_ft).

    Exact where the excess is quadratic in the parameter and the error of fine-tuning
    has mean zero, as in `gaussian_world` and in each of `ridge_directions`.

    Args:
      pretrain_excess: E_pre ≥ 0, excess of the pretrained policy; may be infinite.
      finetune_excess: E_ft ≥ 0, excess of fine-tuning alone; may be infinite.

    Returns:
      E*, in [½ min, min] of the two, increasing in both; 0 if one is 0.

    Raises:
      ValueError: an excess is negative or NaN.

    Source: ours.
    """
    small, large = sorted(_paths(pretrain_excess, finetune_excess))
    return small if small in (0.0, math.inf) else small / (1.0 + small / large)


def transfer_gain(
    pretrain_excess: checks.Number, finetune_excess: checks.Number
) -> float:
    """What fine-tuning saves over the pretrained policy, by the harmonic law.

    E_pre − E* = E_pre² / (E_pre + E_ft).

    Args:
      pretrain_excess: E_pre ≥ 0; may be infinite.
      finetune_excess: E_ft ≥ 0; may be infinite, and the gain is then 0.

    Returns:
      The gain, in [0, E_pre], increasing in E_pre, decreasing in E_ft, therefore
      increasing in n wherever E_ft falls with n.

    Raises:
      ValueError: an excess is negative or NaN, or both are infinite.

    Source: ours.
    """
    pretrain, finetune = _paths(pretrain_excess, finetune_excess)
    if pretrain == finetune == math.inf:
        raise ValueError("pretrain_excess = finetune_excess = inf have no difference")
    if pretrain in (0.0, math.inf):
        return pretrain
    return pretrain / (1.0 + finetune / pretrain)


def gaussian_world(
    tau2: checks.Number,
    s2: checks.Number,
    m: int | np.integer,
    n: int | np.integer,
    mismatch: checks.Number,
) -> GaussianWorld:
    """Both paths, exactly, for normal means under squared cost.

    Instance i has mean θ ~ N(μ, τ²) and m observations of variance s²; v = s²/m. The
    policy w x̄ + (1−w) b with w = τ²/(τ²+v) is Bayes at b = μ and has excess
    (1−w)²(b−μ)². Pretraining sets b = μ + Δ, fine-tuning estimates b.

    pretrain = (1−w)² Δ²;
    finetune = (1−w)² (τ²+v)/n = v² / ((τ²+v) n), b̂ the mean of the n averages x̄;
    finetune_heldout = (τ²(1−w)² + s² + w²v)/n, b̂ by least squares of one held-out
    observation an instance on the policy;
    combined = 1 / (1/pretrain + 1/finetune), of the best a (μ+Δ) + (1−a) b̂;
    crossover = n · finetune / pretrain.

    Args:
      tau2: τ² ≥ 0, variance between instances.
      s2: s² > 0, variance of one observation.
      m: observations an instance, m ≥ 1.
      n: instances, n ≥ 1.
      mismatch: Δ, error of the pretrained mean, in units of the observations.

    Returns:
      The record. finetune and combined decrease in n; combined increases in |Δ|;
      crossover does not depend on n and is infinite at Δ = 0.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: ours.
    """
    tau2 = checks.number("tau2", tau2, 0.0)
    s2 = checks.positive("s2", s2)
    m = checks.count("m", m)
    n = checks.count("n", n)
    mismatch = checks.number("mismatch", mismatch)
    v = s2 / m
    w, pulled = tau2 / (tau2 + v), v / (tau2 + v)  # 1 − w would lose digits near w = 1
    pretrain = (pulled * mismatch) ** 2
    finetune = pulled * v / n
    return GaussianWorld(
        pretrain=pretrain,
        finetune=finetune,
        finetune_heldout=(tau2 * pulled**2 + s2 + w**2 * v) / n,
        combined=harmonic(pretrain, finetune),
        crossover=n * finetune / pretrain if pretrain else math.inf,
    )


def james_stein_regret(
    n: int | np.integer, v: checks.Number, tau2: checks.Number
) -> float:
    """Regret of shrinking to the grand mean, what n instances teach without training.

    (3/n) · v² / (τ²+v), for the factor 1 − (n−3) v / S, S = Σ (x̄_i − mean of x̄)².

    x̄_i ~ N(θ_i, v) with v known, θ_i ~ N(μ, τ²) with μ and τ² unknown. S/(τ²+v) is χ²
    with n−1 degrees of freedom and E 1/S = 1/((n−3)(τ²+v)); the risk per instance is
    v − (n−3) v² / ((τ²+v) n) against the Bayes risk v − v² / (τ²+v).

    Args:
      n: instances, n ≥ 4.
      v: v > 0, variance of one instance's average.
      tau2: τ² ≥ 0, variance between instances.

    Returns:
      Expected excess squared cost per instance over Bayes with μ and τ² known;
      decreasing in n and τ², increasing in v. The positive-part rule has less.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: James & Stein (1961), Efron & Morris (1973); the constant is derived above.
    """
    n = checks.count("n", n, 4)
    v = checks.positive("v", v)
    tau2 = checks.number("tau2", tau2, 0.0)
    return 3.0 * v * (v / (tau2 + v)) / n


def _paths(
    pretrain_excess: checks.Number, finetune_excess: checks.Number
) -> tuple[float, float]:
    """Both excesses, neither negative nor NaN."""
    return (
        checks.number("pretrain_excess", pretrain_excess, 0.0, math.inf),
        checks.number("finetune_excess", finetune_excess, 0.0, math.inf),
    )
