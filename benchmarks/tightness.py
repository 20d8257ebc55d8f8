"""The best certificate of a fine-tuned policy over its true risk.

    python -m benchmarks.tightness [--seeds 10] [--score each|one]

Two worlds whose cost is bounded by a number known beforehand, δ = .05:

- gaussian: θ_i ~ N(μ, τ²), observations N(θ_i, s²), squared cost cut at B;
- newsvendor: demand in [0, 1] is Beta with a mean drawn for each instance,
  pinball cost at q, at most max(q, 1−q).

A policy is x = x⁰ + u₁ + u₂(x̄ − x⁰): a head on two features, pretrained with a mean
that is off. An instance has m + 1 observations. Its loss is the mean cost over
all of them, each met by the decision that was taken from the other m (`--score each`,
as in `ptft_jax.certify`), or the cost of the last one alone (`--score one`): the risk
is the same, the variance is not. Three protocols, each with n instances in all:

- holdout: fine-tune on n/8, certify the head on the other 7n/8, bounds of
  `certificates`;
- PAC-Bayes: fine-tune on all n, prior N(u₀, σ₀²), posterior N(û, σ²); the bounds are
  on the mean over the posterior, coin betting on one policy drawn from it;
- cross-fit: two folds, each certified at δ/2 on the other.

The true risk is a mean over fresh instances. `wall` is what the central limit theorem
says at the loss's own variance if all n certify: 1 + z sd/(risk √n), z = 1.645, which
no bound at that δ is below on average for long.
"""

import argparse
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from theory import certificates, pac_bayes

DELTA, SHARE = 0.05, 8
FRESH = 300_000
DRAWS = 400
PRIOR_SCALE = 0.1
TARGETS = {256: 1.25, 4096: 1.06, 65536: 1.02}
PLAIN = ("hoeffding", "empirical_bernstein", "kl_chernoff", "bentkus", "betting")


class World(NamedTuple):
    """How to draw, what a decision costs, and the largest cost."""

    draw: Callable[[np.random.Generator, int], np.ndarray]  # observations [n, m + 1]
    cost: Callable[[np.ndarray, np.ndarray], np.ndarray]
    most: float
    start: tuple[float, float]


def _gaussian() -> World:
    tau, spread, m, most = 1.0, 1.0, 4, 12.0

    def draw(rng, n):
        theta = tau * rng.standard_normal((n, 1))
        return theta + spread * rng.standard_normal((n, m + 1))

    def cost(x, y):
        return np.minimum(np.square(x - y), most)

    return World(draw, cost, most, (0.3, 0.6))


def _newsvendor() -> World:
    q, m, size = 0.8, 10, 6.0

    def draw(rng, n):
        mean = 0.2 + 0.5 * rng.beta(2.0, 2.0, (n, 1))
        return rng.beta(size * mean, size * (1.0 - mean), (n, m + 1))

    def cost(x, y):
        gap = y - np.clip(x, 0.0, 1.0)  # as demand is, so the cost is at most q
        return np.maximum(q * gap, (q - 1.0) * gap)

    return World(draw, cost, q, (0.75, 0.3))


WORLDS = {"gaussian": _gaussian(), "newsvendor": _newsvendor()}


def losses(name: str, u: np.ndarray, seen: np.ndarray, score: str) -> np.ndarray:
    """Loss in [0, 1] of each instance under a head, [n]."""
    world, others = WORLDS[name], seen.shape[1] - 1
    label = seen if score == "each" else seen[:, -1:]
    past = (seen.sum(axis=1, keepdims=True) - label) / others
    return world.cost(u[0] + u[1] * past, label).mean(axis=1) / world.most


def fine_tune(name: str, data: np.ndarray, start: np.ndarray, score: str):
    """The head of least mean loss, pulled to the pretrained one by the prior."""
    n = len(data)

    def objective(u):
        pull = np.square((u - start) / PRIOR_SCALE).sum() / (2.0 * n)
        return float(losses(name, u, data, score).mean()) + 0.1 * float(pull)

    found = optimize.minimize(
        objective, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-9}
    )
    return found.x


