"""What a decision problem and its world provide: records of pure functions.

`seen`, `truth`, `outcome` and a decision are pytrees of arrays whose leading axis is
the n instances, of the problem's own making. An instance whose leaves are all 0 is
padding: `present` must say so, and what it holds must change nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


class Inputs(NamedTuple):
    """What a network sees of n instances in the light of their portfolio, unit-free.

    Attributes:
      instance: features of each instance.
      portfolio: features of the portfolio.
      observation: features of each observation (price, weekday, …), or None.
      valid: which observations exist, or None where there are no such features.
    """

    instance: Float[Array, "n f"]
    portfolio: Float[Array, "g"]
    observation: Float[Array, "n m e"] | None = None
    valid: Bool[Array, "n m"] | None = None


def _uncoupled(seen: Any, stats: Any, output: Float[Array, "n k"]) -> tuple[()]:
    return ()


@dataclass(frozen=True, eq=False)
class Problem:
    """A decision problem.

    Attributes:
      name: as in `method.catalog.PROBLEMS`.
      description: one line.
      num_outputs: k, numbers that the network gives for each instance; all 0 must be
        a sensible plug-in rule.
      present: `(seen) -> [n]`, instances that are not padding.
      summarize: `(seen) -> stats`, what an instance is told of its portfolio, of a
        size that does not depend on n.
      inputs: `(seen, stats) -> Inputs`.
      decide: `(seen, stats, output, coupling) -> decision`, feasible and exact.
      loss: `(seen, stats, output, coupling, outcome) -> [n]`, differentiable in the
        output, of a unit common to a portfolio; its mean is trained on.
      cost: `(decision, outcome) -> [n]`, realised; its mean given the truth is the
        expected cost.
      leave_out: `(key, seen) -> (rest, outcome)`: what would have been seen with less
        data and an outcome that is independent of it given the truth, so that
        `cost(decide(rest), outcome)` is unbiased for the expected cost of the policy;
        where nothing can be left out, an outcome that costs 0 whatever is decided, and
        `judged` must say so.
      judged: `(seen) -> [n]`, instances of which something can be left out, which are
        those that certificates are about; all that are present where None.
      costs: the least and the largest cost there can be; None where that is not known,
        and costs are then cut at a range that is taken from other instances.
      caution: what must be known of certificates of this problem, one sentence.
      remarks: `(seen, names) -> notes` on decisions that the data say little of; none
        where None.
      couple: `(seen, stats, output) -> coupling`, what the instances of a portfolio
        share when they are decided on (the price of a budget); () where nothing.
      baselines: `(seen) -> decision`, by name.
      read: `(table) -> (seen, names)`, of a polars table whose cells are numbers, or
        text with "" for blank; raises `DataError` for one that cannot be used
        (`tables.problems.Problems` and `tables.rows` help); None where no file is read.
    """

    name: str
    description: str
    num_outputs: int
    present: Callable[..., Bool[Array, "n"]]
    summarize: Callable[..., Any]
    inputs: Callable[..., Inputs]
    decide: Callable[..., Any]
    loss: Callable[..., Float[Array, "n"]]
    cost: Callable[..., Float[Array, "n"]]
    leave_out: Callable[..., tuple[Any, Any]]
    judged: Callable[..., Bool[Array, "n"]] | None = None
    costs: tuple[float, float] | None = None
    caution: str = ""
    remarks: Callable[..., list[str]] | None = None
    couple: Callable[..., Any] = _uncoupled
    baselines: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    read: Callable[..., tuple[Any, list[str]]] | None = None


@dataclass(frozen=True, eq=False)
class ProblemWorld:
    """A simulated truth of a problem: a hyper-prior over laws of its instances.

    Attributes:
      name: as in `method.catalog.WORLDS`.
      description: one line.
      problem: whose instances it draws.
      sample_law: `(key) -> law`, a draw of the hyper-prior, a pytree of arrays.
      sample_instances: `(key, law, n) -> truth`; rows are independent given the law.
      observe: `(key, truth, m) -> seen`, at most m observations of each instance.
      outcome: `(key, truth) -> outcome`, independent of what is seen given the truth.
      expected_cost: `(truth, decision) -> [n]`, E cost(decision, outcome).
      full_information: `(truth) -> decision`, of least expected cost in sum.
      bayes: `(law, seen) -> decision`, the same given only the law and what is seen,
        or None where it is not known.
      base: `(truth) -> [n]`, > 0 in sum: what excess costs are shares of; the size of
        the cost of full information where None, which then must not be 0.
      asked: `(truth, rest) -> truth`, of what `leave_out`'s rest is to be decided on,
        where leaving data out changes that (the covariates of a period); None where it
        does not.
      weight: `(seen, stats, outcome) -> []`, what the loss of a portfolio counts in
        pretraining; 1 where None.
      has_observations: whether an instance has a number of them; where it has not,
        `observe` does not look at m.
    """

    name: str
    description: str
    problem: Problem
    sample_law: Callable[..., Any]
    sample_instances: Callable[..., Any]
    observe: Callable[..., Any]
    outcome: Callable[..., Any]
    expected_cost: Callable[..., Float[Array, "n"]]
    full_information: Callable[..., Any]
    bayes: Callable[..., Any] | None = None
    base: Callable[..., Float[Array, "n"]] | None = None
    asked: Callable[..., Any] | None = None
    weight: Callable[..., Float[Array, ""]] | None = None
    has_observations: bool = True

    def sample_example(
        self, key: Key[Array, ""], num_instances: int, num_observations: int
    ) -> "Example":
        """Draws what a network trains on: a portfolio and a future of its instances.

        Half of the portfolios have all n instances, the others fewer, log-uniformly.

        Args:
          key: typed PRNG key.
          num_instances: n ≥ 4, padding included.
          num_observations: m, the most an instance has.

        Returns:
          The example.
        """
        law_key, truth_key, seen_key, outcome_key, n_key = jax.random.split(key, 5)
        truth = self.sample_instances(
            truth_key, self.sample_law(law_key), num_instances
        )
        seen = self.observe(seen_key, truth, num_observations)
        some = first(seen, sample_count(n_key, num_instances))
        return Example(some, self.outcome(outcome_key, truth))


def judged(problem: Problem, seen: Any) -> Bool[Array, "n"]:
    """Instances that can be scored: not padding, and something can be left out.

    Args:
      problem: the problem.
      seen: instances.

    Returns:
      Which they are.
    """
    return (problem.judged or problem.present)(seen)


class Example(NamedTuple):
    """A portfolio and an outcome of each of its instances."""

    seen: Any
    outcome: Any


def sample_count(key: Key[Array, ""], num_instances: int) -> Int[Array, ""]:
    """How many instances a portfolio of training has: n with probability ½.

    Otherwise ⌊4 (n/4)^u⌋, u uniform on [0, 1].

    Args:
      key: typed PRNG key.
      num_instances: n ≥ 4.

    Returns:
      A count in [4, n].
    """
    u = jax.random.uniform(key, maxval=2.0).clip(max=1.0)
    return jnp.floor(4.0 * (num_instances / 4.0) ** u + 1e-3).astype(jnp.int32)


def first(seen: Any, count: Int[Array, ""] | int) -> Any:
    """The first instances; the others become padding.

    Args:
      seen: n instances.
      count: how many are kept, may be traced.

    Returns:
      Leaves of the same shapes, 0 from `count` on.
    """

    def cut(leaf: Array) -> Array:
        kept = jnp.arange(leaf.shape[0]) < count
        return jnp.where(
            kept.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, leaf.dtype.type(0)
        )

    return jax.tree.map(cut, seen)


def take(seen: Any, index: Int[Array, "k"], size: int | None = None) -> Any:
    """Chosen instances, padded.

    Args:
      seen: n instances.
      index: positions, [k].
      size: to pad to, ≥ k; k where None.

    Returns:
      Leaves of leading axis `size`.
    """
    chosen = jax.tree.map(lambda leaf: leaf[index], seen)
    return chosen if size is None else pad(chosen, size)


def pad(seen: Any, size: int) -> Any:
    """All instances and then padding.

    Args:
      seen: n instances.
      size: ≥ n.

    Returns:
      Leaves of leading axis `size`.
    """
    more = size - num_instances(seen)
    longer = lambda leaf: jnp.pad(leaf, [(0, more)] + [(0, 0)] * (leaf.ndim - 1))
    return jax.tree.map(longer, seen)


def num_instances(seen: Any) -> int:
    """Length of the leading axis, padding included.

    Args:
      seen: instances.

    Returns:
      n.
    """
    return jax.tree.leaves(seen)[0].shape[0]
