"""Posteriors between the pretrained head and fine-tuned ones, and which look best.

Prior N(0, σ²I) on the head, posterior N(t û_r, σ²I): every σ of `SCALES`, every step t
of `STEPS` and every ball.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from ptft_jax.head_rows import Ball
from theory import pac_bayes

SCALES = (0.002, 0.006, 0.02)
STEPS = (0.25, 0.5, 0.75, 1.0)

Losses = Float64[np.ndarray, "k n"]


class Posterior(NamedTuple):
    """N(t û, σ²I), to the prior N(0, σ²I).

    Attributes:
      mean: t û.
      scale: σ.
      step: t.
      radius: of the ball of û; 0 for the prior.
      nats: KL(Q‖P).
    """

    mean: Float64[np.ndarray, "d"]
    scale: float
    step: float
    radius: float
    nats: float

    def draw(self, rng: np.random.Generator, num_draws: int):
        """Heads drawn from the posterior.

        Args:
          rng: numpy's generator.
          num_draws: k ≥ 1.

        Returns:
          Heads, [k, d].
        """
        noise = rng.standard_normal((num_draws, len(self.mean)))
        return self.mean + self.scale * noise


def candidates(balls: list[Ball]) -> list[Posterior]:
    """Every scale at the prior itself and at every step towards every head.

    Args:
      balls: û_r.

    Returns:
      Posteriors, those of step 0 first.
    """
    found = [
        Posterior(np.zeros_like(balls[0].head), scale, 0.0, 0.0, 0.0)
        for scale in SCALES
    ]
    for ball in balls:
        for step in STEPS:
            for scale in SCALES:
                mean = step * ball.head
                nats = pac_bayes.gaussian_kl(mean, scale, scale)
                found.append(Posterior(mean, scale, step, ball.radius, nats))
    return found


def log_density_ratio(posterior: Posterior, u: Float64[np.ndarray, "d"]) -> float:
    """Density of the posterior over that of the prior: ln dQ/dP = (‖u‖²−‖u−tû‖²)/2σ².

    Args:
      posterior: Q, with its prior.
      u: a head.

    Returns:
      The logarithm, of either sign; its mean over Q is the KL.
    """
    return float(u @ u - (u - posterior.mean) @ (u - posterior.mean)) / (
        2.0 * posterior.scale**2
    )


def choose(
    posteriors: list[Posterior], losses: list[Losses], delta: float
) -> tuple[Posterior, Posterior]:
    """The posteriors that look best for the two forms of the bound.

    By `maurer_kl` of the mean loss, and by the expansion μ̂ + √(2VC/n) + C/n of the
    coin-betting bound. The choice may use the instances and draws of its own.

    Args:
      posteriors: to choose from.
      losses: of some draws from each.
      delta: failure probability of the bound, for one scale of the prior.

    Returns:
      The choice for kl and that for coin betting.
    """
    n = losses[0].shape[1]
    by_kl, by_coin = [], []
    for posterior, x in zip(posteriors, losses, strict=True):
        mean = float(x.mean())
        by_kl.append(pac_bayes.maurer_kl(mean, posterior.nats, n, delta))
        budget = posterior.nats - math.log(delta) + 0.5 * math.log(math.pi * n)
        spread = math.sqrt(2.0 * float(x.mean(0).var()) * budget / n)
        by_coin.append(mean + spread + budget / n)
    return posteriors[int(np.argmin(by_kl))], posteriors[int(np.argmin(by_coin))]
