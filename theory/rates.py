"""Published rates as curves to compare a slope with; none of them limits an error.

Every rate here hides a constant, logarithms, or both, that its source leaves unnamed or
that are far too large to use. It is drawn with constant 1 or with a constant fitted to
the run (`fit_constant`), and says how fast an error may fall, never how small it is. A
fitted constant depends on the run: two fits are not comparable as guarantees.
Norm-based capacities of Transformers are in `covering` and re-exported.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from theory import capacity, checks
from theory.covering import WeightNorms as WeightNorms
from theory.covering import covering_rate as covering_rate
from theory.covering import edelman_log_covering as edelman_log_covering
from theory.covering import trauger_tewari_log_covering as trauger_tewari_log_covering
from theory.covering import weight_norms as weight_norms


class Fit(NamedTuple):
    """Constant of a rate on one run, and how far the run is from that rate."""

    constant: float
    residual: float


class InContext(NamedTuple):
    """Terms of the in-context rate, each with constant 1."""

    approximation: float
    in_context: float
    pretraining: float

    @property
    def total(self) -> float:
        """Sum of the three terms."""
        return self.approximation + self.in_context + self.pretraining


def universal_priors(n: int | np.integer, n_pretrain: int | np.integer) -> float:
    """Regret rate of a pretrained Bayes estimator in the Poisson empirical Bayes model.

    ln³k / (k (ln ln k)²) at k = min(n, n_pretrain): a plateau of order 1/n_pretrain, up
    to logarithms, where more instances are attended to than in pretraining.

    Hidden: the constant, which grows with the largest mean.

    Args:
      n: instances attended to, n ≥ 3.
      n_pretrain: instances of a pretraining portfolio, ≥ 3.

    Returns:
      The rate, nonincreasing in both arguments.

    Raises:
      ValueError: an argument is below 3, where ln ln is not positive.

    Source: Cannella, Teh, Han & Polyanskiy (2026), arXiv 2602.15136.
    """
    n = checks.count("n", n, 3)
    n_pretrain = checks.count("n_pretrain", n_pretrain, 3)
    log_k = math.log(min(n, n_pretrain))
    return log_k**3 / (min(n, n_pretrain) * math.log(log_k) ** 2)


def data_pooling(n: int | np.integer) -> float:
    """Rate at which pooling over n problems approaches its best amount of pooling.

    1/√n.

    Hidden: the constant, which falls with the data of each problem, and logarithms.

    Args:
      n: instances (problems), n ≥ 1.

    Returns:
      The rate, decreasing in n.

    Raises:
      ValueError: n < 1.

    Source: Gupta & Kallus (2022), Data pooling in stochastic optimization.
    """
    n = checks.count("n", n)
    return 1.0 / math.sqrt(n)


def parameter_net(
    n: int | np.integer,
    num_parameters: int | np.integer,
    radius: checks.Number,
    lipschitz: checks.Number,
    loss_range: checks.Number,
    delta: float,
) -> float:
    """Rate of the generalisation gap from a net of a ball of parameters.

    B √((p ln(1 + 2rLn/B) + ln(1/δ)) / 2n) + 2B/n, `capacity.parameter_net`: a bound of
    the gap where r and L are those of the class.

    Hidden: of a whole network L, the Lipschitz constant of the loss in all parameters
    at once, is known only as a product of norms.

    Args:
      n: instances, n ≥ 1.
      num_parameters: p ≥ 1.
      radius: r > 0 of the ball, Euclidean.
      lipschitz: L > 0, loss per unit of parameter.
      loss_range: B > 0.
      delta: δ in (0, 1).

    Returns:
      The rate in the unit of the loss, not cut at B: if the loss and L are in another
      unit, so is the rate. Increasing in p, r, L and B, decreasing in n and δ.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Hoeffding's inequality on a net of (1 + 2rLn/B)^p points; textbook.
    """
    return capacity.parameter_net(
        num_parameters,
        checks.positive("radius", radius),
        checks.positive("lipschitz", lipschitz),
        n,
        delta,
        checks.positive("loss_range", loss_range),
    )


def in_context_minimax(
    m: int | np.integer, smoothness: checks.Number, dimension: int | np.integer
) -> float:
    """Minimax rate of nonparametric regression from m examples in context.

    m^(−2α/(2α+d)).

    Hidden: the constant, and logarithms of m.

    Args:
      m: examples of one task, m ≥ 1.
      smoothness: α > 0.
      dimension: d ≥ 1.

    Returns:
      The rate, nonincreasing in m and α, nondecreasing in d; above 1/m.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Stone (1982); Kim, Nakamaki & Suzuki (2024), arXiv 2408.12186, who show that
    a pretrained Transformer attains it.
    """
    m = checks.count("m", m)
    dimension = checks.count("dimension", dimension)
    twice = 2.0 * checks.positive("smoothness", smoothness)
    return float(m) ** (-twice / (twice + dimension))


def in_context(
    m: int | np.integer,
    tasks: int | np.integer,
    basis: int | np.integer,
    smoothness: checks.Number,
    dimension: int | np.integer,
) -> InContext:
    """In-context rate of a Transformer with a learnt basis, by source of error.

    N^(−2α/d) + N ln N / m + N² ln N / T; N = m^(d/(2α+d)) and T → ∞ give the rate of
    `in_context_minimax` up to a logarithm.

    Hidden: three constants, and conditions on N and T.

    Args:
      m: examples of one task, m ≥ 1.
      tasks: T ≥ 1 pretraining tasks.
      basis: N ≥ 2 features that the network learns.
      smoothness: α > 0.
      dimension: d ≥ 1.

    Returns:
      The terms: the first decreasing in N, the others increasing in N and decreasing in
      m or T.

    Raises:
      ValueError: an argument is out of range; the value is named.

    Source: Kim, Nakamaki & Suzuki (2024), arXiv 2408.12186.
    """
    m, tasks = checks.count("m", m), checks.count("tasks", tasks)
    basis = checks.count("basis", basis, 2)
    dimension = checks.count("dimension", dimension)
    twice = 2.0 * checks.positive("smoothness", smoothness)
    width, log_width = float(basis), math.log(basis)
    return InContext(
        approximation=width ** (-twice / dimension),
        in_context=width * log_width / m,
        pretraining=width**2 * log_width / tasks,
    )


def fit_constant(
    n: checks.Numbers, error: checks.Numbers, rate: Callable[[int], float]
) -> Fit:
    """Constant that brings a rate closest to a run, by least squares of logarithms.

    C = exp(mean of ln(error/rate(n))), residual = √(mean (ln error − ln C rate(n))²).

    Args:
      n: k ≥ 1 numbers of instances, whole and ≥ 1.
      error: k errors > 0.
      rate: from n to a number > 0, such as `data_pooling`.

    Returns:
      C in the unit of the error, and the residual ≥ 0 in logarithms: .1 is 10%. A rate
      of the wrong slope has a residual that grows with the range of n; C scales with
      the error and the residual does not.

    Raises:
      ValueError: lengths differ, k = 0, or a number is out of range or not whole.

    Source: ours.
    """
    at = checks.sample("n", n, 1.0, 2.0**53)
    y = checks.sample("error", error, 0.0, checks.LARGEST)
    if len(at) != len(y):
        raise ValueError(f"{len(at)} n, {len(y)} error")
    for k, e in zip(at, y, strict=True):
        if k != int(k):
            raise ValueError(f"n = {k} is not whole")
        checks.positive(f"error at n = {int(k)}", float(e))
    drawn = [checks.positive(f"rate({int(k)})", rate(int(k))) for k in at]
    ratio = np.log(y) - np.log(drawn)
    return Fit(math.exp(ratio.mean()), float(ratio.std()))
