"""Randomness by name, so that no result depends on the order in which cells are run."""

import hashlib

import jax
import numpy as np
from jaxtyping import Array, Int, Key


def _tag(stream: str) -> int:
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "big")


def cell_key(seed: int | Int[Array, ""], stream: str, n: int) -> Key[Array, ""]:
    """The key of one use in one cell, by `fold_in`.

    Args:
      seed: of the replication, ≥ 0; it may be traced.
      stream: what the key is for.
      n: instances of the cell, or 0 for what all n have in common.

    Returns:
      A typed PRNG key.
    """
    key = jax.random.fold_in(jax.random.key(seed), _tag(stream))
    return jax.random.fold_in(key, n)


def generator(seed: int, stream: str) -> np.random.Generator:
    """The host's source of randomness for one use.

    Args:
      seed: of the replication, ≥ 0.
      stream: what it is for.

    Returns:
      A numpy generator.
    """
    return np.random.default_rng([seed, _tag(stream)])
