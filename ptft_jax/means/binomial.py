"""Binomial means: y_i ~ Binomial(N_i, p_i), the Brier score of the next trial.

The cost of a forecast x is the mean of (x − trial)² over independent trials; in the
mean that is (x − p)² + p(1 − p), whatever their number is.
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

SHARE = 0.2  # of the trials, left out
MOST = 1000  # trials left out of an instance
WINDOW = 96  # ≥ 6 standard deviations of the number of successes among them


class Seen(NamedTuple):
    """Successes and trials; no trial is padding."""

    successes: Float[Array, "n"]
    trials: Float[Array, "n"]


class Outcome(NamedTuple):
    """Share of successes in independent trials, at least one."""

    share: Float[Array, "n"]


def present(seen: Seen) -> Array:
    """Instances that are not padding.

    Args:
      seen: n instances.

    Returns:
      A mask, [n].
    """
    return seen.trials > 0.0


def _view(seen: Seen) -> View:
    trials = jnp.where(present(seen), seen.trials, 1.0)
    root = jnp.sqrt((seen.successes + 0.25) / (trials + 0.5))
    return View(jnp.arcsin(root), 0.5 / jnp.sqrt(trials), present(seen))


def _raw(seen: Seen, prior: conjugate_eb.Prior) -> Raw:
    trials = jnp.where(present(seen), seen.trials, 1.0)
    chance = prior.mean * (1.0 - prior.mean)
    variance = chance * (1.0 / trials + 1.0 / (prior.size + 1.0))
    estimate = seen.successes / trials - prior.mean
    return Raw(estimate, variance, 0.5 / jnp.sqrt(chance))


def _invert(value):
    return jnp.square(jnp.sin(value.clip(0.0, jnp.pi / 2.0)))


def _log_likelihood(seen: Seen, theta):
    y, rest = seen.successes[:, None], (seen.trials - seen.successes)[:, None]
    theta = theta.clip(1e-6, 1.0 - 1e-6)
    return special.xlogy(y, theta) + special.xlog1py(rest, -theta)


FAMILY = Family(
    view=_view,
    raw=_raw,
    invert=_invert,
    log_likelihood=_log_likelihood,
    prior=lambda seen: conjugate_eb.beta_binomial(*seen, present(seen)),
    posterior_mean=lambda seen, prior: conjugate_eb.counted_mean(*seen, prior),
    own=lambda seen, base: jnp.stack(
        [jnp.log1p(seen.trials) / 3.0, 2.0 * base - 1.0, special.logit(base) / 2.0], 1
    ),
)


def _estimate(seen, stats, output):
    return rule.estimate(FAMILY, seen, stats, output)


def decide(seen: Seen, stats, output, coupling=()) -> Float[Array, "n"]:
    """The forecasts.

    Args:
      seen: n instances.
      stats: of their portfolio, or of another.
      output: of the network, [n, k].
      coupling: not used.

    Returns:
      Probabilities in [0, 1].
    """
    del coupling
    return _estimate(seen, stats, output).clip(0.0, 1.0)


def cost(x: Float[Array, "n"], outcome: Outcome) -> Float[Array, "n"]:
    """Mean Brier score x² − 2x r + r, of mean (x − p)² + p(1 − p).

    Args:
      x: forecasts.
      outcome: share r of successes in independent trials.

    Returns:
      The costs, in [0, 1] for x in [0, 1].
    """
    return x**2 - 2.0 * x * outcome.share + outcome.share


def _loss(seen: Seen, stats, output, coupling, outcome: Outcome):
    # less r(1 − r) of the cost, large beside what decisions change
    x = _estimate(seen, stats, output)
    # of one success and one failure more: none may have been seen
    share = (seen.successes.sum() + 1.0) / (seen.trials.sum() + 2.0)
    chance = share * (1.0 - share)
    # noise² is the root mean square of 1/(4N)
    return jnp.square(x - outcome.share) / (4.0 * chance * stats.noise**2)


def _hypergeometric(key, successes, trials, drawn):
    """Successes among trials drawn without replacement: exact within ± WINDOW."""
    mode = jnp.floor((drawn + 1.0) * (successes + 1.0) / (trials + 2.0))
    k = mode[:, None] + jnp.arange(-WINDOW, WINDOW)[None]
    s, failures = successes[:, None], (trials - successes)[:, None]
    m = drawn[:, None]
    up = (s - k) * (m - k) / ((k + 1.0) * (failures - m + k + 1.0))
    inside = (k >= 0) & (k <= s) & (k <= m) & (m - k <= failures)
    step = jnp.where(inside & jnp.roll(inside, -1, 1), jnp.log(up.clip(1e-30)), 0.0)
    log_pmf = jnp.cumsum(step, 1) - step
    chosen = jax.random.categorical(key, jnp.where(inside, log_pmf, -jnp.inf))
    return jnp.take_along_axis(k, chosen[:, None], 1)[:, 0]


def leave_out(key: Key[Array, ""], seen: Seen) -> tuple[Seen, Outcome]:
    """A fifth of the trials of each instance, drawn without replacement.

    Args:
      key: typed PRNG key.
      seen: n instances.

    Returns:
      What the other trials show, and the share of successes in those left out: at
      least one trial, at most `MOST`. An instance of one trial has none left.
    """
    is_present = present(seen)
    drawn = jnp.round(SHARE * seen.trials).clip(1.0, MOST)
    trials = jnp.where(is_present, seen.trials, 1.0)
    got = _hypergeometric(key, seen.successes, trials, drawn)
    got, drawn = jnp.where(is_present, got, 0.0), jnp.where(is_present, drawn, 0.0)
    rest = Seen(seen.successes - got, seen.trials - drawn)
    return rest, Outcome(got / drawn.clip(1.0))


PROBLEM = Problem(
    name="binomial_means",
    description="binomial means, Brier score of the next trial",
    num_outputs=rule.NUM_OUTPUTS,
    present=present,
    summarize=functools.partial(rule.summarize, FAMILY),
    inputs=functools.partial(rule.inputs, FAMILY),
    decide=decide,
    loss=_loss,
    cost=cost,
    leave_out=leave_out,
    costs=(0.0, 1.0),
    baselines=baselines.BINOMIAL | baselines.shared(FAMILY),
    read=lambda table: means_table.read(table, Seen, means_table.BINOMIAL),
)
