"""The baselines on real truths, beside the figures measured before this package.

    python -m benchmarks.baseline_figures [--seeds 5]

Rossmann (1115 stores) and carparts (1347 parts with no blank month and at least 10
positive ones), i.i.d. protocol: m observations a column without replacement, the truth
being the whole column. A figure is 100 (Σ cost / Σ cost_full − 1) over the portfolio,
mean ± standard error over seeds. The CSV files are read from `PTFT_DATA`, by default
`../shared/data`; they are not part of this repository.
"""

import argparse
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from benchmarks import datasets
from ptft_jax import baselines, empirical, types

STORES, OBSERVATIONS, QUANTILES = (64, 256, 1115), (5, 10, 20), (0.9, 0.95)

# reference figures in the order n64 m5, m10, m20, n256 m5, …; q = .9 / q = .95
ROSSMANN = {
    "saa": """24.9/57.1 19.6/23.4 8.8/15.8 25.9/58.2 19.2/22.9 9.2/15.8
              25.6/57.2 18.7/22.4 9.1/16.2""",
    "shrunken_saa": """13.5/21.8 8.3/11.6 5.3/7.8 14.1/23.6 8.1/11.1 5.2/7.4
                       13.3/21.6 8.0/11.0 5.3/7.6""",
    "pooled_loo": """13.6/18.4 8.4/11.8 5.6/8.4 14.2/18.8 8.1/11.6 5.3/8.2
                     13.5/17.9 8.1/11.4 5.3/8.1""",
    "lognormal_eb": """12.3/16.6 7.9/11.2 4.8/7.1 12.7/16.9 7.3/10.5 4.6/6.7
                       11.7/15.4 7.4/10.5 4.6/6.9""",
    "global_qr": """38/82 9.2/12.7 4.9/7.1 24/34 7.4/10.3 4.3/6.4
                    13.9/17.3 7.1/10.0 4.4/6.3""",
}
# q = .95, m = 5, 10, 20
CARPARTS = {
    "saa": "56 21 12",
    "shrunken_saa": "15 13 9.6",
    "npmle_negbin": "17 14 8.2",
    "gamma_poisson_eb": "26 21 19",
}


def excesses(
    truth: empirical.EmpiricalTruth,
    data: np.ndarray,
    quantile: float,
    methods: dict[str, Callable],
) -> dict[str, float]:
    """Excess cost over full information of each method, in percent."""
    full = empirical.full_information(truth, quantile)
    best = empirical.expected_cost(truth, full, quantile).sum()
    portfolio = types.portfolio(jnp.asarray(data, jnp.float32), quantile)
    return {
        name: 100.0
        * (empirical.expected_cost(truth, decide(portfolio), quantile).sum() / best - 1)
        for name, decide in methods.items()
    }


def rossmann(num_seeds: int) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """One column of figures a cell (q, n, m), by method."""
    truth = datasets.truth("rossmann")
    for quantile in QUANTILES:
        for n in STORES:
            for m in OBSERVATIONS:
                cell = {name: [] for name in baselines.NEWSVENDOR}
                for seed in range(num_seeds):
                    rng = np.random.default_rng([seed, n, m])
                    stores = rng.choice(len(truth.length), n, replace=False)
                    part = empirical.take(truth, stores)
                    data = empirical.sample_iid(part, rng, m)
                    one = excesses(part, data, quantile, baselines.NEWSVENDOR)
                    for name, value in one.items():
                        cell[name].append(value)
                yield f"q{quantile} n{n} m{m}", cell


def carparts(num_seeds: int) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """One column of figures a cell m, by method, at q = .95."""
    truth = datasets.truth("carparts")
    for m in OBSERVATIONS:
        cell = {name: [] for name in baselines.COUNTS}
        for seed in range(num_seeds):
            data = empirical.sample_iid(truth, np.random.default_rng([seed, m]), m)
            for name, value in excesses(truth, data, 0.95, baselines.COUNTS).items():
                cell[name].append(value)
        yield f"carparts m{m}", cell


def print_cell(title: str, cell: dict[str, list[float]], known: dict[str, str]) -> None:
    """One line a method: mean ± standard error and the reference figure."""
    print(title)
    for name, values in cell.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        figure = f"{np.mean(values):8.1f} ± {error:4.1f}"
        print(f"  {name:18}{figure}   reference {known.get(name, '-'):>5}", flush=True)


def main() -> None:
    """Print every cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="portfolios a cell, ≥ 2")
    num_seeds = parser.parse_args().seeds
    cells_per_quantile = len(STORES) * len(OBSERVATIONS)
    for k, (title, cell) in enumerate(rossmann(num_seeds)):
        side, column = divmod(k, cells_per_quantile)
        known = {
            name: figures.split()[column].split("/")[side]
            for name, figures in ROSSMANN.items()
        }
        print_cell(title, cell, known)
    for k, (title, cell) in enumerate(carparts(num_seeds)):
        known = {name: figures.split()[k] for name, figures in CARPARTS.items()}
        print_cell(title, cell, known)


if __name__ == "__main__":
    main()
