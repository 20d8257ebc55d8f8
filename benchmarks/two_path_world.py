"""A world in which every term of the two-path bound, and the excess, are exact.

Demand lives on 41 points of [0, 1]. P is the synthetic law, Q = (1−ε)P + εG the real
one. The head moves one decision, x = x⁰ + u with |u| ≤ r_j; its least empirical cost
there is the empirical quantile brought into the ball, so nothing is left to optimise.
"""

import numpy as np

from theory import capacity, two_path

QUANTILE = 0.8
POINTS = np.linspace(0.0, 1.0, 41)
SYNTHETIC = np.exp(-0.5 * ((POINTS - 0.4) / 0.12) ** 2)
SYNTHETIC /= SYNTHETIC.sum()
OTHER = np.exp(-0.5 * ((POINTS - 0.75) / 0.08) ** 2)
OTHER /= OTHER.sum()
SHARE = 0.15
REAL = (1.0 - SHARE) * SYNTHETIC + SHARE * OTHER
RADII = (0.05, 0.1, 0.2)
N_FIT = N_SELECT = 200


def cost(x: np.ndarray) -> np.ndarray:
    """Newsvendor cost of decisions [r] at every point, [r, k]."""
    gap = POINTS - np.asarray(x)[..., None]
    return np.maximum(QUANTILE * gap, (QUANTILE - 1.0) * gap)


def quantile(law: np.ndarray) -> np.ndarray:
    """Least point at which the distribution function reaches q, row by row."""
    reached = np.cumsum(law, axis=-1) >= QUANTILE * law.sum(axis=-1, keepdims=True)
    return POINTS[reached.argmax(axis=-1)]


def terms(delta: float, n_fit: int = N_FIT, n_select: int = N_SELECT):
    """The bound; none of its terms depends on the sample."""
    start, best = quantile(SYNTHETIC), quantile(REAL)
    least = float(cost(best) @ REAL)
    reach = [np.clip(best, start - r, start + r) for r in RADII]
    bounds = [
        max(QUANTILE * (1.0 - start + r), (1.0 - QUANTILE) * (start + r))
        for r in (0.0, *RADII)
    ]
    ones = np.ones(n_fit)
    slope = max(QUANTILE, 1.0 - QUANTILE)
    return two_path.bound(
        pretrain_excess=0.0,
        total_variation=float(np.abs(SYNTHETIC - REAL).sum()) / 2.0,
        mismatch_range=float(max(cost(start).max(), cost(best).max())),
        approximation=[max(0.0, float(cost(x) @ REAL) - least) for x in reach],
        rademacher=[capacity.linear_ball(ones[:, None], ones, r, slope) for r in RADII],
        optimisation=[0.0] * len(RADII),
        cost_bounds=bounds,
        n_fit=n_fit,
        n_select=n_select,
        delta=delta,
    )


def replicate(replications: int, delta: float, seed: int):
    """The bound, and the excess of the policy selected in each replication."""
    rng = np.random.default_rng(seed)
    fit, select = (
        rng.multinomial(n, REAL, replications).astype(float) for n in (N_FIT, N_SELECT)
    )
    start = quantile(SYNTHETIC)
    tried = [np.full(replications, start)]
    tried += [np.clip(quantile(fit), start - r, start + r) for r in RADII]
    costs = np.stack([cost(x) for x in tried])
    chosen = np.einsum("jrk,rk->jr", costs, select).argmin(axis=0)
    risk = np.take_along_axis(costs @ REAL, chosen[None], axis=0)[0]
    return terms(delta), risk - float(cost(quantile(REAL)) @ REAL)
