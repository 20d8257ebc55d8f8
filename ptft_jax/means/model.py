"""The Transformer for means: learns how far to pull each mean to the portfolio's.

Pools within an instance by its mean x̄_i of known variance v_i, attends across instances
by latents. Moving or scaling all observations (and the noise with them) moves or scales
all decisions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from ptft_jax.model import Attend, Decision, Feedforward, rms_norm
from ptft_jax.types import Portfolio
from ptft_jax.worlds.means_posterior import averages

NUM_LEVELS = 12
LEAST_RATIO = 1e-2  # of observed to expected scatter: less is as good as this


class Statistics(NamedTuple):
    """Summaries of a portfolio of means."""

    num_instances: Float[Array, ""]  # n
    center: Float[Array, ""]  # mean of x̄, by empirical-Bayes weights
    variance: Float[Array, ""]  # v̄, harmonic mean of v
    log_ratio: Float[Array, ""]  # t, log of the estimate of (v̄+τ²)/v̄

    @property
    def precision(self) -> Float[Array, ""]:
        """1/sd of t by sampling, β = √((n−1)/2)."""
        return jnp.sqrt(jnp.maximum(self.num_instances - 1.0, 1.0) / 2.0)

    @property
    def excess(self) -> Float[Array, ""]:
        """Estimate of τ²/v̄, cut at 0."""
        return jnp.maximum(jnp.expm1(self.log_ratio), 0.0)


class Context(NamedTuple):
    """What instances attend to: all the network keeps of a portfolio."""

    stats: Statistics
    latents: tuple[Float[Array, "l d"], ...]  # one set a block


def statistics(
    portfolio: Portfolio, noise: float | Float[Array, ""] | Float[Array, "n"]
) -> Statistics:
    """Summaries of the whole portfolio, τ² by the moments of DerSimonian & Laird.

    Equal variances: center = mean of x̄, t = log(S/((n−1)v)), S = Σ(x̄_i − center)².

    Args:
      portfolio: n instances.
      noise: s > 0 of one observation, one for all instances or one each.

    Returns:
      Statistics; a shift moves `center` alone, scaling scales it and `variance`.
    """
    mean, variance = averages(portfolio, noise)
    present = portfolio.present
    precision = jnp.where(present, 1.0 / variance, 0.0)
    mass, n = precision.sum(), present.sum().astype(mean.dtype)
    harmonic = n / mass
    fixed = (precision @ mean) / mass
    scatter = precision @ (mean - fixed) ** 2
    spare = mass - (precision**2).sum() / mass
    tau2 = (scatter - (n - 1.0)) / jnp.maximum(spare, 1e-6 * mass)
    ratio = jnp.maximum(1.0 + tau2 / harmonic, LEAST_RATIO)
    weight = jnp.where(
        present, 1.0 / (variance + harmonic * jnp.maximum(ratio - 1.0, 0.0)), 0.0
    )
    center = fixed + weight @ (mean - fixed) / weight.sum()
    return Statistics(n, center, harmonic, jnp.log(ratio))


class MeansNetwork(nn.Module):
    """Portfolio of means → decisions.

    Attributes:
      width: d, of tokens and of the last features.
      num_latents: portfolio tokens L.
      num_blocks: rounds of attention across instances.
      heads: attention heads.
    """

    width: int = 32
    num_latents: int = 8
    num_blocks: int = 1
    heads: int = 2

    def setup(self):
        """Declares the layers."""
        D = self.width
        self.embed = nn.Dense(D)
        self.embed_portfolio = nn.Dense(D)
        self.levels = self.param(
            "levels", lambda *_: jnp.linspace(0.0, 2.75, NUM_LEVELS)
        )
        self.seeds = self.param(
            "seeds", nn.initializers.normal(1.0), (self.num_latents, D)
        )
        self.collect = [Attend(self.heads, D) for _ in range(self.num_blocks)]
        self.reflect = [Feedforward() for _ in range(self.num_blocks)]
        self.consult = [Attend(self.heads, D) for _ in range(self.num_blocks)]
        self.think = [Feedforward() for _ in range(self.num_blocks)]
        self.read = nn.Dense(2 * D)
        self.last = nn.Dense(D)
        self.shift = nn.Dense(1, kernel_init=nn.initializers.normal(0.01))

    def portfolio_features(self, stats: Statistics) -> Float[Array, "f"]:
        """The statistics as one unit-free vector.

        tanh(β(t − a_k)/2) compares the scatter with learnt levels a_k in units of its
        sampling error: what a prior of τ makes of it changes within a few of them.
        """
        n, beta, t = stats.num_instances, stats.precision, stats.log_ratio
        steps = jnp.tanh(beta * (t - self.levels) / 2.0)
        # Empirical Bayes tends to Bayes as n^{-1/2}: beyond 10³ there is little to say.
        rows = [t, jnp.log(n) / 3.0, jax.lax.rsqrt(n), 1.0 / n, t * jax.lax.rsqrt(n)]
        return jnp.concatenate([jnp.stack(rows), steps])

    def instance_features(self, mean, variance, stats: Statistics):
        """x̄_i in sd's of the portfolio's law of means, and its relative variance."""
        relative = variance / stats.variance
        z = (mean - stats.center) * jax.lax.rsqrt(
            stats.variance * (relative + stats.excess)
        )
        z = z.clip(-6.0, 6.0)
        log_relative = jnp.log(relative).clip(-4.0, 4.0)
        return jnp.stack([z, jnp.abs(z), jnp.tanh(z), log_relative], -1)

    def __call__(
        self,
        portfolio: Portfolio,
        noise: float | Float[Array, ""] | Float[Array, "n"],
        context: Context | None = None,
    ) -> Decision:
        """Decisions for a portfolio.

        Args:
          portfolio: n instances; their critical ratios are not used.
          noise: s > 0 of one observation, one for all instances or one each.
          context: what to attend to; the portfolio itself where None.

        Returns:
          Base decisions, between x̄_i and the context's center, their scale √v_i, and
          features for a linear head.
        """
        mean, variance = averages(portfolio, noise)
        tokens, context = self.tokens(portfolio, noise, context)
        h = rms_norm(self.last(nn.gelu(self.read(tokens))))
        base = self.shrink(mean, variance, self.shift(h)[:, 0], context.stats)
        base = jnp.where(portfolio.present, base, context.stats.center)
        return Decision(base, jnp.sqrt(variance), h, jnp.zeros_like(base))

    def tokens(
        self,
        portfolio: Portfolio,
        noise: float | Float[Array, ""] | Float[Array, "n"],
        context: Context | None = None,
    ) -> tuple[Float[Array, "n d"], Context]:
        """Instances after attention, and the context they attended to.

        Args:
          portfolio: n instances.
          noise: as for a call.
          context: as for a call.

        Returns:
          Tokens, and the given context or that of the portfolio.
        """
        stats = statistics(portfolio, noise) if context is None else context.stats
        told = self.embed_portfolio(self.portfolio_features(stats))
        own = self.instance_features(*averages(portfolio, noise), stats)
        x, latents, kept = self.embed(own) + told, self.seeds + told, []
        for block in range(self.num_blocks):
            if context is None:
                found = self.collect[block].gather(latents, x, portfolio.present)
                latents = self.reflect[block](self.collect[block].take(latents, found))
            else:
                latents = context.latents[block]
            kept.append(latents)
            x = self.think[block](self.consult[block](x, latents))
        return x, Context(stats, tuple(kept))

    def shrink(self, mean, variance, correction, stats: Statistics):
        """The decision link: the network corrects a positive-part shrinkage rule.

        x⁰ = x̄ + B(center − x̄), B = 1/(1 + (v̄/v)(eᵃ − 1)), a = log(1 + e^{βt+g})/β:
        a → t⁺ as β grows, which is James–Stein's rule with positive part; the network
        adds g, a move of t in units of its sampling error.
        """
        beta = stats.precision
        log_ratio = nn.softplus(beta * stats.log_ratio + correction) / beta
        signal = jnp.expm1(log_ratio) * stats.variance / variance
        return mean + (stats.center - mean) / (1.0 + signal)
