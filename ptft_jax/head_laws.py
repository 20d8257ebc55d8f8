"""Laws of fine-tuning the head, evaluated on the features of an actual network.

The n instances and what the network makes of them are given: x = x⁰ + s⟨u, h⟩. Only the
labels Y_i, one an instance, are random. Every excess is over the best head for these
instances, so nothing is assumed of how well a head can do.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ptft_jax import head, risk
from ptft_jax.model import Decision
from ptft_jax.worlds.world import World, in_float64
from theory import laws

NUM_NEWTON = 60
UNBOUNDED = 1e6  # radius of a ball that no head reaches
Matrix = Float[np.ndarray, "n d"]
Vector = Float[np.ndarray, "n"]


class RidgeLaw(NamedTuple):
    """Expected excess squared cost per instance of the ridge-pulled head."""

    best: Float[np.ndarray, "d"]
    pretrain: float  # of the pretrained head
    unequal: float  # predicted, with every instance's own variance
    equal: float  # predicted, with the mean variance for all


class SandwichLaw(NamedTuple):
    """Asymptotic excess newsvendor cost, in units of the mean scale."""

    best: Float[np.ndarray, "d"]
    pretrain: float  # of the pretrained head
    predicted: float


@functools.cache
def _bind(function, *static, **options):
    """A partial that is the same object for the same arguments: it compiles once."""
    return functools.partial(function, *static, **options)


def design(decision: Decision) -> Matrix:
    """Features of the linear model that the head is: Φ_i = s_i h_i.

    Args:
      decision: of n instances.

    Returns:
      Φ [n, d] in float64.
    """
    scale = np.asarray(decision.scale, np.float64)
    return scale[:, None] * np.asarray(decision.hidden, np.float64)


def leading(decision: Decision, rank: int) -> Decision:
    """The decision with features in the k directions that move it most.

    h is replaced by its coordinates along the leading eigenvectors of Σ s² h hᵀ.

    Args:
      decision: of n instances.
      rank: 1 ≤ k ≤ d.

    Returns:
      The decision with features [n, k].

    Raises:
      ValueError: the rank is out of range.
    """
    width = decision.hidden.shape[-1]
    if not 1 <= rank <= width:
        raise ValueError(f"rank = {rank} is not in [1, {width}]")
    _, _, basis = np.linalg.svd(design(decision), full_matrices=False)
    hidden = np.asarray(decision.hidden, np.float64) @ basis[:rank].T
    return decision._replace(hidden=jnp.asarray(hidden, decision.hidden.dtype))


def ridge_heads(
    features: Float[Array, "n d"], residual: Float[Array, "n k"], penalty: float
) -> Float[Array, "d k"]:
    """Heads argmin ‖r − Φu‖²/n + λ‖u‖², one for each column of residuals r = Y − x⁰.

    Args:
      features: Φ.
      residual: labels less the pretrained decisions, [n, k].
      penalty: λ > 0.

    Returns:
      The heads.
    """
    n, d = features.shape
    gram = features.T @ features / n + penalty * jnp.eye(d, dtype=features.dtype)
    return jnp.linalg.solve(gram, features.T @ residual / n)


def ridge(
    decision: Decision, mean: Vector, variance: Vector, penalty: float
) -> RidgeLaw:
    """The ridge law on these features, fixed design, exact at every n.

    `theory.laws.ridge_to_pretrained` at Φ = s h, D = −u*, u* the least-squares head of
    the true means. What no head explains, E Y − x⁰ − Φu*, is orthogonal to Φ in this
    design and changes neither the fit nor the excess.

    Args:
      decision: of n instances.
      mean: E Y_i, [n].
      variance: Var Y_i, [n].
      penalty: λ > 0, in squared units of the observations.

    Returns:
      The law with unequal variances, and what it would be were they equal.

    Raises:
      ValueError: as `theory.laws.ridge_to_pretrained`.

    Source: ours.
    """
    phi, variance = design(decision), np.asarray(variance, np.float64)
    gap = np.asarray(mean, np.float64) - np.asarray(decision.base, np.float64)
    best = np.linalg.lstsq(phi, gap, rcond=None)[0]
    law = functools.partial(laws.ridge_to_pretrained, phi, -best, penalty=penalty)
    return RidgeLaw(
        best,
        float(((phi @ best) ** 2).mean()),
        law(noise_variance=variance),
        law(noise_variance=float(variance.mean())),
    )


def ridge_excess(
    decision: Decision, mean: Vector, labels: Matrix, penalty: float
) -> Float[np.ndarray, "k"]:
    """Measured excess expected squared cost of the heads fitted to each set of labels.

    Args:
      decision: of n instances.
      mean: E Y_i, [n].
      labels: Y [n, k], k sets.
      penalty: λ > 0.

    Returns:
      mean_i (E Y_i − x_i(û))² − the same at the best head, for each set.
    """
    phi = design(decision)
    base, mean = (np.asarray(v, np.float64) for v in (decision.base, mean))
    residual = np.asarray(labels, np.float64) - base[:, None]
    fitted = in_float64(ridge_heads, phi, residual, penalty)
    best = np.linalg.lstsq(phi, mean - base, rcond=None)[0]
    missed = lambda u: (((mean - base)[:, None] - phi @ u) ** 2).mean(0)
    return missed(fitted) - missed(best[:, None])


def _curves(world: World, instances, x, quantile):
    """Cost, P(ξ ≤ x) − q and density at the decisions, from the exact expected cost."""
    cost = lambda x: world.expected_cost(instances, x, quantile)
    one = jnp.ones_like(x)
    slope = lambda x: jax.jvp(cost, (x,), (one,))[1]
    return cost(x), slope(x), jax.jvp(slope, (x,), (one,))[1]


def _head_cost(world, instances, decision, quantile, u):
    x = risk.apply_head(decision, u)
    return world.expected_cost(instances, x, quantile).mean() / decision.scale.mean()


def _head_costs(world, instances, decision, quantile, heads):
    """Of each head in turn: all at once would fill the memory."""
    cost = functools.partial(_head_cost, world, instances, decision, quantile)
    return jax.lax.map(cost, heads)


def _best_head(world, instances, decision, quantile):
    """Newton's method with halved steps, in the metric of the features."""
    mean_scale = decision.scale.mean()
    phi = decision.scale[:, None] * decision.hidden
    cost = functools.partial(_head_cost, world, instances, decision, quantile)

    def step(u, _):
        x = risk.apply_head(decision, u)
        _, slope, density = _curves(world, instances, x, quantile)
        gradient = phi.T @ slope / len(x) / mean_scale
        hessian = (phi.T * density) @ phi / len(x) / mean_scale
        floor = 1e-12 * jnp.trace(hessian) * jnp.eye(len(u), dtype=u.dtype)
        move = jnp.linalg.solve(hessian + floor, gradient)
        tried = u - 0.5 ** jnp.arange(12.0, dtype=u.dtype)[:, None] * move
        costs = jax.vmap(cost)(tried)
        return jnp.where(costs.min() < cost(u), tried[jnp.argmin(costs)], u), None

    start = jnp.zeros(decision.hidden.shape[-1], decision.base.dtype)
    return jax.lax.scan(step, start, length=NUM_NEWTON)[0]


