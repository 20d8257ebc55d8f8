"""PAC-Bayes by coin betting: bounds that shrink with the spread of the losses.

For a policy φ with losses ℓ_1..ℓ_n in [0, 1] of mean μ, a bettor who puts the share b
of his capital on "loss" and 1−b on "no loss", at the fair odds of μ, is left with

    Π_i [ℓ_i b/μ + (1−ℓ_i)(1−b)/(1−μ)],  also written Π_i [1 + β(ℓ_i−μ)].

ψ(ℓ, μ) is its logarithm at the best b in hindsight. The mixture over b ~ Beta(½, ½)
keeps all of ψ but ln(√π Γ(n+1)/Γ(n+½)) (Cover & Ordentlich 1996), and its mean is 1. So
Donsker–Varadhan and Markov give, with probability ≥ 1−δ, for every posterior Q at once,

    E_Q ψ(ℓ(φ), μ(φ)) ≤ C = KL(Q‖P) + ln(1/δ) + ln(√π Γ(n+1)/Γ(n+½))

(Jang et al. 2023). For fixed b the logarithm is convex in μ (1/μ and 1/(1−μ) are
log-convex) but concave in ℓ. Hence losses averaged over Q, instance by instance, must
not be put into ψ: that overstates E_Q ψ, and `theory/README.md` has a world where the
result is surely wrong. `coin_betting` takes the losses of one policy,
`coin_betting_draws` those of many draws.
"""

import math

import numpy as np
from jaxtyping import Float

from theory import certificates, checks, kl

# Newton's method needs about 8 steps; a bracket that only halves needs 60.
STEPS = 100

# A rounding error per instance, relative, of sums that are accurate to a few ulp.
OUTWARD = 2.0**-48

Losses = Float[np.ndarray, "n"]


def log_regret(n: int | np.integer) -> float:
    """What the Beta(½, ½) mixture loses to the best share in hindsight, in nats.

    ln(√π Γ(n+1)/Γ(n+½)), about ½ ln(πn).

    Args:
      n: number of instances, n ≥ 1.

    Returns:
      The logarithm, from above; increasing in n.

    Raises:
      ValueError: n < 1.

    Source: Cover & Ordentlich (1996), Theorem 2, for two assets.
    """
    n = checks.count("n", n)
    if n <= 1000:
        ratio = math.lgamma(n + 1.0) - math.lgamma(n + 0.5)
    else:  # lgamma loses its digits; this upper bound is 0.004/n³ too large
        ratio = 0.5 * math.log(n + 0.25 + 1.0 / (32.0 * n))
    return 0.5 * math.log(math.pi) + ratio + 1e-12


def coin_betting(losses: checks.Numbers, kl: float, delta: float) -> float:
    """Coin-betting bound on the mean loss of one policy chosen with the data.

    sup{μ : ψ(ℓ, μ) ≤ KL + ln(1/δ) + ln(√π Γ(n+1)/Γ(n+½))}.

    The losses are those of one policy: either one of K candidates that did not depend
    on these instances (kl = ln K, or ln 1/P(φ)), or drawn once from a posterior Q and
    then used (kl = max(0, ln dQ/dP(φ)): E_Q of capital · dP/dQ is E_P of the capital,
    so Markov's inequality applies to the draw itself). Losses averaged over a posterior
    are not allowed; see the module and `coin_betting_draws`.

    Args:
      losses: n ≥ 1 losses in [0, 1] of the policy on all instances, in any order.
      kl: divergence from the prior in nats, ≥ 0.
      delta: failure probability δ in (0, 1), over instances and the draw.

    Returns:
      The bound, never below the root: increasing in kl, decreasing in δ, never above
      kl⁻¹(μ̂, C/n), and about μ̂ + √(2 V C/n) for losses of small variance V.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Jang et al. (2023); one draw after Rivasplata et al. (2020).
    """
    x = checks.sample("losses", losses)
    return _root(x, _budget(kl, len(x), delta))[0]


def coin_betting_draws(
    losses: checks.Numbers, kl: float, delta: float, delta_draws: float
) -> float:
    """Coin-betting bound on the mean loss of a posterior known through draws.

    t·C + U(φ_t(ℓ_2), …, φ_t(ℓ_M); δ′),  φ_t(ℓ) = max_μ [μ − t ψ(ℓ, μ)].

    E_Q ψ ≤ C gives E_Q μ ≤ tC + E_Q[μ − tψ] ≤ tC + E_Q φ_t(ℓ) for every t > 0 that
    depends on the instances only. φ_t lies in [0, 1], so U = `certificates.betting`
    bounds its mean from draws; the first draw fixes t and is not used again. At the
    best t nothing is lost, ψ being convex in μ.

    Args:
      losses: M ≥ 2 rows of n losses in [0, 1], one a draw from the posterior.
      kl: KL(Q‖P) in nats, ≥ 0.
      delta: failure probability δ in (0, 1) over the instances.
      delta_draws: failure probability δ′ in (0, 1) over the draws.

    Returns:
      The bound, at total confidence 1−δ−δ′. The number of draws matters: U is at least
      about ln(1/δ′)/M above the mean.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Jang et al. (2023); the Lagrangian and the draws are ours.
    """
    x = checks.within("losses", losses, 0.0, 1.0)
    if x.ndim != 2:
        raise ValueError(f"losses has shape {x.shape}, expected (draws, n)")
    checks.count("draws", len(x), 2)
    checks.count("n", x.shape[1])
    checks.confidence(delta_draws)
    budget = _budget(kl, x.shape[1], delta)
    top, slope = _root(x[0], budget)
    if top == 1.0:
        return 1.0
    price = 1.0 / slope
    reach = [_reach(row, price, top) for row in x[1:]]
    return min(1.0, price * budget + certificates.betting(reach, delta_draws))


