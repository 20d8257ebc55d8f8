"""Norms that the capacities of all weights of a network are made of."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.capacity_cases import Case
from ptft_jax import streams

SLOPES = 64  # instances whose cost is differentiated


def matrices(params: Any, heads: int) -> list[np.ndarray]:
    """Weights of all layers as the covering theorems have them, gains folded in.

    W_Q W_Kᵀ/√(d/heads) of every head, value and output matrices of every attention,
    both matrices of every perceptron, and `read` and `last`, each [inputs, outputs].
    """
    found = []
    tree = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    for layer, p in tree.items():
        if layer.startswith(("collect", "consult")):
            queries = p["query_norm"]["scale"][:, None] * p["q"]["kernel"]
            keys, values = (
                p["key_norm"]["scale"][:, None] * p[c]["kernel"] for c in "kv"
            )
            pairs = zip(*(np.split(x, heads, 1) for x in (queries, keys)), strict=True)
            size = queries.shape[1] // heads
            found += [q @ k.T / math.sqrt(size) for q, k in pairs]
            found += [values, p["out"]["kernel"]]
        elif layer.startswith(("reflect", "think")):
            gain = p["LayerNorm_0"]["scale"][:, None]
            found += [gain * p["Dense_0"]["kernel"], p["Dense_1"]["kernel"]]
        elif layer in ("read", "last"):
            found.append(p["kernel"])
    return found


class Norms(NamedTuple):
    """What the capacities of all weights are made of."""

    weights: list[np.ndarray]
    last: float  # Frobenius norm of the last linear maps
    slope: float  # largest cost per unit of their output, over `SLOPES` instances
    layers: int
    count: int
    length: float  # ‖φ‖₂
    steepest: float  # largest ‖∂ cost/∂ φ‖₂, over `SLOPES` instances


def norms(case: Case, bound: float, context) -> Norms:
    """Norms of the weights, and how steep the cost is at them."""
    _, seen, labels = case.draw(streams.cell_key(2, "capacity", 0), SLOPES)

    def costs(params):
        x = case.decide(params, seen, context).base
        return jnp.minimum(case.cost(x, labels), bound)

    def decisions(offsets):
        moved = dict(case.params["params"])
        for name, offset in zip(case.outputs, offsets, strict=True):
            bias = moved[name]["bias"] + offset
            moved[name] = {**moved[name], "bias": bias}
        return case.decide({"params": moved}, seen, context).base

    slopes = jax.jit(jax.jacrev(costs))(case.params)
    squares = sum((leaf.reshape(SLOPES, -1) ** 2).sum(1) for leaf in _leaves(slopes))
    outputs = jax.jit(jax.jacfwd(decisions))(jnp.zeros(len(case.outputs)))
    tree, kernels = case.params["params"], []
    for name in case.outputs:
        kernels.append(np.asarray(tree[name]["kernel"], np.float64))
    leaves = _leaves(case.params)
    return Norms(
        weights=matrices(case.params, case.network.heads),
        last=float(np.linalg.norm(np.concatenate(kernels))),
        slope=case.lipschitz(bound) * float(jnp.linalg.norm(outputs, axis=1).max()),
        layers=2 * case.network.num_blocks,
        count=sum(leaf.size for leaf in leaves),
        length=float(np.sqrt(sum((leaf**2).sum() for leaf in leaves))),
        steepest=float(np.sqrt(squares.max())),
    )


def _leaves(tree):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]
