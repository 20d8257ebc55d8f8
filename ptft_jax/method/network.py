"""The Transformer across instances for any problem: k numbers an instance.

As in `model`, instances attend to a few latent tokens, which attend to all instances:
cost is linear in n, permuting instances permutes outputs, padding changes nothing.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.model import Attend, Feedforward, rms_norm
from ptft_jax.problems.problem import Inputs, Problem


class Context(NamedTuple):
    """What instances attend to: all that is kept of a portfolio."""

    stats: Any
    latents: tuple[Float[Array, "l d"], ...]  # one set a block


class Across(nn.Module):
    """Inputs of n instances → outputs [n, k].

    Attributes:
      num_outputs: k.
      width: d, of tokens and of the last features.
      num_latents: portfolio tokens L.
      num_blocks: rounds of attention across instances.
      heads: attention heads.
    """

    num_outputs: int
    width: int = 48
    num_latents: int = 12
    num_blocks: int = 2
    heads: int = 4

    def setup(self):
        """Declares the layers."""
        D = self.width
        self.observe = nn.Dense(D)
        self.embed = nn.Dense(D)
        self.embed_portfolio = nn.Dense(D)
        self.seeds = self.param(
            "seeds", nn.initializers.normal(1.0), (self.num_latents, D)
        )
        blocks = range(self.num_blocks)
        self.collect = [Attend(self.heads, D) for _ in blocks]
        self.reflect = [Feedforward() for _ in blocks]
        self.consult = [Attend(self.heads, D) for _ in blocks]
        self.think = [Feedforward() for _ in blocks]
        self.read = nn.Dense(2 * D)
        self.last = nn.Dense(D)
        self.head = nn.Dense(self.num_outputs, kernel_init=nn.initializers.normal(0.01))

    def __call__(
        self,
        inputs: Inputs,
        present: Bool[Array, "n"],
        latents: tuple[Float[Array, "l d"], ...] | None = None,
    ) -> tuple[Float[Array, "n k"], tuple[Float[Array, "l d"], ...]]:
        """Outputs of instances, and the latents that they attended to.

        Args:
          inputs: of n instances.
          present: instances that are not padding.
          latents: of another portfolio; those of this one where None.

        Returns:
          Outputs, linear in features of norm √d, and the latents of each block.
        """
        told = self.embed_portfolio(inputs.portfolio)
        x = self.embed(inputs.instance) + told
        if inputs.observation is not None:
            x = x + self.pooled(inputs.observation, inputs.valid)
        kept: list = []
        for block in range(self.num_blocks):
            if latents is None:
                before = kept[-1] if kept else self.seeds + told
                found = self.collect[block].gather(before, x, present)
                taken = self.collect[block].take(before, found)
                kept.append(self.reflect[block](taken))
            else:
                kept.append(latents[block])
            x = self.think[block](self.consult[block](x, kept[-1]))
        h = rms_norm(self.last(nn.gelu(self.read(x))))
        return self.head(h), tuple(kept)

    def pooled(self, observation, valid) -> Float[Array, "n d"]:
        """Mean of the embedded observations of each instance."""
        each = jnp.where(valid[..., None], nn.gelu(self.observe(observation)), 0.0)
        return each.sum(1) / jnp.maximum(valid.sum(1), 1)[:, None]


def init(network: Across, problem: Problem, seen: Any, key: Key[Array, ""]) -> Any:
    """Parameters before any training.

    Args:
      network: the Transformer.
      problem: whose inputs it takes.
      seen: any instances of the problem; only shapes matter.
      key: typed PRNG key.

    Returns:
      A parameter tree.
    """
    inputs = problem.inputs(seen, problem.summarize(seen))
    return network.init(key, inputs, problem.present(seen))


def attend(network: Across, problem: Problem, params: Any, seen: Any) -> Context:
    """What the instances of a portfolio attend to.

    Args:
      network: the Transformer.
      problem: the problem.
      params: of the network.
      seen: n instances.

    Returns:
      The context.
    """
    stats = problem.summarize(seen)
    inputs = problem.inputs(seen, stats)
    return Context(stats, network.apply(params, inputs, problem.present(seen))[1])


def outputs(
    network: Across,
    problem: Problem,
    params: Any,
    seen: Any,
    context: Context | None = None,
) -> tuple[Float[Array, "n k"], Any]:
    """Outputs for instances, and the statistics that they were told.

    Args:
      network: the Transformer.
      problem: the problem.
      params: of the network.
      seen: n instances.
      context: of another portfolio; of this one where None.

    Returns:
      Outputs [n, k] and statistics.
    """
    stats = problem.summarize(seen) if context is None else context.stats
    latents = None if context is None else context.latents
    inputs = problem.inputs(seen, stats)
    found, _ = network.apply(params, inputs, problem.present(seen), latents)
    return found, stats


def decide(network: Across, problem: Problem, params: Any, seen: Any) -> Any:
    """Decisions of one network for a portfolio.

    Args:
      network: the Transformer.
      problem: the problem.
      params: of the network.
      seen: n instances.

    Returns:
      The decision, a pytree of leading axis n.
    """
    output, stats = outputs(network, problem, params, seen)
    return problem.decide(seen, stats, output, problem.couple(seen, stats, output))
