"""The never-worse gate: which change, if any, held-out instances speak for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key


class Candidate(NamedTuple):
    """A way to change the pretrained network, and what held-out instances say of it."""

    name: str  # class
    dial: float  # radius or steps
    gain: float  # mean held-out cost saved, as a share of the pretrained cost
    gain_se: float


UNCHANGED = Candidate("none", 0.0, 0.0, 0.0)
FEW_INSTANCES = 64  # where the gate's caution is stated


def held_out_by(
    key: Key[Array, ""], num_instances: int, num_folds: int, num_splits: int
) -> Bool[np.ndarray, "k n"]:
    """Which instances are held out of each fit: K random folds, several times over.

    Args:
      key: typed PRNG key.
      num_instances: n.
      num_folds: K ≤ n; folds of one split differ in size by at most one.
      num_splits: independent ones.

    Returns:
      A mask for each of K · num_splits fits; every instance is in one fold a split.
    """
    position = jnp.arange(num_instances) % num_folds
    folds = jax.vmap(jax.random.permutation, (0, None))(
        jax.random.split(key, num_splits), position
    )
    out = folds[:, None] == jnp.arange(num_folds)[:, None]
    return np.asarray(out.reshape(-1, num_instances))


def judge(
    name: str,
    dial: float,
    before: Float[np.ndarray, "n"],
    after: Float[np.ndarray, "n"],
) -> Candidate:
    """A candidate with the mean cost it saved on held-out instances.

    Args:
      name: its class.
      dial: its radius or number of steps.
      before: cost of each instance under the pretrained policy.
      after: the same under the candidate's policy of the fold.

    Returns:
      The candidate, its gain Σ(before − after)/Σ before and the standard error.
    """
    saved = np.asarray(before - after, np.float64)
    total = float(np.sum(before, dtype=np.float64)) or 1.0
    spread = np.sqrt(len(saved)) * saved.std(ddof=1)
    return Candidate(name, dial, float(saved.sum() / total), float(spread / total))


def caution(num_instances: int, at_few: float) -> float:
    """Standard errors that a change must win by: c·√(64/n), decreasing in n.

    With a N(−h, τ²) prior of a change's true gain and an estimate of variance σ²/n, the
    posterior mean is positive where the estimate exceeds hσ/(τ²√n) standard errors.
    Ours.

    Args:
      num_instances: n ≥ 1 that the gain is measured on.
      at_few: c ≥ 0, at n = 64.

    Returns:
      Standard errors.
    """
    return at_few * float(np.sqrt(FEW_INSTANCES / num_instances))


def select(candidates: tuple[Candidate, ...], caution: float) -> int:
    """Position of the candidate of largest gain less `caution` standard errors.

    Args:
      candidates: with no change among them, whose score is 0.
      caution: standard errors taken off each gain, ≥ 0.

    Returns:
      The position; that of no change unless another's score is above 0.
    """
    return int(np.argmax([c.gain - caution * c.gain_se for c in candidates]))
