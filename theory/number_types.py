"""What a number is: Python's, numpy's and JAX's, and bfloat16, taken to float64."""

from collections.abc import Sequence

import jax.typing
import numpy as np
from jaxtyping import Float

# What `np.asarray` takes here: a number, an array, or sequences of them.
Numbers = jax.typing.ArrayLike | Sequence

# One real number, as Python or numpy has it.
Number = float | int | np.number


def is_real(dtype: np.dtype) -> bool:
    """Whether numbers of a type are real: numpy's own, or such as bfloat16.

    Args:
      dtype: numpy's type of an array.

    Returns:
      True for truth values also.
    """
    registered = dtype.kind == "V" and dtype.isbuiltin == 2
    return dtype.kind in "biuf" or registered


def in_float64(name: str, values: Numbers) -> Float[np.ndarray, "*s"]:
    """The values as an array in float64.

    Args:
      name: what to call them in a complaint.
      values: a number or an array of numbers.

    Returns:
      The array.

    Raises:
      ValueError: a value is no real number.
    """
    x = np.asarray(values)
    how = "unsafe" if x.dtype == object else "same_kind"  # such as 2**70
    try:
        return x.astype(np.float64, casting=how, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} holds what is no real number") from None


def single(name: str, value: Number | np.ndarray) -> float | int:
    """The one real number that a value is, as Python has it.

    Args:
      name: what to call it in a complaint.
      value: the number.

    Returns:
      The number.

    Raises:
      ValueError: it is no single real number.
    """
    if isinstance(value, float | int):
        return value
    x = np.asarray(value, dtype=object if isinstance(value, list | tuple) else None)
    if x.shape != () or not is_real(x.dtype):
        raise ValueError(f"{name} = {value} is not a number")
    return x.item()
