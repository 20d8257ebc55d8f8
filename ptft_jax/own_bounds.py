"""Bounds of a user's own, judged beside the library's in the tables of a run.

A bound is what `theory.arena` takes: a function of `theory.evidence.Evidence`. It is
told of a policy that was fixed before its losses were drawn, so the relative entropy is
0 and `train_losses` are the `losses`; `loss_range` is the scale that they were cut at.
"""

import contextlib
import hashlib
import inspect
import math
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import jax
import numpy as np
from jaxtyping import Float

from ptft_jax import imports
from ptft_jax.bound_terms import SETTING
from ptft_jax.errors import UsageError
from theory import evidence
from theory.evidence import Bound

MARK = ":"  # in the name of every bound of one's own and of no other
RANGE_BEGINS = "range_begins"  # the term that is the mean cost of a loss of 0

MEANING = {
    "..._MODULE:FUNCTION": (
        "certified, as its author claims: a bound of your own on the mean cut cost of "
        "the policies of both folds, each at delta/2, in units of cost, at most the "
        "end of the range of costs. Its terms are those it names; `range_begins` is "
        "where that range does."
    )
}
OwnBounds = Mapping[str, Bound]  # by MODULE:FUNCTION
NONE: OwnBounds = MappingProxyType({})


def load(paths: str | None) -> OwnBounds:
    """Imports bounds from the working directory or from PYTHONPATH, and tries them.

    Args:
      paths: MODULE:FUNCTION, several separated by commas; None for none.

    Returns:
      The bounds by path.

    Raises:
      UsageError: one cannot be imported, is random, gives no number on losses of 0 and
        1, or changes JAX's settings, on which all results depend.
    """
    found: dict[str, Bound] = {}
    if paths is None:
        return found
    for path in [part.strip() for part in paths.split(",")]:
        with settings_kept(path):
            with contextlib.redirect_stdout(sys.stderr):
                bound = imports.function(path)
            tried = [terms(path, bound, np.arange(8) % 2.0, 0.05) for _ in range(2)]
        if tried[0] != tried[1]:
            raise UsageError(f"{path} is random: {tried[0]}, then {tried[1]}")
        found[path] = bound
    return found


@contextlib.contextmanager
def settings_kept(path: str) -> Iterator[None]:
    """Refuses what changes JAX's settings, on which all results depend.

    Args:
      path: of the bound that is called inside.

    Yields:
      Once.

    Raises:
      UsageError: a setting is another one afterwards.
    """
    before = dict(jax.config.values)
    yield
    for name, value in jax.config.values.items():
        if value != before.get(name, value):
            raise UsageError(
                f"{path} sets {name} = {value} for the whole run, which would change "
                "all results; compute in numpy, or inside `with jax.enable_x64(True):`"
            )


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
      `total`, at most the scale, as a loss is at most 1; where the bound says less
      than that, its own terms, in units of cost but for those named `setting_…`.

    Raises:
      UsageError: the bound raised, its answer is no number or −∞, or it has a term
        named `RANGE_BEGINS`.
    """
    told = evidence.of_fixed_policy(np.array(losses, float), delta)
    told = told._replace(loss_range=scale)
    try:
        # what a bound prints is no part of the output, which may be JSON
        with contextlib.redirect_stdout(sys.stderr):
            found = evidence.ask(bound, told, evidence.terms_of)
    except evidence.BoundError as error:
        raise UsageError(f"{name}: {' '.join(str(error).split())}") from error
    if RANGE_BEGINS in found:
        raise UsageError(
            f"{name}: the term {RANGE_BEGINS} is the table's own; rename it"
        )
    if found["total"] == -math.inf:
        raise UsageError(f"{name}: the bound returned -inf at n = {told.n}")
    if found["total"] >= 1.0:
        return {"total": scale}
    return {
        term: value if term.startswith(SETTING) else scale * value
        for term, value in found.items()
    }


def fingerprints(own: OwnBounds) -> dict[str, str | None]:
    """What the source of each bound was, for the manifest of a run.

    Args:
      own: bounds by name.

    Returns:
      SHA-256 of each one's module, without what it imports; None where no file has it.
    """
    found: dict[str, str | None] = {}
    for name in own:
        try:
            content = inspect.getsource(sys.modules.get(name.split(MARK)[0]))
            found[name] = hashlib.sha256(content.encode()).hexdigest()
        except (OSError, TypeError):
            found[name] = None
    return found


def is_own(name: str) -> bool:
    """Whether a row of `bounds.csv` is of a bound of one's own.

    Args:
      name: of the bound, such as `finetuned_mybounds:mine`.

    Returns:
      Whether it has the mark.
    """
    return MARK in name
