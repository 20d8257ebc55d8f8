"""The newsvendor with covariates: stock for a period whose covariates are known.

The network corrects a hierarchical log-linear regression of demand on covariates.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax.contextual import (
    baselines,
    features,
    population,
    predictive,
    records,
    regression,
    table,
)
from ptft_jax.contextual.population import Population
from ptft_jax.contextual.records import Outcome, Seen
from ptft_jax.problems import newsvendor
from ptft_jax.problems.problem import Problem


def _rule(seen: Seen, told: Population) -> predictive.Predictive:
    return predictive.predict(regression.fit(seen, told.units), told)


def decide(
    seen: Seen, told: Population, output: Float[Array, "n 4"], coupling=()
) -> Float[Array, "n"]:
    """The stock of each product.

    Args:
      seen: n products.
      told: of their portfolio, or of another.
      output: of the network; 0 is `hierarchical_eb`.
      coupling: none.

    Returns:
      Stocks in units of demand; 0 for padding.
    """
    return predictive.corrected(_rule(seen, told), seen.quantile, output)


def _predicted_cost(seen: Seen, rule: predictive.Predictive) -> Float[Array, "n"]:
    """What the plug-in rule expects to lose."""
    q = jnp.where(records.present(seen), seen.quantile, 0.5)
    mean = rule.level + (rule.common + rule.own).clip(-8.0, 8.0)
    sd = rule.sd.clip(0.01, 3.0)
    stock = newsvendor.full_information_lognormal(mean, sd, q)
    return newsvendor.expected_cost_lognormal(stock, mean, sd, q)


def loss(
    seen: Seen, told: Population, output, coupling, outcome: Outcome
) -> Float[Array, "n"]:
    """w_i c(x_i, ξ_i), 1/w_i = 0.8 v_i + 0.2 v̄.

    v_i is the cost that the plug-in rule expects under its own law, v̄ the portfolio's
    mean of it: a weight that depends on what is seen alone, so that the minimiser stays
    the Bayes decision, and without which a few products decide.

    Args:
      seen: n products.
      told: of their portfolio, or of another.
      output: of the network, [n, 4].
      coupling: none.
      outcome: of the products.

    Returns:
      The loss, of no unit and near 1; 0 without an outcome.
    """
    rule = _rule(seen, told)
    stock = predictive.corrected(rule, seen.quantile, output)
    exists = records.present(seen)
    expected = jnp.where(exists, _predicted_cost(seen, rule), 0.0)
    scale = 0.8 * expected + 0.2 * expected.sum() / jnp.maximum(exists.sum(), 1)
    return jnp.where(exists, cost(stock, outcome) / jnp.maximum(scale, 1e-30), 0.0)


def cost(stock: Float[Array, "n"], outcome: Outcome) -> Float[Array, "n"]:
    """Mean pinball cost q(ξ − x)⁺ + (1 − q)(x − ξ)⁺ over the outcome's demands.

    Args:
      stock: decisions.
      outcome: of the products.

    Returns:
      The cost in units of demand; 0 without an outcome.
    """
    q = outcome.quantile[:, None]
    each = newsvendor.cost(stock[:, None], outcome.demand, q).mean(1)
    return jnp.where(outcome.quantile > 0.0, each, 0.0)


def leave_out(key: Key[Array, ""], seen: Seen) -> tuple[Seen, Outcome]:
    """Leaves out one observation of each product, and asks what to stock for it.

    Its covariates become those of the next period, its demand the outcome. With
    demands of a product independent given their covariates, and the observation chosen
    by neither, `cost(decide(rest), outcome)` is unbiased for the policy's cost in a
    period of these covariates, from one observation fewer; and for its cost in the next
    period where the covariates of periods are exchangeable. A next period unlike those
    seen (a promotion deeper than any) is not what labels are of.

    Args:
      key: typed PRNG key.
      seen: n products.

    Returns:
      The rest, and the demand; an outcome that costs 0 where a product has fewer than
      two observations.
    """
    draw = jax.random.uniform(key, seen.valid.shape, minval=0.01)
    chosen = jnp.where(seen.valid, draw, 0.0).argmax(1)
    some = seen.valid.sum(1) >= 2
    gone = (jnp.arange(seen.valid.shape[1]) == chosen[:, None]) & some[:, None]
    asked = jnp.where(gone[..., None], seen.context, 0.0).sum(1)
    rest = Seen(
        demand=jnp.where(gone, 0.0, seen.demand),
        valid=seen.valid & ~gone,
        context=jnp.where(gone[..., None], 0.0, seen.context),
        next_context=jnp.where(some[:, None], asked, seen.next_context),
        quantile=seen.quantile,
    )
    demand = jnp.where(gone, seen.demand, 0.0).sum(1, keepdims=True)
    return rest, Outcome(demand, jnp.where(some, seen.quantile, 0.0))


PROBLEM = Problem(
    name="contextual",
    description="stock each product for a period whose covariates are known",
    num_outputs=predictive.NUM_OUTPUTS,
    present=records.present,
    summarize=population.summarize,
    inputs=features.inputs,
    decide=decide,
    loss=loss,
    cost=cost,
    leave_out=leave_out,
    judged=lambda seen: seen.valid.sum(1) >= 2,
    baselines=baselines.CONTEXTUAL,
    read=table.read,
)
