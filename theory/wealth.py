"""Capital of a gambler who bets against a candidate mean, many samples at once."""

import itertools
import math
import os
from concurrent import futures

import numpy as np
from jaxtyping import Float

# Share of the first capital and the largest stake of each gambler. Staking all attains
# the floor when the losses hardly vary and loses everything at one loss of 1; the
# second gambler survives it. The weights are what the bound pays: ln(10/9) and ln(10).
GAMBLERS = ((0.9, 1.0), (0.1, 0.75))
LEAST_CUT = min(most for _, most in GAMBLERS)

# Width of the bracket at which the search stops; its upper end is returned.
TOLERANCE = 2.0**-34
MAX_STEPS = 100

# A factor of the capital is wrong by a few ulp, or by bet · 2⁻⁵² of 1 − `LEAST_CUT`
# where `LARGEST_BET` allows the short form, and a product of n factors by their sum.
# This allowance for each of them, in the logarithm, is above both.
ROUNDING = 2.0**-40
LARGEST_BET = 256.0

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
    mean = np.cumsum(losses[:, : n - 1], axis=-1)
    mean += 0.5
    mean /= np.arange(2.0, n + 1.0)
    np.subtract(losses[:, : n - 1], mean, out=mean)
    squares = np.empty_like(losses)
    squares[:, 0] = 0.25
    np.square(mean, out=squares[:, 1:])
    spread = np.cumsum(squares, axis=-1, out=squares)
    bet = np.divide(np.arange(1.0, n + 1.0) * (-2.0 * math.log(delta) / n), spread)
    return np.sqrt(bet, out=bet)


def log_capital(
    losses: Float[np.ndarray, "r n"],
    bet: Float[np.ndarray, "r n"],
    mean: Float[np.ndarray, "r"],
) -> Float[np.ndarray, "r"]:
    """Largest capital on the way, ln max_t W_t(m), of a bet that the mean is below m.

    W_t(m) = Σ_k w_k Π_{i≤t} (1 − λ_i(x_i − m)), λ_i cut at c_k/(1−m), c_k ≤ 1.

    Each factor is ≥ 0 for x in [0, 1], and under E[x_i | past] ≥ m its expectation is
    ≤ 1, so W is a nonnegative supermartingale with W_0 = Σ w_k = 1. A factor is
    (1−s) + s(1−x)/(1−m) at the stake s = min{λ(1−m), c}, a sum without cancellation.

    Args:
      losses: x in [0, 1], one sample a row.
      bet: λ, predictable.
      mean: candidate m in [0, 1), one a row.

    Returns:
      ln max_t W_t, infinite where it overflows; a capital that underflows is lost.
      Nondecreasing in m: an uncut factor grows with m, and a cut one is
      1 − c(x−m)/(1−m), whose slope c(1−x)/(1−m)² is ≥ 0.
    """
    room = 1.0 - mean
    most = bet.max(axis=-1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if (most * room <= LEAST_CUT).all() and most.max() <= LARGEST_BET:
            # No bet is cut, so all gamblers are one.
            factor = np.subtract(mean[:, None], losses)
            factor *= bet
            factor += 1.0
            capital = np.multiply.accumulate(factor, axis=-1, out=factor)
        else:
            gain = (1.0 - losses) / room[:, None]
            stake = bet * room[:, None]
            capital = np.zeros_like(losses)
            for weight, cut in GAMBLERS:
                share = np.minimum(stake, cut)
                factor = share * gain
                factor += np.subtract(1.0, share, out=share)
                path = np.multiply.accumulate(factor, axis=-1, out=factor)
                capital += np.multiply(path, weight, out=path)
        # After an overflow 0 · ∞ is no number, and the maximum is already ∞.
        return np.log(np.fmax.reduce(capital, axis=-1))


def upper(losses: Float[np.ndarray, "r n"], delta: float) -> Float[np.ndarray, "r"]:
    """Betting upper bound on the mean of each of r samples of n losses.

    U = inf{m : max_t W_t(m) ≥ 1/δ}, and 1 where there is no such m. Blocks of samples
    are shared among the processor's cores.

    Args:
      losses: x in [0, 1], one sample a row; not checked here.
      delta: δ in (0, 1).

    Returns:
      U, at most `TOLERANCE` above the root and never below it.
    """
    rows = max(1, BLOCK // losses.shape[-1])
    blocks = [losses[i : i + rows] for i in range(0, len(losses), rows)]
    if len(blocks) == 1:
        return _upper(losses, delta)
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(_upper, blocks, itertools.repeat(delta))))


def _upper(losses: Float[np.ndarray, "r n"], delta: float) -> Float[np.ndarray, "r"]:
    """Upper ends of brackets around the roots, by the secant method or halving.

    An end of a bracket moves only to a point whose capital was computed, so the upper
    end is never below the root, however the points were chosen.
    """
    bet = bets(losses, delta)
    target = -math.log(delta) + losses.shape[-1] * ROUNDING
    low, high = np.zeros(len(losses)), np.ones(len(losses))
    # At m = 0 there is nothing to win. At m = 1 the bound is trivial, won or not.
    ahead, slope = _start(losses, bet, target)
    before, short = low.copy(), np.full(len(losses), -target)
    for step in range(MAX_STEPS):
        rows = np.flatnonzero(high - low > TOLERANCE)
        if not len(rows):
            break
        some = slice(None) if len(rows) == len(low) else rows
        # A root past the upper end, if that is 1, is found by one test just below it.
        ahead = np.minimum(ahead, high - 0.9 * TOLERANCE)
        inside = (ahead > low) & (step % 8 < 7)
        mean = np.where(inside, ahead, (low + high) / 2.0)[some]
        excess = log_capital(losses[some], bet[some], mean) - target
        with np.errstate(divide="ignore", invalid="ignore"):
            if step:
                slope[some] = (excess - short[some]) / (mean - before[some])
            # Aimed a little past the root, so that the other end follows it.
            aside = np.where(excess < 0.0, TOLERANCE, -TOLERANCE) * 0.45
            ahead[some] = mean - excess / slope[some] + aside
        before[some], short[some] = mean, excess
        low[some] = np.where(excess < 0.0, mean, low[some])
        high[some] = np.where(excess < 0.0, high[some], mean)
    return high


def _start(
    losses: Float[np.ndarray, "r n"], bet: Float[np.ndarray, "r n"], target: float
) -> tuple[Float[np.ndarray, "r"], Float[np.ndarray, "r"]]:
    """Root and slope of Σ λ_i(m−x_i) − ½λ_i²(x_i−m)² = target at the mean bet."""
    n, mean = losses.shape[-1], losses.mean(axis=-1)
    most = LEAST_CUT / np.maximum(1.0 - mean, TOLERANCE)
    stake = np.minimum(bet, most[:, None]).mean(axis=-1)
    slope = n * stake
    # Without bets there is no number here, and the search halves its brackets.
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = 2.0 * target / (n * np.square(bet[:, -1]))
        return mean + target / slope + stake * variance / 2.0, slope
