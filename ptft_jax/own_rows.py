"""Rows of bounds of a user's own, from the losses that the record of a cell keeps.

A record keeps what a bound is told of every certified policy, so that a bound that is
new or edited is judged on finished cells, nothing being computed again.
"""

import base64
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ptft_jax import own_bounds
from ptft_jax.errors import UsageError
from ptft_jax.own_bounds import RANGE_BEGINS, OwnBounds

ENCODING = "<f8"
KEY = "judged"  # in the record of a cell
Row = dict[str, Any]


class Fold(NamedTuple):
    """Losses of a policy that was fixed before they were drawn.

    Attributes:
      losses: n in [0, 1], one an instance.
      scale: cost of a loss of 1, less that of a loss of 0.
      weight: of this fold in the mean over folds, ≥ 0.
      begins: cost of a loss of 0; None where it is 0 by what a cost is.
    """

    losses: Float[np.ndarray, "n"]
    scale: float
    weight: float
    begins: float | None = None


class Judged(NamedTuple):
    """A policy whose mean cost Σ_k w_k (l_k + s_k E loss_k) is to be bounded.

    Attributes:
      policy: its name begins that of the bound's rows.
      folds: of cross-fitting, or the candidates of a mixture.
      delta: failure probability of the whole statement.
      share: of δ, for the bound of each fold.
      risk: true.
    """

    policy: str
    folds: tuple[Fold, ...]
    delta: float
    share: float
    risk: float


def to_record(judged: Judged, **where: int) -> dict[str, Any]:
    """A policy's losses as the record of a cell keeps them.

    Args:
      judged: the policy.
      where: columns of `bounds.csv` that a record has several values of.

    Returns:
      JSON-serialisable; losses are base64 of float64, little-endian.
    """
    folds = [
        {**fold._asdict(), "losses": _encoded(fold.losses)} for fold in judged.folds
    ]
    return {**judged._asdict(), "folds": folds, "where": where}


def _encoded(losses: Float[np.ndarray, "n"]) -> str:
    return base64.b64encode(np.asarray(losses, ENCODING).tobytes()).decode()


def _decoded(kept: dict[str, Any]) -> Fold:
    losses = np.frombuffer(base64.b64decode(kept["losses"]), ENCODING)
    return Fold(**{**kept, "losses": losses.astype(float)})


def from_record(kept: dict[str, Any]) -> Judged:
    """What `to_record` made.

    Args:
      kept: of a record.

    Returns:
      The policy and its losses.
    """
    fields = {name: kept[name] for name in Judged._fields}
    return Judged(**{**fields, "folds": tuple(map(_decoded, kept["folds"]))})


def extend(record: dict[str, Any], own: OwnBounds, place: str) -> dict[str, Any]:
    """A record with the rows of bounds of the user's own behind those it has.

    Args:
      record: of a cell, with `bounds` and the policies under `KEY`.
      own: bounds by name.
      place: of the cell, for complaints.

    Returns:
      Another record, without the losses.

    Raises:
      UsageError: a bound is no number, names other terms at other losses, or changes
        JAX's settings.
    """
    found = list(record["bounds"])
    for kept in record[KEY]:
        judged = from_record(kept)
        try:
            made = rows(judged, own)
        except UsageError as error:
            where = [place, *(f"{k} = {v}" for k, v in kept["where"].items())]
            at = ", ".join([*where, f"policy {judged.policy}"])
            raise UsageError(f"{error} ({at})") from None
        found += [{**kept["where"], **row} for row in made]
    return {**{k: v for k, v in record.items() if k != KEY}, "bounds": found}


def rows(judged: Judged, own: OwnBounds) -> list[Row]:
    """What bounds say of a policy, beside the truth.

    Args:
      judged: the policy.
      own: bounds by name.

    Returns:
      Rows of `bounds.csv`: `total`, then the terms that the bound names, or `empirical`
      and `deviation` where it names none. Where costs may begin anywhere,
      `RANGE_BEGINS` says where they do, and is in the total.

    Raises:
      UsageError: as of `extend`.
    """
    weights = np.array([fold.weight for fold in judged.folds])
    begins = [fold.begins for fold in judged.folds if fold.begins is not None]
    least = float(weights @ begins) if begins else 0.0
    means = [fold.scale * float(fold.losses.mean()) for fold in judged.folds]
    empirical = least + float(weights @ means)
    found = []
    for name, bound in own.items():
        with own_bounds.settings_kept(name):
            folds = [
                own_bounds.terms(name, bound, fold.losses, judged.share, fold.scale)
                for fold in judged.folds
            ]
        total, terms = _over_folds(name, folds, weights)
        total += least
        if not terms:
            terms = {"empirical": empirical, "deviation": total - empirical}
        elif begins:
            terms[RANGE_BEGINS] = least
        common = {"bound": f"{judged.policy}_{name}", "tier": "certified"}
        common |= {"risk": judged.risk, "delta": judged.delta}
        common |= {"holds": bool(total >= judged.risk)}
        every = {"total": total, **terms}
        found += [{**common, "term": term, "value": v} for term, v in every.items()]
    return found


def _over_folds(name, folds, weights) -> tuple[float, dict[str, float]]:
    """Means of the total and of the other terms, of none where a fold has no others."""
    mean = lambda term: float(weights @ [fold[term] for fold in folds])
    terms: dict[str, float] = {}
    if all(len(fold) > 1 for fold in folds):
        for fold in folds[1:]:
            if other := sorted(set(fold) ^ set(folds[0])):
                raise UsageError(
                    f"{name}: it names other terms at other losses: {', '.join(other)}"
                )
        terms = {term: mean(term) for term in folds[0] if term != "total"}
    return mean("total"), terms
