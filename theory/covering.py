"""Norm-based capacity of a Transformer, evaluated on given weights: shapes, not bounds.

Log covering numbers without their constants, after published theorems, and the rate of
the generalisation gap that follows from them. They compare networks and norms with one
another; `rates` says why they limit nothing.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from theory import checks


class WeightNorms(NamedTuple):
    """Norms of one weight matrix W [inputs, outputs] that capacities are made of."""

    spectral: float
    two_one: float
    one_one: float


def weight_norms(weight: checks.Numbers) -> WeightNorms:
    """Spectral, (2,1) and (1,1) norm of a weight matrix.

    σ_max(W), Σ_j ‖W_·j‖₂ over the outputs j, Σ_ij |W_ij|.

    Args:
      weight: W [inputs, outputs], applied as x W.

    Returns:
      The norms, spectral ≤ two_one ≤ one_one.

    Raises:
      ValueError: W has not two axes, or a value is not finite.

    Source: the definitions.
    """
    w = checks.matrix("weight", weight)
    return WeightNorms(
        spectral=float(np.linalg.norm(w, 2)),
        two_one=float(np.linalg.norm(w, axis=0).sum()),
        one_one=float(np.abs(w).sum()),
    )


def edelman_log_covering(
    weights: Sequence[checks.Numbers],
    head_norm: checks.Number,
    input_norm: checks.Number,
    num_layers: int | np.integer,
    width: int | np.integer,
    tokens: int | np.integer,
    n: int | np.integer,
) -> float:
    """Shape of the log covering number of a Transformer at radius 1, with length in it.

    C₂^(2L) B_x² B_w² C₂₁² ln(d n T), C₂ = max{1, spectral norms}, C₂₁ = max (2,1) norm;
    at radius ε it is divided by ε².

    Hidden: a constant, and the exponent O(L) of C₂, for which 2L is drawn: an output
    that passes L Lipschitz maps, squared.

    Args:
      weights: query–key, value and feed-forward matrices of all layers, each
        [inputs, outputs].
      head_norm: B_w > 0, Euclidean norm of the last linear map.
      input_norm: B_x > 0, largest norm of a token.
      num_layers: L ≥ 1.
      width: d ≥ 1.
      tokens: T ≥ 1 tokens a sequence.
      n: sequences, n ≥ 1.

    Returns:
      The number, infinite where it overflows; increasing in every norm, L, d, T and n.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Edelman, Goel, Kakade & Zhang (2022), simplified multi-layer theorem.
    """
    length = sum(
        math.log(checks.count(name, value))
        for name, value in (("width", width), ("tokens", tokens), ("n", n))
    )
    norms = _norms(weights)
    widest = max(x.two_one for x in norms)
    return _capacity(norms, widest, head_norm, input_norm, num_layers) * length


def trauger_tewari_log_covering(
    weights: Sequence[checks.Numbers],
    head_norm: checks.Number,
    input_norm: checks.Number,
    num_layers: int | np.integer,
    width: int | np.integer,
) -> float:
    """Shape of the log covering number of a Transformer at radius 1, without length.

    C₂^(2L) B_x² B_w² C₁₁² ln(2d² + 1), C₁₁ = max (1,1) norm: the (1,1) ball is the hull
    of 2d² matrices with one entry, so neither n nor the number of tokens enters.

    Hidden: a constant, and how norms of different layers combine; the product of
    `edelman_log_covering` is drawn, to compare the two by their norm and logarithm.

    Args:
      weights: query–key, value and feed-forward matrices of all layers, each
        [inputs, outputs].
      head_norm: B_w > 0, Euclidean norm of the last linear map.
      input_norm: B_x > 0, largest norm of a token.
      num_layers: L ≥ 1.
      width: d ≥ 1.

    Returns:
      The number, infinite where it overflows; increasing in every norm, L and d.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Trauger & Tewari (2023), arXiv 2310.13088, cover of the (1,1) ball.
    """
    width = checks.count("width", width)
    norms = _norms(weights)
    widest = max(x.one_one for x in norms)
    capacity = _capacity(norms, widest, head_norm, input_norm, num_layers)
    return capacity * math.log(2.0 * float(width) ** 2 + 1.0)


def covering_rate(
    n: int | np.integer,
    log_covering: checks.Number,
    loss_range: checks.Number,
    lipschitz: checks.Number,
) -> float:
    """Rate of the generalisation gap from a log covering number C/ε², by Dudley.

    min{B, L √(C/n) (1 + ln n)}.

    Hidden: Dudley's 12 and the constants of C. At the norms of trained networks it is
    cut at B, and says nothing, below n of 1e5 to 1e6 or more.

    Args:
      n: sequences, n ≥ 1.
      log_covering: C ≥ 0 at radius 1; may be infinite.
      loss_range: B > 0.
      lipschitz: L > 0, loss per unit of output.

    Returns:
      The rate in [0, B], increasing in C and L, nonincreasing in n from n = 3.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Dudley (1967); Bartlett, Foster & Telgarsky (2017), Lemma A.5.
    """
    n = checks.count("n", n)
    c = checks.number("log_covering", log_covering, 0.0, math.inf)
    loss_range = checks.positive("loss_range", loss_range)
    lipschitz = checks.positive("lipschitz", lipschitz)
    return min(loss_range, lipschitz * math.sqrt(c / n) * (1.0 + math.log(n)))


def _norms(weights: Sequence[checks.Numbers]) -> list[WeightNorms]:
    """Norms of at least one matrix."""
    checks.count("weights", len(weights))
    return [weight_norms(w) for w in weights]


def _capacity(
    norms: list[WeightNorms],
    widest: float,
    head_norm: checks.Number,
    input_norm: checks.Number,
    num_layers: int | np.integer,
) -> float:
    """C₂^(2L) (B_x B_w C)², infinite where it overflows."""
    num_layers = checks.count("num_layers", num_layers)
    head_norm = checks.positive("head_norm", head_norm)
    input_norm = checks.positive("input_norm", input_norm)
    if widest == 0.0:
        return 0.0
    spectral = max(1.0, *(x.spectral for x in norms))
    log_root = num_layers * math.log(spectral) + math.log(head_norm * input_norm)
    log_capacity = 2.0 * (log_root + math.log(widest))
    return math.exp(log_capacity) if log_capacity < 709.0 else math.inf
