"""Normal means of known variances: y_i ~ N(θ_i, v_i), squared error.

The cost of an estimate x is (x − y')² − v' on an independent (y', v'): its mean is
(x − θ)², whatever the variance v' ≥ 0 of the outcome is.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax import conjugate_eb
from ptft_jax.means import baselines, rule
from ptft_jax.means import table as means_table
from ptft_jax.means.family import Family, Raw, View
from ptft_jax.problems.problem import Problem

FISSION = 0.25  # noise that is added, as a share of the variance


class Seen(NamedTuple):
    """Estimates and their variances; a variance of 0 is padding."""

    estimate: Float[Array, "n"]
    variance: Float[Array, "n"]


def present(seen: Seen) -> Array:
    """Instances that are not padding.

    Args:
      seen: n instances.

    Returns:
      A mask, [n].
    """
    return seen.variance > 0.0


def _view(seen: Seen) -> View:
    noise = jnp.sqrt(jnp.where(present(seen), seen.variance, 1.0))
    return View(seen.estimate, noise, present(seen))


def _raw(seen: Seen, prior: conjugate_eb.Prior) -> Raw:
    variance = _view(seen).noise ** 2 + prior.size
    return Raw(seen.estimate - prior.mean, variance, jnp.ones(()))


def _log_likelihood(seen: Seen, theta):
    z = (seen.estimate[:, None] - theta) / _view(seen).noise[:, None]
    return -0.5 * z**2


def _posterior_mean(seen: Seen, prior: conjugate_eb.Prior):
    # padding is as good as seen with an infinite variance
    variance = jnp.where(present(seen), seen.variance, jnp.inf)
    keep = prior.size / (prior.size + variance)
    return prior.mean + keep * (seen.estimate - prior.mean)


FAMILY = Family(
    view=_view,
    raw=_raw,
    invert=lambda value: value,
    log_likelihood=_log_likelihood,
    prior=lambda seen: conjugate_eb.normal(*seen, present(seen)),
    posterior_mean=_posterior_mean,
    own=lambda seen, base: jnp.zeros((len(base), 0)),
)


def decide(seen: Seen, stats, output, coupling=()) -> Float[Array, "n"]:
    """The estimates.

    Args:
      seen: n instances.
      stats: of their portfolio, or of another.
      output: of the network, [n, k].
      coupling: not used.

    Returns:
      Any real numbers.
    """
    del coupling
    return rule.estimate(FAMILY, seen, stats, output)


def cost(x: Float[Array, "n"], outcome: Seen) -> Float[Array, "n"]:
    """(x − y')² − v', of mean (x − θ)² and ≥ −v'.

    Args:
      x: estimates.
      outcome: independent estimates y' and their variances v' ≥ 0.

    Returns:
      The costs, in squared units.
    """
    return jnp.square(x - outcome.estimate) - outcome.variance


def _loss(seen: Seen, stats, output, coupling, outcome: Seen):
    return cost(decide(seen, stats, output, coupling), outcome) / stats.noise**2


def leave_out(key: Key[Array, ""], seen: Seen) -> tuple[Seen, Seen]:
    """Data fission: y + √γ·e and y − e/√γ are independent for e ~ N(0, v).

    Args:
      key: typed PRNG key.
      seen: n instances.

    Returns:
      What would have been seen at variance v(1 + γ), γ = 1/4, and an outcome of
      variance v(1 + 1/γ).
    """
    root = jnp.sqrt(FISSION)
    e = jnp.sqrt(seen.variance) * jax.random.normal(key, seen.variance.shape)
    rest = Seen(seen.estimate + root * e, seen.variance * (1.0 + FISSION))
    return rest, Seen(seen.estimate - e / root, seen.variance * (1.0 + 1.0 / FISSION))


PROBLEM = Problem(
    name="gaussian_means",
    description="normal means of known variances, squared error",
    num_outputs=rule.NUM_OUTPUTS,
    present=present,
    summarize=functools.partial(rule.summarize, FAMILY),
    inputs=functools.partial(rule.inputs, FAMILY),
    decide=decide,
    loss=_loss,
    cost=cost,
    leave_out=leave_out,
    caution=rule.UNBIASED,
    baselines=baselines.GAUSSIAN | baselines.shared(FAMILY),
    read=lambda table: means_table.read(table, Seen, means_table.GAUSSIAN),
)
