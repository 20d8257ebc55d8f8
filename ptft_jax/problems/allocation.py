"""Allocation: choose items under a budget when their values are only estimated.

max (1/n) Σ w_j θ_j x_j with (1/n) Σ c_j x_j ≤ 1 and 0 ≤ x ≤ 1, where θ_j is seen as
μ̂_j ~ N(θ_j, 1/ν_j). A policy gives each item a score r_j for θ_j and solves the linear
programme with it: items share the price of the budget and nothing else. Gupta &
Rusmevichientong 2021, Small-data, large-scale linear optimization.
"""

import jax
import jax.numpy as jnp
from jax.nn import softplus
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.allocation import baselines, features, knapsack, table
from ptft_jax.allocation.features import Statistics
from ptft_jax.allocation.knapsack import Price
from ptft_jax.allocation.shrinkage import Items
from ptft_jax.problems.problem import Problem

NUM_OUTPUTS = 4
SHARE_LEFT_OUT = 0.2  # of the precision of every item
BAND = 0.5  # of prices that training asks about, in errors of the score at hand
FAR = 0.1  # weight of squared errors, in units of the same


def items(
    estimate: Float[Array, "n"],
    precision: Float[Array, "n"],
    cost: Float[Array, "n"],
    weight: Float[Array, "n"] | None = None,
) -> Items:
    """Items, of weight 1 where none is given.

    Args:
      estimate: μ̂_j of θ_j.
      precision: ν_j > 0.
      cost: c_j > 0, as (1/n) Σ c_j x_j ≤ 1.
      weight: w_j > 0; an item is worth w_j θ_j.

    Returns:
      The items.
    """
    weight = jnp.ones_like(estimate) if weight is None else weight
    return Items(estimate, precision, cost, weight)


def present(seen: Items) -> Bool[Array, "n"]:
    """Items that are not padding: those with a cost.

    Args:
      seen: n items.

    Returns:
      Which they are.
    """
    return seen.cost > 0.0


def score(
    seen: Items, stats: Statistics, output: Float[Array, "n 4"]
) -> Float[Array, "n"]:
    """r_j = m_j + s_j o₁ + (μ̂_j − m_j) o₂ + (m′_j − m_j) o₃ + (m″_j − m_j) o₄.

    m_j shrinks μ̂_j to a common mean by SURE; m′ and m″ shrink to a mean that moves with
    the precision and with the cost; s_j is a posterior standard deviation.

    Args:
      seen: n items.
      stats: of their portfolio, or of another.
      output: o of each item; 0 gives m.

    Returns:
      The scores, in units of θ.
    """
    found = features.rules(seen, stats)
    off = jnp.stack(
        [
            found.scale,
            jnp.where(seen.precision > 0.0, seen.estimate - found.common, 0.0),
            found.by_precision - found.common,
            found.by_cost - found.common,
        ],
        -1,
    )
    return found.common + (off * output).sum(-1)


def couple(seen: Items, stats: Statistics, output: Float[Array, "n 4"]) -> Price:
    """The price of the budget when these items are decided on together.

    Args:
      seen: n items.
      stats: of their portfolio, or of another.
      output: of each item.

    Returns:
      λ and the fraction of the items at it.
    """
    return knapsack.solve(seen.weight * score(seen, stats, output), seen.cost)


def decide(
    seen: Items, stats: Statistics, output: Float[Array, "n 4"], coupling: Price
) -> Float[Array, "n"]:
    """x_j = 1{w_j r_j > λ c_j}: the exact solution if λ is of these items.

    Args:
      seen: n items.
      stats: of their portfolio, or of another.
      output: of each item.
      coupling: the price.

    Returns:
      x in [0, 1].
    """
    value = seen.weight * score(seen, stats, output)
    return knapsack.take(value, seen.cost, coupling)


def cost(decision: Float[Array, "n"], outcome: Float[Array, "n"]) -> Float[Array, "n"]:
    """−y_j x_j, y_j an unbiased label of the item's worth w_j θ_j.

    Args:
      decision: x in [0, 1].
      outcome: y.

    Returns:
      The costs, negative where something is gained.
    """
    return -outcome * decision


def loss(
    seen: Items,
    stats: Statistics,
    output: Float[Array, "n 4"],
    coupling: Price,
    outcome: Float[Array, "n"],
) -> Float[Array, "n"]:
    """Cost of deciding at a random price λ': ∫ (λ'c_j − y_j) 1{r_j > λ'c_j} dG_j(λ').

    G_j is logistic around the price of the budget, as wide as the score is uncertain,
    plus a uniform measure under which the loss is a squared error. For every G_j the
    loss is least, in the mean of y, at the posterior mean of the item's worth; G_j only
    says where errors matter. As y enters linearly, an unbiased label gives an unbiased
    loss.

    Args:
      seen: n items.
      stats: of their portfolio, or of another.
      output: o of each item; the loss is smooth in it, and 0 for o = 0.
      coupling: the price; no gradient flows through it.
      outcome: y, labels of w_j θ_j.

    Returns:
      The losses, in units of a usual gain of the portfolio.
    """
    found = features.rules(seen, stats)
    padding = seen.cost <= 0.0
    error = jnp.where(padding, 1.0, seen.weight * found.error)
    bar = jax.lax.stop_gradient(coupling.price) * seen.cost
    unit = stats.error / jnp.sqrt(jnp.maximum(stats.tightness, 1.0))

    def at(value):
        t = (value - bar) / (BAND * error)
        near = (value - outcome) * jax.nn.sigmoid(t) - BAND * error * softplus(t)
        return near / unit + FAR * value / error * (value - 2.0 * outcome) / error

    value = seen.weight * score(seen, stats, output)
    return jnp.where(padding, 0.0, at(value) - at(seen.weight * found.common))


def leave_out(
    key: Key[Array, ""], seen: Items, share: float = SHARE_LEFT_OUT
) -> tuple[Items, Float[Array, "n"]]:
    """Gaussian fission: μ̂ + √(f/(1−f)) ε and μ̂ − √((1−f)/f) ε are independent.

    ε_j ~ N(0, 1/ν_j); the parts have the precisions (1−f) ν_j and f ν_j.

    Args:
      key: typed PRNG key.
      seen: n items.
      share: f in (0, 1), the part of the precision that goes to the label.

    Returns:
      Items of less precision and unbiased labels of w_j θ_j, independent given θ; the
      label of an item of precision 0 says nothing and is 0.
    """
    noise = jax.random.normal(key, seen.estimate.shape, seen.estimate.dtype)
    known = seen.precision > 0.0
    sd = jnp.where(known, jax.lax.rsqrt(jnp.where(known, seen.precision, 1.0)), 0.0)
    odds = share / (1.0 - share)
    rest = seen._replace(
        estimate=seen.estimate + odds**0.5 * sd * noise,
        precision=(1.0 - share) * seen.precision,
    )
    label = seen.weight * (seen.estimate - odds**-0.5 * sd * noise)
    return rest, jnp.where(known, label, 0.0)


PROBLEM = Problem(
    name="allocation",
    description="items under a budget, their values estimated with known precisions",
    num_outputs=NUM_OUTPUTS,
    present=present,
    summarize=features.summarize,
    inputs=features.inputs,
    decide=decide,
    loss=loss,
    cost=cost,
    leave_out=leave_out,
    judged=lambda seen: present(seen) & (seen.precision > 0.0),
    caution=knapsack.CAUTION,
    couple=couple,
    baselines=baselines.GAUSSIAN,
    read=table.read_items,
)
