"""The exact laws against simulation: harmonic, ridge to pretrained, James-Stein.

    python -m benchmarks.law_simulation [--replications 100000]

Every replication draws a portfolio and applies the estimator the law is about; nothing
of the law's formula is used. A cell agrees where the law is within 4 standard errors of
the mean and within 2% of it.
"""

import argparse
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from theory import laws

BLOCK = 4_000_000  # numbers drawn at once
MU = 1.0


class Cell(NamedTuple):
    """A law's value beside the mean of a simulation."""

    name: str
    law: float
    mean: float
    error: float


class Moments:
    """Mean and standard error of values that come in blocks."""

    def __init__(self):
        """Start empty."""
        self.count, self.total, self.squares = 0, 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        """Takes one more block of replications."""
        self.count += len(values)
        self.total += float(values.sum())
        self.squares += float(np.square(values).sum())

    def cell(self, name: str, law: float) -> Cell:
        """The law beside what was seen."""
        mean = self.total / self.count
        variance = max(self.squares / self.count - mean**2, 0.0)
        return Cell(name, law, mean, math.sqrt(variance / (self.count - 1)))


def blocks(replications: int, numbers: int) -> Iterator[int]:
    """Sizes of the blocks that the replications are drawn in."""
    step = max(1, BLOCK // numbers)
    for start in range(0, replications, step):
        yield min(step, replications - start)


def harmonic(replications: int, n: int, tau2: float, s2: float, m: int, gap: float):
    """The two fine-tuned paths and the best mixture, in the Gaussian world."""
    world = laws.gaussian_world(tau2, s2, m, n, gap)
    w = tau2 / (tau2 + s2 / m)
    share = world.finetune / (world.pretrain + world.finetune)
    seen = {name: Moments() for name in ("finetune", "finetune_heldout", "combined")}
    rng = np.random.default_rng([1, n, m])
    for rows in blocks(replications, n):
        theta = MU + math.sqrt(tau2) * rng.standard_normal((rows, n))
        average = theta + math.sqrt(s2 / m) * rng.standard_normal((rows, n))
        heldout = theta + math.sqrt(s2) * rng.standard_normal((rows, n))
        centre = average.mean(axis=1)
        centres = {
            "finetune": centre,
            "finetune_heldout": (heldout - w * average).mean(axis=1) / (1.0 - w),
            "combined": share * (MU + gap) + (1.0 - share) * centre,
        }
        for name, b in centres.items():
            # The mean over fresh instances, given b, of the squared distance to Bayes.
            seen[name].add((1.0 - w) ** 2 * np.square(b - MU))
    where = f"n = {n}, tau2 = {tau2:g}, s2 = {s2:g}, m = {m}, gap = {gap:g}"
    for name, moments in seen.items():
        yield moments.cell(f"{name}: {where}", getattr(world, name))


def james_stein(replications: int, n: int, v: float, tau2: float) -> Iterator[Cell]:
    """Squared distance to Bayes of shrinking to the grand mean."""
    w, seen = tau2 / (tau2 + v), Moments()
    rng = np.random.default_rng([2, n])
    for rows in blocks(replications, n):
        x = MU + math.sqrt(tau2) * rng.standard_normal((rows, n))
        x += math.sqrt(v) * rng.standard_normal((rows, n))
        centre = x.mean(axis=1, keepdims=True)
        spread = np.square(x - centre).sum(axis=1, keepdims=True)
        shrunk = centre + (1.0 - (n - 3) * v / spread) * (x - centre)
        seen.add(np.square(shrunk - (w * x + (1.0 - w) * MU)).mean(axis=1))
    law = laws.james_stein_regret(n, v, tau2)
    yield seen.cell(f"james_stein: n = {n}, v = {v:g}, tau2 = {tau2:g}", law)


def ridge(replications: int, n: int, p: int, penalty: float, uneven: bool):
    """Error on its own features of a head pulled to the pretrained one."""
    rng = np.random.default_rng([3, n, p])
    features = rng.standard_normal((n, p)) * np.geomspace(1.0, 0.1, p)
    gap, truth = rng.standard_normal(p), rng.standard_normal(p)
    noise = np.linspace(0.1, 3.0, n) if uneven else np.full(n, 0.7)
    gram = features.T @ features / n + penalty * np.eye(p)
    seen = Moments()
    for rows in blocks(replications, n):
        y = features @ truth + np.sqrt(noise) * rng.standard_normal((rows, n))
        target = y @ features / n + penalty * (truth + gap)
        fitted = np.linalg.solve(gram, target.T).T
        seen.add(np.square((fitted - truth) @ features.T).mean(axis=1))
    law = laws.ridge_to_pretrained(features, gap, noise, penalty)
    kind = "uneven noise" if uneven else "even noise"
    yield seen.cell(f"ridge: n = {n}, p = {p}, penalty = {penalty:g}, {kind}", law)


def cells(replications: int) -> Iterator[Cell]:
    """All laws at all sizes."""
    for n in (4, 16, 64, 256):
        yield from harmonic(replications, n, 0.5, 2.0, 4, 0.3)
        yield from harmonic(replications, n, 1.0, 1.0, 10, 1.0)
    for n in (8, 16, 64, 256):
        yield from james_stein(replications, n, 0.5, 0.5)
        yield from james_stein(replications, n, 1.0, 0.1)
    for n, p in ((20, 3), (64, 16), (16, 24)):
        for penalty in (0.01, 0.1, 1.0):
            for uneven in (False, True):
                yield from ridge(replications, n, p, penalty, uneven)


def main() -> None:
    """Prints every cell and the worst one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=100_000)
    args = parser.parse_args()
    agreed, worst_share, worst_errors = 0, 0.0, 0.0
    found = []
    for cell in cells(args.replications):
        share = abs(cell.mean / cell.law - 1.0)
        errors = abs(cell.mean - cell.law) / cell.error
        worst_share, worst_errors = max(worst_share, share), max(worst_errors, errors)
        agreed += share <= 0.02 and errors <= 4.0
        found.append(cell)
        print(
            f"{cell.name:62s} law {cell.law:.4g} mean {cell.mean:.4g} ± "
            f"{cell.error:.2g}  off {share:.2%} = {errors:.1f} s.e.",
            flush=True,
        )
    print(
        f"{agreed} of {len(found)} cells agree; worst {worst_share:.2%}, "
        f"{worst_errors:.1f} standard errors, {args.replications} replications"
    )


if __name__ == "__main__":
    main()
