"""What tells normal, binomial and Poisson means apart, as records of pure functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float

from ptft_jax import conjugate_eb


class View(NamedTuple):
    """Instances in the family's variance-stabilised unit."""

    value: Float[Array, "n"]
    noise: Float[Array, "n"]  # standard deviation, > 0
    present: Bool[Array, "n"]


class Raw(NamedTuple):
    """Unbiased estimates of θ less the prior mean, for a regression.

    Stabilised ones are biased where counts are small, and more so where noise is large:
    a regression of them on noise would find what is not there.
    """

    estimate: Float[Array, "n"]
    variance: Float[Array, "n"]  # under the prior, > 0
    rate: Float[Array, ""]  # of the stabilised unit by that of θ, at the prior mean


@dataclass(frozen=True, eq=False)
class Family:
    """What tells one family of means from another.

    Attributes:
      view: `(seen) -> View`.
      raw: `(seen, prior) -> Raw`.
      invert: stabilised unit → θ, not decreasing.
      log_likelihood: `(seen, θ [n, g]) -> [n, g]`, up to a term of the instance.
      prior: `(seen) -> conjugate_eb.Prior`.
      posterior_mean: `(seen, prior) -> [n]`, the prior mean where nothing is seen.
      own: `(seen, posterior mean) -> [n, k]`, features of this family alone.
    """

    view: Callable[[Any], View]
    raw: Callable[[Any, conjugate_eb.Prior], Raw]
    invert: Callable[[Array], Array]
    log_likelihood: Callable[[Any, Array], Array]
    prior: Callable[[Any], conjugate_eb.Prior]
    posterior_mean: Callable[[Any, conjugate_eb.Prior], Array]
    own: Callable[[Any, Array], Array]
