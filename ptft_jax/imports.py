"""Bounds that a user names as MODULE:FUNCTION."""

import importlib
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from ptft_jax.errors import UsageError


def function(path: str) -> Callable:
    """Imports a function from the working directory or from PYTHONPATH.

    Args:
      path: MODULE:FUNCTION.

    Returns:
      The function.

    Raises:
      UsageError: there is no such module or function, or importing it fails.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise UsageError(f"a bound is given as MODULE:FUNCTION, got {path!r}")
    here = str(pathlib.Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a script that ends itself
        kind = type(error).__name__
        raise UsageError(f"cannot import {module_name}: {kind}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{module_name} has no {name}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{path} is no function but {type(found).__name__}")
    return found
