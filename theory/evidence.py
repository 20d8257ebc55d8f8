"""What a bound is told about a policy, and how its answer is read."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from theory import number_types


class Evidence(NamedTuple):
    """All that a bound on the risk of a policy may use; what is not there is None.

    The risk is the mean loss of the policy on a new instance, in the same [0, 1] as the
    losses. With probability ≥ 1−δ over the evidence a bound is at least the risk.

    Attributes:
      losses: one loss in [0, 1] for each of n independent instances that had no part in
        the training. Where nothing was trained, they may be the `train_losses`: a bound
        must not take the two for independent samples.
      n: number of instances in `losses`, and in `train_losses`.
      delta: failure probability δ in (0, 1).
      train_losses: of the fine-tuned policy on the n instances it was fine-tuned on.
      kl: relative entropy of the fine-tuned policy (posterior) to the pretrained one
        (prior), in nats; the risk and all losses are means over the posterior.
      radius: the fine-tuned parameters stay within this distance of the pretrained.
      parameter_norms: distance moved in fine-tuning, one number a parameter array.
      observation_losses: (n, l) losses of l held-out observations of each instance of
        `losses`, which holds the first. Those of one instance are not independent.
      loss_range: what costs differ by, in their unit, whose losses differ by 1.
    """

    losses: Float[np.ndarray, "n"]
    n: int
    delta: float
    train_losses: Float[np.ndarray, "n"] | None = None
    kl: float | None = None
    radius: float | None = None
    parameter_norms: tuple[float, ...] | None = None
    observation_losses: Float[np.ndarray, "n l"] | None = None
    loss_range: float = 1.0


Bound = Callable[[Evidence], Any]


class BoundError(ValueError):
    """A bound that cannot be judged: it raised, or its answer is no number."""


def of_fixed_policy(losses: Float[np.ndarray, "n"], delta: float) -> Evidence:
    """Evidence on a policy that was not trained: KL = 0, one sample under two names.

    Args:
      losses: n losses in [0, 1]; they become read-only.
      delta: δ in (0, 1).

    Returns:
      The evidence.
    """
    losses.setflags(write=False)
    return Evidence(losses, len(losses), delta, train_losses=losses, kl=0.0)


def of_best_expert(
    train: Float[np.ndarray, "n"],
    fresh: Float[np.ndarray, "n"],
    num_experts: int,
    delta: float,
) -> Evidence:
    """Evidence on the best of M experts under the uniform prior: KL = ln M.

    Args:
      train: its losses on the instances it was chosen on; they become read-only.
      fresh: its losses on n others; they become read-only.
      num_experts: M ≥ 1.
      delta: δ in (0, 1).

    Returns:
      The evidence.
    """
    train.setflags(write=False)
    told = of_fixed_policy(fresh, delta)
    return told._replace(train_losses=train, kl=math.log(num_experts))


def mirrored(lower: Bound) -> Callable[[Evidence], float]:
    """The upper bound that a lower bound on the risk is, seen from losses 1 − ℓ.

    U(ℓ) = 1 − L(1 − ℓ): U is below the risk where L is above its own, so the arena can
    judge L. A certified gain is such an L, on differences mapped to [0, 1].

    Args:
      lower: from `Evidence` to a number or to named terms with `total`.

    Returns:
      A bound for `arena.run`.
    """

    def upper(told: Evidence) -> float:
        turned = {
            name: 1.0 - losses
            for name in ("losses", "train_losses", "observation_losses")
            if (losses := getattr(told, name)) is not None
        }
        return 1.0 - total_of(lower(told._replace(**turned)))

    return upper


class Counted:
    """A bound whose answers are checked and whose calls are counted."""

    def __init__(self, bound: Bound):
        """Start counting.

        Args:
          bound: from evidence to a number or to named terms with `total`.
        """
        self.bound, self.calls = bound, 0

    def __call__(self, evidence: Evidence) -> float:
        """The bound's total.

        Args:
          evidence: to call it with.

        Returns:
          A float, possibly infinite.

        Raises:
          BoundError: the bound raised, or `total_of` refuses its answer.
        """
        self.calls += 1
        return ask(self.bound, evidence)


def ask(
    bound: Bound, evidence: Evidence, read: Callable[[Any], Any] | None = None
) -> Any:
    """What a bound says, or why it cannot be judged.

    Args:
      bound: from evidence to a number or to named terms with `total`.
      evidence: to call it with.
      read: of the answer, `total_of` or `terms_of`; `total_of` where None.

    Returns:
      What was read, of `total_of` a float, possibly infinite.

    Raises:
      BoundError: the bound raised, or its answer is refused.
    """
    where = f"at n = {evidence.n}, delta = {evidence.delta:g}"
    try:
        answer = bound(evidence)
    except (Exception, SystemExit) as error:
        kind = type(error).__name__
        raise BoundError(f"the bound raised {kind} {where}: {error}") from error
    try:
        return (read or total_of)(answer)
    except BoundError as error:
        raise BoundError(f"the bound returned {error} {where}") from None


def terms_of(answer: Any) -> dict[str, float]:
    """The finite numbers in what a bound returned, by name.

    Args:
      answer: a real number, a mapping, a NamedTuple or a dataclass, with `total`.

    Returns:
      `total` first, possibly infinite, then the other terms that are finite numbers.

    Raises:
      BoundError: `total_of` refuses the answer.
    """
    found = {"total": total_of(answer)}
    named = answer
    if hasattr(answer, "_asdict"):
        named = answer._asdict()
    elif dataclasses.is_dataclass(answer):
        named = {f.name: getattr(answer, f.name) for f in dataclasses.fields(answer)}
    for name, term in named.items() if isinstance(named, Mapping) else ():
        try:
            value = total_of(term)
        except BoundError:
            continue
        if math.isfinite(value):
            found.setdefault(str(name), value)
    return found


def total_of(answer: Any) -> float:
    """The number in what a bound returned.

    Args:
      answer: a real number, a mapping with the key `total`, or a record with the
        attribute `total`.

    Returns:
      The number as a float, possibly infinite.

    Raises:
      BoundError: it is something else, or NaN.
    """
    total = answer
    if isinstance(answer, Mapping):
        if "total" not in answer:
            raise BoundError(f"terms without 'total': {_shown(list(answer))}")
        total = answer["total"]
    elif hasattr(answer, "total"):
        total = answer.total
    if isinstance(total, str | bytes | list | tuple | dict):
        raise BoundError(f"{_shown(answer)}, no number")
    value = np.asarray(total)
    if (
        value.shape != ()
        or value.dtype == bool
        or not number_types.is_real(value.dtype)
    ):
        raise BoundError(f"{_shown(answer)}, no number")
    number = float(value)
    if math.isnan(number):
        raise BoundError("NaN")
    return number


def _shown(answer: Any) -> str:
    text = repr(answer)
    return text if len(text) <= 60 else f"{text[:57]}..."
