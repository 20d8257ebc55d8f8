"""Calibration of quantile curves on real demand: PIT of observations held out.

    python -m benchmarks.quantile_curves rossmann [--seeds 3] [--m 5,10,20]

m observations of each instance are drawn without replacement, the curve is made from
them, and up to 40 others of each instance are compared with it: the largest distance
of the law of their probability integral transforms from the uniform one over 5%, 10%,
…, 95%, counts being randomised within their atom. Beside it what the curve says of
itself.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import datasets
from ptft_jax import checkpoint, compilation, quantile_curve, shapes, streams, types

LEVELS = tuple(k / 100.0 for k in range(1, 100))
CHECKED = np.arange(1, 20) / 20.0
FUTURE = 40


def split(columns: np.ndarray, rng: np.random.Generator, m: int):
    """Observations of each instance and up to 40 others, NaN where there are none."""
    order = np.argsort(np.where(np.isnan(columns), 2.0, rng.random(columns.shape)), 0)
    mixed = np.take_along_axis(columns, order, 0).T
    return mixed[:, :m], mixed[:, m : m + FUTURE]


def deviation(x: np.ndarray, future: np.ndarray, u: np.ndarray) -> float:
    """Largest distance of the transforms' law from uniform over 5%, …, 95%."""
    upto = (x[:, None] <= future[..., None]).mean(-1)
    below = (x[:, None] < future[..., None]).mean(-1)
    pit = (below + u * (upto - below))[~np.isnan(future)]
    share = np.searchsorted(np.sort(pit), CHECKED, side="right") / len(pit)
    return float(np.abs(share - CHECKED).max())


def main() -> None:
    """Prints a row for each m."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=("rossmann", "carparts"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--m", default="5,10,20")
    args = parser.parse_args()
    compilation.keep_programs()
    network, params, _ = checkpoint.load_shipped()
    columns = datasets.table(args.name).values
    for m in map(int, args.m.split(",")):
        rows = []
        for seed in range(args.seeds):
            rng = streams.generator(seed, f"curve {args.name} {m}")
            seen, future = split(columns, rng, m)
            portfolio = types.portfolio(jnp.asarray(seen, jnp.float32), 0.5)
            given = (network, params, shapes.pad(portfolio), LEVELS)
            curve = quantile_curve.make(*given, jax.random.key(seed))
            made = curve.quantiles
            off = deviation(made, future, rng.random(future.shape))
            rows.append((off, curve.pit_distance))
        mean, error = np.mean(rows, 0), np.std(rows, 0, ddof=1) / len(rows) ** 0.5
        print(
            f"{args.name} m = {m}: transforms within {mean[0]:.4f} ± {error[0]:.4f} of "
            f"uniform; says of itself {mean[1]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
