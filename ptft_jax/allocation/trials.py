"""Rates seen as k_j successes of S_j trials: a beta prior, and splitting the trials."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float, Key

from ptft_jax.allocation.shrinkage import Items

SIZES = (2.0, 1e6)  # trials that the beta prior may be worth


class Counts(NamedTuple):
    """n items; all 0 is padding.

    Attributes:
      successes: k_j, a whole number in [0, S_j].
      trials: S_j ≥ 0, a whole number.
      cost: c_j > 0, as (1/n) Σ c_j x_j ≤ 1.
      weight: w_j > 0; taking the item is worth w_j p_j.
    """

    successes: Float[Array, "n"]
    trials: Float[Array, "n"]
    cost: Float[Array, "n"]
    weight: Float[Array, "n"]


class Beta(NamedTuple):
    """Prior of the rates: its mean, and the trials that it is worth, a + b."""

    mean: Float[Array, ""]
    size: Float[Array, ""]


def beta_prior(seen: Counts) -> Beta:
    """Beta prior by moments, trials as weights: E S_j(p̂_j−p̄)² = p̄(1−p̄)(1 + (S_j−1)ρ).

    p̄ = Σk/ΣS; ρ = 1/(a+b+1) from Σ_j S_j(p̂_j−p̄)² = p̄(1−p̄) Σ_j (1−S_j/ΣS)(1+(S_j−1)ρ).

    Args:
      seen: n items.

    Returns:
      The prior; its size is within `SIZES`.

    Source:
      Kleinman 1973.
    """
    k, s = seen.successes, seen.trials
    total = jnp.maximum(s.sum(), 1.0)
    # as after one success and one failure more: never 0 or 1
    mean = (k.sum() + 0.5) / (total + 1.0)
    rate = k / jnp.where(s > 0.0, s, 1.0)
    found = (s * (rate - mean) ** 2).sum() / (mean * (1.0 - mean))
    free = jnp.where(s > 0.0, 1.0 - s / total, 0.0)
    tilt = (free * (s - 1.0)).sum()
    rho = jnp.where(tilt > 0.0, (found - free.sum()) / jnp.maximum(tilt, 1.0), 0.0)
    low, high = SIZES
    return Beta(mean, jnp.clip(1.0 / jnp.maximum(rho, 1e-9) - 1.0, low, high))


def shrunk_rate(seen: Counts, beta: Beta) -> Float[Array, "n"]:
    """Posterior mean (k_j + a)/(S_j + a + b) of the rate.

    Args:
      seen: n items.
      beta: the prior.

    Returns:
      The rates, in (0, 1).
    """
    return (seen.successes + beta.size * beta.mean) / (seen.trials + beta.size)


def as_items(seen: Counts, beta: Beta) -> Items:
    """Rates as estimates, of the precision that they have on average over the prior.

    1/ν_j = E[p(1−p)]/S_j = p̄(1−p̄) M/((M+1) S_j), M = a + b: with the prior's variance
    p̄(1−p̄)/(M+1), linear shrinkage is the beta posterior mean exactly. A precision made
    from the rate itself would shrink rates by how high they happen to be.

    Args:
      seen: n items.
      beta: the prior.

    Returns:
      Items of `allocation`; without trials the precision is 0.
    """
    one = beta.mean * (1.0 - beta.mean) * beta.size / (beta.size + 1.0)
    estimate = seen.successes / jnp.where(seen.trials > 0.0, seen.trials, 1.0)
    return Items(estimate, seen.trials / one, seen.cost, seen.weight)


def hypergeometric(
    key: Key[Array, ""],
    successes: Float[Array, "n"],
    trials: Float[Array, "n"],
    drawn: Float[Array, "n"],
) -> Float[Array, "n"]:
    """Successes among trials drawn without replacement, by inversion.

    P(i) = C(k, i) C(S−k, d−i)/C(S, d), summed up to a uniform.

    Args:
      key: typed PRNG key.
      successes: k ≤ S.
      trials: S.
      drawn: d ≤ S.

    Returns:
      Whole numbers in [max(0, d+k−S), min(k, d)].
    """
    u = jax.random.uniform(key, trials.shape, trials.dtype)
    choose = lambda a, b: (
        special.gammaln(a + 1.0)
        - special.gammaln(jnp.maximum(b, 0.0) + 1.0)
        - special.gammaln(jnp.maximum(a - b, 0.0) + 1.0)
    )
    least = jnp.maximum(drawn + successes - trials, 0.0)
    most = jnp.minimum(successes, drawn)

    def add(state):
        i, cdf, found = state
        log_mass = choose(successes, i) + choose(trials - successes, drawn - i)
        mass = jnp.exp(log_mass - choose(trials, drawn))
        cdf = cdf + jnp.where((i >= least) & (i <= most), mass, 0.0)
        return i + 1.0, cdf, found + (cdf < u)

    start = (jnp.zeros((), u.dtype), jnp.zeros_like(u), jnp.zeros_like(u))
    found = jax.lax.while_loop(lambda state: (state[0] <= most).any(), add, start)[2]
    return jnp.clip(found, least, most)
