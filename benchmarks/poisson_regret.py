"""Regret of Poisson empirical Bayes over the Bayes rule, for priors of known form.

`python -m benchmarks.poisson_regret --n 512 --portfolios 100` prints, for each prior,
the mean over portfolios of mean_i (x_i − E[λ_i | prior, y_i])² with its standard error,
and the network's as a share of the NPMLE's. No prior is a draw of the network's own
world; the Bayes rule is quadrature.
"""

import argparse
import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from ptft_jax import compilation, count_frequencies
from ptft_jax.method import catalog
from ptft_jax.method import network as network_
from ptft_jax.worlds import means_portfolios, means_worlds
from ptft_jax.worlds.means_laws import Law

INTERVALS = 100
LARGEST = 3 * INTERVALS
POINTS = 6  # of quadrature, an interval
CUT = 1e-5  # of a tail


def _law(low, high, mass) -> Law:
    """A law, filled up with intervals of no mass: one program serves all."""
    more = LARGEST - len(mass)
    fill = lambda x: jnp.pad(jnp.asarray(x, jnp.float32), (0, more))
    return Law(fill(low), fill(high), fill(np.asarray(mass, float) / np.sum(mass)))


def of_quantiles(*parts) -> Law:
    """An even mixture of continuous laws as intervals, finer in the tails."""
    z = np.linspace(stats.norm.ppf(CUT), stats.norm.ppf(1.0 - CUT), INTERVALS + 1)
    edges = [part.ppf(stats.norm.cdf(z)) for part in parts]
    mass = np.tile(np.diff(stats.norm.cdf(z)), len(parts))
    low = np.concatenate([edge[:-1] for edge in edges])
    return _law(low, np.concatenate([edge[1:] for edge in edges]), mass)


def points(*rows) -> Law:
    """A law of points, given with their masses."""
    places, masses = zip(*rows, strict=True)
    return _law(places, places, masses)


def random_law(key) -> Law:
    """Dirichlet weights on the whole numbers up to 50."""
    return points(*enumerate(np.asarray(jax.random.exponential(key, (51,)))))


PRIORS = {
    "uniform on [0, 3]": of_quantiles(stats.uniform(0.0, 3.0)),
    "uniform on [0, 50]": of_quantiles(stats.uniform(0.0, 50.0)),
    "exponential, mean 5": of_quantiles(stats.gamma(1.0, scale=5.0)),
    "gamma, shape 4, mean 10": of_quantiles(stats.gamma(4.0, scale=2.5)),
    "lognormal, sd of log 1": of_quantiles(stats.lognorm(1.0, scale=3.0)),
    "Pareto, index 3, from 2": of_quantiles(stats.pareto(3.0, scale=2.0)),
    "two points, 2 and 10": points((2.0, 0.5), (10.0, 0.5)),
    "nine in ten at 1, rest at 8": points((1.0, 0.9), (8.0, 0.1)),
    "half near 0, half near 8": of_quantiles(
        stats.uniform(0.0, 0.1), stats.gamma(16.0, scale=0.5)
    ),
    "three normal humps": of_quantiles(
        *(stats.norm(mean, 1.0) for mean in (6.0, 15.0, 30.0))
    ),
    "random on 0, 1, …, 50": random_law,
}


def methods() -> dict:
    """Estimates by name, the network's last."""
    network, params = catalog.load("poisson_means")
    problem = means_worlds.POISSON.problem
    decide = functools.partial(network_.decide, network, problem, params)
    rules = {**problem.baselines, **count_frequencies.EQUAL_EXPOSURE}
    return {**rules, "pretrained": decide}


def make_regret(n: int, rules: dict):
    """Returns `regret(key, law)`: that of each rule on one portfolio."""
    world = means_worlds.POISSON

    @jax.jit
    def regret(key, law: Law):
        truth_key, seen_key = jax.random.split(key)
        one = jnp.ones(())
        portfolio = means_portfolios.Portfolio(law, one, 0.0 * one, 0.0 * one)
        truth = world.sample_instances(truth_key, portfolio, n)
        seen = world.observe(seen_key, truth, 1)
        best = world.bayes(portfolio, seen, num_points=POINTS)
        squared = lambda x: jnp.square(x - best).mean()
        return {name: squared(rule(seen)) for name, rule in rules.items()}

    return regret


def regrets(key, law, num_portfolios: int, regret) -> dict:
    """Regrets of each rule on the portfolios of a prior."""
    found = []
    for k in range(num_portfolios):
        data_key, law_key = jax.random.split(jax.random.fold_in(key, k))
        found.append(regret(data_key, law(law_key) if callable(law) else law))
    return {name: np.array([float(each[name]) for each in found]) for name in found[0]}


def row(name: str, found: dict) -> tuple[float, float]:
    """Prints a prior's regrets; log of the network's over the NPMLE's, and its s.e."""
    error = lambda x: x.std(ddof=1) / len(x) ** 0.5
    cells = [f"{k} {x.mean():.4f}±{error(x):.4f}" for k, x in found.items()]
    ours, theirs = found["pretrained"], found["npmle"]
    ratio = ours.mean() / theirs.mean()
    # delta method for the ratio of paired means
    spread = error(ours / ours.mean() - theirs / theirs.mean())
    print(f"{name:28s} " + "  ".join(cells))
    print(f"{'':28s} pretrained / npmle {ratio:.3f} ± {ratio * spread:.3f}", flush=True)
    return np.log(ratio), spread


def main() -> None:
    """Parses the command line and runs the priors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--portfolios", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    compilation.keep_programs()
    regret, logs = make_regret(args.n, methods()), []
    for index, (name, law) in enumerate(PRIORS.items()):
        key = jax.random.fold_in(jax.random.key(args.seed), index)
        logs.append(row(name, regrets(key, law, args.portfolios, regret)))
    mean = np.mean([log for log, _ in logs])
    spread = np.sqrt(np.sum([error**2 for _, error in logs])) / len(logs)
    print(
        f"geometric mean of pretrained / npmle over {len(logs)} priors: "
        f"{np.exp(mean):.3f} ± {np.exp(mean) * spread:.3f}"
    )


if __name__ == "__main__":
    main()
