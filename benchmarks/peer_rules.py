"""Decision rules of other packages, for `benchmarks.peers` only."""

import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from ptft_jax.problems import newsvendor
from ptft_jax.types import Portfolio
from ptft_jax.worlds import gamma_poisson

THREADS = 2
ROUNDS = 300
GRID = tuple((leaves, least) for leaves in (7, 15, 31) for least in (20, 100))
FOLDS = 4
DRAWS = 500


def _describe(rest: np.ndarray) -> np.ndarray:
    """Unit-free features of instances from what is known of them, [n, m] → [n, 8]."""
    mean = np.maximum(rest.mean(1), 1e-9)
    ordered = np.sort(rest, axis=1)
    columns = (
        rest.std(1, ddof=1),
        ordered[:, 0],
        np.median(rest, axis=1),
        ordered[:, -2],
        ordered[:, -1],
        rest[:, -1],
        rest[:, -3:].mean(1),
    )
    return np.column_stack([c / mean for c in columns] + [np.log(mean)])


def lightgbm_rule(tuned: bool) -> Callable[[Portfolio], np.ndarray] | None:
    """One LightGBM quantile model of all instances, or None where not installed.

    As `baselines.global_qr`: the target is an observation over the mean of the others,
    weighted by that mean, the features are those of the others and lags. Tuned, leaves
    and the least data of a leaf are chosen among 6 by 4-fold cross-validation over
    instances, each with early stopping; otherwise 300 rounds of 15 leaves.

    Args:
      tuned: whether to choose.

    Returns:
      A rule for complete portfolios of one quantile.
    """
    if importlib.util.find_spec("lightgbm") is None:
        return None
    import lightgbm

    def rule(portfolio: Portfolio) -> np.ndarray:
        demand = np.asarray(portfolio.observations, np.float64)
        m, fold = demand.shape[1], np.arange(len(demand)) % FOLDS
        rest = [np.delete(demand, j, axis=1) for j in range(m)]
        scale = np.maximum(np.concatenate([r.mean(1) for r in rest]), 1e-9)
        data = lightgbm.Dataset(
            np.concatenate([_describe(r) for r in rest]),
            demand.T.ravel() / scale,
            weight=scale,
            params={"verbosity": -1},
            free_raw_data=False,
        )
        base = {
            "objective": "quantile",
            "alpha": float(portfolio.quantile[0]),
            "learning_rate": 0.05,
            "num_threads": THREADS,
            "verbosity": -1,
            "feature_pre_filter": False,
        }
        options = base | {"num_leaves": 15, "min_data_in_leaf": 50}
        rounds = ROUNDS
        if tuned:
            options, rounds = _choose(lightgbm, data, base, np.tile(fold, m))
        fitted = lightgbm.train(options, data, rounds)
        x = fitted.predict(_describe(demand), num_threads=THREADS)
        return np.maximum(x * demand.mean(1), 0.0)

    return rule


def _choose(lightgbm, data, base, fold):
    """Options and rounds of least cross-validated loss; folds are of instances."""
    index = np.arange(len(fold))
    splits = [(index[fold != k], index[fold == k]) for k in range(FOLDS)]
    found = []
    for leaves, least in GRID:
        options = base | {"num_leaves": leaves, "min_data_in_leaf": least}
        stop = lightgbm.early_stopping(20, verbose=False)
        scores = lightgbm.cv(options, data, ROUNDS, folds=splits, callbacks=[stop])
        losses = scores["valid quantile-mean"]
        found.append((min(losses), options, len(losses)))
    return min(found, key=lambda each: each[0])[1:]


@jax.jit
def mixture_quantile(rate, quantile):
    """Quantile of the mean of Poisson laws, rates [s, n] drawn from a posterior."""
    draws = lambda k: special.gammaincc(jnp.maximum(k, 0.0) + 1.0, rate).mean(0)
    cdf = lambda k: jnp.where(k < 0.0, 0.0, draws(k))
    mean = rate.mean(0)
    return newsvendor.count_quantile(cdf, mean, mean + rate.var(0), quantile)


def numpyro_rule(sample_rates: bool) -> Callable[[Portfolio], np.ndarray] | None:
    """NUTS on the gamma–Poisson hierarchy, or None where numpyro is not installed.

    ξ_ij ~ Poisson(λ_i), λ_i ~ Gamma(a, a/μ), a and μ log-uniform as in the world; one
    chain, 500 steps of warm-up and 500 draws; x_i is the quantile of the posterior
    predictive. Rates that are not sampled are integrated out (counts are negative
    binomial), and drawn from their gamma posterior afterwards.

    Args:
      sample_rates: whether NUTS samples the λ_i.

    Returns:
      A rule for complete portfolios.
    """
    if importlib.util.find_spec("numpyro") is None:
        return None
    import numpyro
    from numpyro import distributions as dist
    from numpyro import infer

    def model_(total, m):
        shape = numpyro.sample("shape", dist.LogUniform(*gamma_poisson.SHAPE_RANGE))
        mean = numpyro.sample("mean", dist.LogUniform(*gamma_poisson.MEAN_RANGE))
        with numpyro.plate("instances", len(total)):
            if sample_rates:
                rate = numpyro.sample("rate", dist.Gamma(shape, shape / mean))
                numpyro.sample("total", dist.Poisson(m * rate), obs=total)
            else:
                # the sum of an instance's counts is sufficient
                law = dist.GammaPoisson(shape, shape / mean / m)
                numpyro.sample("total", law, obs=total)

    def rule(portfolio: Portfolio) -> np.ndarray:
        m = portfolio.observations.shape[1]
        total = portfolio.observations.sum(1)
        mcmc = infer.MCMC(
            infer.NUTS(model_),
            num_warmup=DRAWS,
            num_samples=DRAWS,
            progress_bar=False,
        )
        mcmc.run(jax.random.key(0), total, m)
        drawn = mcmc.get_samples()
        if sample_rates:
            rate = drawn["rate"]
        else:
            shape, mean = drawn["shape"][:, None], drawn["mean"][:, None]
            unit = jax.random.gamma(jax.random.key(1), shape + total)
            rate = unit / (shape / mean + m)
        return np.asarray(mixture_quantile(rate, portfolio.quantile))

    return rule
