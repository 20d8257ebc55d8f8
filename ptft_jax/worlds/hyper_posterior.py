"""Posterior of two positive hyper-parameters, a priori log-uniform, by quadrature."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NUM_NODES = 24
NUM_ROUNDS = 6
HALF_WIDTH = 5.0


class Nodes(NamedTuple):
    """A quadrature rule for the posterior: Σ_g w_g f(a_g, b_g) ≈ E f(a, b)."""

    first: Float[Array, "g"]
    second: Float[Array, "g"]
    weight: Float[Array, "g"]  # sums to 1


def _rule(low, high):
    x, w = np.polynomial.legendre.leggauss(NUM_NODES)
    nodes = low + (high - low) * jnp.asarray((x + 1.0) / 2.0, low.dtype)[:, None]
    first, second = jnp.meshgrid(nodes[:, 0], nodes[:, 1], indexing="ij")
    log_weight = jnp.asarray(np.log(np.outer(w, w)).ravel(), low.dtype)
    return first.ravel(), second.ravel(), log_weight


def posterior(
    log_likelihood: Callable[[Float[Array, "g"], Float[Array, "g"]], Float[Array, "g"]],
    first_range: tuple[float, float],
    second_range: tuple[float, float],
    like: Float[Array, "..."],
) -> Nodes:
    """Nodes and weights that follow the posterior, however concentrated it is.

    24 × 24 Gauss–Legendre nodes in (log a, log b). From the prior's whole range, five
    times, the box becomes mean ± 5 sd of the posterior under the last rule, at least
    one and a half gaps between its nodes either side, and stays within the prior.

    Args:
      log_likelihood: `(a, b) -> [g]`, up to a constant.
      first_range: of a, 0 < low < high; a priori log-uniform.
      second_range: of b.
      like: any array of the floating type to compute in.

    Returns:
      576 nodes. Exact to the rule's order for a posterior near normal in the logs;
      coarse where it is a thin curve oblique to both axes.
    """
    ranges = np.log(np.array([first_range, second_range])).T
    floor, ceiling = jnp.asarray(ranges, like.dtype)
    widest_gap = float(np.diff(np.polynomial.legendre.leggauss(NUM_NODES)[0]).max()) / 2

    def evaluate(low, high):
        first, second, log_weight = _rule(low, high)
        log_weight += log_likelihood(jnp.exp(first), jnp.exp(second))
        return jnp.stack([first, second], -1), jax.nn.softmax(log_weight)

    def shrink(_, box):
        low, high = box
        nodes, weight = evaluate(low, high)
        mean = weight @ nodes
        sd = jnp.sqrt(weight @ (nodes - mean) ** 2)
        half = jnp.maximum(HALF_WIDTH * sd, 1.5 * widest_gap * (high - low))
        return jnp.maximum(mean - half, floor), jnp.minimum(mean + half, ceiling)

    box = jax.lax.fori_loop(0, NUM_ROUNDS - 1, shrink, (floor, ceiling))
    nodes, weight = evaluate(*box)
    return Nodes(jnp.exp(nodes[:, 0]), jnp.exp(nodes[:, 1]), weight)
