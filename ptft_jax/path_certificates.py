"""PAC-Bayes certificates along the path from the pretrained head to a fine-tuned one.

Fold A gives the context and the scale b. Given A, the instances of fold B are i.i.d.,
and everything here is made from B itself: û_r, the head of least left-out cost in the
ball of radius r. Prior N(0, σ²I) on the head, posterior N(t û_r, σ²I),
KL = t²‖û_r‖²/2σ². The bounds of `theory.pac_bayes` hold for all posteriors of a prior
at once, so r and t are free; the best of K scales σ pays ln K. Costs are cut at b and
divided by it. A cut cost is not convex, so Jensen's inequality does not pass the bound
on to the head in the middle: each statement is about heads *drawn* from the posterior,
as a Gibbs policy does.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from ptft_jax import head_rows, path_posteriors
from ptft_jax.head_rows import Ball, HeadRows
from ptft_jax.path_posteriors import SCALES, Losses, Posterior
from theory import certificates, pac_bayes

PILOT_DRAWS = 8
DRAWS = 1024
DRAWS_SHARE = 0.1  # of a fold's δ, for what the draws do not tell of the posterior
TERMS = ("empirical", "mc", "complexity", "kl")


class PathBound(NamedTuple):
    """One statement about the instances of one fold.

    Attributes:
      name: of the bound.
      posterior: that the bound is about.
      terms: in units of cost; they add up to the bound.
      heads: drawn from the posterior, [k, d]: the deployed one, if it is one.
    """

    name: str
    posterior: Posterior
    terms: dict[str, float]
    heads: Float64[np.ndarray, "k d"]


def cut_losses(rows: HeadRows, heads, scale: float) -> Losses:
    """Costs of settled decisions, cut at b and divided by it.

    Args:
      rows: of n instances.
      heads: u, [k, d].
      scale: b > 0.

    Returns:
      Losses in [0, 1], [k, n].
    """
    return np.minimum(head_rows.costs(rows, heads, True) / scale, 1.0)


def _split(total, without, allowed, empirical, scale) -> dict[str, float]:
    """Terms that add up to the bound: the draws, then KL 0, then the divergence."""
    parts = (empirical, allowed - empirical, without - allowed, total - without)
    return {k: scale * part for k, part in zip(TERMS, parts, strict=True)}


def gibbs_kl(losses: Losses, nats: float, delta: float, scale: float):
    """Maurer's bound on the mean over the posterior, of which only draws are seen.

    kl⁻¹(U, (KL + ln(ξ(n) K/δ₁))/n), U = `certificates.betting` of the M mean losses at
    δ′ = δ/10, δ₁ = 9δ/10, K the number of prior scales.

    Args:
      losses: of M draws on n instances, [M, n].
      nats: KL(Q‖P).
      delta: failure probability δ, of instances and draws together.
      scale: b, the unit of the losses.

    Returns:
      Terms that add up to the bound, in units of cost.

    Source: Maurer (2004); `theory.pac_bayes`.
    """
    n, means = losses.shape[1], losses.mean(1)
    share = (1.0 - DRAWS_SHARE) * delta / len(SCALES)
    allowed = certificates.betting(means, DRAWS_SHARE * delta)
    total, without = (
        pac_bayes.maurer_kl(allowed, divergence, n, share) for divergence in (nats, 0.0)
    )
    return _split(total, without, allowed, float(means.mean()), scale)


def gibbs_coin(losses: Losses, nats: float, delta: float, scale: float):
    """Coin-betting bound on the mean over the posterior, from draws.

    `pac_bayes.coin_betting_draws` at 9δ/10K for the instances, δ/10 for the draws; `mc`
    is what the mean of the draws alone needs, `complexity` the bound at KL 0 less that.

    Args:
      losses: of M draws on n instances, [M, n].
      nats: KL(Q‖P).
      delta: failure probability δ, of instances and draws together.
      scale: b, the unit of the losses.

    Returns:
      Terms that add up to the bound, in units of cost.

    Source: Jang et al. (2023) and ours; `theory.coin_betting`.
    """
    share = (1.0 - DRAWS_SHARE) * delta / len(SCALES)
    bound = lambda divergence: pac_bayes.coin_betting_draws(
        losses, divergence, share, DRAWS_SHARE * delta
    )
    total = bound(nats)
    without = bound(0.0) if nats else total
    means = losses.mean(1)
    allowed = min(without, certificates.betting(means, DRAWS_SHARE * delta))
    return _split(total, without, allowed, float(means.mean()), scale)


def drawn_coin(losses: Losses, nats: float, delta: float, scale: float):
    """Coin-betting bound on one head, drawn once and then used.

    `pac_bayes.coin_betting` at δ/K; it needs no draws beside the head itself.

    Args:
      losses: of the head on n instances, [1, n].
      nats: max(0, ln dQ/dP) at the head.
      delta: failure probability δ, of instances and the draw.
      scale: b, the unit of the losses.

    Returns:
      Terms that add up to the bound, in units of cost; `mc` is 0.

    Source: Jang et al. (2023), Rivasplata et al. (2020); `theory.coin_betting`.
    """
    share = delta / len(SCALES)
    total, without = (
        pac_bayes.coin_betting(losses[0], divergence, share)
        for divergence in (nats, 0.0)
    )
    mean = float(losses.mean())
    return _split(total, without, mean, mean, scale)


def certify_fold(
    rows: HeadRows,
    balls: list[Ball],
    scale: float,
    delta: float,
    rng: np.random.Generator,
) -> list[PathBound]:
    """The three statements of a fold.

    Args:
      rows: of the instances, in the context of the other fold.
      balls: heads fitted to the same instances.
      scale: b of the other fold.
      delta: failure probability of each statement, in (0, 1).
      rng: of the draws.

    Returns:
      `path_kl` and `path_coin_betting`, of the Gibbs policy, and `path_drawn`, of one
      head drawn from the posterior of the latter.
    """
    posteriors = path_posteriors.candidates(balls)
    pilot = [p.draw(rng, PILOT_DRAWS) for p in posteriors]
    seen = cut_losses(rows, np.concatenate(pilot), scale)
    share = (1.0 - DRAWS_SHARE) * delta / len(SCALES)
    by_kl, by_coin = path_posteriors.choose(
        posteriors, np.split(seen, len(posteriors)), share
    )
    found = []
    for name, posterior, bound in (
        ("path_kl", by_kl, gibbs_kl),
        ("path_coin_betting", by_coin, gibbs_coin),
    ):
        heads = posterior.draw(rng, DRAWS)
        losses = cut_losses(rows, heads, scale)
        terms = bound(losses, posterior.nats, delta, scale)
        found.append(PathBound(name, posterior, terms, heads))
    one = by_coin.draw(rng, 1)
    nats = max(0.0, path_posteriors.log_density_ratio(by_coin, one[0]))
    terms = drawn_coin(cut_losses(rows, one, scale), nats, delta, scale)
    drawn = by_coin._replace(nats=nats)
    return [*found, PathBound("path_drawn", drawn, terms, one)]
