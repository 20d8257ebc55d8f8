"""What made a result: versions, device and commit."""

import hashlib
import pathlib
import platform
import subprocess
from importlib import metadata
from typing import Any

import jax
import numpy as np

PACKAGES = ("ptft-jax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on.

    Returns:
      By name; "not installed" where a package runs from its source folder only.
    """
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def device() -> dict[str, Any]:
    """The device that computes.

    Returns:
      Its platform, kind and number.
    """
    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "count": len(devices),
    }


def commit() -> dict[str, Any] | None:
    """The commit of the source folder, and whether its files were changed since.

    Returns:
      Its hash and `changed`, or None outside a git checkout.
    """
    folder = pathlib.Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        if not (folder.parent / ".git").exists():
            return None
        return {
            "hash": git("rev-parse", "HEAD"),
            "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def fingerprint(tree: Any) -> str:
    """Content hash of a tree of arrays, such as a network's parameters.

    Args:
      tree: any pytree of arrays.

    Returns:
      16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        array = np.ascontiguousarray(leaf)
        shape = f"{jax.tree_util.keystr(path)}{array.dtype}{array.shape}"
        digest.update(shape.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
