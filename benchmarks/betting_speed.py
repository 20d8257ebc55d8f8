"""The betting certificate on many samples at once, against published algorithms.

    python -m benchmarks.betting_speed [--samples 10000] [--losses 10000]

Two references, each a numpy loop over the samples on the same losses, in the same run:

- grid: as the code that Waudby-Smith & Ramdas published with their paper does it. For
  each of 1001 candidate means the bets are cut and the running maximum of the capital
  is taken; the bound is the end of the means that survive, moved out by one step of
  the grid so that it is valid. Their code computes the bets anew for each candidate;
  here they are computed once, which is in its favour;
- bisection: the same capital, halving [0, 1] to 2^-20. Nobody published it; it shows
  what is due to the grid alone.

Both bet against one gambler with truncation 1/2, as published; `theory` has a mixture
of two. A reference that would take more than `--most` seconds is timed on the first
samples and scaled up, which is said. `confseq`, the authors' package, is timed as well
where it is installed.
"""

import argparse
import importlib.util
import math
import os
import time

import numpy as np

from theory import certificates

TRUNCATION = 0.5


def published_bets(x: np.ndarray, delta: float) -> np.ndarray:
    """Predictable plug-in bets for a fixed n, prior mean ½ and variance ¼."""
    t = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    variance = (0.25 + np.cumsum(np.power(x - mean, 2))) / (t + 1)
    previous = np.append(0.25, variance[:-1])
    return np.sqrt(2.0 * np.log(1.0 / delta) / (len(x) * previous))


def capital(x: np.ndarray, bet: np.ndarray, mean: float) -> float:
    """Largest capital on the way of a bet that the mean is below a candidate."""
    cut = np.minimum(bet, TRUNCATION / (1.0 - mean)) if mean < 1.0 else bet
    with np.errstate(over="ignore"):
        return float(np.max(np.cumprod(1.0 - cut * (x - mean))))


def by_grid(x: np.ndarray, delta: float, breaks: int = 1000) -> float:
    """The end of the means of a grid that the capital does not reject."""
    candidates = np.arange(0.0, 1.0 + 1.0 / breaks, step=1.0 / breaks)
    bet = published_bets(x, delta)
    kept = [capital(x, bet, mean) < 1.0 / delta for mean in candidates]
    return min(1.0, float(candidates[np.array(kept)].max()) + 1.0 / breaks)


def by_bisection(x: np.ndarray, delta: float, halvings: int = 20) -> float:
    """The upper end of the bracket; the bets do not depend on the candidate."""
    bet, low, high = published_bets(x, delta), 0.0, 1.0
    for _ in range(halvings):
        middle = (low + high) / 2.0
        if capital(x, bet, middle) < 1.0 / delta:
            low = middle
        else:
            high = middle
    return high


def loop(rule, losses: np.ndarray, delta: float, most: float):
    """Bounds of the first samples, the seconds for all, and how many were timed."""
    found, start = [], time.perf_counter()
    for x in losses:
        found.append(rule(x, delta))
        if time.perf_counter() - start > most:
            break
    seconds = (time.perf_counter() - start) * len(losses) / len(found)
    return np.array(found), seconds


def confseq_rule():
    """The authors' own function, one-sided at δ by its two-sided interval at 2δ."""
    if importlib.util.find_spec("confseq") is None:
        return None
    from confseq.betting import betting_ci

    return lambda x, delta: float(betting_ci(x, alpha=2.0 * delta)[1])


def main() -> None:
    """Prints seconds, ratios and how the values compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--losses", type=int, default=10_000)
    parser.add_argument("--delta", type=float, default=0.05)
    parser.add_argument("--most", type=float, default=60.0, help="seconds a reference")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    losses = rng.beta(0.9, 17.1, (args.samples, args.losses))
    certificates.betting_many(losses[:8], args.delta)
    start = time.perf_counter()
    ours = certificates.betting_many(losses, args.delta)
    own = time.perf_counter() - start
    load = os.getloadavg()[0]
    print(
        f"{args.samples} samples of {args.losses} losses, mean .05, sd .05, "
        f"delta = {args.delta}, {os.cpu_count()} cores, load {load:.1f}"
    )
    misses = int((ours < 0.05).sum())
    print(
        f"betting_many {own:8.2f} s  mean bound {ours.mean():.6f}, {misses} below .05"
    )
    rules = {"grid": by_grid, "bisection": by_bisection, "confseq": confseq_rule()}
    for name, rule in rules.items():
        if rule is None:
            print(f"{name}: not installed, not timed")
            continue
        found, seconds = loop(rule, losses, args.delta, args.most)
        how = "" if len(found) == len(losses) else f", {len(found)} timed and scaled"
        over = ours[: len(found)] / found
        error = over.std(ddof=1) / math.sqrt(len(over))
        print(
            f"{name:12s} {seconds:8.1f} s ({seconds / own:.0f} times ours{how}); "
            f"ours/its bound {over.mean():.5f} ± {error:.5f}, at most {over.max():.5f}"
        )


if __name__ == "__main__":
    main()
