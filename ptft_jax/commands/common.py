"""What the commands have in common: reading files, weights and numbers."""

import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from ptft_jax import checkpoint, data
from ptft_jax.errors import UsageError
from ptft_jax.model import Network


class Reading(NamedTuple):
    """How a file is read."""

    drop_unusable: bool = False
    complete_only: bool = False
    min_positive: int = 0


def num_seeds(seeds: int | None, preset: str) -> int:
    """How many seeds to run: those asked for, or the preset's."""
    if seeds is not None:
        return seeds
    return 2 if preset == "quick" else 5


def numbers(flag: str, text: str, kind: type) -> tuple:
    """Numbers separated by commas.

    Args:
      flag: named in a complaint.
      text: such as "32,64".
      kind: int or float.

    Returns:
      The numbers.

    Raises:
      UsageError: one is no number.
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        noun = "whole numbers" if kind is int else "numbers"
        raise UsageError(
            f"{flag} takes {noun} separated by commas, got {text!r}"
        ) from None


def load_weights(path: str | None) -> tuple[Network, Any, dict[str, Any]]:
    """The network to use.

    Args:
      path: of its file, or None for the shipped one.

    Returns:
      The Transformer, its parameters and what made it.

    Raises:
      UsageError: the file is absent or holds something else.
    """
    return _of_weights(path, checkpoint.load_network)


def describe_weights(path: str | None) -> checkpoint.Header:
    """What a file of weights says of itself, whatever problem it is of.

    Args:
      path: of the file, or None for the shipped newsvendor network.

    Returns:
      The header.

    Raises:
      UsageError: the file is absent or holds something else.
    """
    return _of_weights(path, checkpoint.header)


def _of_weights(path: str | None, look: Callable[..., Any]) -> Any:
    try:
        if path is not None:
            return look(path)
        with checkpoint.shipped() as file:
            return look(file)
    except FileNotFoundError:
        which = "the shipped weights are" if path is None else f"{path} is"
        raise UsageError(
            f"{which} not there; `ptft pretrain --out FILE` makes a network, and "
            "--weights FILE uses it"
        ) from None
    except Exception as error:
        # safetensors raises its own type for a file of another format
        if path is None:
            raise
        raise UsageError(f"{path} is not a network to use here: {error}") from None


def read(path: str, reading: Reading) -> data.Table:
    """Reads a file of demand.

    Args:
      path: of the file.
      reading: what to leave out.

    Returns:
      The table.

    Raises:
      DataError: listing every problem in the file.
    """
    return data.read(path, **reading._asdict())


def check_delta(delta: float) -> None:
    """Refuses a failure probability outside (0, 1).

    Args:
      delta: δ.

    Raises:
      UsageError: δ is out of range.
    """
    if not 0.0 < delta < 1.0:
        raise UsageError(f"--delta must be in (0, 1), got {delta}")


def check_seed(seed: int) -> None:
    """Refuses a seed that JAX would take for another one.

    Args:
      seed: of everything random.

    Raises:
      UsageError: it has more than 32 bits, or a sign.
    """
    if not 0 <= seed < 1 << 32:
        raise UsageError(f"--seed must be from 0 to 2^32 - 1, got {seed}")


def check_place(
    flag: str,
    path: pathlib.Path,
    is_folder: bool,
    inputs: tuple[str | None, ...] = (),
) -> None:
    """Refuses a place that cannot be written to, before any work is done.

    Args:
      flag: named in a complaint.
      path: of a file or folder that may not exist yet.
      is_folder: what it is to be.
      inputs: files that are read and must not be lost, None for none.

    Raises:
      UsageError: it is the other of the two, is an input, or lies where nothing can be
        written.
    """
    for each in inputs:
        if each is not None and path.exists() and path.samefile(each):
            raise UsageError(f"{flag} {path} is the file that is read: give another")
    if path.exists() and path.is_dir() != is_folder:
        wanted, found = ("folder", "file") if is_folder else ("file", "folder")
        raise UsageError(f"{flag} {path} is a {found}, a {wanted} is needed")
    place = path if is_folder else path.parent
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise UsageError(f"{flag} {path}: nothing can be written in {place}")
