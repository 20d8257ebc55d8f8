"""PAC-Bayes along the path from the pretrained head to a fine-tuned one."""

import math

import numpy as np
from scipy import special, stats

from ptft_jax.paths import certified
from ptft_jax.paths import problem as problem_
from ptft_jax.paths.certified import Row, Sample, World
from ptft_jax.paths.problem import Problem
from theory import pac_bayes

STEPS = np.linspace(0.0, 1.0, 9)
SCALE = 0.01  # σ of the Gaussian prior and posterior of a head
WIDTH = 6.0  # posterior sds inside which decisions are not cut


def bound(world: World, sample: Sample) -> list[Row]:
    """PAC-Bayes bound of the mean head, least along φ₀ → û at no cost.

    Posterior N(tû, σ²I), prior N(0, σ²I), KL = t²‖û‖²/2σ². Maurer's bound needs losses
    in [0, B]: those of decisions cut 6 posterior sds beyond what the ball reaches, a
    cut around x⁰ that may raise or lower a cost. A cost changes by at most `tail` in
    the mean over the posterior, so R̂_cut ≤ R̂ + tail and R ≤ R_cut + tail. By Jensen's
    inequality R is at least the cost of the head tû.

    Args:
      world: what is known of the world.
      sample: one seed at one n; û is in the ball of `world.path_radius`.

    Returns:
      Rows `pac_bayes_path`; the risk is the cost of the head tû of the chosen t.
    """
    problem, decided, n = world.problem, sample.decided, len(sample.decided.label)
    reach = world.radii[world.path_radius] + WIDTH * SCALE
    largest = problem.largest(problem.move(reach))
    sd = decided.scale * SCALE * math.sqrt(world.width)
    empirical = np.array(
        [
            problem.randomised(
                problem_.decisions(decided, t * sample.path_head), sd, decided.label
            ).mean()
            for t in STEPS
        ]
    )
    nats = (STEPS * np.linalg.norm(sample.path_head) / SCALE) ** 2 / 2.0
    tail = cut_cost(problem, reach)
    scaled = np.minimum((empirical + tail) / largest, 1.0)
    least = pac_bayes.path_minimum(scaled, nats, n, world.delta)
    total = largest * least.bound + tail
    at = lambda t: largest * pac_bayes.maurer_kl(scaled[t], nats[t], n, world.delta)
    terms = {
        "total": total,
        "empirical": empirical[least.step],
        "deviation": total - 2.0 * tail - empirical[least.step],
        "tail": 2.0 * tail,
        "kl": nats[least.step],
        "step": STEPS[least.step],
        "no_change": at(0) + tail,
        "end": at(-1) + tail,
    }
    risk = world.bayes + float(sample.path[least.step])
    return certified.rows("pac_bayes_path", terms, risk, world.delta)


def cut_cost(problem: Problem, reach: float) -> float:
    """What cutting the decisions of the posterior changes in a mean cost, at most.

    2 L sd (φ(k) − kΦ(−k)): both ends, k = `WIDTH` sds away or more; L holds one mean
    overshoot beyond the cut and more.

    Args:
      problem: its ranges are used.
      reach: radius of the ball that decisions are cut to.

    Returns:
      `tail`, in units of cost, of either sign at most.
    """
    spread = problem.move(SCALE)
    beyond = stats.norm.pdf(WIDTH) - WIDTH * special.ndtr(-WIDTH)
    return 2.0 * problem.slope(problem.move(reach) + spread) * spread * float(beyond)
