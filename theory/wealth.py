"""Capital of a gambler who bets against a candidate mean, many samples at once."""

import math

import numpy as np
from jaxtyping import Float

# Share of the first capital and the largest stake of each gambler. Staking all attains
# the floor when the losses hardly vary and loses everything at one loss of 1; the
# second gambler survives it. The weights are what the bound pays: ln(10/9) and ln(10).
GAMBLERS = ((0.9, 1.0), (0.1, 0.75))

# Width of the bracket at which the search stops; its upper end is returned.
TOLERANCE = 2.0**-34
MAX_STEPS = 100

# A running sum of n logarithms is wrong by at most n·2⁻⁵²·Σ|terms|. This allowance for
# each term covers Σ|terms| ≤ 4,096; it is about √(n ln(1/δ)) at the root.
ROUNDING = 2.0**-40

# Losses taken at once, so that the work arrays stay in the processor's cache.
BLOCK = 2**15


def bets(losses: Float[np.ndarray, "r n"], delta: float) -> Float[np.ndarray, "r n"]:
    """Predictable bets of Waudby-Smith & Ramdas (2024, §4.1), before truncation.

    λ_i = √(2 ln(1/δ) / (n σ̂²_{i−1})), σ̂²_i = (¼ + Σ_{j≤i} (x_j − μ̂_j)²) / (i + 1),
    μ̂_i = (½ + Σ_{j≤i} x_j) / (i + 1), so that σ̂²_0 = ¼.

    Args:
      losses: x in [0, 1], one sample a row, in the order in which they are bet on.
      delta: δ in (0, 1).

    Returns:
      λ > 0; λ_i depends on x_1 … x_{i−1} only, and on no candidate mean.
    """
    n = losses.shape[-1]
    seen = np.arange(2.0, n + 2.0)
    mean = (0.5 + np.cumsum(losses, axis=-1)) / seen
    variance = (0.25 + np.cumsum(np.square(losses - mean), axis=-1)) / seen
    before = np.concatenate(
        [np.full_like(losses[:, :1], 0.25), variance[:, :-1]], axis=-1
    )
    return np.sqrt(-2.0 * math.log(delta) / (n * before))


def log_capital(
    losses: Float[np.ndarray, "r n"],
    bet: Float[np.ndarray, "r n"],
    mean: Float[np.ndarray, "r"],
) -> Float[np.ndarray, "r"]:
    """Largest capital on the way, ln max_t W_t(m), of a bet that the mean is below m.

    W_t(m) = Σ_k w_k Π_{i≤t} (1 − λ_i(x_i − m)), λ_i cut at c_k/(1−m), c_k ≤ 1.

    Each factor is ≥ 0 for x in [0, 1], and under E[x_i | past] ≥ m its expectation is
    ≤ 1, so W is a nonnegative supermartingale with W_0 = Σ w_k = 1.

    Args:
      losses: x in [0, 1], one sample a row.
      bet: λ, predictable.
      mean: candidate m in [0, 1), one a row.

    Returns:
      ln max_t W_t, cut at 700. Nondecreasing in m: an uncut factor grows with m, and a
      cut one is 1 − c(x−m)/(1−m), whose slope c(1−x)/(1−m)² is ≥ 0.
    """
    room = 1.0 - mean[:, None]
    change = (losses - mean[:, None]) / room
    stake = bet * room
    capital = np.zeros_like(losses)
    with np.errstate(divide="ignore"):  # a gambler who lost everything has ln 0
        for weight, most in GAMBLERS:
            growth = np.log(1.0 - np.minimum(stake, most) * change)
            path = np.minimum(np.cumsum(growth, axis=-1), 700.0)
            capital += weight * np.exp(path)
        return np.log(capital.max(axis=-1))


def upper(losses: Float[np.ndarray, "r n"], delta: float) -> Float[np.ndarray, "r"]:
    """Betting upper bound on the mean of each of r samples of n losses.

    U = inf{m : max_t W_t(m) ≥ 1/δ}, and 1 where there is no such m.

    Args:
      losses: x in [0, 1], one sample a row; not checked here.
      delta: δ in (0, 1).

    Returns:
      U, at most `TOLERANCE` above the root and never below it.
    """
    rows = max(1, BLOCK // losses.shape[-1])
    blocks = [losses[i : i + rows] for i in range(0, len(losses), rows)]
    return np.concatenate([_upper(block, delta) for block in blocks])


def _upper(losses: Float[np.ndarray, "r n"], delta: float) -> Float[np.ndarray, "r"]:
    """Upper ends of brackets around the roots, by false position (Illinois)."""
    bet = bets(losses, delta)
    target = -math.log(delta) + losses.shape[-1] * ROUNDING

    low, high = np.zeros(len(losses)), np.ones(len(losses))
    # At m = 0 there is nothing to win. At m = 1 the bound is trivial, won or not.
    short, over = np.full(len(losses), target), np.ones(len(losses))
    last = np.zeros(len(losses))
    for step in range(MAX_STEPS):
        width = high - low
        if (width <= TOLERANCE).all():
            break
        # The excess at m = 1 is unknown, so the first steps halve the bracket.
        share = short / (short + over) if step > 2 else 0.5
        ahead = np.clip(width * share, TOLERANCE / 2, width - TOLERANCE / 2)
        mean = np.where(width > TOLERANCE, low + ahead, low)
        excess = log_capital(losses, bet, mean) - target
        won = excess >= 0.0
        # An end that stays twice counts half, or false position would crawl.
        short = np.where(won, np.where(last > 0, short / 2, short), -excess)
        over = np.where(won, excess, np.where(last < 0, over / 2, over))
        low, high = np.where(won, low, mean), np.where(won, mean, high)
        last = np.where(won, 1.0, -1.0)
    return high
