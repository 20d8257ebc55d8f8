"""Items under a budget from a broad prior over mixtures, and the three-part knapsack.

An item belongs to one of K kinds. Given its kind, log w, log ν and log c are normal,
the latter two regressed on log w, and θ is normal around a mean that moves with log ν;
so precise, cheap or heavy items may be better or worse than others, as in the
three-part knapsack. Few kinds, spread out or not, make θ Gaussian, skewed, sparse or of
two sides. Given the law, the posterior mean of θ is exact, hence so is the Bayes
decision.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, Key

from ptft_jax.allocation import knapsack
from ptft_jax.allocation.shrinkage import Items
from ptft_jax.problems import allocation
from ptft_jax.problems.problem import ProblemWorld
from ptft_jax.worlds import transforms

NUM_KINDS = 6
LEAST_SPREAD = 1e-3  # of logs within a kind, so that densities exist
BUDGETS = (0.01, 0.6)  # affordable share of the items
NOISES = (0.1, 10.0)  # usual noise over the spread of θ
SPREADS = (0.05, 2.5)  # of log precision, cost and weight between kinds
WITHIN = (LEAST_SPREAD, 1.0)  # the same within a kind


class Law(NamedTuple):
    """A mixture of K kinds; columns are log weight, log precision, log cost."""

    share: Float[Array, "k"]
    mean: Float[Array, "k"]
    spread: Float[Array, "k"]
    slope: Float[Array, ""]  # of the mean of θ in log precision within a kind
    centre: Float[Array, "k 3"]
    within: Float[Array, "3"]
    loading: Float[Array, "3"]  # on log weight within a kind; 0 for log weight


class Truth(NamedTuple):
    """Items with their θ."""

    theta: Float[Array, "n"]
    precision: Float[Array, "n"]
    cost: Float[Array, "n"]
    weight: Float[Array, "n"]


def _sample_means(key: Key[Array, ""], used: Bool[Array, "k"]):
    """Means and spreads of θ by kind and a slope; something is worth taking."""
    keys = jax.random.split(key, 7)
    offset = 3.0 * jnp.abs(jax.random.normal(keys[0]))
    mean = jax.random.normal(keys[1], (NUM_KINDS,))
    mean = mean + jnp.where(jax.random.bernoulli(keys[2]), offset, 0.0)
    is_null = jax.random.bernoulli(keys[3], 0.2, (NUM_KINDS,))
    scale = transforms.log_between(jax.random.uniform(keys[4]), 0.02, 2.0)
    each = transforms.log_between(jax.random.uniform(keys[5], (NUM_KINDS,)), 0.2, 2.0)
    slope = 0.4 * jax.random.normal(keys[6])
    spread = jnp.where(is_null, 0.01, scale * each)
    mean = jnp.where(is_null, 0.0, mean)
    top = jnp.where(used, mean + 2.0 * spread, -jnp.inf).max()
    return mean + jnp.maximum(0.5 - top, 0.0), spread, slope


def sample_law(key: Key[Array, ""]) -> Law:
    """Draws one to six kinds; covariates are the same for all kinds half of the time.

    Args:
      key: typed PRNG key.

    Returns:
      The law, its costs such that the budget pays for 1 % to 60 % of the items.
    """
    keys = jax.random.split(key, 10)
    count = jax.random.randint(keys[0], (), 1, NUM_KINDS + 1)
    raw = jax.random.exponential(keys[1], (NUM_KINDS,)) + 0.1
    used = jnp.arange(NUM_KINDS) < count
    share = jnp.where(used, raw, 0.0)
    share = share / share.sum()
    mean, spread, slope = _sample_means(keys[2], used)
    between = transforms.log_between(jax.random.uniform(keys[3], (3,)), *SPREADS)
    between = between * jax.random.bernoulli(keys[4], jnp.array([0.3, 0.7, 0.5]), (3,))
    within = transforms.log_between(jax.random.uniform(keys[5], (3,)), *WITHIN)
    is_narrow = jax.random.bernoulli(keys[6], jnp.array([0.6, 0.4, 0.5]), (3,))
    within = jnp.where(is_narrow, LEAST_SPREAD, within)
    centre = between * jax.random.normal(keys[7], (NUM_KINDS, 3))
    uniform = jax.random.uniform(keys[8], (2,))
    total = jnp.sqrt((share * (spread**2 + (mean - share @ mean) ** 2)).sum() + 1e-4)
    noise = total * transforms.log_between(uniform[0], *NOISES)
    loading = jnp.array([0.0, 1.0, 1.0]) * jax.random.normal(keys[9], (3,))
    variance = within[2] ** 2 + (loading[2] * within[0]) ** 2
    dear = jnp.log(share @ jnp.exp(centre[:, 2])) + variance / 2.0
    afford = jnp.log(transforms.log_between(uniform[1], *BUDGETS))
    centre = centre + jnp.stack([jnp.zeros(()), -2.0 * jnp.log(noise), -dear - afford])
    return Law(share, mean, spread, slope, centre, within, loading)


def sample_instances(key: Key[Array, ""], law: Law, num_instances: int) -> Truth:
    """Draws n items.

    Args:
      key: typed PRNG key.
      law: the portfolio's law.
      num_instances: n ≥ 1.

    Returns:
      The items.
    """
    kind_key, theta_key, *log_keys = jax.random.split(key, 5)
    n = num_instances
    kind = jax.random.choice(kind_key, len(law.share), (n,), p=law.share)
    off = jnp.stack([jax.random.normal(k, (n,)) for k in log_keys], -1) * law.within
    off = off + law.loading * off[:, :1]
    logs = law.centre[kind] + off
    mean = law.mean[kind] + law.slope * off[:, 1]
    theta = mean + law.spread[kind] * jax.random.normal(theta_key, (n,))
    return Truth(theta, *(jnp.exp(logs[:, i]) for i in (1, 2, 0)))


def observe(key: Key[Array, ""], truth: Truth, num_observations: int) -> Items:
    """One estimate μ̂_j ~ N(θ_j, 1/ν_j) of each item.

    Args:
      key: typed PRNG key.
      truth: the items.
      num_observations: not used: the precision says how much was observed.

    Returns:
      What is seen of the items.
    """
    noise = jax.random.normal(key, truth.theta.shape)
    estimate = truth.theta + noise * jax.lax.rsqrt(truth.precision)
    return Items(estimate, truth.precision, truth.cost, truth.weight)


def outcome(key: Key[Array, ""], truth: Truth) -> Float[Array, "n"]:
    """What the items are worth, w_j θ_j: a label without noise.

    Args:
      key: not used.
      truth: the items.

    Returns:
      The worths.
    """
    return truth.weight * truth.theta


def expected_cost(truth: Truth, decision: Float[Array, "n"]) -> Float[Array, "n"]:
    """−w_j θ_j x_j, exact.

    Args:
      truth: the items.
      decision: x.

    Returns:
      The costs.
    """
    return -truth.weight * truth.theta * decision


def full_information(truth: Truth) -> Float[Array, "n"]:
    """The exact solution of the linear programme with θ known.

    Args:
      truth: the items.

    Returns:
      x in [0, 1].
    """
    return knapsack.best(truth.weight * truth.theta, truth.cost)


def posterior_mean(law: Law, seen: Items) -> Float[Array, "n"]:
    """E[θ_j | law, μ̂_j, ν_j, c_j, w_j]: a mixture of the posterior means of the kinds.

    Args:
      law: the portfolio's law.
      seen: n items; padding has 0.

    Returns:
      The means, exact.
    """
    present = seen.cost > 0.0
    safe = jnp.where(present, jnp.stack([seen.weight, seen.precision, seen.cost]), 1.0)
    gap = jnp.log(safe).T[:, None] - law.centre  # [n, k, 3]
    own = gap - law.loading * gap[..., :1]
    variance = 1.0 / safe[1][:, None]
    prior = law.mean + law.slope * gap[..., 1]
    total = variance + law.spread**2
    off = seen.estimate[:, None] - prior
    logs = norm.logpdf(own, 0.0, law.within).sum(-1) + jnp.log(law.share)
    weights = jax.nn.softmax(logs + norm.logpdf(off, 0.0, jnp.sqrt(total)))
    means = prior + law.spread**2 / total * off
    return jnp.where(present, (weights * means).sum(-1), 0.0)


def bayes(law: Law, seen: Items) -> Float[Array, "n"]:
    """The best decision given the law: the programme is linear in θ.

    Args:
      law: the portfolio's law.
      seen: n items.

    Returns:
      x in [0, 1].
    """
    return knapsack.best(seen.weight * posterior_mean(law, seen), seen.cost)


COMMON: dict[str, Any] = {
    "problem": allocation.PROBLEM,
    "observe": observe,
    "outcome": outcome,
    "expected_cost": expected_cost,
    "full_information": full_information,
    "bayes": bayes,
    "has_observations": False,
}
WORLD = ProblemWorld(
    name="allocation",
    description="items of one to six kinds; precision, cost and weight tell of θ",
    sample_law=sample_law,
    sample_instances=sample_instances,
    **COMMON,
)
