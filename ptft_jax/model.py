"""The Transformer: pools within an instance, attends across instances by latents.

Cost is linear in n: instances attend to a fixed number of latent portfolio tokens,
which attend to the instances. Permuting instances permutes decisions; permuting an
instance's observations changes nothing.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

from ptft_jax import accumulators, features, statistics
from ptft_jax.types import Portfolio

SOFTPLUS_ONE = math.log(math.e - 1.0)  # where softplus is 1


class Context(NamedTuple):
    """What instances attend to: all the network keeps of a portfolio."""

    stats: features.Statistics
    latents: tuple[Float[Array, "l d"], ...]  # one set a block


class Decision(NamedTuple):
    """A decision and what a linear head may add to it: x = base + scale·⟨u, h⟩."""

    base: Float[Array, "n"]
    scale: Float[Array, "n"]
    hidden: Float[Array, "n d"]  # ‖h‖₂ = √d exactly
    unit: Float[Array, "n"]  # of counts, 0 where demand is continuous


def rms_norm(x: Float[Array, "*s d"]) -> Float[Array, "*s d"]:
    """x·√d/‖x‖₂, without gain: the norm of the result is √d.

    Args:
      x: vectors of length d.

    Returns:
      Vectors of length d.
    """
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-12)


class Attend(nn.Module):
    """Multi-head softmax attention between n instances and a few latents, residual."""

    heads: int
    width: int

    def setup(self):
        """Declares the projections."""
        self.query_norm = nn.LayerNorm(use_bias=False)
        self.key_norm = nn.LayerNorm(use_bias=False)
        project = lambda: nn.Dense(self.width, use_bias=False)
        self.q, self.k, self.v, self.out = project(), project(), project(), project()

    @property
    def slices(self):
        """Which of the d entries each head has, [heads, d]."""
        D, H = self.width, self.heads
        return jnp.repeat(jnp.eye(H), D // H, axis=1)

    def _spread(self, x):
        # Heads as rows that are zero outside their slice of d: one plain product with
        # the latents' H·L rows runs several times faster than H small ones.
        return (self.slices.astype(x.dtype)[:, None] * x).reshape(-1, self.width)

    def _project(self, queries, keys):
        keys = self.key_norm(keys)
        q = self.q(self.query_norm(queries)) / jnp.sqrt(self.width / self.heads)
        return q, self.k(keys), self.v(keys)

    def __call__(self, queries, keys):
        """Queries [n, d] after attending to a few keys [l, d]."""
        q, k, v = self._project(queries, keys)
        scores = (q @ self._spread(k).T).reshape(-1, self.heads, k.shape[0])
        mixed = nn.softmax(scores).reshape(q.shape[0], -1) @ self._spread(v)
        return queries + self.out(mixed)

    def gather(self, queries, keys, valid) -> accumulators.Attention:
        """What a few queries [l, d] find in those keys [n, d] that are valid."""
        q, k, v = self._project(queries, keys)
        return accumulators.attention(self._spread(q) @ k.T, v, valid)

    def take(self, queries, found: accumulators.Attention):
        """Queries [l, d] after attending to all that `gather` found."""
        rows = found.mean.reshape(self.heads, -1, self.width)
        return queries + self.out((self.slices[:, None] * rows).sum(0))


class Feedforward(nn.Module):
    """Pre-norm two-layer perceptron, residual."""

    @nn.compact
    def __call__(self, x):
        """Tokens [i, d] after the perceptron."""
        y = nn.LayerNorm(use_bias=False)(x)
        y = nn.Dense(2 * x.shape[-1])(y)
        return x + nn.Dense(x.shape[-1])(nn.gelu(y))


class Network(nn.Module):
    """Portfolio → decisions.

    Attributes:
      width: d, of tokens and of the last features.
      observation_width: of the set encoder.
      num_latents: portfolio tokens L.
      num_blocks: rounds of attention across instances.
      heads: attention heads.
    """

    width: int = 64
    observation_width: int = 32
    num_latents: int = 16
    num_blocks: int = 2
    heads: int = 4

    def setup(self):
        """Declares the layers."""
        D, E = self.width, self.observation_width
        self.observe = nn.Dense(E)
        self.embed = nn.Dense(D)
        self.embed_portfolio = nn.Dense(D)
        self.seeds = self.param(
            "seeds", nn.initializers.normal(1.0), (self.num_latents, D)
        )
        self.collect = [Attend(self.heads, D) for _ in range(self.num_blocks)]
        self.reflect = [Feedforward() for _ in range(self.num_blocks)]
        self.consult = [Attend(self.heads, D) for _ in range(self.num_blocks)]
        self.think = [Feedforward() for _ in range(self.num_blocks)]
        self.read = nn.Dense(2 * D)
        self.read_quantile = nn.Dense(2 * D, use_bias=False)
        self.read_sample = nn.Dense(2 * D, use_bias=False)
        self.last = nn.Dense(D)
        self.shift = nn.Dense(1, kernel_init=nn.initializers.normal(0.01))
        self.stretch = nn.Dense(1, kernel_init=nn.initializers.normal(0.01))

    def encode(self, inputs: features.Features, stats: features.Statistics):
        """One token an instance, from its own observations and the statistics."""
        pooled = self.observe(inputs.observation)
        tokens = self.embed(jnp.concatenate([pooled, inputs.instance], axis=-1))
        return tokens + self.embed_portfolio(features.portfolio_features(stats))

    def __call__(
        self,
        portfolio: Portfolio,
        quantile: Float[Array, "n"] | None = None,
        context: Context | None = None,
    ) -> Decision:
        """Decisions for a portfolio.

        Args:
          portfolio: n instances.
          quantile: critical ratios, [n]; the portfolio's own where None.
          context: what to attend to; the portfolio itself where None.

        Returns:
          Base decisions x⁰ ≥ 0, their scale, and features for a linear head.
        """
        return self.decide(
            *self.tokens(portfolio, context)[:2],
            portfolio.quantile if quantile is None else quantile,
        )

    def tokens(self, portfolio: Portfolio, context: Context | None = None):
        """Features, instances after attention, and the context they attended to."""
        stats = statistics.whole(portfolio) if context is None else context.stats
        inputs = features.features(portfolio, stats)
        return inputs, *self.attend(inputs, portfolio.present, stats, context)

    def attend(self, inputs, present, stats, context: Context | None = None):
        """Instances after attention, and the context, from features made before."""
        x, kept = self.encode(inputs, stats), []
        for block in range(self.num_blocks):
            if context is None:
                found = self.gather(kept, stats, x, present)
                kept.append(self.latents(kept, stats, found))
            else:
                kept.append(context.latents[block])
            x = self.consult_latents(x, kept)
        return x, Context(stats, tuple(kept))

    def before(self, kept, stats: features.Statistics):
        """Latents before the block that follows those whose latents are kept."""
        told = self.embed_portfolio(features.portfolio_features(stats))
        return kept[-1] if kept else self.seeds + told

    def gather(self, kept, stats, x, present) -> accumulators.Attention:
        """What the latents of the next block find in instances [n, d]."""
        return self.collect[len(kept)].gather(self.before(kept, stats), x, present)

    def latents(self, kept, stats, found: accumulators.Attention):
        """Latents of the next block, from all that they found."""
        taken = self.collect[len(kept)].take(self.before(kept, stats), found)
        return self.reflect[len(kept)](taken)

    def consult_latents(self, x, kept):
        """Instances after the last block whose latents are kept."""
        block = len(kept) - 1
        return self.think[block](self.consult[block](x, kept[-1]))

    def explore(self, portfolio: Portfolio, stats, kept) -> accumulators.Attention:
        """What the latents of the next block find in a part of a portfolio.

        Args:
          portfolio: the part.
          stats: of the whole portfolio.
          kept: latents of the blocks before, in order.

        Returns:
          The accumulator of the part.
        """
        x = self.encode(features.features(portfolio, stats), stats)
        for block in range(len(kept)):
            x = self.consult_latents(x, kept[: block + 1])
        return self.gather(kept, stats, x, portfolio.present)

    def decide(self, inputs: features.Features, x, quantile) -> Decision:
        """The decision link: the network corrects an empirical-Bayes plug-in rule.

        x⁰ = s·log(1 + (e−1)eᵗ), t = σ(b + a + z_q·eᶜ): s is the observed mean, σ the
        relative noise and b the move of the level that empirical Bayes makes; the
        network adds a and c, knowing the instance's own law about the plug-in rule. The
        link is 1 at t = 0, positive, and linear for large t.
        """
        z = ndtri(quantile)
        levels = jnp.stack([z / 2.0, z**2 / 4.0, quantile, jnp.exp(-(z**2) / 2.0)], -1)
        plain = nn.softplus(inputs.noise * (inputs.shrinkage + z) + SOFTPLUS_ONE)
        near = features.exceedances(inputs, (plain - 1.0) / inputs.noise)
        read = self.read(x) + self.read_quantile(levels) + self.read_sample(near)
        y = nn.gelu(read)
        h = rms_norm(self.last(y))
        t = inputs.noise * (
            inputs.shrinkage + self.shift(h)[:, 0] + z * jnp.exp(self.stretch(h)[:, 0])
        )
        base = inputs.scale * nn.softplus(t + SOFTPLUS_ONE)
        return Decision(base, inputs.scale, h, inputs.unit)
