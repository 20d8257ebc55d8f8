"""Confidence bounds on the mean loss of a fixed policy.

Every bound takes the losses of n independent instances in [0, 1], or a count, and δ. An
upper bound is at least the mean with probability ≥ 1−δ, for every law of the losses and
every n; the `_lower` twin is its mirror image 1 − U(1 − losses). The smallest of K of
them is a bound at δ only if each was taken at δ/K. Observations of one instance are not
independent: n counts instances, one loss each. Upper bounds on the mean lie in [0, 1]
and decrease in δ, except that δ also steers the bets of `betting`, which is in the
module of its name and re-exported.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import special

from theory import checks, kl
from theory.betting import betting as betting
from theory.betting import betting_lower as betting_lower
from theory.betting import betting_many as betting_many
from theory.betting import betting_many_lower as betting_many_lower
from theory.betting import paired_gain as paired_gain

# 16 ulp; the errors of `_beta_end` that were found are below 6.
OUTWARD = 2.0**-48


def hoeffding(losses: checks.Numbers, delta: float) -> float:
    """Hoeffding's upper bound.

    μ̂ + √(ln(1/δ) / 2n).

    Args:
      losses: n ≥ 1 losses in [0, 1].
      delta: failure probability δ in (0, 1).

    Returns:
      The bound, nondecreasing in every loss.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Hoeffding (1963), Theorem 1.
    """
    x = _checked(losses, delta)
    return min(1.0, float(x.mean()) + math.sqrt(-math.log(delta) / (2 * len(x))))


def hoeffding_lower(losses: checks.Numbers, delta: float) -> float:
    """Lower twin of `hoeffding`."""
    return 1.0 - hoeffding(1.0 - _checked(losses, delta), delta)


def empirical_bernstein(losses: checks.Numbers, delta: float) -> float:
    """Empirical Bernstein upper bound.

    μ̂ + √(2V ln(2/δ) / n) + 7 ln(2/δ) / (3(n−1)), V the unbiased sample variance.

    Args:
      losses: n ≥ 1 losses in [0, 1]; one loss has no variance and gives 1.
      delta: failure probability δ in (0, 1).

    Returns:
      The bound. Not monotone in the losses: a larger loss can lower the variance.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Maurer & Pontil (2009), Theorem 4.
    """
    x = _checked(losses, delta)
    n = len(x)
    if n == 1:
        return 1.0
    log_term = math.log(2.0 / delta)
    spread = math.sqrt(2.0 * float(x.var(ddof=1)) * log_term / n)
    return min(1.0, float(x.mean()) + spread + 7.0 * log_term / (3.0 * (n - 1)))


def empirical_bernstein_lower(losses: checks.Numbers, delta: float) -> float:
    """Lower twin of `empirical_bernstein`."""
    return 1.0 - empirical_bernstein(1.0 - _checked(losses, delta), delta)


def kl_chernoff(losses: checks.Numbers, delta: float) -> float:
    """Chernoff's upper bound in relative-entropy form.

    kl⁻¹(μ̂, ln(1/δ) / n).

    Args:
      losses: n ≥ 1 losses in [0, 1].
      delta: failure probability δ in (0, 1).

    Returns:
      The bound, nondecreasing in every loss and at most `hoeffding`.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Hoeffding (1963), inequality (2.1).
    """
    x = _checked(losses, delta)
    return kl.inverse_upper(float(x.mean()), -math.log(delta) / len(x))


def kl_chernoff_lower(losses: checks.Numbers, delta: float) -> float:
    """Lower twin of `kl_chernoff`."""
    x = _checked(losses, delta)
    return kl.inverse_lower(float(x.mean()), -math.log(delta) / len(x))


def bentkus(losses: checks.Numbers, delta: float) -> float:
    """Hoeffding–Bentkus upper bound.

    sup{α : p(α) > δ} for
    p(α) = min{exp(−n kl(min(μ̂, α)‖α)), e·P(Bin(n, α) ≤ ⌈nμ̂⌉)}.

    Both members of the minimum decrease in α, so p is inverted exactly:
    min{kl⁻¹(μ̂, ln(1/δ)/n), Clopper–Pearson(⌈nμ̂⌉, n, δ/e)}. Both bound the same tail
    P(μ̂ ≤ t) at the same t, so their minimum needs no union bound.

    Args:
      losses: n ≥ 1 losses in [0, 1].
      delta: failure probability δ in (0, 1).

    Returns:
      The bound, nondecreasing in every loss and at most `kl_chernoff`.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Bates et al. (2021), Proposition 1 and Theorem 3; Bentkus (2004).
    """
    x = _checked(losses, delta)
    k = math.ceil(math.fsum(x))  # a sum that rounds up would cost a whole loss
    chernoff, share = kl_chernoff(x, delta), delta / math.e
    if share < np.finfo(np.float64).tiny:  # rounded, up to half of it, or to 0
        return chernoff
    return min(chernoff, clopper_pearson(k, len(x), share))


def bentkus_lower(losses: checks.Numbers, delta: float) -> float:
    """Lower twin of `bentkus`."""
    return 1.0 - bentkus(1.0 - _checked(losses, delta), delta)


def clopper_pearson(k: int | np.integer, n: int | np.integer, delta: float) -> float:
    """Exact binomial upper bound.

    inf{p : P(Bin(n, p) ≤ k) ≤ δ} = Beta⁻¹(1−δ; k+1, n−k), and 1 at k = n.

    Args:
      k: number of losses equal to 1 among n losses in {0, 1}, 0 ≤ k ≤ n.
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).

    Returns:
      The upper end: never below the root, and above it by rounding errors only;
      increasing in k, decreasing in n; miscoverage reaches δ.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Clopper & Pearson (1934).
    """
    k, n = _checked_counts(k, n, delta)
    if k == n:
        return 1.0
    return min(1.0, _beta_end(k + 1, n - k, delta, upper=True) * (1.0 + OUTWARD))


def clopper_pearson_lower(
    k: int | np.integer, n: int | np.integer, delta: float
) -> float:
    """Lower twin of `clopper_pearson`, 0 at k = 0."""
    k, n = _checked_counts(k, n, delta)
    if k == 0:
        return 0.0
    return _beta_end(k, n - k + 1, delta, upper=False) * (1.0 - OUTWARD)


def floor(risk: float, n: int | np.integer, delta: float) -> float:
    """What no upper bound valid for every law on [0, 1] can be below.

    1 − (1−r) δ^(1/n).

    Move a share ε of a law with mean r to a loss of 1: its mean is 1 − (1−r)(1−ε), and
    with probability (1−ε)ⁿ no sampled loss was moved. With (1−ε)ⁿ > δ the bound must
    reach that mean on samples of the law itself, so it cannot be surely lower.
    Single samples may fall below; a sample without spread may not.

    Args:
      risk: true mean r in [0, 1].
      n: number of instances, n ≥ 1.
      delta: failure probability δ in (0, 1).

    Returns:
      The floor: increasing in r, decreasing in n and δ, about r + (1−r) ln(1/δ)/n.

    Raises:
      ValueError: an argument is out of range; see `checks`.
    """
    r = checks.number("risk", risk, 0.0, 1.0)
    n = checks.count("n", n)
    checks.confidence(delta)
    return r - (1.0 - r) * math.expm1(math.log(delta) / n)


def _checked(losses: checks.Numbers, delta: float) -> Float[np.ndarray, "n"]:
    """The losses in float64, once they and δ are in range."""
    checks.confidence(delta)
    return checks.sample("losses", losses)


def _beta_end(a: int, b: int, delta: float, *, upper: bool) -> float:
    """The point beyond which Beta(a, b) has mass δ, to the last digits."""
    inverse = special.betainccinv if upper else special.betaincinv
    beyond, before = special.betaincc, special.betainc
    if not upper:
        beyond, before = before, beyond
    p = float(inverse(a, b, delta))
    # scipy's inverse may stop 1e-13 away. One step of Newton settles that, on the
    # smaller mass, which has all its digits.
    excess = beyond(a, b, p) - delta
    if delta > 0.5:
        excess = (1.0 - delta) - before(a, b, p)
    log_density = special.xlogy(a - 1, p) + special.xlog1py(b - 1, -p)
    with np.errstate(all="ignore"):
        step = float(excess / np.exp(log_density - special.betaln(a, b)))
    moved = p + step if upper else p - step
    return moved if 0.0 < moved < 1.0 else p


def _checked_counts(
    k: int | np.integer, n: int | np.integer, delta: float
) -> tuple[int, int]:
    """The counts 0 ≤ k ≤ n, n ≥ 1, once they and δ are in range."""
    n = checks.count("n", n)
    checks.confidence(delta)
    return checks.count("k", k, 0, n), n
