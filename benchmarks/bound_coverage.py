"""How often each certified bound holds, end to end, and that broken ones are caught.

    python -m benchmarks.bound_coverage [--replications 10000]

The worlds are those of `theory.replications`: 40 instances are fine-tuned on, 40 fresh
ones certify, and the risk is exact. In every replication the bounds are about

- `drawn`: one policy drawn from the Gibbs posterior, its 40 fresh losses, or its 40
  training losses and ln dQ/dP;
- `best`: the policy with the least training loss of 11, KL = ln 11;
- `gibbs`: the mean over the posterior.

A bound passes where the exact binomial test of violation rate ≤ δ is not rejected at
1%, over all its cases (Bonferroni). `two_path` is in `benchmarks.two_path_world`.
"""

import argparse
import math
import time
from collections.abc import Iterator

import mpmath
import numpy as np
from scipy import special

from benchmarks import two_path_world
from theory import arena, certificates, kl, mismatch, pac_bayes, replications, verdict

DELTAS = (0.05, 0.5)
PATH = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # temperatures of the posteriors on a path
BETAS = (0.1, 0.3, 1.0, 3.0)
DRAWS = 4
PLAIN = ("hoeffding", "empirical_bernstein", "kl_chernoff", "bentkus")


def fixed_policy(fresh, old, delta: float) -> Iterator[tuple[str, float, int]]:
    """(name, bound, side) of a fixed policy, side 1 above and −1 below its risk."""
    for name in PLAIN:
        yield name, getattr(certificates, name)(fresh, delta), 1
        yield f"{name}_lower", getattr(certificates, f"{name}_lower")(fresh, delta), -1
    if np.isin(fresh, (0.0, 1.0)).all():
        k, n = int(fresh.sum()), len(fresh)
        yield "clopper_pearson", certificates.clopper_pearson(k, n, delta), 1
        low = certificates.clopper_pearson_lower(k, n, delta)
        yield "clopper_pearson_lower", low, -1


def of_posterior(train, nats: float, n: int, delta: float):
    """(name, bound) of the Gibbs risk, from its mean training loss alone."""
    yield "maurer_kl", pac_bayes.maurer_kl(train, nats, n, delta)
    yield "mcallester", pac_bayes.mcallester(train, nats, n, delta)
    yield "quadratic", pac_bayes.quadratic(train, nats, n, delta)
    yield "catoni, beta 1", pac_bayes.catoni(train, nats, n, delta, 1.0)
    yield "catoni_grid", pac_bayes.catoni_grid(train, nats, n, delta, BETAS)


class Tally:
    """Violations of each bound in each world at each δ."""

    def __init__(self):
        """Start empty."""
        self.misses: dict[tuple[str, str, float], int] = {}
        self.of: dict[tuple[str, str, float], int] = {}

    def add(self, name: str, world: str, delta: float, missed) -> None:
        """Counts one replication, or an array of them."""
        key = name, world, delta
        self.misses[key] = self.misses.get(key, 0) + int(np.sum(missed))
        self.of[key] = self.of.get(key, 0) + int(np.size(missed))

    def cases(self) -> dict[str, list[verdict.Case]]:
        """The binomial tests, by bound."""
        found: dict[str, list[verdict.Case]] = {}
        for (name, world, delta), misses in self.misses.items():
            of = self.of[name, world, delta]
            case = verdict.sampled(name, world, delta, misses, of)
            found.setdefault(name, []).append(case)
        return found


def batch(tally: Tally, world: str, block, rng, exact) -> None:
    """All bounds in one block of replications."""
    posterior = replications.gibbs(block.train)
    rows, n, count = block.train.shape
    below = np.cumsum(posterior, axis=-1)[:, :-1] < rng.random((rows, 1))
    drawn = below.sum(axis=-1)
    at = np.arange(rows)
    fresh = block.fresh[at, :, 0, drawn]
    start = count // 2
    old = block.fresh[:, :, 0, start]
    for delta in DELTAS:
        risk = exact[drawn]
        upper = certificates.betting_many(fresh, delta)
        tally.add("betting", world, delta, upper < risk)
        lower = certificates.betting_many_lower(fresh, delta)
        tally.add("betting_lower", world, delta, lower > risk)
        for r in range(rows):
            for name, bound, side in fixed_policy(fresh[r], old[r], delta):
                tally.add(name, world, delta, side * (risk[r] - bound) > 0.0)
            gain = certificates.paired_gain(fresh[r], old[r], delta, 1.0)
            tally.add("paired_gain", world, delta, gain > exact[start] - risk[r])
            half = n // 2
            apart = mismatch.certified(fresh[r, :half], old[r, half:], delta)
            tally.add(
                "mismatch.certified", world, delta, apart < risk[r] - exact[start]
            )
            gibbs(tally, world, delta, block.train[r], posterior[r], exact, rng)
            chosen(tally, world, delta, block.train[r], posterior[r], drawn[r], exact)


