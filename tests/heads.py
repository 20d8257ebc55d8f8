"""Instances with a linear head whose risk is known from a large sample of the law."""

import numpy as np

from ptft_jax.head_rows import HeadRows

DIMENSION, QUANTILE, SCALE = 4, 0.8, 2.0


def rows(n, seed, num_rows=2):
    """Demand 1 + ⟨v, h⟩ + exponential noise, two left-out rows of each instance."""
    rng = np.random.default_rng([seed, n])
    hidden = rng.standard_normal((num_rows, n, DIMENSION))
    hidden *= np.sqrt(DIMENSION) / np.linalg.norm(hidden, axis=-1, keepdims=True)
    base = np.full((num_rows, n), 1.2)
    label = 1.0 + 0.15 * hidden[..., 0] + 0.3 * rng.exponential(size=(num_rows, n))
    return HeadRows(
        base=base,
        scale=np.ones_like(base),
        hidden=hidden.astype(np.float32),
        unit=np.zeros_like(base),
        label=label,
        weight=np.full_like(base, 1.0 / num_rows),
        quantile=np.full(n, QUANTILE),
    )
