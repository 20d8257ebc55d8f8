"""The shipped networks in one world each, with a head to fit: for capacities.

A portfolio that is drawn once is what the policy attends to, so that its costs on other
instances are independent.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import head_laws
from ptft_jax import checkpoint, head, risk, types
from ptft_jax.means import pretrain as means_pretrain
from ptft_jax.problems import means, newsvendor
from ptft_jax.worlds import gaussian_means, lognormal

QUANTILE = 0.9
RADIUS = 0.1  # of the ball of heads


class Case(NamedTuple):
    """A network, and what is drawn and paid in its world.

    Attributes:
      name: of the weights.
      network: the Transformer.
      params: shipped.
      draw: `(key, n) -> (instances, seen, labels)`.
      decide: `(params, seen, context portfolio) -> Decision`.
      cost: `(x, label) -> [n]`.
      truth: `(instances, x) -> [n]`, expected cost.
      fit: `(decision, labels) -> u` of least mean cost in the ball.
      lipschitz: of the cost in the decision, at costs of at most B.
      outputs: names of the last linear maps.
    """

    name: str
    network: Any
    params: Any
    draw: Callable
    decide: Callable
    cost: Callable
    truth: Callable
    fit: Callable
    lipschitz: Callable[[float], float]
    outputs: tuple[str, ...]


def newsvendor_case() -> Case:
    """The shipped newsvendor network on lognormal demand."""
    network, params, _ = checkpoint.load_shipped()

    def draw(key, n):
        theta_key, data_key = jax.random.split(key)
        rows = lognormal.sample_instances(theta_key, head_laws.LOGNORMAL, n)
        demand = lognormal.sample_demand(data_key, rows, head_laws.OBSERVATIONS + 1)
        return rows, types.portfolio(demand[:, :-1], QUANTILE), demand[:, -1]

    def decide(params, seen, others):
        context = network.apply(params, others, method=risk.summarize)
        return network.apply(params, seen, context=context)

    def fit(decision, labels):
        one = jax.tree.map(lambda leaf: leaf[None], decision)
        ones = jnp.ones_like(labels)
        rows = risk.Rows(one, labels[None], ones[None])
        quantile = jnp.full_like(labels, QUANTILE)
        return head.solve(rows, quantile, ones, jnp.float32(RADIUS)).head

    def truth(rows, x):
        return newsvendor.expected_cost_lognormal(x, *rows, jnp.asarray(QUANTILE))

    cost = lambda x, label: newsvendor.cost(x, label, jnp.asarray(QUANTILE))
    lipschitz = lambda bound: max(QUANTILE, 1.0 - QUANTILE)
    given = (draw, decide, cost, truth, fit, lipschitz, ("shift", "stretch"))
    return Case("newsvendor", network, params, *given)


def means_case() -> Case:
    """The shipped means network on normal means with v = 1."""
    network, params, _ = means_pretrain.load_shipped()
    noise = head_laws.MEANS.noise

    def draw(key, n):
        theta_key, data_key = jax.random.split(key)
        rows = gaussian_means.sample_instances(theta_key, head_laws.MEANS, n)
        count = head_laws.OBSERVATIONS + 1
        seen = gaussian_means.sample_observations(data_key, rows, count)
        return rows, types.portfolio(seen[:, :-1], 0.5), seen[:, -1]

    def decide(params, seen, others):
        tokens = lambda bound, data: bound.tokens(data, noise)[1]
        context = network.apply(params, others, method=tokens)
        return network.apply(params, seen, noise, context)

    def fit(decision, labels):
        phi = decision.scale[:, None] * decision.hidden
        gram, n = phi.T @ phi, len(labels)
        power, basis = jnp.linalg.eigh(gram / n)
        aim = basis.T @ (phi.T @ (labels - decision.base)) / n
        return basis @ _in_ball(jnp.maximum(power, 1e-9), aim)

    truth = lambda rows, x: means.expected_cost(x, *rows)
    # (x−ξ)² ≤ B has slope 2|x−ξ| ≤ 2√B, and none where it is cut
    lipschitz = lambda bound: 2.0 * math.sqrt(bound)
    given = (draw, decide, means.cost, truth, fit, lipschitz, ("shift",))
    return Case("means", network, params, *given)


def _in_ball(power, aim):
    """Minimiser of Σ p_k u_k² − 2 a_k u_k over ‖u‖ ≤ r: a/(p + ν), ν by bisection."""
    pulled = lambda log_nu: aim / (power + jnp.exp(log_nu))

    def halve(bracket, _):
        low, high = bracket
        middle = (low + high) / 2.0
        is_outside = jnp.linalg.norm(pulled(middle)) > RADIUS
        new = jnp.where(is_outside, middle, low), jnp.where(is_outside, high, middle)
        return new, None

    start = jnp.float32(-30.0), jnp.float32(15.0)
    return pulled(jax.lax.scan(halve, start, length=40)[0][1])
