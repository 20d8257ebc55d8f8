"""What every statement assumes of its arguments, refused by name and value."""

import math

import numpy as np
from jaxtyping import Float

from theory import number_types
from theory.number_types import Number as Number
from theory.number_types import Numbers as Numbers

# The end of a range that leaves infinity out.
LARGEST = float(np.finfo(np.float64).max)


def within(
    name: str, values: Numbers, low: float, high: float
) -> Float[np.ndarray, "*s"]:
    """The values in float64, all of them in [low, high].

    Args:
      name: what to call the values in a complaint.
      values: a number or an array of numbers.
      low: smallest allowed value.
      high: largest allowed value.

    Returns:
      A float64 array of the same shape.

    Raises:
      ValueError: a value is no real number, NaN or outside; the first one is named.
    """
    x = number_types.in_float64(name, values)
    outside = np.argwhere(~((x >= low) & (x <= high)))
    if len(outside):
        where = tuple(int(i) for i in outside[0])
        index = f"[{', '.join(map(str, where))}]" if where else ""
        raise ValueError(
            f"{name}{index} = {float(x[where])} is not in [{low:g}, {high:g}]"
        )
    return x


def number(
    name: str, value: Number, low: float = -LARGEST, high: float = LARGEST
) -> float:
    """One number in [low, high].

    Args:
      name: what to call it in a complaint.
      value: the number.
      low: smallest allowed value.
      high: largest allowed value.

    Returns:
      The number as a Python float.

    Raises:
      ValueError: no single number, NaN, or outside.
    """
    return float(within(name, number_types.single(name, value), low, high))


def sample(
    name: str, values: Numbers, low: float = 0.0, high: float = 1.0
) -> Float[np.ndarray, "n"]:
    """One number per instance, n ≥ 1 of them, all in [low, high].

    Args:
      name: what to call the values in a complaint.
      values: n numbers.
      low: smallest allowed value.
      high: largest allowed value.

    Returns:
      A float64 array of length n.

    Raises:
      ValueError: n = 0, more than one axis, or a value that is NaN or outside.
    """
    x = within(name, values, low, high)
    if x.ndim != 1:
        raise ValueError(f"{name} has shape {x.shape}, expected (n,)")
    count("n", len(x))
    return x


def confidence(delta: float) -> None:
    """Refuses a failure probability δ outside (0, 1), NaN included.

    Args:
      delta: δ.

    Raises:
      ValueError: δ is not in (0, 1).
    """
    if not 0.0 < number_types.single("delta", delta) < 1.0:
        raise ValueError(f"delta = {delta} is not in (0, 1)")


def count(
    name: str,
    value: Number | np.ndarray,
    least: int = 1,
    most: float | int = math.inf,
) -> int:
    """Refuses what is not a whole number, or out of range.

    Args:
      name: what to call it in a complaint.
      value: the count; a float may be whole.
      least: smallest allowed value.
      most: largest allowed value.

    Returns:
      The count as a Python int.

    Raises:
      ValueError: no single number, NaN, infinite, not whole, or outside.
    """
    x = number_types.single(name, value)
    if not least <= x <= most:  # NaN included
        room = f" is not in [{least}, {most:g}]"
        told = f", expected at least {least}" if most == math.inf else room
        raise ValueError(f"{name} = {value}{told}")
    if x == math.inf or x != int(x):
        raise ValueError(f"{name} = {value} is not a whole number")
    return int(x)


def positive(name: str, value: Number) -> float:
    """Refuses a number that is not positive and finite, NaN included.

    Args:
      name: what to call it in a complaint.
      value: the number.

    Returns:
      The number as a Python float.

    Raises:
      ValueError: no single number, or not in (0, ∞).
    """
    x = number_types.single(name, value)
    if not 0.0 < x < math.inf:
        raise ValueError(f"{name} = {value} is not positive and finite")
    return float(x)


def matrix(name: str, values: Numbers) -> Float[np.ndarray, "n p"]:
    """Finite numbers with two axes, neither of them empty.

    Args:
      name: what to call the values in a complaint.
      values: n rows of p numbers.

    Returns:
      A float64 array.

    Raises:
      ValueError: another shape, or a value that is NaN or infinite.
    """
    x = within(name, values, -LARGEST, LARGEST)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{name} has shape {x.shape}, expected (n, p)")
    return x


def vector(name: str, values: Numbers, length: int) -> Float[np.ndarray, "p"]:
    """Finite numbers of a known length.

    Args:
      name: what to call the values in a complaint.
      values: the numbers.
      length: p.

    Returns:
      A float64 array of length p.

    Raises:
      ValueError: another shape, or a value that is NaN or infinite.
    """
    x = within(name, values, -LARGEST, LARGEST)
    if x.shape != (length,):
        raise ValueError(f"{name} has shape {x.shape}, expected ({length},)")
    return x


def per_instance(
    name: str, values: Numbers, n: int, high: float = LARGEST
) -> Float[np.ndarray, "{n}"]:
    """One number in [0, high] for each of n instances.

    Args:
      name: what to call the values in a complaint.
      values: one number for all, or n numbers.
      n: number of instances.
      high: largest allowed value.

    Returns:
      A float64 array of length n.

    Raises:
      ValueError: another shape, or a value that is NaN or outside.
    """
    x = within(name, values, 0.0, high)
    if x.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {x.shape}, expected () or ({n},)")
    return np.broadcast_to(x, (n,))


def ratio(q: Number) -> float:
    """Refuses a critical ratio q outside (0, 1), NaN included.

    Args:
      q: q.

    Returns:
      q as a Python float.

    Raises:
      ValueError: q is not in (0, 1).
    """
    x = number_types.single("q", q)
    if not 0.0 < x < 1.0:
        raise ValueError(f"q = {q} is not in (0, 1)")
    return float(x)


def finite(
    name: str, values: Numbers, least: float = -LARGEST
) -> Float[np.ndarray, "*s"]:
    """The values in float64, all of them finite and at least `least`.

    Args:
      name: what to call the values in a complaint.
      values: a number or an array of numbers.
      least: smallest allowed value.

    Returns:
      A float64 array of the same shape.

    Raises:
      ValueError: a value is NaN, infinite or too small; the first one is named.
    """
    return within(name, values, least, LARGEST)


def all_positive(name: str, values: Numbers) -> Float[np.ndarray, "*s"]:
    """The values in float64, all of them positive and finite.

    Args:
      name: what to call the values in a complaint.
      values: a number or an array of numbers.

    Returns:
      A float64 array of the same shape.

    Raises:
      ValueError: a value is NaN, infinite or not above 0; the first one is named.
    """
    x = number_types.in_float64(name, values)
    for value in x[~((x > 0.0) & (x < np.inf))][:1]:
        raise ValueError(f"{name} = {value} is not positive and finite")
    return x