def of_posterior(name: str, data: np.ndarray, start: np.ndarray, score: str, rng):
    """Heads of all n, (bound, heads) of coin betting and of Maurer's form."""
    u = fine_tune(name, data, start, score)
    scale = min(PRIOR_SCALE, 2.0 / math.sqrt(len(data)))
    nats = pac_bayes.gaussian_kl(u - start, PRIOR_SCALE, scale)
    draws = u + scale * rng.standard_normal((DRAWS, 2))
    log_ratio = 2.0 * math.log(PRIOR_SCALE / scale)
    log_ratio += float(np.square((draws[0] - start) / PRIOR_SCALE).sum()) / 2.0
    log_ratio -= float(np.square((draws[0] - u) / scale).sum()) / 2.0
    seen = losses(name, draws[0], data, score)
    coin = pac_bayes.coin_betting(seen, max(0.0, log_ratio), DELTA)
    mean = float(np.mean([losses(name, one, data, score).mean() for one in draws]))
    above = pac_bayes.monte_carlo(mean, DRAWS, DELTA / 5)
    gibbs = pac_bayes.maurer_kl(above, nats, len(data), 0.8 * DELTA)
    return (coin, draws[:1]), (gibbs, draws[:3])


def replicate(name: str, n: int, score: str, seed: int, fresh: np.ndarray):
    """Bound over true risk of each protocol, and the wall at this variance."""
    rng = np.random.default_rng([seed, n])
    start = np.array(WORLDS[name].start)
    data = WORLDS[name].draw(rng, n)

    def risk(u) -> float:
        return float(losses(name, u, fresh, "each").mean())

    cut = n // SHARE
    u = fine_tune(name, data[:cut], start, score)
    seen, true = losses(name, u, data[cut:], score), risk(u)
    found = {
        f"holdout, {bound}": getattr(certificates, bound)(seen, DELTA) / true
        for bound in PLAIN
    }
    pairs = of_posterior(name, data, start, score, rng)
    for kind, (bound, heads) in zip(("coin_betting", "maurer_kl"), pairs, strict=True):
        found[f"PAC-Bayes, {kind}"] = bound / float(np.mean([risk(h) for h in heads]))
    folds, bound, total = (data[: n // 2], data[n // 2 :]), 0.0, 0.0
    for own, other in (folds, folds[::-1]):
        head = fine_tune(name, own, start, score)
        bound += certificates.betting(losses(name, head, other, score), DELTA / 2.0)
        total += risk(head)
    found["cross-fit, betting"] = bound / total
    spread = float(losses(name, u, fresh, score).std())
    z = float(special.ndtri(1.0 - DELTA))
    found["wall"] = 1.0 + z * spread / (true * math.sqrt(n))
    found["pretrained over fine-tuned risk"] = risk(start) / true
    return found


def main() -> None:
    """Prints bound over risk by protocol, the winner, the target and the wall."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--score", choices=("each", "one"), default="each")
    parser.add_argument("--worlds", default="gaussian,newsvendor")
    args = parser.parse_args()
    for name in args.worlds.split(","):
        fresh = WORLDS[name].draw(np.random.default_rng(99), FRESH)
        for n, target in TARGETS.items():
            rows = [
                replicate(name, n, args.score, seed, fresh)
                for seed in range(args.seeds)
            ]
            print(f"{name}, n = {n}, score {args.score}, {args.seeds} seeds")
            means = {}
            for key in rows[0]:
                values = np.array([row[key] for row in rows])
                error = values.std(ddof=1) / math.sqrt(len(values))
                means[key] = values.mean()
                held = f", held in {(values >= 1.0).mean():.0%}" if "," in key else ""
                print(f"  {key:33s}{values.mean():.4f} ± {error:.4f}{held}")
            best = min((k for k in means if "," in k), key=means.__getitem__)
            met = "met" if means[best] <= target else "missed"
            print(
                f"  best: {best} {means[best]:.4f}, target {target}: {met}", flush=True
            )


if __name__ == "__main__":
    main()
