"""Losses in [0, 1] of known law, and the exact miscoverage of bounds on their mean."""

import numpy as np
from scipy import stats

from theory import certificates

DELTA = 0.05
BOUNDS = ("hoeffding", "empirical_bernstein", "kl_chernoff", "bentkus", "betting")
P_GRID = np.concatenate([[0.001, 0.01, 0.02, 0.03], np.arange(1, 20) / 20, [0.99]])


def upper_bound(name):
    return getattr(certificates, name)


def lower_bound(name):
    return getattr(certificates, f"{name}_lower")


def zeros_and_ones(k, n):
    return np.repeat([1.0, 0.0], [k, n - k])


def miscoverage_of_counts(bounds, n, p):
    """P(U(k) < p) for k ~ Bin(n, p), exactly."""
    return stats.binom.pmf(np.arange(n + 1), n, p)[np.asarray(bounds) < p].sum()


def every_sequence(n):
    """All 2ⁿ sequences of n losses in {0, 1}."""
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)


def miscoverage_of_sequences(bounds, sequences, p):
    """P(U(x) < p) for x ~ Bernoulli(p)ⁿ, exactly, order included."""
    ones = sequences.sum(axis=1)
    chance = p**ones * (1.0 - p) ** (sequences.shape[1] - ones)
    return chance[bounds < p].sum()


def beta_losses(key, shape):
    """Mean .05, standard deviation .05."""
    return np.random.default_rng(key).beta(0.9, 17.1, shape)
