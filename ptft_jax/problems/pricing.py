"""Pricing: choose an allowed price of each of n products, to earn the most profit.

The network corrects a hierarchical log–log regression with price points; a decision is
the price of the menu with the greatest profit under the corrected demand law, found by
looking at all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ptft_jax.pricing import baselines, demand_law, features, rule, table
from ptft_jax.pricing.demand_law import DemandLaw, Seen, present
from ptft_jax.pricing.rule import Told, summarize
from ptft_jax.problems.problem import Problem
from ptft_jax.tables.problems import counted, listing

NUM_OUTPUTS = 6
NUM_LEFT_OUT = 2  # prices at which a pair is left out: the fewest that can be compared
SOFTNESS = 0.02  # relative profit by which the policy of the loss differs from the best
FIT_WEIGHT = 1.0  # of the deviance of units beside lost profit

CAUTION = (
    "It is on prices chosen between two of each product that were charged and left "
    "out, not among all that are allowed."
)


class Outcome(NamedTuple):
    """Units of each product at some prices, unbiased for the expected units there.

    Attributes:
      price: [n, k], > 0; 0 where there are fewer.
      units: [n, k], what sold at them, or its expectation.
      unit_cost: [n], as of the product.
    """

    price: Float[Array, "n k"]
    units: Float[Array, "n k"]
    unit_cost: Float[Array, "n"]


def law(seen: Seen, told: Told, output: Float[Array, "n 6"]) -> DemandLaw:
    """The demand law that a network's numbers make of the shrunk regression.

    a = ã + o₀/2, ε = ε̃ + o₁, b = 2 o₂, s = 2 o₃; effects of price points that are
    shared and own, by weights 1 + tanh o₄ and 1 + tanh o₅: between nothing and twice
    what empirical Bayes believes, so that in a portfolio unlike the prior no price is
    charged for what a few weeks sold there by luck.

    Args:
      seen: n products.
      told: of their portfolio, or of another.
      output: o, of the network; 0 is `price_points`.

    Returns:
      The law.
    """
    found = rule.plug_in(seen, told).law
    return found._replace(
        log_level=found.log_level + 0.5 * output[:, 0],
        elasticity=found.elasticity + output[:, 1],
        bend=2.0 * output[:, 2],
        skew=2.0 * output[:, 3],
        effects=found.effects._replace(
            shared_weight=1.0 + jnp.tanh(output[:, 4]),
            own_weight=1.0 + jnp.tanh(output[:, 5]),
        ),
    )


def decide(seen: Seen, told: Told, output, coupling=()) -> Float[Array, "n"]:
    """The allowed price of greatest profit under the demand law.

    Args:
      seen: n products.
      told: of their portfolio, or of another.
      output: of the network, [n, 6].
      coupling: none.

    Returns:
      Prices; 0 for padding.
    """
    demand = law(seen, told, output)
    value = demand_law.relative_profit(demand, seen.menu, seen.unit_cost)
    return demand_law.best_price(value, seen.menu)


def loss(
    seen: Seen, told: Told, output, coupling, outcome: Outcome
) -> Float[Array, "n"]:
    """Lost profit of a soft choice among the outcome's prices, and misfit of its units.

    w_i [−Σ_k softmax_k(π̂_ik/(T max π̂_i)) (p_ik − c_i) u_ik + r_i f D_i],
    D_i = mean_k (d̂_ik − u_ik log d̂_ik): linear in u, so that an unbiased u is as good
    as its expectation. 1/w_i = 0.8 v_i + 0.2 v̄, v_i the greatest revenue among the
    prices under the shrunk regression, v̄ the portfolio's mean of it: a weight that
    depends on what is seen alone, without which a few products decide.

    Args:
      seen: n products.
      told: of their portfolio, or of another.
      output: of the network, [n, 6].
      coupling: none.
      outcome: of the products.

    Returns:
      The loss, in units of the portfolio's typical revenue; 0 without an outcome.
    """
    demand = law(seen, told, output)
    some = outcome.price > 0.0
    value = demand_law.relative_profit(demand, outcome.price, outcome.unit_cost)
    any_price = some.any(1, keepdims=True)
    share = jax.nn.softmax(jnp.where(any_price, value, 0.0) / SOFTNESS, axis=1)
    margin = outcome.price - outcome.unit_cost[:, None]
    profit = jnp.where(some, share * margin * outcome.units, 0.0).sum(1)
    # from the shrunk level, so that the unit of units does not matter
    level = (demand.log_level - 0.5 * output[:, 0])[:, None]
    base = jnp.exp(level)
    moved = (demand_law.log_demand(demand, outcome.price) - level).clip(-20.0, 20.0)
    misfit = base * jnp.exp(moved) - outcome.units * moved
    misfit = jnp.where(some, misfit, 0.0).sum(1) / jnp.maximum(some.sum(1), 1)
    money = FIT_WEIGHT * jnp.exp(demand.log_reference) * misfit - profit
    start = law(seen, told, jnp.zeros_like(output))
    usual = outcome.price * jnp.exp(demand_law.log_demand(start, outcome.price))
    usual = jnp.where(some, usual, 0.0).max(1)
    count = jnp.maximum(any_price.sum(), 1)
    scale = 0.8 * usual + 0.2 * usual.sum() / count
    return jnp.where(any_price[:, 0], money / jnp.maximum(scale, 1e-30), 0.0)


def cost(price: Float[Array, "n"], outcome: Outcome) -> Float[Array, "n"]:
    """−(p − c)·u at the outcome's price p nearest to the decision, money a period.

    Args:
      price: decisions.
      outcome: of the products.

    Returns:
      The cost; 0 for padding and where the outcome has no price.
    """
    index = demand_law.nearest(price[:, None], outcome.price)[:, 0]
    charged = demand_law.pick(outcome.price, index)
    units = demand_law.pick(outcome.units, index)
    earned = (charged - outcome.unit_cost) * units
    return jnp.where((charged > 0.0) & (price > 0.0), -earned, 0.0)


def leave_out(key: Key[Array, ""], seen: Seen) -> tuple[Seen, Outcome]:
    """Leaves out a pair at each of two different logged prices, and asks which is best.

    The rest may be priced at those two alone, so that the cost of any policy is seen
    whatever it chooses: no propensity is needed. With units at a price independent of
    the logged prices and of other periods given the product, and pairs chosen by their
    prices alone, E[u | rest, prices] = d(p): `cost(decide(rest), outcome)` is unbiased
    for the expected cost of the policy that chooses between two logged prices from two
    pairs fewer. Prices set in view of the period's demand break it.

    Args:
      key: typed PRNG key.
      seen: n products.

    Returns:
      The rest, and what sold; one price where only one was logged, and padding where
      none was.
    """
    valid, price = seen.valid, seen.price
    draws = jax.random.uniform(key, (NUM_LEFT_OUT, *valid.shape), minval=0.01)
    first = jnp.where(valid, draws[0], 0.0).argmax(1)
    at_first = demand_law.pick(price, first)
    differs = valid & (price != at_first[:, None])
    second = jnp.where(differs, draws[1], 0.0).argmax(1)
    column = jnp.arange(valid.shape[1])
    is_first = (column == first[:, None]) & valid
    is_second = (column == second[:, None]) & differs
    total = lambda mask, leaf: jnp.where(mask, leaf, 0.0).sum(1)
    both = lambda leaf: jnp.stack([total(is_first, leaf), total(is_second, leaf)], 1)
    kept = valid & ~is_first & ~is_second
    rest = Seen(
        price=jnp.where(kept, price, 0.0),
        units=jnp.where(kept, seen.units, 0.0),
        valid=kept,
        unit_cost=seen.unit_cost,
        menu=both(price) * present(seen)[:, None],
    )
    return rest, Outcome(rest.menu, both(seen.units), seen.unit_cost)


def remarks(seen: Seen, names: list[str]) -> list[str]:
    """Products of which the data say nothing about the price, by name.

    Args:
      seen: n products.
      names: of the products.

    Returns:
      A note on those that never sold, one on those charged one price only, and one
      where no product has a unit cost.
    """
    price, units, valid = (np.asarray(x) for x in (seen.price, seen.units, seen.valid))
    unsold = ~(valid & (units > 0.0)).any(1)
    dearest = np.where(valid, price, -np.inf).max(1)
    one_price = ~unsold & (dearest == np.where(valid, price, np.inf).min(1))
    said = {
        "never sold, any price is as good": unsold,
        "charged one price only, others tell how demand depends on it": one_price,
    }
    notes = [
        f"{counted(int(which.sum()), 'product')} {text}: "
        f"{listing([names[i] for i in np.flatnonzero(which)])}"
        for text, which in said.items()
        if which.any()
    ]
    if not np.asarray(seen.unit_cost).any():
        notes.append("no unit cost is given (column unit_cost): profit is revenue")
    return notes


PROBLEM = Problem(
    name="pricing",
    description="choose an allowed price of each product from logged prices and sales",
    num_outputs=NUM_OUTPUTS,
    present=present,
    summarize=summarize,
    inputs=features.inputs,
    decide=decide,
    loss=loss,
    cost=cost,
    leave_out=leave_out,
    caution=CAUTION,
    remarks=remarks,
    baselines=baselines.PRICING,
    read=table.read,
)