def sandwich(
    world: World,
    instances: tuple,
    decision: Decision,
    quantile: Vector,
    penalty: float = 0.0,
) -> SandwichLaw:
    """The sandwich law of newsvendor head fine-tuning on these features.

    `theory.laws.sandwich_to_pretrained` at the best head u*, found by Newton's method
    on the exact expected cost: H = mean f s² h hᵀ, V = mean F(1−F) s² h hᵀ, f and F the
    true density and distribution at the decision x_i(u*). V is the covariance of the
    score given the instances; at its second moment the score's own mean would count,
    which is noise only where instances are drawn anew.

    Args:
      world: with a smooth expected cost.
      instances: drawn by `world.sample_instances`, n rows.
      decision: of the network for them.
      quantile: critical ratios, [n].
      penalty: λ ≥ 0 of `head.solve`, where costs are in units of the mean scale.

    Returns:
      The law; right as n/d → ∞, and for λ so small that the cost is quadratic on the
      way to the pretrained head.

    Raises:
      ValueError: the Hessian is singular: the features are too many for n.

    Source: ours, from van der Vaart (1998), Theorem 5.23.
    """
    best = in_float64(_bind(_best_head, world), instances, decision, quantile)
    x = in_float64(risk.apply_head, decision, best)
    _, slope, density = in_float64(_bind(_curves, world), instances, x, quantile)
    above = np.clip(1.0 - slope - np.asarray(quantile, np.float64), 0.0, 1.0)
    hidden = np.asarray(decision.hidden, np.float64)
    scale = np.asarray(decision.scale, np.float64)
    unit = scale.mean()
    hessian = laws.pinball_hessian(hidden, scale, np.maximum(density, 0.0)) / unit
    # A score of mean zero for each instance has its critical ratio at F.
    score = laws.pinball_score_covariance(hidden, scale, 1.0 - above, above) / unit**2
    predicted = laws.sandwich_to_pretrained(hessian, score, -best, penalty, len(scale))
    heads = np.stack([np.zeros_like(best), best])
    start, least = in_float64(
        _bind(_head_costs, world), instances, decision, quantile, heads
    )
    return SandwichLaw(best, float(start - least), predicted)


def solve_heads(
    decision: Decision,
    labels: Float[Array, "n k"],
    quantile: Float[Array, "n"],
    *,
    penalty: float = 0.0,
    num_steps: int = 400,
    smoothing: float = 0.004,
) -> Float[Array, "k d"]:
    """Heads that `head.solve` fits to each set of labels, in a ball that never binds.

    Args:
      decision: of n instances.
      labels: Y [n, k], k sets.
      quantile: critical ratios.
      penalty: λ ≥ 0.
      num_steps: of the accelerated projection.
      smoothing: half-width of the rounded kink, in units of scale.

    Returns:
      The heads.
    """
    rows = jax.tree.map(lambda leaf: leaf[None], decision)
    weight, radius = jnp.ones_like(quantile), jnp.asarray(UNBOUNDED, quantile.dtype)

    def fit(label):
        task = risk.Rows(rows, label[None], weight[None])
        options = (num_steps, smoothing, penalty)
        return head.solve(task, quantile, weight, radius, *options).head

    return jax.vmap(fit, 1)(labels)


def sandwich_excess(
    world: World,
    instances: tuple,
    decision: Decision,
    quantile: Vector,
    labels: Float[Array, "n k"],
    best: Float[np.ndarray, "d"],
    penalty: float = 0.0,
) -> Float[np.ndarray, "k"]:
    """Measured excess expected cost of the heads fitted to each set of labels.

    Args:
      world: the labels are from.
      instances: n rows.
      decision: of the network for them.
      quantile: critical ratios, [n].
      labels: Y [n, k].
      best: u* of `sandwich`.
      penalty: λ ≥ 0.

    Returns:
      Exact expected cost of each head less that of u*, in units of the mean scale.
    """
    heads = in_float64(_bind(solve_heads, penalty=penalty), decision, labels, quantile)
    heads = np.concatenate([heads, best[None]])
    costs = in_float64(_bind(_head_costs, world), instances, decision, quantile, heads)
    return costs[:-1] - costs[-1]
