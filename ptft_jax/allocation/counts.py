"""Allocation whose values are rates, seen as k_j successes of S_j trials.

θ_j = p_j, k_j ~ Binomial(S_j, p_j). The network of `allocation` decides, on the rate
k_j/S_j and its precision under a beta prior, with which output 0 is beta–binomial
empirical Bayes; labels are made by splitting trials, which is exact for counts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import polars as pl
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.allocation import features, knapsack
from ptft_jax.allocation import table as allocation_table
from ptft_jax.allocation import trials as trials_
from ptft_jax.allocation.trials import Beta, Counts
from ptft_jax.problems import allocation
from ptft_jax.problems.problem import Problem
from ptft_jax.tables import rows
from ptft_jax.tables.problems import Problems

SHARE_LEFT_OUT = 0.2  # of the trials of every item


class Statistics(NamedTuple):
    """Of a portfolio of counts."""

    beta: Beta
    items: features.Statistics


def summarize(seen: Counts) -> Statistics:
    """What is kept of a portfolio: the prior of rates and the statistics of items.

    Args:
      seen: n items.

    Returns:
      The statistics.
    """
    beta = trials_.beta_prior(seen)
    spread = beta.mean * (1.0 - beta.mean) / (beta.size + 1.0)
    items = trials_.as_items(seen, beta)
    return Statistics(beta, features.summarize(items, (beta.mean, spread)))


def _of_items(function: Callable) -> Callable:
    """The same function of `allocation`, for counts and their statistics."""

    def of_counts(seen: Counts, stats: Statistics, *rest: Any) -> Any:
        return function(trials_.as_items(seen, stats.beta), stats.items, *rest)

    return of_counts


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
    taken = trials_.hypergeometric(key, seen.successes, seen.trials, drawn)
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
    return knapsack.best(
        seen.weight * trials_.shrunk_rate(seen, trials_.beta_prior(seen)), seen.cost
    )


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
    names = rows.one_each(table["instance"], problems)
    k = allocation_table.numbers(table, "successes", -1.0, problems)
    s = allocation_table.numbers(table, "trials", 0.0, problems)
    for i in ((k > s) | (k != k.round()) | (s != s.round())).nonzero()[0]:
        problems.add(
            f"{rows.at(i)}: {k[i]:g} successes of {s[i]:g} trials",
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
    judged=lambda seen: present(seen) & (seen.trials > 0.0),
    caution=knapsack.CAUTION,
    couple=_of_items(allocation.couple),
    baselines={"saa": jax.jit(saa), "beta_binomial": jax.jit(beta_binomial)},
    read=read_counts,
)
