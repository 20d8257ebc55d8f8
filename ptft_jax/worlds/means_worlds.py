"""Simulated truths of the three problems of means, with exact Bayes decisions.

Laws of portfolios are drawn from `means_portfolios`. Excess costs are shares of the
excess of the estimate of each instance alone.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import special
from jaxtyping import Array, Float, Key

from ptft_jax.means import binomial, gaussian, poisson, rule
from ptft_jax.problems.problem import (
    Example,
    Problem,
    ProblemWorld,
    first,
    sample_count,
)
from ptft_jax.worlds import means_laws, means_portfolios
from ptft_jax.worlds.means_portfolios import Portfolio

EXACT = 24  # quadrature points an interval: of regrets
QUICK = 2  # of training's labels
PARAMETRIC = 2.0  # n times the regret of a law of two parameters, in noise variances
REACH = 8.0  # standard deviations on both sides of an estimate


class Truth(NamedTuple):
    """Means and what decides precision: variances, trials or exposures."""

    theta: Float[Array, "n"]
    size: Float[Array, "n"]


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
    size = kind.sizes(means_portfolios.sizes(size_key, law, num_instances))
    point = means_laws.sample(theta_key, law.law, num_instances)
    return Truth(kind.value(kind.move(point, means_portfolios.shift(law, size))), size)


def _bayes(kind: _Kind, law: Portfolio, seen, num_points: int = EXACT):
    shift = means_portfolios.shift(law, seen[1])[:, None]
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
    best network is the same, and no noise of θ is left in its gradients. Regrets differ
    by orders of magnitude between portfolios: `_weight` evens them out.
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


def _weight(problem: Problem, seen, stats, outcome) -> Float[Array, ""]:
    """1/(r + 2/n): r the least mean regret of the rules that the network mixes."""
    present = problem.present(seen)

    def regret(output):
        each = jnp.broadcast_to(output, (len(present), rule.NUM_OUTPUTS))
        return problem.loss(seen, stats, each, (), outcome).mean(where=present)

    # the first output moves by the posterior's spread: no rule by itself
    outputs = jnp.eye(rule.NUM_OUTPUTS).at[0, 0].set(0.0)
    return 1.0 / (jax.vmap(regret)(outputs).min() + PARAMETRIC / present.sum())


def _observe_gaussian(key, truth: Truth, num_observations: int):
    z = jax.random.normal(key, truth.theta.shape)
    return gaussian.Seen(truth.theta + jnp.sqrt(truth.size) * z, truth.size)


def _observe_binomial(key, truth: Truth, num_observations: int):
    got = jax.random.binomial(key, truth.size, truth.theta)
    return binomial.Seen(got, truth.size)


def _observe_poisson(key, truth: Truth, num_observations: int):
    count = jax.random.poisson(key, truth.size * truth.theta)
    return poisson.Seen(count.astype(truth.theta.dtype), truth.size)


GAUSSIAN = ExactWorld(
    name="gaussian_means",
    description="normal means of any law, known variances, one observation each",
    problem=gaussian.PROBLEM,
    weight=functools.partial(_weight, gaussian.PROBLEM),
    sample_law=means_portfolios.gaussian_law,
    sample_instances=functools.partial(_sample_instances, KINDS["gaussian"]),
    observe=_observe_gaussian,
    outcome=lambda key, truth: gaussian.Seen(truth.theta, 0.0 * truth.size),
    expected_cost=lambda truth, x: jnp.square(x - truth.theta),
    full_information=lambda truth: truth.theta,
    bayes=functools.partial(_bayes, KINDS["gaussian"]),
    base=lambda truth: truth.size,
    has_observations=False,
)
BINOMIAL = ExactWorld(
    name="binomial_means",
    description="binomial means of any law of their logits",
    problem=binomial.PROBLEM,
    weight=functools.partial(_weight, binomial.PROBLEM),
    sample_law=means_portfolios.binomial_law,
    sample_instances=functools.partial(_sample_instances, KINDS["binomial"]),
    observe=_observe_binomial,
    outcome=lambda key, truth: binomial.Outcome(truth.theta),
    expected_cost=lambda truth, x: binomial.cost(x, binomial.Outcome(truth.theta)),
    full_information=lambda truth: truth.theta,
    bayes=functools.partial(_bayes, KINDS["binomial"]),
    base=lambda truth: truth.theta * (1.0 - truth.theta) / truth.size,
    has_observations=False,
)
POISSON = ExactWorld(
    name="poisson_means",
    description="Poisson rates of any law, by exposure",
    problem=poisson.PROBLEM,
    weight=functools.partial(_weight, poisson.PROBLEM),
    sample_law=means_portfolios.poisson_law,
    sample_instances=functools.partial(_sample_instances, KINDS["poisson"]),
    observe=_observe_poisson,
    outcome=lambda key, truth: poisson.Outcome(
        truth.theta, jnp.full_like(truth.size, jnp.inf), truth.size
    ),
    expected_cost=lambda truth, x: truth.size * jnp.square(x - truth.theta),
    full_information=lambda truth: truth.theta,
    bayes=functools.partial(_bayes, KINDS["poisson"]),
    base=lambda truth: truth.theta,
    has_observations=False,
)
