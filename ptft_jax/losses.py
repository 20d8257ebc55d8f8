"""Pretraining and fine-tuning losses."""

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

from ptft_jax.model import Network
from ptft_jax.problems import newsvendor
from ptft_jax.worlds.example import Example


def pretraining_loss(params, network: Network, example: Example) -> Float[Array, ""]:
    """Future cost of a portfolio's decisions over that of one who knows its moments.

    L = mean_q[ Σ_i E c(x_iq, ξ_i)/s̃_i / Σ_i E c(x°_iq, ξ_i)/s̃_i ],
    where x° = Eξ + z_q sd ξ and s̃_i the observed mean shrunk to the portfolio's.
    Within a portfolio the weights depend only on what the decision maker sees, so the
    minimiser stays the Bayes decision; all portfolios and quantiles count alike.

    Args:
      params: of the network.
      network: the Transformer.
      example: a portfolio, its quantiles and future demands.

    Returns:
      The loss, near 1 for a decision maker who knows every law.
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
    future, q = example.future[:, None], example.quantiles[..., None]
    total = lambda x: (weight[:, None] * newsvendor.cost(x, future, q).mean(-1)).sum(0)
    mean, sd = future.mean(-1, keepdims=True), future.std(-1, keepdims=True)
    informed = total(jnp.maximum(mean + ndtri(q) * sd, 0.0))
    floor = 0.003 * (weight * scale).sum() + 1e-30
    return (total(x[..., None]) / (informed + floor)).mean()
