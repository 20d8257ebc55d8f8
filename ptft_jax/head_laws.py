"""Laws of fine-tuning the head, evaluated on the features of an actual network.

The n instances and what the network makes of them are given: x = x⁰ + s⟨u, h⟩. Only the
labels Y_i, one an instance, are random. Every excess is over the best head for these
instances, so nothing is assumed of how well a head can do.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ptft_jax.head_sandwich import SandwichLaw as SandwichLaw
from ptft_jax.head_sandwich import sandwich as sandwich
from ptft_jax.head_sandwich import sandwich_excess as sandwich_excess
from ptft_jax.head_sandwich import solve_heads as solve_heads
from ptft_jax.model import Decision
from ptft_jax.worlds.world import in_float64
from theory import laws

Numbers = np.ndarray | jax.Array
Vector = Float[Numbers, "n"]


class RidgeLaw(NamedTuple):
    """Expected excess squared cost per instance of the ridge-pulled head."""

    best: Float[np.ndarray, "d"]
    pretrain: float  # of the pretrained head
    unequal: float  # predicted, with every instance's own variance
    equal: float  # predicted, with the mean variance for all


def design(decision: Decision) -> Float[np.ndarray, "n d"]:
    """Features of the linear model that the head is: Φ_i = s_i h_i.

    Args:
      decision: of n instances.

    Returns:
      Φ [n, d] in float64.
    """
    scale = np.asarray(decision.scale, np.float64)
    return scale[:, None] * np.asarray(decision.hidden, np.float64)


def leading(decision: Decision, rank: int) -> Decision:
    """The decision with k whitened features, along which it moves most.

    h is replaced by √n·(h V)_k/σ_k, from the singular values σ and right vectors V of
    √s h. At k = d the heads without a penalty are the same decisions; a solver finds
    them sooner, as features of actual networks are all but collinear.

    Args:
      decision: of n instances.
      rank: 1 ≤ k ≤ d.

    Returns:
      The decision with features [n, k], Σ s h hᵀ/n the identity.

    Raises:
      ValueError: the rank is out of range.
    """
    width = decision.hidden.shape[-1]
    if not 1 <= rank <= width:
        raise ValueError(f"rank = {rank} is not in [1, {width}]")
    root = np.sqrt(np.asarray(decision.scale, np.float64))[:, None]
    hidden = np.asarray(decision.hidden, np.float64)
    left, _, _ = np.linalg.svd(root * hidden, full_matrices=False)
    return decision._replace(hidden=left[:, :rank] * len(root) ** 0.5 / root)


def ridge_heads(
    features: Float[Array, "n d"],
    residual: Float[Array, "n k"],
    penalty: float | Float[Array, ""],
) -> Float[Array, "d k"]:
    """Heads argmin ‖r − Φu‖²/n + λ‖u‖², one for each column of residuals r = Y − x⁰.

    Args:
      features: Φ.
      residual: labels less the pretrained decisions, [n, k].
      penalty: λ > 0.

    Returns:
      The heads.
    """
    n, d = features.shape
    gram = features.T @ features / n + penalty * jnp.eye(d, dtype=features.dtype)
    return jnp.linalg.solve(gram, features.T @ residual / n)


def ridge(
    decision: Decision, mean: Vector, variance: Vector, penalty: float
) -> RidgeLaw:
    """The ridge law on these features, fixed design, exact at every n.

    `theory.laws.ridge_to_pretrained` at Φ = s h, D = −u*, u* the least-squares head of
    the true means. What no head explains, E Y − x⁰ − Φu*, is orthogonal to Φ in this
    design and changes neither the fit nor the excess.

    Args:
      decision: of n instances.
      mean: E Y_i, [n].
      variance: Var Y_i, [n].
      penalty: λ > 0, in squared units of the observations.

    Returns:
      The law with unequal variances, and what it would be were they equal.

    Raises:
      ValueError: as `theory.laws.ridge_to_pretrained`.

    Source: ours.
    """
    phi, variance = design(decision), np.asarray(variance, np.float64)
    gap = np.asarray(mean, np.float64) - np.asarray(decision.base, np.float64)
    best = np.linalg.lstsq(phi, gap, rcond=None)[0]
    law = functools.partial(laws.ridge_to_pretrained, phi, -best, penalty=penalty)
    return RidgeLaw(
        best,
        float(((phi @ best) ** 2).mean()),
        law(noise_variance=variance),
        law(noise_variance=float(variance.mean())),
    )


def ridge_excess(
    decision: Decision, mean: Vector, labels: Float[Numbers, "n k"], penalty: float
) -> Float[np.ndarray, "k"]:
    """Measured excess expected squared cost of the heads fitted to each set of labels.

    Args:
      decision: of n instances.
      mean: E Y_i, [n].
      labels: Y [n, k], k sets.
      penalty: λ > 0.

    Returns:
      mean_i (E Y_i − x_i(û))² − the same at the best head, for each set.
    """
    phi = design(decision)
    base, mean = (np.asarray(v, np.float64) for v in (decision.base, mean))
    residual = np.asarray(labels, np.float64) - base[:, None]
    fitted = in_float64(ridge_heads, phi, residual, penalty)
    best = np.linalg.lstsq(phi, mean - base, rcond=None)[0]
    missed = lambda u: (((mean - base)[:, None] - phi @ u) ** 2).mean(0)
    return missed(fitted) - missed(best[:, None])
