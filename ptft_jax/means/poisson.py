"""Poisson rates: y_i ~ Poisson(e_i λ_i), squared error of the rate times exposure.

An error of a rate matters for as much exposure as the instance has: e(x − λ)² is the
squared error of the expected count by unit of exposure. The count itself, y/e, costs λ
in the mean for every e. On an independent count of rate r and exposure e', the cost is
e((x − r)² − r/e'), of mean e(x − λ)².
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float, Key

from ptft_jax import conjugate_eb
from ptft_jax.means import baselines, rule
from ptft_jax.means import table as means_table
from ptft_jax.means.family import Family, Raw, View
from ptft_jax.problems.problem import Problem

SHARE = 0.2  # of the exposure, left out


class Seen(NamedTuple):
    """Counts and exposures; no exposure is padding."""

    count: Float[Array, "n"]
    exposure: Float[Array, "n"]


class Outcome(NamedTuple):
    """An independent rate, its exposure (∞ for λ itself) and that of the instance."""

    rate: Float[Array, "n"]
    exposure: Float[Array, "n"]
    weight: Float[Array, "n"]


def present(seen: Seen) -> Array:
    """Instances that are not padding.

    Args:
      seen: n instances.

    Returns:
      A mask, [n].
    """
    return seen.exposure > 0.0


def _view(seen: Seen) -> View:
    exposure = jnp.where(present(seen), seen.exposure, 1.0)
    value = jnp.sqrt((seen.count + 0.25) / exposure)
    return View(value, 0.5 / jnp.sqrt(exposure), present(seen))


def _raw(seen: Seen, prior: conjugate_eb.Prior) -> Raw:
    exposure = jnp.where(present(seen), seen.exposure, 1.0)
    variance = prior.mean * (1.0 / exposure + 1.0 / prior.size)
    estimate = seen.count / exposure - prior.mean
    return Raw(estimate, variance, 0.5 / jnp.sqrt(prior.mean))


def _log_likelihood(seen: Seen, theta):
    load = seen.exposure[:, None] * theta
    return special.xlogy(seen.count[:, None], load.clip(1e-6)) - load


def _own(seen: Seen, base):
    load = seen.exposure * base
    root = lambda y: jnp.sqrt(y + 0.25)
    parts = [jnp.log1p(seen.count), jnp.log(load + 0.1), 2.0 / root(seen.count)]
    return jnp.stack([*parts, jnp.arcsinh(root(seen.count) - root(load))], 1) / 2.0


FAMILY = Family(
    view=_view,
    raw=_raw,
    invert=lambda value: jnp.square(value.clip(0.0)),
    log_likelihood=_log_likelihood,
    prior=lambda seen: conjugate_eb.gamma_poisson(*seen, present(seen)),
    posterior_mean=lambda seen, prior: conjugate_eb.counted_mean(*seen, prior),
    own=_own,
)


def _estimate(seen, stats, output):
    return rule.estimate(FAMILY, seen, stats, output)


def decide(seen: Seen, stats, output, coupling=()) -> Float[Array, "n"]:
    """The rates.

    Args:
      seen: n instances.
      stats: of their portfolio, or of another.
      output: of the network, [n, k].
      coupling: not used.

    Returns:
      Rates ≥ 0.
    """
    del coupling
    return _estimate(seen, stats, output).clip(0.0)


def cost(x: Float[Array, "n"], outcome: Outcome) -> Float[Array, "n"]:
    """e((x − r)² − r/e'), of mean e(x − λ)².

    Args:
      x: rates.
      outcome: an independent rate r of exposure e', and the instance's exposure e.

    Returns:
      The costs, in counts per unit of exposure.
    """
    exposure = jnp.where(outcome.weight > 0.0, outcome.exposure, 1.0)
    return outcome.weight * (jnp.square(x - outcome.rate) - outcome.rate / exposure)


def _loss(seen: Seen, stats, output, coupling, outcome: Outcome):
    # the grand mean, of one count more: none may have been seen
    unit = (seen.count.sum() + 1.0) / seen.exposure.sum()
    return cost(_estimate(seen, stats, output), outcome) / unit


def leave_out(key: Key[Array, ""], seen: Seen) -> tuple[Seen, Outcome]:
    """Thinning: each event is left out with probability 1/5, and so is the exposure.

    Args:
      key: typed PRNG key.
      seen: n instances.

    Returns:
      What the rest of the exposure shows, and the rate of what was left out.
    """
    got = jax.random.binomial(key, seen.count, SHARE)
    rest = Seen(seen.count - got, (1.0 - SHARE) * seen.exposure)
    exposure = SHARE * seen.exposure
    rate = got / jnp.where(present(seen), exposure, 1.0)
    return rest, Outcome(rate, exposure, seen.exposure)


PROBLEM = Problem(
    name="poisson_means",
    description="Poisson rates by exposure, squared error times exposure",
    num_outputs=rule.NUM_OUTPUTS,
    present=present,
    summarize=functools.partial(rule.summarize, FAMILY),
    inputs=functools.partial(rule.inputs, FAMILY),
    decide=decide,
    loss=_loss,
    cost=cost,
    leave_out=leave_out,
    caution=rule.UNBIASED,
    baselines=baselines.POISSON | baselines.shared(FAMILY),
    read=lambda table: means_table.read(table, Seen, means_table.POISSON),
)
