"""How stable attention is to one token, and what follows for a mean cost."""

import math

import numpy as np

from theory import checks


def attention_sensitivity(kappa: float, value: float, n: int | np.integer) -> float:
    """How far the output of one softmax attention moves when one token is replaced.

    2V / (1 + (n−1) e^(−2κ)), attained: the token has score κ and turns its value from v
    to −v, the others have score −κ.

    With p, p′ the token's weights before and after, both in [p̲, p̄] for the scores of
    the others, and m their mean value, the move is ‖p(v−m) − p′(v′−m)‖. That is convex
    in (p, p′), so largest at a corner: 2V p̄ or 2V p̲ if p = p′, and at most
    V(p̄ + p̲ + (p̄−p̲)) = 2V p̄ if not; p̄ ≤ 1/(1 + (n−1)e^(−2κ)).

    Args:
      kappa: κ ≥ 0 with |score| ≤ κ for every token.
      value: V ≥ 0 with ‖value‖₂ ≤ V for every token.
      n: number of tokens attended to, n ≥ 1; the query itself is not replaced.

    Returns:
      The move in the unit of the values: increasing in κ and V, decreasing in n.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: ours.
    """
    n = checks.count("n", n)
    k, v = checks.number("kappa", kappa, 0.0), checks.number("value", value, 0.0)
    return 2.0 * v / (1.0 + (n - 1) * math.exp(-2.0 * k))


def portfolio_difference(
    cost_bound: float, lipschitz: float, sensitivity: float, n: int | np.integer
) -> float:
    """Change of a portfolio's mean cost with one instance, in its own context.

    min{B, B/n + (n−1)/n · L Δ}.

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
    n = checks.count("n", n)
    b, slope, move = (
        checks.number(name, x, 0.0)
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
    c = checks.sample("differences", differences, 0.0, checks.LARGEST)
    return float(np.linalg.norm(c)) * math.sqrt(-math.log(delta) / 2.0)