def gibbs(tally, world, delta, train, posterior, exact, rng) -> None:
    """PAC-Bayes bounds on the mean risk of one posterior."""
    n, count = train.shape
    risk = float(posterior @ exact)
    nats = float(special.rel_entr(posterior, 1.0 / count).sum())
    loss = min(1.0, float(posterior @ train.mean(axis=0)))
    for name, bound in of_posterior(loss, nats, n, delta):
        tally.add(name, world, delta, bound < risk)
    along = [replications.gibbs(train[None], eta)[0] for eta in PATH]
    losses = np.clip([q @ train.mean(axis=0) for q in along], 0.0, 1.0)
    divergences = [float(special.rel_entr(q, 1.0 / count).sum()) for q in along]
    best = pac_bayes.path_minimum(losses, divergences, n, delta)
    tally.add("path_minimum", world, delta, best.bound < along[best.step] @ exact)
    draws = rng.choice(count, DRAWS, p=posterior)
    seen = pac_bayes.monte_carlo(float(train[:, draws].mean()), DRAWS, delta / 2)
    bound = pac_bayes.maurer_kl(seen, nats, n, delta / 2)
    tally.add("monte_carlo and maurer_kl", world, delta, bound < risk)
    bound = pac_bayes.coin_betting_draws(train[:, draws].T, nats, delta / 2, delta / 2)
    tally.add("coin_betting_draws", world, delta, bound < risk)


def chosen(tally, world, delta, train, posterior, drawn, exact) -> None:
    """Coin betting on one policy: drawn from the posterior, or the best of all."""
    count = train.shape[1]
    nats = max(0.0, math.log(posterior[drawn] * count))
    bound = pac_bayes.coin_betting(train[:, drawn], nats, delta)
    tally.add("coin_betting, drawn", world, delta, bound < exact[drawn])
    best = int(train.mean(axis=0).argmin())
    bound = pac_bayes.coin_betting(train[:, best], math.log(count), delta)
    tally.add("coin_betting, best", world, delta, bound < exact[best])


def kl_inverses(count: int) -> str:
    """Both inverses of kl against roots of 50 digits."""
    rng, digits = np.random.default_rng(5), mpmath.mp.clone()
    digits.dps = 50
    q = np.where(rng.random(count) < 0.5, rng.random(count), 10 ** rng.uniform(-9, 0))
    c = 10.0 ** rng.uniform(-12, 0.7, count)
    low, high = math.inf, -math.inf
    for a, b in zip(q.tolist(), c.tolist(), strict=True):
        # One by one: an array stops only when all of its entries have settled.
        upper, lower = kl.inverse_upper(a, b), kl.inverse_lower(a, b)
        for mean, end in ((a, upper), (1 - digits.mpf(a), 1 - digits.mpf(lower))):
            over = float(digits.mpf(end) - _root(digits, mean, b, end))
            low, high = min(low, over), max(high, over)
    return (
        f"kl inverses, {count} inputs each: over the root by {low:.2g} at least, "
        f"{high:.2g} at most"
    )


def _root(digits, q, budget: float, start):
    """Newton's method in 50 digits, downwards from a point at or above the root."""
    q, c, one = digits.mpf(q), digits.mpf(budget), digits.mpf(1)

    def excess(p):
        head = q * digits.log(q / p) if q > 0 else digits.mpf(0)
        return head + (1 - q) * digits.log((1 - q) / (1 - p)) - c

    edge = one - digits.mpf("1e-25")
    if q == 1 or excess(edge) <= 0:
        return one  # to more digits than a float has
    p = min(digits.mpf(start) + digits.mpf("1e-12"), edge)
    for _ in range(80):
        step = excess(p) * p * (1 - p) / (p - q)
        p -= step
        if abs(step) < digits.mpf("1e-35"):
            break
    return p


def main() -> None:
    """Prints the violation rates, the verdicts and the controls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=10_000)
    parser.add_argument("--inputs", type=int, default=20_000, help="of the kl inverse")
    args = parser.parse_args()
    print(kl_inverses(args.inputs), flush=True)
    tally, rng, start = Tally(), np.random.default_rng(6), time.perf_counter()
    for world in replications.WORLDS:
        exact = replications.risks(world)
        for block in replications.blocks(world, args.replications, seed=7):
            batch(tally, world, block, rng, exact)
    for delta in DELTAS:
        bound, excess = two_path_world.replicate(args.replications, delta, seed=8)
        tally.add("two_path", "contaminated", delta, excess > bound.total)
    print(f"{args.replications} replications, {time.perf_counter() - start:.0f} s")
    print(f"{'bound':26s}{'worlds, violation rate at δ = .05 | .5':58s}p-value")
    for name, cases in tally.cases().items():
        found = verdict.judge(cases)
        rates = {}
        for case in cases:
            rates.setdefault(case.where, []).append(f"{case.rate:.4f}")
        shown = ", ".join(f"{where} {' | '.join(v)}" for where, v in rates.items())
        state = "" if found.valid else "  REJECTED"
        print(f"{name:26s}{shown:58s}{found.p_value:.3g}{state}")
    for name, cases in arena.control_cases().items():
        print(f"control {name}: {verdict.line(verdict.judge(cases))}")


if __name__ == "__main__":
    main()
