"""Fine-tuning on the n real instances, chosen by cross-fitting, never to do harm."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Key

from ptft_jax import dependence, gate, shapes
from ptft_jax.dependence import Dependence
from ptft_jax.gate import Candidate
from ptft_jax.model import Network
from ptft_jax.proposals import CLASSES, FinetuneConfig, make_propose
from ptft_jax.risk import Policy
from ptft_jax.types import Portfolio

__all__ = ["CLASSES", "FinetuneConfig", "Finetuned", "Fit", "make_fit"]


class Finetuned(NamedTuple):
    """The chosen policy and how it was chosen.

    Attributes:
      policy: the best.
      chosen: what it is.
      candidates: all that were judged.
      past: what the instances that they were judged on are worth.
    """

    policy: Policy
    chosen: Candidate
    candidates: tuple[Candidate, ...]
    past: Dependence


Fit = Callable[[Any, Portfolio, Key[Array, ""]], Finetuned]


def make_fit(network: Network, config: FinetuneConfig) -> Fit:
    """Returns `fit(params, portfolio, key) -> Finetuned`, the best proposal.

    What the instances share at a period looks like a gain on instances held out, and
    is none: the more they share, the more a change must win by. Where the order of the
    observations matters nothing is tried: what is left out does not stand for the
    future.

    Args:
      network: the Transformer.
      config: static configuration.

    Returns:
      A host function; what it compiles is kept for portfolios of the same shape.
    """
    propose = make_propose(network, config)

    def fit(params, portfolio, key):
        part_key = jax.random.fold_in(key, portfolio.valid.shape[0])
        portfolio = shapes.part(part_key, portfolio, config.most_instances)
        past = dependence.examine(portfolio)
        found = propose(params, portfolio, key, past)
        candidates, policies = zip(*found, strict=True)
        worth = max(past.num_independent, 1.0)
        best = gate.select(candidates, gate.caution(worth, config.caution))
        return Finetuned(policies[best], candidates[best], candidates, past)

    return fit
