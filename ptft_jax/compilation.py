"""Compiled programs kept on disk, so that a command compiles only the first time."""

import os
import pathlib
import threading
from collections.abc import Callable

import jax
import platformdirs

MAPPINGS_LIMIT = "/proc/sys/vm/max_map_count"
LEAST_SECONDS = 0.3  # a program that compiles faster is not worth a file


def keep_programs(folder: pathlib.Path | None = None) -> pathlib.Path | None:
    """Keeps compiled programs in a folder, across processes and runs.

    A folder that the user chose (`JAX_COMPILATION_CACHE_DIR`) is left as it is. Where
    nothing can be written, programs are kept by the process alone.

    Args:
      folder: the user's cache folder for ptft_jax where None.

    Returns:
      The folder in use, or None.
    """
    if jax.config.jax_compilation_cache_dir:
        return pathlib.Path(jax.config.jax_compilation_cache_dir)
    folder = folder or pathlib.Path(platformdirs.user_cache_dir("ptft_jax")) / "xla"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    return folder


def spare_mappings(share: float = 0.5) -> bool:
    """Forgets compiled programs before they take all memory mappings of the process.

    Linux gives a process 65,530 of them by default and every program takes some, a
    large one hundreds; without any, compiling fails or the process dies. To be called
    where many shapes come one after the other; what is needed again is compiled again,
    or read from `keep_programs`' folder.

    Args:
      share: of the system's limit, from which on programs are forgotten.

    Returns:
      Whether they were.
    """
    used, limit = pathlib.Path("/proc/self/maps"), pathlib.Path(MAPPINGS_LIMIT)
    if not (used.exists() and limit.exists()):
        return False
    if used.read_bytes().count(b"\n") < share * int(limit.read_text()):
        return False
    jax.clear_caches()
    return True


def full_precision() -> None:
    """Products of float32 in full where a device would round them, as TPUs and GPUs do.

    Errors, certificates and decisions are computed so; pretraining is not.
    """
    # a CPU never rounds, and its fast products are those of the default
    if jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "highest")


def once(function: Callable) -> Callable:
    """`jax.jit` for threads: those that call it at once compile it once between them.

    Args:
      function: pure, of pytrees of arrays.

    Returns:
      The compiled function, with one program for each signature of its arguments.
    """
    jitted, lock, programs = jax.jit(function), threading.Lock(), {}

    def call(*args):
        leaves, structure = jax.tree.flatten(args)
        signature = structure, tuple(map(jax.typeof, leaves))
        with lock:
            if signature not in programs:
                programs[signature] = jitted.lower(*args).compile()
        return programs[signature](*args)

    return call
