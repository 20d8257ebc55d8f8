"""Laws of head fine-tuning against fine-tuning, on the features of actual networks.

    python -m benchmarks.head_laws [ridge|sandwich]

One portfolio of n instances is drawn and the pretrained network decides on it; then
only labels are redrawn, the head is fitted to each set, and its exact excess cost over
the best head of these instances is averaged. `ratio` is measured/predicted ± one
standard error over label sets. The penalty of `best` is that of least predicted excess,
`weak` is a thousandth of the mean eigenvalue of the features.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ptft_jax import checkpoint, compilation, head_laws, streams, types
from ptft_jax.means import pretrain as means_pretrain
from ptft_jax.model import Decision
from ptft_jax.worlds import WORLDS, gaussian_means, lognormal
from ptft_jax.worlds.world import World

SIZES = (64, 256, 1024, 4096, 16384)
OBSERVATIONS = 10
LOGNORMAL = lognormal.Law(*map(jnp.float32, (2.0, 0.7, 0.5)))
MEANS = gaussian_means.Law(*map(jnp.float32, (1.0, 1.0, OBSERVATIONS**0.5)))
MOST_LABELS = 2**20  # n times the label sets of ridge, where those asked for are fewer
LABELS_AT_ONCE = 2**21  # n times the label sets that are in memory together


class Case(NamedTuple):
    """A portfolio, what the network makes of it, and where labels come from."""

    world: World
    instances: tuple
    decision: Decision
    mean: np.ndarray
    variance: np.ndarray


def newsvendor_case(n: int, quantile: float = 0.5) -> Case:
    """Lognormal demand, the shipped newsvendor network."""
    network, params, _ = checkpoint.load_shipped()
    theta_key, data_key = jax.random.split(streams.cell_key(0, "head laws", n))
    instances = lognormal.sample_instances(theta_key, LOGNORMAL, n)
    seen = lognormal.sample_demand(data_key, instances, OBSERVATIONS)
    decide = jax.jit(lambda data: network.apply(params, data))
    decision = decide(types.portfolio(seen, quantile))
    theta, sigma = (np.asarray(v, np.float64) for v in instances)
    mean = np.exp(theta + sigma**2 / 2.0)
    variance = mean**2 * np.expm1(sigma**2)
    return Case(WORLDS["lognormal"], instances, decision, mean, variance)


def means_case(n: int) -> Case:
    """Normal means with v = 1, the shipped means network."""
    network, params, _ = means_pretrain.load_shipped()
    theta_key, data_key = jax.random.split(streams.cell_key(0, "head laws", n))
    instances = gaussian_means.sample_instances(theta_key, MEANS, n)
    seen = gaussian_means.sample_observations(data_key, instances, OBSERVATIONS)
    decide = jax.jit(lambda data: network.apply(params, data, MEANS.noise))
    decision = decide(types.portfolio(seen, 0.5))
    theta, noise = (np.asarray(v, np.float64) for v in instances)
    return Case(gaussian_means.world(law=MEANS), instances, decision, theta, noise**2)


def measure(excess: Callable, case: Case, sets: int) -> tuple[float, float]:
    """Mean and standard error of the excess over label sets, a few sets at a time."""
    n = len(case.mean)
    size = max(1, min(sets, LABELS_AT_ONCE // n))
    draw = jax.jit(case.world.sample_demand, static_argnums=2)
    values = []
    for part in range(-(-sets // size)):
        key = jax.random.fold_in(streams.cell_key(1, "head laws, labels", n), part)
        values.append(excess(draw(key, case.instances, size)))
    found = np.concatenate(values)
    return float(found.mean()), float(found.std(ddof=1) / len(found) ** 0.5)


def ridge_penalties(case: Case) -> dict[str, float]:
    """A weak penalty, and the one of least predicted excess, both on a fixed scale."""
    phi = head_laws.design(case.decision)
    size = float((phi**2).sum() / phi.size)
    predicted = lambda p: head_laws.ridge(case.decision, *case[3:], p).unequal
    grid = size * np.logspace(-4.0, 2.0, 13)
    return {"weak": 1e-3 * size, "best": float(min(grid, key=predicted))}


def ridge(sets: int) -> None:
    """Prints measured over predicted excess squared cost of ridge-pulled heads."""
    print(
        "ridge: network, n, penalty, predicted/pretrained, ratio, ratio were σ² equal"
    )
    for name, make in (("newsvendor", newsvendor_case), ("means", means_case)):
        for n in SIZES:
            case = make(n)
            for which, penalty in ridge_penalties(case).items():
                law = head_laws.ridge(case.decision, *case[3:], penalty)
                mean, error = measure(
                    lambda labels, case=case, penalty=penalty: head_laws.ridge_excess(
                        case.decision, case.mean, np.asarray(labels), penalty
                    ),
                    case,
                    max(sets, MOST_LABELS // n),
                )
                print(
                    f"{name:10s} {n:5d} {which:4s} {law.unequal / law.pretrain:9.3g}  "
                    f"{mean / law.unequal:.4f} ± {error / law.unequal:.4f}  "
                    f"{mean / law.equal:.3f}",
                    flush=True,
                )


def sandwich(sets: int, sizes: tuple[int, ...], quantiles: tuple[float, ...]) -> None:
    """Prints measured over predicted excess newsvendor cost of fitted heads."""
    print("sandwich: q, directions, penalty, n, predicted, pretrained, ratio")
    for q in quantiles:
        for rank, penalty in ((16, 0.0), (64, 0.0), (64, 1e-3)):
            for n in sizes:
                case = newsvendor_case(n, q)
                decision = case.decision
                if not penalty:
                    decision = head_laws.leading(decision, rank)
                quantile = jnp.full(n, q)
                law = head_laws.sandwich(
                    case.world, case.instances, decision, quantile, penalty
                )
                given = (case.world, case.instances, decision, quantile)
                mean, error = measure(
                    lambda labels, given=given, law=law, penalty=penalty: (
                        head_laws.sandwich_excess(*given, labels, law.best, penalty)
                    ),
                    case,
                    sets,
                )
                print(
                    f"{q:5g} {rank:3d} {penalty:6g} {n:6d} {law.predicted:.3e} "
                    f"{law.pretrain:.3e}  {mean / law.predicted:.3f} ± "
                    f"{error / law.predicted:.3f}",
                    flush=True,
                )


def main() -> None:
    """Parses the command line and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("law", nargs="?", choices=["ridge", "sandwich"])
    parser.add_argument("--sets", type=int, default=5000, help="of labels, for ridge")
    parser.add_argument("--heads", type=int, default=400, help="fitted, for sandwich")
    parser.add_argument("--n", default="1024,4096,16384", help="for sandwich")
    parser.add_argument("--quantile", default="0.5,0.9", help="for sandwich")
    args = parser.parse_args()
    compilation.keep_programs()
    if args.law != "sandwich":
        ridge(args.sets)
    if args.law != "ridge":
        sizes = tuple(map(int, args.n.split(",")))
        sandwich(args.heads, sizes, tuple(map(float, args.quantile.split(","))))


if __name__ == "__main__":
    main()
