"""How well any exchangeable rule could do: empirical Bayes told all other laws.

`python -m benchmarks.oracle_floor rossmann` decides for each instance by the posterior
over the full laws of all *other* instances (for Rossmann, over their scale too), which
no rule that sees m observations of each can know. Its excess cost over that of the best
baseline is the smallest ratio that learning across instances can be expected to reach.
"""

import argparse
import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import datasets, real_demand
from ptft_jax import compilation, empirical, risk, streams, types
from ptft_jax.checkpoint import load_shipped

STEP = 0.01  # of the grid of log demand
HALF = 300  # points on either side of the geometric mean
SHIFTS = np.arange(-120, 121, 2)  # of the log level, in steps, around the observed one
REACH = np.arange(-200, 201)  # decisions tried, in steps of log demand


def log_densities(series):
    """Kernel densities of log demand about its mean, [j, g], and its mean, [j]."""
    logs = np.log(series)
    level = np.nanmean(logs, axis=1)
    grid = STEP * np.arange(-HALF, HALF + 1)
    edges = np.append(grid - STEP / 2, grid[-1] + STEP / 2)
    rows = []
    for own, center in zip(logs, level, strict=True):
        rest = own[~np.isnan(own)] - center
        low, high = np.quantile(rest, (0.25, 0.75))
        width = 0.9 * min(rest.std(), (high - low) / 1.34) * len(rest) ** -0.2
        kernel = np.exp(-0.5 * (STEP * np.arange(-100, 101) / width) ** 2)
        counts = np.histogram(rest, edges)[0] / len(rest)
        rows.append(np.convolve(counts, kernel / kernel.sum(), "same"))
    return np.array(rows), level


def continuous(series, observed, index, quantile):
    """Posterior quantiles where a law is a shape of another times a scale."""
    density, level = log_densities(series)
    log_density = jnp.asarray(np.log(density + 1e-7), jnp.float32)
    cdf = jnp.asarray(np.cumsum(density, 1), jnp.float32)
    center, spread = level.mean(), level.std()

    def decide(row):
        logs, i = row
        middle = logs.mean()
        cell = jnp.round((logs - middle) / STEP)[:, None] - SHIFTS + HALF
        cell = jnp.clip(cell, 0, 2 * HALF).astype(int)
        shifted = (middle + STEP * SHIFTS - center) / spread
        log_weight = log_density[:, cell].sum(1) - 0.5 * shifted**2
        weight = jax.nn.softmax(log_weight.at[i].set(-jnp.inf), axis=(0, 1))

        def add(total, shift):
            share, offset = shift
            return total + share @ cdf[:, jnp.clip(REACH - offset + HALF, 0, 600)], None

        start = jnp.zeros(len(REACH))
        predicted, _ = jax.lax.scan(add, start, (weight.T, jnp.asarray(SHIFTS)))
        return jnp.exp(middle + jnp.interp(quantile, predicted, REACH + 0.5) * STEP)

    logs = jnp.asarray(np.log(observed), jnp.float32)
    return np.asarray(jax.jit(functools.partial(jax.lax.map, decide))((logs, index)))


def counts(series, observed, index, quantile):
    """Posterior quantiles where a law is one of the other parts', a little smoothed."""
    top = int(np.nanmax(series)) + 1
    histogram = lambda rows: np.stack(
        [np.bincount(row.astype(int), minlength=top) for row in rows]
    )
    value = np.arange(top)
    kernel = np.exp(-np.abs(value - value[:, None]) / (0.5 + 0.15 * value[:, None]))
    share = histogram(series) / series.shape[1]
    law = (share + share @ (kernel / kernel.sum(1, keepdims=True))) / 2.0
    log_weight = histogram(observed) @ np.log(law + 1e-9).T
    log_weight[np.arange(len(index)), index] = -np.inf
    weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
    cdf = (weight / weight.sum(1, keepdims=True)) @ np.cumsum(law, 1)
    return np.argmax(cdf >= quantile * cdf[:, -1:], axis=1).astype(np.float64)


def excesses(name, truth, shipped, m, q, seed, num_scored) -> dict[str, float]:
    """Excess cost in percent of the oracle and of all rules, on the same instances."""
    network, params, _ = shipped
    rng = streams.generator(seed, f"oracle floor {name} {m}")
    order = rng.permutation(len(truth.length))
    part = empirical.take(truth, order)
    observed = empirical.sample_iid(part, rng, m)
    portfolio = types.portfolio(jnp.asarray(observed, jnp.float32), q)
    told = continuous if name == "rossmann" else counts
    scored = empirical.take(part, np.arange(num_scored))
    full = empirical.expected_cost(scored, empirical.full_information(scored, q), q)

    def excess(x):
        x = np.asarray(x, np.float64)[:num_scored]
        return 100.0 * (empirical.expected_cost(scored, x, q).sum() / full.sum() - 1.0)

    row = {
        key: excess(rule(portfolio)) for key, rule in real_demand.rules(name).items()
    }
    policy = risk.single(network, params)
    row["pretrained"] = excess(risk.decide(network, policy, portfolio))
    row["oracle"] = excess(
        told(truth.series, observed[:num_scored], order[:num_scored], q)
    )
    return row


def main() -> None:
    """Parses the command line and prints one row a cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=datasets.FILES)
    parser.add_argument("--observations", default="5,10,20")
    parser.add_argument("--quantile", default="0.9,0.95")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scored", type=int, default=400, help="instances")
    args = parser.parse_args()
    compilation.keep_programs()
    truth, shipped = datasets.truth(args.name), load_shipped()
    for m in map(int, args.observations.split(",")):
        for q in map(float, args.quantile.split(",")):
            rows = [
                excesses(args.name, truth, shipped, m, q, seed, args.scored)
                for seed in range(args.seeds)
            ]
            mean = {k: np.mean([row[k] for row in rows]) for k in rows[0]}
            best = min(real_demand.rules(args.name), key=mean.get)
            ratio = np.array([row["oracle"] / row[best] for row in rows])
            print(
                f"m={m} q={q:g}: "
                + " ".join(f"{key} {value:.2f}" for key, value in mean.items())
                + f" | oracle/{best} {mean['oracle'] / mean[best]:.3f}"
                f" ± {ratio.std(ddof=1) / len(ratio) ** 0.5:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
