"""Records of the newsvendor with covariates: what is seen, and what is demanded."""

from typing import NamedTuple

from jaxtyping import Array, Bool, Float

NUM_COVARIATES = 6  # c, the most; columns of 0 where there are fewer


class Seen(NamedTuple):
    """n products: demands with the covariates of their periods, and a period to come.

    Attributes:
      demand: [n, m], ≥ 0, any unit; 0 where not valid.
      valid: which observations exist, in any order.
      context: covariates of each observation, [n, m, c], any units; 0 where not valid.
      next_context: covariates of the period to stock for, [n, c].
      quantile: critical ratio q in (0, 1), [n]; 0 is padding. One with a quantile and
        no observation is a new product.
    """

    demand: Float[Array, "n m"]
    valid: Bool[Array, "n m"]
    context: Float[Array, "n m c"]
    next_context: Float[Array, "n c"]
    quantile: Float[Array, "n"]


class Outcome(NamedTuple):
    """Demands of the period to come, each of which a decision is charged for.

    Attributes:
      demand: [n, k], ≥ 0; costs are means over the k.
      quantile: [n], as of the product; 0 where every decision costs 0.
    """

    demand: Float[Array, "n k"]
    quantile: Float[Array, "n"]


def present(seen: Seen) -> Bool[Array, "n"]:
    """Products that are not padding: those with a critical ratio.

    Args:
      seen: n products.

    Returns:
      The mask.
    """
    return seen.quantile > 0.0
