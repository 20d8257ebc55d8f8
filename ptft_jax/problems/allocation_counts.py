"""Allocation whose values are rates, seen as k_j successes of S_j trials.

θ_j = p_j, k_j ~ Binomial(S_j, p_j). The network of `allocation` decides, on the rate
k_j/S_j and the precision S_j/(p̃_j(1−p̃_j)), p̃ the rate shrunk by a beta prior; labels
are made by splitting trials, which is exact for counts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import polars as pl
from jax.scipy import special
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.problems import allocation, allocation_table, knapsack
from ptft_jax.problems import allocation_features as features
from ptft_jax.problems.allocation_features import Items
from ptft_jax.problems.problem import Problem
from ptft_jax.tables.problems import Problems

SHARE_LEFT_OUT = 0.2  # of the trials of every item
SIZES = (2.0, 1e6)  # trials that the beta prior may be worth


class Counts(NamedTuple):
    """n items; all 0 is padding.

    Attributes:
      successes: k_j, a whole number in [0, S_j].
      trials: S_j ≥ 0, a whole number.
      cost: c_j > 0, as (1/n) Σ c_j x_j ≤ 1.
      weight: w_j > 0; taking the item is worth w_j p_j.
    """

    successes: Float[Array, "n"]
    trials: Float[Array, "n"]
    cost: Float[Array, "n"]
    weight: Float[Array, "n"]


class Beta(NamedTuple):
    """Prior of the rates: its mean, and the trials that it is worth, a + b."""

    mean: Float[Array, ""]
    size: Float[Array, ""]


class Statistics(NamedTuple):
    """Of a portfolio of counts."""

    beta: Beta
    items: features.Statistics


def beta_prior(seen: Counts) -> Beta:
    """Beta prior by moments, trials as weights: E S_j(p̂_j−p̄)² = p̄(1−p̄)(1 + (S_j−1)ρ).

    p̄ = Σk/ΣS; ρ = 1/(a+b+1) from Σ_j S_j(p̂_j−p̄)² = p̄(1−p̄) Σ_j (1−S_j/ΣS)(1+(S_j−1)ρ).

    Args:
      seen: n items.

    Returns:
      The prior; its size is within `SIZES`.

    Source:
      Kleinman 1973.
    """
    k, s = seen.successes, seen.trials
    total = jnp.maximum(s.sum(), 1.0)
    # as after one success and one failure more: never 0 or 1
    mean = (k.sum() + 0.5) / (total + 1.0)
    rate = k / jnp.where(s > 0.0, s, 1.0)
    found = (s * (rate - mean) ** 2).sum() / (mean * (1.0 - mean))
    free = jnp.where(s > 0.0, 1.0 - s / total, 0.0)
    tilt = (free * (s - 1.0)).sum()
    rho = jnp.where(tilt > 0.0, (found - free.sum()) / jnp.maximum(tilt, 1.0), 0.0)
    low, high = SIZES
    return Beta(mean, jnp.clip(1.0 / jnp.maximum(rho, 1e-9) - 1.0, low, high))


def shrunk_rate(seen: Counts, beta: Beta) -> Float[Array, "n"]:
    """Posterior mean (k_j + a)/(S_j + a + b) of the rate.

    Args:
      seen: n items.
      beta: the prior.

    Returns:
      The rates, in (0, 1).
    """
    return (seen.successes + beta.size * beta.mean) / (seen.trials + beta.size)


def as_items(seen: Counts, beta: Beta) -> Items:
    """Rates as estimates whose precision is that of a binomial of the shrunk rate.

    Args:
      seen: n items.
      beta: the prior.

    Returns:
      Items of `allocation`; without trials the precision is 0.
    """
    rate = shrunk_rate(seen, beta)
    estimate = seen.successes / jnp.where(seen.trials > 0.0, seen.trials, 1.0)
    precision = seen.trials / (rate * (1.0 - rate))
    return Items(estimate, precision, seen.cost, seen.weight)


def summarize(seen: Counts) -> Statistics:
    """What is kept of a portfolio: the prior of rates and the statistics of items.

    Args:
      seen: n items.

    Returns:
      The statistics.
    """
    beta = beta_prior(seen)
    return Statistics(beta, features.summarize(as_items(seen, beta)))


def _of_items(function: Callable) -> Callable:
    """The same function of `allocation`, for counts and their statistics."""

    def of_counts(seen: Counts, stats: Statistics, *rest: Any) -> Any:
        return function(as_items(seen, stats.beta), stats.items, *rest)

    return of_counts


def hypergeometric(
    key: Key[Array, ""],
    successes: Float[Array, "n"],
    trials: Float[Array, "n"],
    drawn: Float[Array, "n"],
) -> Float[Array, "n"]:
    """Successes among trials drawn without replacement, by inversion.

    P(i) = C(k, i) C(S−k, d−i)/C(S, d), summed up to a uniform.

    Args:
      key: typed PRNG key.
      successes: k ≤ S.
      trials: S.
      drawn: d ≤ S.

    Returns:
      Whole numbers in [max(0, d+k−S), min(k, d)].
    """
    u = jax.random.uniform(key, trials.shape, trials.dtype)
    choose = lambda a, b: (
        special.gammaln(a + 1.0)
        - special.gammaln(jnp.maximum(b, 0.0) + 1.0)
        - special.gammaln(jnp.maximum(a - b, 0.0) + 1.0)
    )
    least = jnp.maximum(drawn + successes - trials, 0.0)
    most = jnp.minimum(successes, drawn)

    def add(state):
        i, cdf, found = state
        log_mass = choose(successes, i) + choose(trials - successes, drawn - i)
        mass = jnp.exp(log_mass - choose(trials, drawn))
        cdf = cdf + jnp.where((i >= least) & (i <= most), mass, 0.0)
        return i + 1.0, cdf, found + (cdf < u)

    start = (jnp.zeros((), u.dtype), jnp.zeros_like(u), jnp.zeros_like(u))
    found = jax.lax.while_loop(lambda state: (state[0] <= most).any(), add, start)[2]
    return jnp.clip(found, least, most)


def leave_out(
    key: Key[Array, ""], seen: Counts, share: float = SHARE_LEFT_OUT
) -> tuple[Counts, Float[Array, "n"]]:
    """Some trials of every item become its label, the others stay.

    max(1, round(f S_j)) trials are drawn; their rate is unbiased for p_j and, given
    p_j, independent of the successes among the others.

    Args:
      key: typed PRNG key.
      seen: n items.
      share: f in (0, 1).

    Returns:
      Items of fewer trials, and labels of w_j p_j; 0 for an item without trials.
    """
    drawn = jnp.minimum(jnp.maximum(jnp.round(share * seen.trials), 1.0), seen.trials)
    taken = hypergeometric(key, seen.successes, seen.trials, drawn)
    rest = seen._replace(successes=seen.successes - taken, trials=seen.trials - drawn)
    return rest, seen.weight * taken / jnp.maximum(drawn, 1.0)


def present(seen: Counts) -> Bool[Array, "n"]:
    """Items that are not padding: those with a cost.

    Args:
      seen: n items.

    Returns:
      Which they are.
    """
    return seen.cost > 0.0


def saa(seen: Counts) -> Float[Array, "n"]:
    """The linear programme with the rates as they are seen.

    Args:
      seen: n items.

    Returns:
      x in [0, 1].
    """
    rate = seen.successes / jnp.where(seen.trials > 0.0, seen.trials, 1.0)
    return knapsack.best(seen.weight * rate, seen.cost)


def beta_binomial(seen: Counts) -> Float[Array, "n"]:
    """The linear programme with the posterior means of a beta prior by moments.

    Args:
      seen: n items.

    Returns:
      x in [0, 1].
    """
    return knapsack.best(seen.weight * shrunk_rate(seen, beta_prior(seen)), seen.cost)


def read_counts(
    table: pl.DataFrame, budget: float | None = None
) -> tuple[Counts, list[str]]:
    """Items from the columns instance, successes, trials and cost.

    Args:
      table: one row an item; `weight` is optional, `budget` a column or the argument.
      budget: what the chosen items may cost in all, in the unit of the costs.

    Returns:
      The items and their names.

    Raises:
      DataError: one message naming all bad rows.
    """
    problems = Problems(allocation_table.PLACE)
    columns = ("instance", "successes", "trials", "cost")
    allocation_table.need(table, columns, problems)
    names = allocation_table.instances(table, problems)
    k = allocation_table.numbers(table, "successes", -1.0, problems)
    s = allocation_table.numbers(table, "trials", 0.0, problems)
    for i in ((k > s) | (k != k.round()) | (s != s.round())).nonzero()[0]:
        problems.add(
            f"row {i + 1}: {k[i]:g} successes of {s[i]:g} trials",
            "Successes and trials are whole numbers, successes at most the trials.",
        )
    weight = allocation_table.weights(table, problems)
    cost = allocation_table.relative_costs(table, budget, problems)
    problems.check()
    return Counts(*(jnp.asarray(x, jnp.float32) for x in (k, s, cost, weight))), names


PROBLEM = Problem(
    name="allocation_counts",
    description="items under a budget, their values rates of counted successes",
    num_outputs=allocation.NUM_OUTPUTS,
    present=present,
    summarize=summarize,
    inputs=_of_items(features.inputs),
    decide=_of_items(allocation.decide),
    loss=_of_items(allocation.loss),
    cost=allocation.cost,
    leave_out=leave_out,
    couple=_of_items(allocation.couple),
    baselines={"saa": jax.jit(saa), "beta_binomial": jax.jit(beta_binomial)},
    read=read_counts,
)
