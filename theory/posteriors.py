"""What PAC-Bayes bounds need to know of a posterior: its divergence, and its draws."""

import math

import numpy as np

from theory import checks, kl
from theory.divergences import less_log1p


def gaussian_kl(
    mean_diff: checks.Numbers,
    prior_scale: checks.Numbers,
    posterior_scale: checks.Numbers,
) -> float:
    """Relative entropy of the Gaussian posterior to the Gaussian prior, in nats.

    ½ Σ_k [ln(σ₀²/σ²) + (σ² + Δ²)/σ₀² − 1]; ‖Δ‖²/2σ² for equal scales.

    Args:
      mean_diff: Δ, posterior mean minus prior mean, one number a coordinate.
      prior_scale: standard deviations σ₀ > 0.
      posterior_scale: standard deviations σ > 0. The three broadcast; the sum runs over
        the coordinates of the broadcast shape.

    Returns:
      KL ≥ 0, accurate also where the scales are nearly equal; increasing in every |Δ|;
      infinite where it overflows.

    Raises:
      ValueError: a scale is not positive and finite, or a difference is not finite.
    """
    diff = checks.finite("mean_diff", mean_diff)
    prior = checks.all_positive("prior_scale", prior_scale)
    posterior = checks.all_positive("posterior_scale", posterior_scale)
    diff, prior, posterior = np.broadcast_arrays(
        *(np.atleast_1d(x) for x in (diff, prior, posterior))
    )
    with np.errstate(over="ignore"):
        x = (posterior - prior) / prior
        near = np.abs(x) < 0.5
        # far apart the ratio of the scales rounds to 0 or overflows, its log does not
        apart = x - (np.log(posterior) - np.log(prior))
        scales = np.where(near, less_log1p(np.where(near, x, 0.0)), apart)
        return float(np.sum(0.5 * x**2 + scales + 0.5 * (diff / prior) ** 2))


def monte_carlo(mean_loss: float, draws: int | np.integer, delta_draws: float) -> float:
    """Upper bound on a Gibbs loss of which only draws were seen.

    kl⁻¹(R̄, ln(1/δ′) / M); put into `maurer_kl` it holds at confidence 1−δ−δ′.

    Args:
      mean_loss: R̄, mean over M draws from the posterior of the loss over the instances.
      draws: M ≥ 1, independent draws.
      delta_draws: failure probability δ′ in (0, 1), over the draws.

    Returns:
      The bound: increasing in R̄, decreasing in M and δ′.

    Raises:
      ValueError: an argument is out of range; see `checks`.

    Source: Langford & Caruana (2002); Hoeffding (1963), inequality (2.1).
    """
    mean = checks.number("mean_loss", mean_loss, 0.0, 1.0)
    draws = checks.count("draws", draws)
    checks.confidence(delta_draws)
    return kl.inverse_upper(mean, -math.log(delta_draws) / draws)
