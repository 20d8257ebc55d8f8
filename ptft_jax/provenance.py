"""What made a result: versions, device and commit."""

import functools
import hashlib
import pathlib
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

import jax
import numpy as np

import theory

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


@functools.cache
def code() -> str:
    """Content hash of the sources that results come from: `ptft_jax` and `theory`.

    Returns:
      16 hexadecimal digits; they change with any edit.
    """
    digest = hashlib.sha256()
    for package in (
        pathlib.Path(__file__).parent,
        pathlib.Path(theory.__file__).parent,
    ):
        for path in sorted(package.rglob("*.py")):
            digest.update(f"{path.relative_to(package.parent).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def complaint(records: Iterable[Mapping[str, Any]]) -> str | None:
    """A warning where finished records come from other sources than these.

    Args:
      records: with `code`, of a folder that a run goes on in.

    Returns:
      One sentence, or None.
    """
    other = sum(record.get("code") != code() for record in records)
    if not other:
        return None
    return (
        f"warning: {other} of them were computed before ptft_jax or theory was edited, "
        "and are used as they are; another --out computes all anew"
    )


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
