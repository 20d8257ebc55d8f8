"""Arithmetic rate of a pretraining step against the machine's own large products.

    python -m benchmarks.arithmetic [--repeats 7]

Operations are those of the matrix products alone (2·M·N·K for every `dot_general` of
the step's jaxpr, scans unrolled); everything else counts as nothing. `executed` counts
what the program multiplies; `needed` leaves out products with the zeros by which
`model` lays heads out as rows, counted from the same network with one head, whose
attention needs as many operations as that of any number of heads. Rates, and that of a
4096³ float32 product, are medians of turns in one run.
"""

import argparse
import math
import os

import jax
import jax.extend.core as extend
import jax.numpy as jnp
import numpy as np

from benchmarks import peer_training
from ptft_jax import model, pretrain

SIZE = 4096


def product_operations(jaxpr) -> int:
    """Operations of all matrix products of a jaxpr and of those inside it."""
    total = 0
    for equation in jaxpr.eqns:
        times = equation.params.get("length", 1) if _is_scan(equation) else 1
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            inner = math.prod(shape[axis] for axis in contracted)
            total += 2 * inner * math.prod(equation.outvars[0].aval.shape)
        for inside in extend.jaxprs_in_params(equation.params):
            total += times * product_operations(inside)
    return total


def _is_scan(equation) -> bool:
    return equation.primitive.name == "scan"


def operations_a_step(heads: int, batches, key) -> int:
    """Operations of the products of one step: the loss and its gradient."""
    network = model.Network(heads=heads)
    first = jax.tree.map(lambda leaf: leaf[0], batches)
    params = pretrain.init_params(network, key)
    loss = jax.value_and_grad(peer_training.batch_loss(network))
    return product_operations(jax.make_jaxpr(loss)(params, first).jaxpr)


def main() -> None:
    """Prints a row a shape, and the rates over all shapes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    network = model.Network()
    config = pretrain.PretrainConfig(chunk=peer_training.CHUNK)
    key = jax.random.key(0)
    params = jax.jit(pretrain.init_params, static_argnums=0)(network, key)
    square = jax.random.normal(key, (SIZE, SIZE))
    product = jax.jit(jnp.matmul)
    totals = np.zeros(4)
    for shape in config.shapes:
        batches = peer_training.sampled(config, shape, key)
        programs = peer_training.jax_chunks(network, config, shape, params, batches)
        programs["product"] = lambda: product(square, square).block_until_ready()
        times = peer_training.in_turns(programs, repeats)
        median = {name: float(np.median(times[name])) for name in programs}
        peak = 2 * SIZE**3 / median["product"]
        executed = operations_a_step(network.heads, batches, key)
        needed = operations_a_step(1, batches, key)
        alone = median["jax"] / config.chunk
        whole = median["jax with sampling"] / config.chunk
        totals += executed / peak, needed / peak, alone, whole
        print(
            f"{shape}: {executed / 1e9:.2f} G executed, {needed / 1e9:.2f} G needed, "
            f"{1e3 * alone:.1f} ms ({1e3 * whole:.1f} with sampling); products run at "
            f"{peak / 1e9:.0f} G/s: {executed / alone / peak:.1%} executed, "
            f"{needed / alone / peak:.1%} needed",
            flush=True,
        )
    executed, needed, alone, whole = totals
    print(
        f"all shapes: {executed / alone:.1%} executed, {needed / alone:.1%} needed; "
        f"with sampling {executed / whole:.1%} and {needed / whole:.1%}; "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
