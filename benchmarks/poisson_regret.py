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

from ptft_jax import compilation, count_frequencies, means_networks
from ptft_jax.method import network as network_
from ptft_jax.worlds import means_worlds
from ptft_jax.worlds.means_laws import Law

INTERVALS = 400
CUT = 1e-5  # of a tail


def of_quantiles(frozen) -> Law:
    """A continuous law as intervals between its quantiles, finer in the tails."""
    z = np.linspace(stats.norm.ppf(CUT), stats.norm.ppf(1.0 - CUT), INTERVALS + 1)
    edges = frozen.ppf(stats.norm.cdf(z))
    mass = np.diff(stats.norm.cdf(z))
    return _law(edges[:-1], edges[1:], mass)


def _law(low, high, mass) -> Law:
    mass = np.asarray(mass, float) / np.sum(mass)
    return Law(*(jnp.asarray(x, jnp.float32) for x in (low, high, mass)))


PRIORS = {
    "uniform on [0, 3]": _law([0.0], [3.0], [1.0]),
    "uniform on [0, 50]": _law([0.0], [50.0], [1.0]),
    "exponential, mean 5": of_quantiles(stats.gamma(1.0, scale=5.0)),
    "gamma, shape 4, mean 10": of_quantiles(stats.gamma(4.0, scale=2.5)),
    "lognormal, sd of log 1": of_quantiles(stats.lognorm(1.0, scale=3.0)),
    "Pareto, index 3": of_quantiles(stats.pareto(3.0, scale=2.0)),
    "two points 2, 10": _law([2.0, 10.0], [2.0, 10.0], [0.5, 0.5]),
    "nine in ten at 1, rest at 8": _law([1.0, 8.0], [1.0, 8.0], [0.9, 0.1]),
    "half at 0, half exponential": jax.tree.map(
        lambda one, more: jnp.concatenate([one, more]),
        _law([0.0], [0.0], [1.0])._replace(mass=jnp.array([0.5])),
        of_quantiles(stats.gamma(1.0, scale=8.0))._replace(
            mass=0.5 * of_quantiles(stats.gamma(1.0, scale=8.0)).mass
        ),
    ),
    "three normal humps": _law(
        *(
            np.concatenate(part)
            for part in zip(
                *(of_quantiles(stats.norm(m, 1.0)) for m in (6.0, 15.0, 30.0)),
                strict=True,
            )
        )
    ),
}


def random_law(key) -> Law:
    """Dirichlet weights on the whole numbers up to 50."""
    points = jnp.arange(51.0)
    mass = jax.random.exponential(key, (51,))
    return Law(points, points, mass / mass.sum())


def methods() -> dict:
    """Estimates by name, the network's last."""
    world, network, params = means_networks.load("poisson_means")
    decide = functools.partial(network_.decide, network, world.problem, params)
    rules = {**world.problem.baselines, **count_frequencies.EQUAL_EXPOSURE}
    return {**rules, "pretrained": decide}


def regrets(key, law: Law, n: int, num_portfolios: int, rules: dict) -> dict:
    """Regret of each rule on each portfolio of a prior."""
    world = means_worlds.POISSON
    one = jnp.ones(())
    portfolio = means_worlds.Portfolio(law, one, 0.0 * one, 0.0 * one)

    def regret(key):
        truth_key, seen_key = jax.random.split(key)
        truth = world.sample_instances(truth_key, portfolio, n)
        seen = world.observe(seen_key, truth, 1)
        best = world.bayes(portfolio, seen)
        squared = lambda x: jnp.square(x - best).mean()
        return {name: squared(rule(seen)) for name, rule in rules.items()}

    found = jax.lax.map(regret, jax.random.split(key, num_portfolios))
    return {name: np.asarray(value) for name, value in found.items()}


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
    rules, logs = methods(), []
    key = jax.random.key(args.seed)
    for index, (name, law) in enumerate(PRIORS.items()):
        law_key = jax.random.fold_in(key, index)
        found = regrets(law_key, law, args.n, args.portfolios, rules)
        logs.append(row(name, found))
    laws = [random_law(jax.random.fold_in(key, 1000 + k)) for k in range(4)]
    share = -(-args.portfolios // len(laws))
    parts = [
        regrets(jax.random.fold_in(key, 2000 + k), law, args.n, share, rules)
        for k, law in enumerate(laws)
    ]
    mixed = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    logs.append(row("random on 0, 1, …, 50", mixed))
    mean = np.mean([log for log, _ in logs])
    spread = np.sqrt(np.sum([error**2 for _, error in logs])) / len(logs)
    print(
        f"geometric mean of pretrained / npmle over {len(logs)} priors: "
        f"{np.exp(mean):.3f} ± {np.exp(mean) * spread:.3f}"
    )


if __name__ == "__main__":
    main()
