"""Work spread over devices; with one device, nothing changes."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from ptft_jax import shapes
from ptft_jax.types import Portfolio

INSTANCES = "instances"


def mesh(axis: str, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Devices in a row.

    Args:
      axis: name of the only axis.
      devices: all those of all processes where None.

    Returns:
      The mesh.
    """
    count = jax.device_count() if devices is None else len(devices)
    types = (AxisType.Auto,)
    return jax.make_mesh((count,), (axis,), axis_types=types, devices=devices)


def agreed(own: np.ndarray) -> np.ndarray:
    """What the first process says, where several share a mesh.

    Args:
      own: what this process would say, of the same shape in all.

    Returns:
      The array of the first process.
    """
    if jax.process_count() == 1:
        return own
    return np.asarray(multihost_utils.broadcast_one_to_all(own), own.dtype)


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


def over_instances(devices: Sequence[jax.Device]) -> Callable[[Callable], Callable]:
    """Returns `split(function)`, which shares the instances of a portfolio out.

    Args:
      devices: of one kind; one device leaves a function as it is.

    Returns:
      A transformation of a function (portfolio, axis) → [n], in which `axis` names what
      collective operations pool over, None on one device. The result takes a portfolio
      of any number of instances, is pure, and may be jitted.
    """
    if len(devices) == 1:
        return lambda function: lambda portfolio: function(portfolio, None)
    over = mesh(INSTANCES, devices)
    shared = PartitionSpec(INSTANCES)

    def split(function):
        own = lambda portfolio: function(portfolio, INSTANCES)
        # what is gathered from all devices is the same on each, which jax cannot see
        mapped = jax.shard_map(
            own, mesh=over, in_specs=shared, out_specs=shared, check_vma=False
        )

        def call(portfolio: Portfolio) -> Float[Array, "n"]:
            n = portfolio.valid.shape[0]
            each = int(np.ceil(n / len(devices)))
            return mapped(shapes.extend(portfolio, each * len(devices)))[:n]

        return call

    return split
