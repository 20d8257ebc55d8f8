"""Pretraining and fine-tuning losses."""

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

from ptft_jax.model import Network
from ptft_jax.problems import newsvendor
from ptft_jax.worlds.broad import Example


def quantile_weight(quantile: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """1/φ(z_q): a normal's best cost is σφ(z_q), so relative regret counts alike in q.

    Args:
      quantile: critical ratio in (0, 1).

    Returns:
      Positive weights.
    """
    z = ndtri(quantile)
    return jnp.sqrt(2.0 * jnp.pi) * jnp.exp(z**2 / 2.0)


def pretraining_loss(params, network: Network, example: Example) -> Float[Array, ""]:
    """Mean future cost of a portfolio's decisions in units of its demand's dispersion.

    L = mean_iq[ E c(x_iq, ξ_i) / (φ(z_q) s̃_i) ] / mean_i[ E|ξ_i − Eξ_i| / s̃_i ], where s̃_i
    is the observed mean shrunk towards the portfolio's: the weights depend on what the
    decision maker sees, so the minimiser is the Bayes decision.

    Args:
      params: of the network.
      network: the Transformer.
      example: a portfolio, its quantiles and future demands.

    Returns:
      The loss, about 1 for a decision maker who knows every law.
    """
    portfolio = example.portfolio
    present = portfolio.present

    def run(net):
        inputs, tokens, _ = net.tokens(portfolio)
        decide = lambda q: net.decide(inputs, tokens, q).base
        return inputs.scale, jax.vmap(decide, 1, 1)(example.quantiles)

    scale, x = network.apply(params, method=run)
    typical = jnp.where(present, scale, 0.0).sum() / jnp.maximum(present.sum(), 1)
    weight = present / (0.8 * scale + 0.2 * typical + 1e-30)
    cost = newsvendor.cost(
        x[..., None], example.future[:, None], example.quantiles[..., None]
    ).mean(-1)
    center = example.future.mean(-1, keepdims=True)
    dispersion = jnp.abs(example.future - center).mean(-1)
    total = (weight[:, None] * quantile_weight(example.quantiles) * cost).mean(-1).sum()
    floor = 0.01 * (weight * scale).sum() + 1e-30
    return total / jnp.maximum((weight * dispersion).sum(), floor)
