"""Bounds of a user's own, judged beside the library's in the tables of a run.

A bound is what `theory.arena` takes: a function of `theory.evidence.Evidence`. It is
told of a policy that was fixed before its losses were drawn, so the relative entropy is
0 and `train_losses` are the `losses`; `loss_range` is the scale that they were cut at.
"""

import hashlib
import math
import pathlib
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ptft_jax import imports
from ptft_jax.errors import UsageError
from theory import evidence
from theory.evidence import Bound

MARK = ":"  # in the name of every bound of one's own and of no other

MEANING = {
    "..._MODULE:FUNCTION": (
        "certified, as its author claims: a bound of your own on the mean cut cost of "
        "the policies of both folds, each at delta/2, in units of cost. Its terms are "
        "those it names; `least` is where the range of costs begins."
    )
}


class OwnBound(NamedTuple):
    """A bound of one's own.

    Attributes:
      bound: from `Evidence` to a number, or to named terms with `total`.
      fingerprint: changes when the bound does; cells of another are computed again.
    """

    bound: Bound
    fingerprint: str


OwnBounds = Mapping[str, OwnBound]  # by MODULE:FUNCTION
NONE: OwnBounds = MappingProxyType({})


def load(paths: str | None) -> OwnBounds:
    """Imports bounds from the working directory or from PYTHONPATH, and tries them.

    Args:
      paths: MODULE:FUNCTION, several separated by commas; None for none. An edit of
        MODULE changes the fingerprint, one of what it imports does not.

    Returns:
      The bounds by path.

    Raises:
      UsageError: one cannot be imported, or gives no number on losses of 0 and 1.
    """
    found: dict[str, OwnBound] = {}
    for path in [part.strip() for part in paths.split(",")] if paths else ():
        bound = imports.function(path, "a bound")
        file = getattr(sys.modules[path.split(MARK)[0]], "__file__", None)
        content = pathlib.Path(file).read_bytes() if file else b""
        found[path] = OwnBound(bound, hashlib.sha256(content).hexdigest())
        terms(path, bound, np.arange(8) % 2.0, 0.05)
    return found


def terms(
    name: str,
    bound: Bound,
    losses: Float[np.ndarray, "n"],
    delta: float,
    scale: float = 1.0,
) -> dict[str, float]:
    """What a bound says of the mean of losses of a fixed policy.

    Args:
      name: for complaints.
      bound: of one's own.
      losses: n in [0, 1], one an instance.
      delta: failure probability, in (0, 1).
      scale: a loss of 1 in units of cost.

    Returns:
      `total` and the bound's own terms, in units of cost; an infinite total says no
      more than a loss of 1 and becomes that.

    Raises:
      UsageError: the bound raised, or a term is no number.
    """
    told = evidence.of_fixed_policy(np.array(losses, float), delta)
    told = told._replace(loss_range=scale)
    try:
        found = evidence.ask(bound, told, evidence.terms_of)
    except evidence.BoundError as error:
        raise UsageError(f"{name}: {error}") from error
    if found["total"] == math.inf:
        found["total"] = 1.0
    for term, value in found.items():
        if not math.isfinite(value):
            raise UsageError(f"{name}: {term} is {value} at n = {told.n}")
    return {term: scale * value for term, value in found.items()}


def over_folds(
    name: str,
    folds: list[dict[str, float]],
    weigh: Callable[[list[float]], float],
) -> dict[str, float]:
    """Every term over both folds.

    Args:
      name: for complaints.
      folds: `terms` of each.
      weigh: mean over instances of a value that each fold has for its own.

    Returns:
      Terms by name.

    Raises:
      UsageError: the folds do not have the same terms.
    """
    if any(set(fold) != set(folds[0]) for fold in folds):
        raise UsageError(f"{name}: it names other terms at other losses")
    return {term: weigh([fold[term] for fold in folds]) for term in folds[0]}


def is_own(name: str) -> bool:
    """Whether a row of `bounds.csv` is of a bound of one's own.

    Args:
      name: of the bound, such as `finetuned_mybounds:mine`.

    Returns:
      Whether it has the mark.
    """
    return MARK in name
