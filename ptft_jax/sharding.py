"""Instances shared out among the devices of this process."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Float

from ptft_jax import shapes
from ptft_jax.types import Portfolio

INSTANCES = "instances"


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
    mesh = jax.make_mesh(
        (len(devices),), (INSTANCES,), axis_types=(AxisType.Auto,), devices=devices
    )
    shared = PartitionSpec(INSTANCES)

    def split(function):
        own = lambda portfolio: function(portfolio, INSTANCES)
        # what is gathered from all devices is the same on each, which jax cannot see
        mapped = jax.shard_map(
            own, mesh=mesh, in_specs=shared, out_specs=shared, check_vma=False
        )

        def call(portfolio: Portfolio) -> Float[Array, "n"]:
            n = portfolio.valid.shape[0]
            each = int(np.ceil(n / len(devices)))
            return mapped(shapes.extend(portfolio, each * len(devices)))[:n]

        return call

    return split
