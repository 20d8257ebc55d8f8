"""A world near another: some instances come from elsewhere, by a known share.

Given both laws, an instance of Q = (1−ε)P + εG is drawn from G with probability ε, so
the total variation of Q from P is at most ε for each instance (its observations and its
future together), and 1 − (1−ε)ⁿ for a portfolio of n.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ptft_jax.types import Portfolio
from ptft_jax.worlds.world import World

NUM_BISECTIONS = 64


class Law(NamedTuple):
    """The laws of P and G, and the share ε of G."""

    base: Any
    other: Any
    share: Float[Array, ""]


class Instances(NamedTuple):
    """Each instance as P and as G would have it, and which of the two it is."""

    base: Any
    other: Any
    is_other: Bool[Array, "n"]


def _by_instance(base_function, other_function):
    """`(key, instances, k) -> [n, k]` that draws from both and keeps one of them."""

    def draw(key, instances: Instances, num_draws: int):
        base_key, other_key = jax.random.split(key)
        return jnp.where(
            instances.is_other[:, None],
            other_function(other_key, instances.other, num_draws),
            base_function(base_key, instances.base, num_draws),
        )

    return draw


def _samplers(P: World, G: World, eps: float) -> dict[str, Any]:
    def sample_law(key):
        # one key for both, so that G can be P changed in one respect
        other = G.sample_law(jax.random.clone(key))
        return Law(P.sample_law(key), other, jnp.asarray(eps))

    def sample_instances(key, law: Law, num_instances: int):
        base_key, other_key, choice_key = jax.random.split(key, 3)
        return Instances(
            P.sample_instances(base_key, law.base, num_instances),
            G.sample_instances(other_key, law.other, num_instances),
            jax.random.bernoulli(choice_key, law.share, (num_instances,)),
        )

    return {
        "sample_law": sample_law,
        "sample_instances": sample_instances,
        "sample_demand": _by_instance(P.sample_demand, G.sample_demand),
        "future_demand": _by_instance(P.future_demand, G.future_demand),
    }


def _truth(P: World, G: World) -> dict[str, Any]:
    def expected_cost(instances: Instances, x, quantile):
        return jnp.where(
            instances.is_other,
            G.expected_cost(instances.other, x, quantile),
            P.expected_cost(instances.base, x, quantile),
        )

    def full_information(instances: Instances, quantile):
        return jnp.where(
            instances.is_other,
            G.full_information(instances.other, quantile),
            P.full_information(instances.base, quantile),
        )

    return {"expected_cost": expected_cost, "full_information": full_information}


def _bayes(P: World, G: World) -> dict[str, Any]:
    """Bayes in Q: P and G weighed by the evidence of the instance's own data."""

    def log_weights(law: Law, portfolio: Portfolio):
        return (
            jnp.log1p(-law.share) + P.log_evidence(law.base, portfolio),
            jnp.log(law.share) + G.log_evidence(law.other, portfolio),
        )

    def log_evidence(law: Law, portfolio: Portfolio):
        return jnp.logaddexp(*log_weights(law, portfolio))

    def predictive_cdf(law: Law, portfolio: Portfolio, x):
        base, other = log_weights(law, portfolio)
        share = jax.nn.sigmoid(other - base)
        below = share * G.predictive_cdf(law.other, portfolio, x)
        return below + (1.0 - share) * P.predictive_cdf(law.base, portfolio, x)

    def bayes_decision(law: Law, portfolio: Portfolio):
        ends = jnp.stack(
            [
                P.bayes_decision(law.base, portfolio),
                G.bayes_decision(law.other, portfolio),
            ]
        )

        def halve(_, bracket):
            low, high = bracket
            middle = (low + high) / 2.0
            is_above = predictive_cdf(law, portfolio, middle) >= portfolio.quantile
            return jnp.where(is_above, low, middle), jnp.where(is_above, middle, high)

        # The quantile of a mixture lies between those of its components.
        start = (ends.min(0) - 1.0, ends.max(0))
        return jax.lax.fori_loop(0, NUM_BISECTIONS, halve, start)[1]

    return {
        "bayes_decision": bayes_decision,
        "predictive_cdf": predictive_cdf,
        "log_evidence": log_evidence,
    }


def contaminated(
    P: World,
    G: World,
    eps: float | Float[Array, ""],
    name: str,
    description: str,
) -> World:
    """The world (1−ε)P + εG.

    Args:
      P: world of most instances.
      G: world of the others; its instances may be of another type.
      eps: ε in (0, 1); a traced one is not checked, and may be 0 or 1.
      name: of the new world.
      description: one line.

    Returns:
      A world whose law is that of P, that of G and ε. `bayes_decision` is exact where
      both worlds know their predictive law and evidence, None where one does not.

    Raises:
      ValueError: ε is not in (0, 1).
    """
    if not isinstance(eps, jax.core.Tracer) and not 0.0 < eps < 1.0:
        raise ValueError(f"eps = {eps} is not in (0, 1)")
    is_conjugate = None not in (P.predictive_cdf, G.predictive_cdf)
    exact = _bayes(P, G) if is_conjugate else {}
    return World(name, description, **_samplers(P, G, eps), **_truth(P, G), **exact)
