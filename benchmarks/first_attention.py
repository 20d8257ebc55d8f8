"""How far the first attention across instances moves when one token is replaced."""

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from ptft_jax import features, statistics, types
from ptft_jax.model import Network
from theory import capacity


def _tokens(network, seen, fresh, quantile):
    """Queries of the first attention, tokens of the portfolio, and of replacements."""
    data, others = (types.portfolio(x, quantile) for x in (seen, fresh))
    stats = statistics.whole(data)
    told = network.embed_portfolio(features.portfolio_features(stats))
    encode = lambda x: network.encode(features.features(x, stats), stats)
    return network.seeds + told, encode(data), encode(others)


class Attention(NamedTuple):
    """The first attention: move of its output, measured and by its two bounds."""

    moved: float
    by_range: float
    by_weights: float
    kappa: float  # largest over heads


def measure(network: Network, params: Any, seen, fresh, quantile: float) -> Attention:
    """One token replaced, all else left, in float64.

    Every replacement stands in turn for each of the first tokens and for the heaviest.
    """
    given = network.apply(params, seen, fresh, quantile, method=_tokens)
    queries, tokens, others = (np.asarray(x, np.float64) for x in given)
    layer = params["params"]["collect_0"]
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), layer)
    n, size = len(tokens), queries.shape[1] // network.heads
    q = _normed(queries) * p["query_norm"]["scale"] @ p["q"]["kernel"]
    every = _normed(np.concatenate([tokens, others])) * p["key_norm"]["scale"]
    keys, values = (every @ p[c]["kernel"] for c in "kv")
    rows, by_range, by_weights, kappas = [], 0.0, 0.0, []
    for part in np.split(np.arange(queries.shape[1]), network.heads):
        score = q[:, part] @ keys[:, part].T / math.sqrt(size)
        score -= (score.max(1, keepdims=True) + score.min(1, keepdims=True)) / 2.0
        value = values[:, part] @ p["out"]["kernel"][part]
        value -= value[:n].mean(0)
        longest = float(np.linalg.norm(value, axis=1).max())
        weight = np.exp(score)
        others = weight[:, :n].sum(1) - weight[:, :n].max(1)
        least = float((others / weight.max(1)).min())
        seen = 0.5 * max(0.0, math.log((n - 1) / least))
        kappas.append(float(score.max()))
        by_range += capacity.attention_sensitivity(kappas[-1], longest, n)
        by_weights += capacity.attention_sensitivity(seen, longest, n)
        rows.append((weight, value))
    heaviest = [np.argmax(weight[:, :n], axis=1) for weight, _ in rows]
    out = np.unique(np.concatenate([np.arange(len(every) - n), *heaviest]))
    moved = sum(_replaced(weight, value, out, n) for weight, value in rows)
    most = float(np.linalg.norm(moved, axis=-1).max())
    return Attention(most, by_range, by_weights, max(kappas))


def _normed(x: np.ndarray) -> np.ndarray:
    centered = x - x.mean(1, keepdims=True)
    return centered / np.sqrt(x.var(1, keepdims=True) + 1e-6)


def _replaced(
    weight: np.ndarray, value: np.ndarray, out: np.ndarray, n: int
) -> np.ndarray:
    """Moves [token out, replacement, query, d] of one head's output."""
    total, sums = weight[:, :n].sum(1), weight[:, :n] @ value[:n]
    w_out, w_in = weight[:, out].T[:, None], weight[:, n:].T[None]
    new = sums - w_out[..., None] * value[out][:, None, None]
    new = new + w_in[..., None] * value[n:][None, :, None]
    return new / (total - w_out + w_in)[..., None] - sums / total[:, None]
