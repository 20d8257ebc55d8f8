"""Work spread over devices; with one device, nothing changes."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def mesh(axis: str) -> Mesh:
    """All devices of all processes in a row.

    Args:
      axis: name of the only axis.

    Returns:
      The mesh.
    """
    return jax.make_mesh((jax.device_count(),), (axis,), axis_types=(AxisType.Auto,))


def over_cells(function: Callable[..., Any], over: Mesh) -> Callable[..., Any]:
    """Shares the leading axis of all arguments and results out over the devices.

    Each device runs `function` on its part, without any exchange. Where there are
    several processes, the results are gathered, so that each process holds them all.

    Args:
      function: of arrays [c, …], row by row, such as a `vmap`.
      over: mesh with one axis; c must be a multiple of its size.

    Returns:
      A function to be compiled, with the same results.
    """
    (axis,) = over.axis_names
    rows = PartitionSpec(axis)
    mapped = jax.shard_map(
        function, mesh=over, in_specs=rows, out_specs=rows, check_vma=False
    )
    held = PartitionSpec() if jax.process_count() > 1 else rows
    return jax.jit(mapped, out_shardings=NamedSharding(over, held))


def spread(tree: Any, over: Mesh) -> Any:
    """Arrays of the host on the devices, their leading axis shared out.

    Args:
      tree: of numpy arrays [c, …], the same in every process.
      over: mesh with one axis.

    Returns:
      The same tree of jax arrays.
    """
    placed = NamedSharding(over, PartitionSpec(over.axis_names[0]))

    def place(leaf: np.ndarray) -> jax.Array:
        part = lambda index: leaf[index]
        return jax.make_array_from_callback(leaf.shape, placed, part)

    return jax.tree.map(place, tree)
