"""Decisions where the truth is a finite population that the observations are part of.

Judged on N periods of which m are in the data, a decision maker who knows N knows a
share m/N of the truth for certain and foresees the rest: the law to be met is a mixture
of what was seen and of what is foreseen (Ericson 1969, JRSS B 31, for any prior that
says nothing of the order of the periods).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ptft_jax import risk, streamed, summaries
from ptft_jax.model import Network
from ptft_jax.risk import Policy
from ptft_jax.types import Portfolio

ASKED = (0.01, 0.99)  # levels beyond which nothing is asked of a rule

Ask = Callable[[Float[Array, "k n"]], Float[Array, "k n"]]


def levels(
    portfolio: Portfolio, population: Float[Array, "n"]
) -> tuple[Float[Array, "l n"], Float[Array, "l n"]]:
    """Levels of what is foreseen at which l of an instance's observations are covered.

    q_l = (q − (m/N)(l/m))/(1 − m/N), l = 0, …, m: with l own observations at or below
    the decision, the rest of the mass must come from the N − m periods not seen.

    Args:
      portfolio: n instances.
      population: N_i ≥ m_i, ∞ where the truth is a law.

    Returns:
      The levels, which may lie outside (0, 1), and those to ask of a rule, within
      `ASKED`.
    """
    m = portfolio.num_observed
    seen = m / population
    covered = jnp.arange(portfolio.valid.shape[1] + 1.0)[:, None] / population
    exact = (portfolio.quantile - covered) / jnp.maximum(1.0 - seen, 1e-9)
    return exact, exact.clip(*ASKED)


def decide(
    portfolio: Portfolio, population: Float[Array, "n"], ask: Ask
) -> Float[Array, "n"]:
    """min_l max(ξ_(l), x_i(q_l)): the q-quantile of (m/N) F̂_i + (1 − m/N) F_i.

    F̂_i is the instance's sample and x_i(·) a rule's quantiles of the law F_i that it
    foresees; ξ_(0) = 0. At N = ∞ it is the rule, and at N = m the sample's quantile.

    Args:
      portfolio: n instances.
      population: N_i ≥ m_i, ∞ where the truth is a law.
      ask: the rule's decisions at the levels [m + 1, n] within `ASKED`.

    Returns:
      Decisions ≥ 0; 0 for padding.
    """
    exact, asked = levels(portfolio, population)
    foreseen = jnp.where(exact >= 1.0, jnp.inf, jnp.where(exact > 0.0, ask(asked), 0.0))
    own = summaries.ordered(portfolio).T
    x = jnp.minimum(foreseen[0], jnp.maximum(own, foreseen[1:]).min(0))
    return jnp.where(portfolio.present, x, 0.0)


@functools.partial(jax.jit, static_argnums=0)
def _answers(network, params, head, portfolio, levels):
    context = streamed.summarize(network, params, portfolio)

    def run(net):
        inputs, tokens, _ = net.tokens(portfolio, context)
        one = lambda q: risk.apply_head(net.decide(inputs, tokens, q), head)
        return jax.lax.map(one, levels), inputs.unit

    return network.apply(params, method=run)


def of_policy(
    network: Network, policy: Policy, portfolio: Portfolio, population: Any
) -> Float[np.ndarray, "n"]:
    """Decisions of a policy that is told N, compiled once for all numbers of networks.

    Args:
      network: the Transformer.
      policy: K networks and heads.
      portfolio: n instances.
      population: N_i ≥ m_i, [n], ∞ where the truth is a law.

    Returns:
      Decisions ≥ 0, in units of the observations.
    """

    def ask(asked):
        total = 0.0
        for k in range(len(policy.head)):
            params, head = jax.tree.map(lambda leaf, k=k: leaf[k], tuple(policy))
            x, unit = _answers(network, params, head, portfolio, asked)
            total = total + x
        return risk.settle(total / len(policy.head), unit)

    return np.asarray(decide(portfolio, jnp.asarray(population, jnp.float32), ask))


def of_rule(
    rule: Callable[[Portfolio], Float[Array, "n"]],
    portfolio: Portfolio,
    population: Any,
) -> Float[np.ndarray, "n"]:
    """Decisions of a baseline that is told N.

    Args:
      rule: portfolio → decisions, at its critical ratios.
      portfolio: n instances.
      population: N_i ≥ m_i, [n], ∞ where the truth is a law.

    Returns:
      Decisions ≥ 0.
    """
    one = lambda q: rule(portfolio._replace(quantile=q))
    ask = functools.partial(jax.lax.map, one)
    return np.asarray(decide(portfolio, jnp.asarray(population, jnp.float32), ask))