def _budget(divergence: float, n: int, delta: float) -> float:
    """C = KL + ln(1/δ) + regret, checked."""
    checks.confidence(delta)
    nats = checks.number("kl", divergence, 0.0, math.inf)
    return nats - math.log(delta) + log_regret(n)


def _root(x: Losses, budget: float) -> tuple[float, float]:
    """The bound and ∂ψ/∂μ there, by Newton's method from kl⁻¹(μ̂, C/n).

    ψ ≥ n kl(μ̂‖μ) puts the start above the root. At any b the log capital is convex in μ
    and at most ψ, so no step passes the root, whether b is optimal or not.
    """
    mean, n = float(x.mean()), len(x)
    mu = kl.inverse_upper(mean, budget / n)
    if mu >= 1.0:
        return 1.0, math.inf
    share, slope = mu / 2.0, math.inf
    for _ in range(STEPS):
        share = _best_share(x, mu, share)
        value, slope, _ = _log_capital(x, share, mu)
        if value <= budget or value - budget <= slope * mu * OUTWARD:
            break
        mu = max(mu - (value - budget) / slope, mean)
    # ψ is off by OUTWARD an instance at most, and ∂ψ/∂μ ≥ C/(μ − μ̂) by convexity.
    rounding = mu + n / budget * (mu - mean)
    return min(1.0, mu + OUTWARD * rounding), slope


def _reach(x: Losses, price: float, start: float) -> float:
    """max_μ [μ − tψ(ℓ, μ)] from above: t∂ψ/∂μ = 1 is solved, the rest by a tangent."""
    low, high = float(x.mean()), 1.0
    if low == 1.0:
        return 1.0
    mu = start if low < start else 0.5 * (low + high)
    share, best = mu / 2.0, 1.0
    for _ in range(STEPS):
        share = _best_share(x, mu, share)
        value, slope, curvature = _log_capital(x, share, mu)
        rest = 1.0 - price * slope
        # At this b the log capital lies above its tangent, for every μ in [0, 1].
        tangent = max(rest * (1.0 - mu), -rest * mu)
        best = min(best, mu - price * value + tangent)
        if abs(rest) < 1e-9:
            break
        low, high = (mu, high) if rest > 0.0 else (low, mu)
        step = mu + rest / (price * curvature)
        mu = step if low < step < high else 0.5 * (low + high)
    return max(best, 0.0)


def _best_share(x: Losses, mu: float, start: float) -> float:
    """The share b that maximises the log capital, for μ ≥ μ̂: then b ≤ μ."""
    low, high = 0.0, mu
    if x.max() < 1.0 and np.sum((x - mu) / (1.0 - x)) <= 0.0:
        return 0.0
    b = start if low < start < high else 0.5 * mu
    for _ in range(STEPS):
        pull = (x - mu) / _stake(x, b, mu)
        slope, curvature = float(pull.sum()), float(pull @ pull)
        # The log capital is slope²/2·curvature short of its maximum, at most about.
        if slope * slope <= 1e-22 * curvature:
            break
        low, high = (b, high) if slope > 0.0 else (low, b)
        step = b + slope / curvature
        b = step if low < step < high else 0.5 * (low + high)
    return b


def _stake(x: Losses, b: float, mu: float) -> Losses:
    """ℓ b (1−μ) + (1−ℓ)(1−b) μ: one round's capital times μ(1−μ)."""
    return x * (b * (1.0 - mu)) + (1.0 - x) * ((1.0 - b) * mu)


def _log_capital(x: Losses, b: float, mu: float) -> tuple[float, float, float]:
    """Log capital at b, its slope in μ, and the curvature of ψ in μ where b is best."""
    n, stake = len(x), _stake(x, b, mu)
    value = float(np.log(stake / (mu * (1.0 - mu))).sum())
    turn = (1.0 - b - x) / stake
    slope = float(turn.sum()) - n * (1.0 / mu - 1.0 / (1.0 - mu))
    curvature = n * (1.0 / mu**2 + 1.0 / (1.0 - mu) ** 2) - float(turn @ turn)
    if b > 0.0:
        pull = (x - mu) / stake
        cross = float((1.0 / stake + pull * turn).sum())
        curvature += cross**2 / float(pull @ pull)
    return value, slope, curvature
