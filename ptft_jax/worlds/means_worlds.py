"""Simulated truths of the three problems of means, with exact Bayes decisions.

The law of θ is drawn from `means_laws.sample_law`. Half of the portfolios have one
precision for all instances; where precision differs, θ may also depend on it. Excess
costs are shares of the excess of the estimate of each instance alone.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float, Key

from ptft_jax.problems import means_binomial, means_gaussian, means_poisson
from ptft_jax.problems.problem import Example, ProblemWorld, first, sample_count
from ptft_jax.worlds import means_laws, transforms
from ptft_jax.worlds.means_laws import Law

EXACT = 24  # quadrature points an interval: of regrets
QUICK = 2  # of training's labels
REACH = 8.0  # standard deviations on both sides of an estimate


class Portfolio(NamedTuple):
    """The law of a portfolio.

    Attributes:
      law: of θ, its logit or a rate, at an instance of average precision.
      level: variance, trials or exposure of such an instance.
      spread: standard deviation of the logarithm of those.
      slope: of θ, its logit or a log rate, on that logarithm less its mean.
    """

    law: Law
    level: Float[Array, ""]
    spread: Float[Array, ""]
    slope: Float[Array, ""]


class Truth(NamedTuple):
    """Means and what decides precision: variances, trials or exposures."""

    theta: Float[Array, "n"]
    size: Float[Array, "n"]


def _between(key, low, high):
    return transforms.log_between(jax.random.uniform(key), low, high)


def _portfolio(key, law: Law, level, slope_sd, widest) -> Portfolio:
    """Adds what concerns precision."""
    spread_key, is_key, slope_key, has_key = jax.random.split(key, 4)
    spread = widest * jax.random.uniform(spread_key)
    spread = jnp.where(jax.random.bernoulli(is_key), spread, 0.0)
    slope = slope_sd * jax.random.normal(slope_key)
    slope = jnp.where(jax.random.bernoulli(has_key), slope, 0.0)
    return Portfolio(law, level, spread, slope)


def gaussian_law(key: Key[Array, ""]) -> Portfolio:
    """Normal means: sd between instances from .1 to 8 times the noise.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law.
    """
    law_key, scale_key, level_key, centre_key, more_key = jax.random.split(key, 5)
    noise = _between(level_key, 0.1, 10.0)
    scale = noise * _between(scale_key, 0.1, 8.0)
    centre = 3.0 * scale * jax.random.normal(centre_key)
    law = means_laws.sample_law(law_key)
    law = means_laws.mapped(law, lambda x: centre + scale * x)
    return _portfolio(more_key, law, noise**2, 0.4 * scale, 2.0)


def binomial_law(key: Key[Array, ""]) -> Portfolio:
    """Binomial means: sd of logits from .03 to 1.5, some 3 to 400 trials.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law, of logits.
    """
    law_key, scale_key, level_key, centre_key, more_key = jax.random.split(key, 5)
    scale = _between(scale_key, 0.03, 1.5)
    centre = 1.3 * jax.random.normal(centre_key)
    law = means_laws.sample_law(law_key)
    law = means_laws.mapped(law, lambda x: (centre + scale * x).clip(-7.0, 7.0))
    return _portfolio(more_key, law, _between(level_key, 3.0, 400.0), 0.4 * scale, 1.5)


def poisson_law(key: Key[Array, ""]) -> Portfolio:
    """Poisson rates: mean counts of .1 to 100 or so, rates that differ by 5 to 150 %.

    Args:
      key: typed PRNG key.

    Returns:
      The portfolio's law, of rates; exposures have median 1.
    """
    law_key, scale_key, level_key, power_key, more_key = jax.random.split(key, 5)
    scale = _between(scale_key, 0.05, 1.5)
    level = _between(level_key, 0.1, 100.0)
    power = jax.random.choice(power_key, jnp.array([0.0, 1.0 / 3.0, 1.0]))
    law = means_laws.sample_law(law_key)
    rate = lambda x: level * transforms.box_cox_inverse(scale * x, power).clip(max=40.0)
    law = means_laws.mapped(law, rate)
    return _portfolio(more_key, law, jnp.ones(()), 0.3 * scale, 1.5)


def _sizes(key, law: Portfolio, num):
    return law.level * jnp.exp(law.spread * jax.random.normal(key, (num,)))


def _shift(law: Portfolio, size):
    return law.slope * jnp.log(jnp.where(size > 0.0, size / law.level, 1.0))


@dataclass(frozen=True)
class _Kind:
    """What tells the worlds apart."""

    sizes: Callable[[Array], Array]
    move: Callable[[Array, Array], Array]  # a point of the law by an instance's shift
    value: Callable[[Array], Array]  # θ of a point
    window: Callable[[Any], tuple[Array, Array]]
    log_likelihood: Callable[[Any, Array], Array]


def _sample_instances(kind: _Kind, key, law: Portfolio, num_instances: int) -> Truth:
    size_key, theta_key = jax.random.split(key)
    size = kind.sizes(_sizes(size_key, law, num_instances))
    point = means_laws.sample(theta_key, law.law, num_instances)
    return Truth(kind.value(kind.move(point, _shift(law, size))), size)


def _bayes(kind: _Kind, law: Portfolio, seen, num_points: int = EXACT):
    shift = _shift(law, seen[1])[:, None]
    found = means_laws.posterior_mean(
        kind.move(law.law.low, shift),
        kind.move(law.law.high, shift),
        law.law.mass,
        kind.window(seen),
        functools.partial(kind.log_likelihood, seen),
        kind.value,
        num_points,
    )
    return jnp.where(seen[1] > 0.0, found, 0.0)


def _gaussian_window(seen):
    reach = REACH * jnp.sqrt(seen.variance)
    return seen.estimate - reach, seen.estimate + reach


def _gaussian_log_likelihood(seen, theta):
    variance = jnp.where(seen.variance > 0.0, seen.variance, 1.0)[:, None]
    return -0.5 * jnp.square(seen.estimate[:, None] - theta) / variance


def _binomial_window(seen):
    failures = seen.trials - seen.successes
    logit = jnp.log((seen.successes + 0.5) / (failures + 0.5))
    reach = REACH * jnp.sqrt(1.0 / (seen.successes + 0.5) + 1.0 / (failures + 0.5))
    low = jnp.where(seen.successes < 4.0, -jnp.inf, logit - reach)
    return low, jnp.where(failures < 4.0, jnp.inf, logit + reach)


def _binomial_log_likelihood(seen, logit):
    y, trials = seen.successes[:, None], seen.trials[:, None]
    return y * logit - trials * jax.nn.softplus(logit)


def _poisson_window(seen):
    exposure = jnp.where(seen.exposure > 0.0, seen.exposure, 1.0)
    reach = REACH * (jnp.sqrt(seen.count + 1.0) + 2.0)
    low = (seen.count - reach).clip(0.0)
    return low / exposure, (seen.count + reach) / exposure


def _poisson_log_likelihood(seen, rate):
    load = seen.exposure[:, None] * rate
    return special.xlogy(seen.count[:, None], load.clip(1e-30)) - load


KINDS = {
    "gaussian": _Kind(
        sizes=lambda size: size,
        move=lambda point, shift: point + shift,
        value=lambda point: point,
        window=_gaussian_window,
        log_likelihood=_gaussian_log_likelihood,
    ),
    "binomial": _Kind(
        sizes=lambda size: jnp.round(size).clip(2.0, 1e5),
        move=lambda point, shift: point + shift,
        value=jax.nn.sigmoid,
        window=_binomial_window,
        log_likelihood=_binomial_log_likelihood,
    ),
    "poisson": _Kind(
        sizes=lambda size: size,
        move=lambda point, shift: point * jnp.exp(shift),
        value=lambda point: point,
        window=_poisson_window,
        log_likelihood=_poisson_log_likelihood,
    ),
}


class ExactWorld(ProblemWorld):
    """A world whose networks train on Bayes decisions instead of outcomes.

    E[(x − θ)² | seen] and (x − E[θ | seen])² differ by what no decision changes, so the
    best network is the same, and no noise of θ is left in its gradients.
    """

    def sample_example(
        self, key: Key[Array, ""], num_instances: int, num_observations: int
    ) -> Example:
        """As `ProblemWorld.sample_example`, with the Bayes decision for an outcome.

        Args:
          key: typed PRNG key.
          num_instances: n ≥ 4, padding included.
          num_observations: as `observe` takes it.

        Returns:
          The example.
        """
        law_key, truth_key, seen_key, n_key = jax.random.split(key, 4)
        law = self.sample_law(law_key)
        truth = self.sample_instances(truth_key, law, num_instances)
        seen = self.observe(seen_key, truth, num_observations)
        seen = first(seen, sample_count(n_key, num_instances))
        decision = self.bayes(law, seen, num_points=QUICK)
        return Example(seen, self.outcome(None, truth._replace(theta=decision)))


def _observe_gaussian(key, truth: Truth, num_observations: int):
    z = jax.random.normal(key, truth.theta.shape)
    return means_gaussian.Seen(truth.theta + jnp.sqrt(truth.size) * z, truth.size)


def _observe_binomial(key, truth: Truth, num_observations: int):
    got = jax.random.binomial(key, truth.size, truth.theta)
    return means_binomial.Seen(got, truth.size)


def _observe_poisson(key, truth: Truth, num_observations: int):
    count = jax.random.poisson(key, truth.size * truth.theta)
    return means_poisson.Seen(count.astype(truth.theta.dtype), truth.size)


GAUSSIAN = ExactWorld(
    name="gaussian_means",
    description="normal means of any law, known variances, one observation each",
    problem=means_gaussian.PROBLEM,
    sample_law=gaussian_law,
    sample_instances=functools.partial(_sample_instances, KINDS["gaussian"]),
    observe=_observe_gaussian,
    outcome=lambda key, truth: means_gaussian.Seen(truth.theta, 0.0 * truth.size),
    expected_cost=lambda truth, x: jnp.square(x - truth.theta),
    full_information=lambda truth: truth.theta,
    bayes=functools.partial(_bayes, KINDS["gaussian"]),
    base=lambda truth: truth.size,
)
BINOMIAL = ExactWorld(
    name="binomial_means",
    description="binomial means of any law of their logits",
    problem=means_binomial.PROBLEM,
    sample_law=binomial_law,
    sample_instances=functools.partial(_sample_instances, KINDS["binomial"]),
    observe=_observe_binomial,
    outcome=lambda key, truth: means_binomial.Outcome(truth.theta),
    expected_cost=lambda truth, x: means_binomial.cost(
        x, means_binomial.Outcome(truth.theta)
    ),
    full_information=lambda truth: truth.theta,
    bayes=functools.partial(_bayes, KINDS["binomial"]),
    base=lambda truth: truth.theta * (1.0 - truth.theta) / truth.size,
)
POISSON = ExactWorld(
    name="poisson_means",
    description="Poisson rates of any law, by exposure",
    problem=means_poisson.PROBLEM,
    sample_law=poisson_law,
    sample_instances=functools.partial(_sample_instances, KINDS["poisson"]),
    observe=_observe_poisson,
    outcome=lambda key, truth: means_poisson.Outcome(
        truth.theta, jnp.full_like(truth.size, jnp.inf), truth.size
    ),
    expected_cost=lambda truth, x: truth.size * jnp.square(x - truth.theta),
    full_information=lambda truth: truth.theta,
    bayes=functools.partial(_bayes, KINDS["poisson"]),
    base=lambda truth: truth.theta,
)
