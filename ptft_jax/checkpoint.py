"""Weights and training states in safetensors files, never pickle."""

import contextlib
import json
import math
import os
import pathlib
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors.numpy
from flax import linen as nn
from safetensors import safe_open

from ptft_jax import store
from ptft_jax.model import Network

SHIPPED = "newsvendor"


def save(path: str | os.PathLike, tree: Any, metadata: dict[str, Any]) -> None:
    """Writes a pytree of arrays; a reader sees the old file or the whole new one.

    Args:
      path: of the file; its folder is made.
      tree: any pytree of arrays.
      metadata: JSON-serialisable, kept in the file's header.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    name = jax.tree_util.keystr
    arrays = {name(key): np.asarray(leaf, order="C") for key, leaf in leaves}
    header = {"ptft": json.dumps(metadata, sort_keys=True)}
    store.write_text(path, safetensors.numpy.save(arrays, header))


def load(path: str | os.PathLike, like: Any) -> tuple[Any, dict[str, Any]]:
    """Reads a pytree written by `save`.

    Args:
      path: of the file.
      like: a tree of the same structure and shapes (arrays or ShapeDtypeStructs).

    Returns:
      The tree and the metadata.

    Raises:
      ValueError: if a leaf is missing, left over or of another shape.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads((file.metadata() or {}).get("ptft", "{}"))
        wanted = {jax.tree_util.keystr(key): leaf for key, leaf in leaves}
        if set(wanted) != set(file.keys()):
            odd = sorted(set(wanted) ^ set(file.keys()))
            raise ValueError(
                f"{path} holds another network; {len(odd)} names differ: {odd[:3]}"
            )
        arrays = [file.get_tensor(name) for name in wanted]
    for name, array, leaf in zip(wanted, arrays, wanted.values(), strict=True):
        if array.shape != leaf.shape:
            raise ValueError(f"{path}: {name} is {array.shape}, {leaf.shape} expected")
    return jax.tree_util.tree_unflatten(structure, arrays), metadata


def save_network(
    path: str | os.PathLike, network: nn.Module, params: Any, **info: Any
) -> None:
    """Writes a network: its shape in the header, its parameters as tensors.

    Args:
      path: of the file.
      network: the Transformer.
      params: its parameters.
      **info: what made it (seed, steps, versions, …), JSON-serialisable.
    """
    fields = {k: v for k, v in asdict(network).items() if k not in ("parent", "name")}
    kind = type(network).__name__
    save(path, params, {"network": fields, "kind": kind, "info": info})


class Header(NamedTuple):
    """What a file of weights says of itself.

    Attributes:
      kind: class of the network.
      network: its fields.
      info: what made it.
      num_parameters: in the file.
    """

    kind: str
    network: dict[str, Any]
    info: dict[str, Any]
    num_parameters: int


def header(path: str | os.PathLike) -> Header:
    """What `save_network` wrote beside the parameters, of a network of any kind.

    Args:
      path: of the file.

    Returns:
      The header.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file holds something else.
    """
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads((file.metadata() or {}).get("ptft", "{}"))
        names = list(file.keys())
        shapes = [file.get_slice(name).get_shape() for name in names]
    if "network" not in metadata:
        raise ValueError(f"{path} has no ptft network in its header")
    return Header(
        metadata.get("kind", Network.__name__),
        metadata["network"],
        metadata["info"],
        sum(map(math.prod, shapes)),
    )


def load_network(
    path: str | os.PathLike,
    make_network: type[nn.Module] = Network,
    init_params: Callable[..., Any] | None = None,
) -> tuple[nn.Module, Any, dict[str, Any]]:
    """Reads a network written by `save_network`.

    Args:
      path: of the file.
      make_network: the class of the network.
      init_params: `(network, key)`, whose structure the parameters have; that of
        `pretrain` where None.

    Returns:
      The Transformer, its parameters, and what made it.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file holds something else.
    """
    from ptft_jax import pretrain

    written = header(path)
    if written.kind != make_network.__name__:
        raise ValueError(
            f"{path} holds a {written.kind}, {make_network.__name__} expected: it is a "
            "network of another problem"
        )
    network = make_network(**written.network)
    init_params = init_params or pretrain.init_params
    like = jax.eval_shape(lambda key: init_params(network, key), jax.random.key(0))
    params, _ = load(path, like)
    return network, params, written.info


def shipped(name: str = SHIPPED) -> contextlib.AbstractContextManager[pathlib.Path]:
    """The file of weights that come with the package, while the context is open.

    Args:
      name: of the weights.

    Returns:
      A context manager of its path.
    """
    return resources.as_file(
        resources.files("ptft_jax") / "weights" / f"{name}.safetensors"
    )


def load_shipped(name: str = SHIPPED, **kind: Any) -> tuple[Any, Any, dict[str, Any]]:
    """A pretrained network that comes with the package.

    Args:
      name: of the weights; `newsvendor`, or `means` by `means.pretrain.load_shipped`.
      **kind: what `load_network` needs beside the path.

    Returns:
      The Transformer, its parameters, and what made it.
    """
    with shipped(name) as p:
        return load_network(p, **kind)
