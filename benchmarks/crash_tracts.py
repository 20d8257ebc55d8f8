"""Census tracts of New York and their crashes: which 107 to choose?

Protocol of Gupta, Huang & Rusmevichientong (Decision-aware denoising, 2024). Truth:
p_j, the share of a tract's crashes of 2012–2023 that injured a pedestrian; weight w_j,
its crashes in those years / 1000; tracts without such an injury or with more than 2000
crashes are left out. Seen: k_j ~ Binomial(⌈q S_j⌉, p_j), S_j ≥ 1 the crashes of 2018.
The decision chooses 107 tracts of largest Σ w_j p_j, each of cost 1.
"""

import jax.numpy as jnp
import numpy as np
import polars as pl

from benchmarks import datasets
from ptft_jax.allocation import knapsack
from ptft_jax.allocation.trials import Counts

FILE = "nyc_crash_tract_year.csv"
YEAR, CHOSEN, MOST_CRASHES = 2018, 107, 2000


def table(most_crashes: int = MOST_CRASHES) -> pl.DataFrame:
    """One row a tract: rate p, weight, and the crashes of the year."""
    tract = ["boro_code", "ct2010"]
    years = pl.read_csv(datasets.find(FILE), schema_overrides={"ct2010": pl.String})
    total = years.group_by(tract).agg(pl.col("crashes", "ped_inj").sum())
    total = total.filter((pl.col.ped_inj > 0) & (pl.col.crashes <= most_crashes))
    year = years.filter(pl.col.YEAR == YEAR).select(*tract, seen=pl.col.crashes)
    return (
        total.join(year, on=tract, how="left")
        .with_columns(pl.col.seen.fill_null(0).clip(lower_bound=1))
        .with_columns(
            rate=pl.col.ped_inj / pl.col.crashes, weight=pl.col.crashes / 1000
        )
        .sort(tract)
    )


def sample(
    tracts: pl.DataFrame, share: float, rng: np.random.Generator
) -> tuple[Counts, np.ndarray]:
    """What is seen of the tracts, and what they are truly worth."""
    trials = np.ceil(share * tracts["seen"].to_numpy())
    rate, weight = tracts["rate"].to_numpy(), tracts["weight"].to_numpy()
    successes = rng.binomial(trials.astype(int), rate)
    cost = np.full(len(rate), len(rate) / CHOSEN)
    arrays = (successes, trials, cost, weight)
    return Counts(*(jnp.asarray(a, jnp.float32) for a in arrays)), weight * rate


def oracle(seen: Counts, tracts: pl.DataFrame) -> np.ndarray:
    """The choice of an empirical Bayes rule that is told the rates of all other tracts.

    E[p_j | k_j] under the even law of p_i, i ≠ j: what exchangeable learning can reach,
    but for what weights and numbers of trials say of the rates.

    Args:
      seen: of the tracts, in their order.
      tracts: from `table`.

    Returns:
      x in [0, 1].
    """
    rate = tracts["rate"].to_numpy()
    successes, trials = (np.asarray(x, float)[:, None] for x in seen[:2])
    log_likelihood = successes * np.log(rate) + (trials - successes) * np.log1p(-rate)
    np.fill_diagonal(log_likelihood, -np.inf)
    likelihood = np.exp(log_likelihood - log_likelihood.max(1, keepdims=True))
    found = likelihood @ rate / likelihood.sum(1)
    value = seen.weight * jnp.asarray(found, jnp.float32)
    return np.asarray(knapsack.best(value, seen.cost))
