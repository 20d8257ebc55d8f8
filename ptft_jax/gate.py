"""The never-worse gate: which change, if any, held-out instances speak for."""

from collections.abc import Iterable, Mapping
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
LARGEST_ERROR = 0.25  # of a gain, beyond which it says nothing
KEPT = (
    "on both halves fine-tuning kept the pretrained network: the certificates of the "
    "fine-tuned policy are about that one, not about the change made here"
)


def notes(
    chosen: Candidate | None, folds: Iterable[Mapping[str, Float[np.ndarray, "_"]]]
) -> list[str]:
    """What must be said of certificates beside a change.

    Args:
      chosen: on all instances; None where nothing was fine-tuned.
      folds: costs of `pretrained` and `finetuned` that each fold's certificate is of.

    Returns:
      `KEPT` where there is a change and no fold's fine-tuning changed a cost.
    """
    if chosen in (None, UNCHANGED):
        return []
    same = (np.array_equal(cost["pretrained"], cost["finetuned"]) for cost in folds)
    return [KEPT] if all(same) else []


def held_out_by(
    key: Key[Array, ""], usable: Bool[np.ndarray, "n"], num_folds: int, num_splits: int
) -> Bool[np.ndarray, "k n"]:
    """Which instances are held out of each fit: K random folds, several times over.

    Args:
      key: typed PRNG key.
      usable: instances to share out, at least K; padding is in no fold.
      num_folds: K; folds of one split differ in size by at most one.
      num_splits: independent ones.

    Returns:
      A mask for each of K · num_splits fits; a usable instance is in one fold a split.
    """
    index = np.flatnonzero(usable)
    position = jnp.arange(len(index)) % num_folds
    folds = jax.vmap(jax.random.permutation, (0, None))(
        jax.random.split(key, num_splits), position
    )
    out = np.zeros((num_splits, num_folds, len(usable)), bool)
    out[..., index] = np.asarray(folds)[:, None] == np.arange(num_folds)[:, None]
    return out.reshape(-1, len(usable))


def judge(
    name: str,
    dial: float,
    before: Float[np.ndarray, "n"],
    after: Float[np.ndarray, "n"],
    design_effect: float = 1.0,
) -> Candidate:
    """A candidate with the mean cost it saved on held-out instances.

    Args:
      name: its class.
      dial: its radius or number of steps.
      before: cost of each instance under the pretrained policy.
      after: the same under the candidate's policy of the fold.
      design_effect: D ≥ 1; n instances are worth n/D.

    Returns:
      The candidate, its gain Σ(before − after)/|Σ before| and the standard error, √D
      times that of independent instances.
    """
    saved = np.asarray(before - after, np.float64)
    # gains of a revenue are shares of it, whose cost is negative
    total = abs(float(np.sum(before, dtype=np.float64))) or 1.0
    spread = np.sqrt(design_effect * len(saved)) * saved.std(ddof=1)
    return Candidate(name, dial, float(saved.sum() / total), float(spread / total))


def caution(num_instances: int | float, at_few: float) -> float:
    """Standard errors that a change must win by: c·√(64/n), decreasing in n.

    With a N(−h, τ²) prior of a change's true gain and an estimate of variance σ²/n, the
    posterior mean is positive where the estimate exceeds hσ/(τ²√n) standard errors.
    Ours.

    Args:
      num_instances: n > 0 independent ones that the gain is measured on.
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
      The position; that of no change unless another's score is above 0. A candidate
      whose gain is not a number, or has a standard error above `LARGEST_ERROR`, is
      never chosen: where labels are so noisy, the best of many is the luckiest.
    """
    scores = np.array([c.gain - caution * c.gain_se for c in candidates])
    told = np.array([c.gain_se <= LARGEST_ERROR for c in candidates])
    return int(np.argmax(np.where(np.isfinite(scores) & told, scores, -np.inf)))
