"""Pretraining of the means network on fresh portfolios of the hyper-prior."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax import checkpoint, train, types
from ptft_jax.means.model import MeansNetwork
from ptft_jax.pretrain import PretrainConfig
from ptft_jax.problems import means
from ptft_jax.types import Portfolio
from ptft_jax.worlds import gaussian_means, means_posterior

SHIPPED = "means"
NETWORK = MeansNetwork()
CONFIG = PretrainConfig(
    num_steps=5000,
    shapes=((256, 4, 4), (128, 16, 4), (48, 64, 4), (16, 256, 4), (6, 1024, 4)),
    learning_rate=3e-3,
    average_decay=0.998,
)
RAGGED_SHARE = 0.25  # of portfolios whose instances have different numbers


class Example(NamedTuple):
    """A portfolio of means, what is known of it, and its law."""

    portfolio: Portfolio
    noise: Float[Array, ""]
    law: means_posterior.Law


def sample_example(
    key: Key[Array, ""], num_instances: int, num_observations: int
) -> Example:
    """Draws a portfolio of v near 1: units are of no matter to the network.

    All n instances are there in half of the portfolios, between n/4 and n in the rest.
    In three of four all have m observations and v = 1; else m_i differ.

    Args:
      key: typed PRNG key.
      num_instances: n ≥ 3, padding included.
      num_observations: the largest m.

    Returns:
      The example.
    """
    law_key, theta_key, data_key, count_key, kind_key = jax.random.split(key, 5)
    n_key, m_key, own_key = jax.random.split(count_key, 3)
    is_cut, is_ragged = jax.random.bernoulli(
        kind_key, jnp.array([0.5, RAGGED_SHARE]), (2,)
    )
    fewest = max(num_instances // 4, 3)
    fewer = jax.random.randint(n_key, (), fewest, num_instances + 1)
    n = jnp.where(is_cut, fewer, num_instances)
    same = jax.random.randint(m_key, (1,), 1, num_observations + 1)
    own = jax.random.randint(own_key, (num_instances,), 1, num_observations + 1)
    m = jnp.where(is_ragged, own, same)
    typical = jnp.where(is_ragged, num_observations / 2.0, same[0])
    law = gaussian_means.sample_law(law_key, jnp.sqrt(typical))
    instances = gaussian_means.sample_instances(theta_key, law, num_instances)
    seen = gaussian_means.sample_observations(data_key, instances, num_observations)
    valid = (jnp.arange(num_observations) < m[:, None]) & (
        jnp.arange(num_instances) < n
    )[:, None]
    return Example(types.portfolio(seen, 0.5, valid), law.noise, law)


def regret_loss(x: Float[Array, "n"], example: Example) -> Float[Array, ""]:
    """Distance from the hierarchical-Bayes decision, in units of the 3/n law.

    L = mean_i (x_i − x*_i)² / ((3/n) mean_i v_i²/(τ²+v_i)), x* of `hierarchical_bayes`.
    The mean regret over Bayes is that of x* plus E(x − x*)², so the minimiser is the
    same as with labels in place of x*, without their noise; divided by the law every n
    and τ counts.

    Args:
      x: decisions.
      example: a portfolio and its law.

    Returns:
      The loss, 0 for hierarchical Bayes.
    """
    portfolio, present = example.portfolio, example.portfolio.present
    best = means_posterior.hierarchical_bayes(portfolio, example.noise)
    _, v = means_posterior.averages(portfolio, example.noise)
    total = lambda values: jnp.where(present, values, 0.0).sum()
    law = 3.0 / present.sum() * total(v**2 / (v + example.law.spread**2))
    return total(means.regret(x, best)) / law


def make_loss(
    network: MeansNetwork,
    config: PretrainConfig,
    shape: tuple[int, int, int],
    sample_example=sample_example,
) -> train.LossFn:
    """Returns `loss(params, key)`: the mean over a batch of fresh portfolios.

    Args:
      network: the Transformer.
      config: not used: there are no quantiles.
      shape: (portfolios, instances, observations) of the batch.
      sample_example: `(key, n, m) -> Example`.

    Returns:
      A pure function; the key decides everything in the batch.
    """
    num_portfolios, n, m = shape

    def one(params: Any, key: Key[Array, ""]):
        example = sample_example(key, n, m)
        x = network.apply(params, example.portfolio, example.noise).base
        return regret_loss(x, example)

    return train.batch_loss(one, num_portfolios)


def init_params(network: MeansNetwork, key: Key[Array, ""]) -> Any:
    """Parameters before any training.

    Args:
      network: the Transformer.
      key: typed PRNG key.

    Returns:
      A parameter tree.
    """
    return network.init(key, types.portfolio(jnp.eye(2), 0.5), 1.0)


# What `pretrain.run` needs to know.
KIND: dict[str, Any] = {
    "sample_example": sample_example,
    "make_loss": make_loss,
    "init_params": init_params,
}


def load_shipped() -> tuple[MeansNetwork, Any, dict[str, Any]]:
    """The pretrained means network that comes with the package.

    Returns:
      The Transformer, its parameters, and what made it.
    """
    return checkpoint.load_shipped(
        SHIPPED, make_network=MeansNetwork, init_params=init_params
    )
