"""Managerial knowledge as a prior: what is known of demand before any of it is seen."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ptft_jax.worlds import demand_instances, demand_prior, demand_truth, transforms
from ptft_jax.worlds.demand_prior import Law
from ptft_jax.worlds.world import World

Range = Any  # a number, any sequence of two, or None: `_checked` says what is wrong
LARGEST_SHARE = 0.98
# drawn evenly and used as they are
PLAIN = {
    "skew": "skew",
    "lots": "lot_share",
    "comovement": "comovement",
    "stockouts": "stockout",
}
SHARE_SPREAD = 0.5  # sd of the logit of intermittency across instances
NUM_ROWS, NUM_PERIODS = 2048, 2  # that tell how often counts alone are 0


def demand(
    *,
    level: Range = None,
    spread: Range = None,
    noise: Range = None,
    intermittency: Range = None,
    is_count: bool | None = None,
    day_effect: Range = None,
    promotions: Range = None,
    promotion_lift: Range = None,
    skew: Range = None,
    lots: Range = None,
    comovement: Range = None,
    stockouts: Range = None,
    name: str | None = None,
) -> World:
    """The broad prior of demand, narrowed to what a manager knows.

    Each argument is a number that is known, a range (low, high), any sequence of two,
    that a portfolio's value is drawn from, or None: as broad as in
    `demand_prior.sample_law`. Pretrain on the world with
    `pretrain.run(…, sample_example=world.sample_example)`.

    Args:
      level: typical demand of an instance per period, > 0, in units; log-uniform.
      spread: sd of log level across instances, > 0; log-uniform.
      noise: relative sd of an instance's demand among like periods, > 0; log-uniform.
      intermittency: share of periods without any demand, over all instances, counts
        that happen to be 0 among them, in [0, .98]; uniform. Where these alone are
        more (e⁻¹ at a rate of one unit or lot), the share is theirs and none are
        added: `intermittency=0` adds none whatever the counts.
      is_count: whole numbers (True) or amounts (False), each as `sample_law` has them.
      day_effect: sd of log demand between types of day (weekdays), before a
        promotion's lift is known, ≥ 0; uniform.
      promotions: share of periods with a promotion, in [0, .98]; uniform.
      promotion_lift: factor of demand in a promotion over the mean of the other
        periods with demand, for the typical instance (others vary about it), > 0;
        log-uniform; with `promotions` only.
      skew: of the noise, in sinh–arcsinh units, about −1 to 1; uniform.
      lots: share of instances that sell several units at a time, in [0, 1]; uniform.
      comovement: how far the instances of a period have their noise and type of day in
        common (weather, season, promotions of the whole chain), in [0, 1]; uniform;
        0 where None. What is decided on is unchanged, what is seen says less.
      stockouts: share of the observed periods in which stock ran out, sales being 20%
        to all of demand, in [0, .98]; uniform; 0 where None. Costs are of demand.
      name: of the world; what is known where None.

    Returns:
      The world, with exact costs, full information and futures as the broad prior has.

    Raises:
      ValueError: what is neither a number nor two of them, a value out of its range,
        or a lift without promotions.
    """
    if promotion_lift is not None and promotions is None:
        raise ValueError("promotion_lift says nothing without promotions")
    known = {
        "level": _checked("level", level, least=1e-6),
        "spread": _checked("spread", spread, least=1e-6),
        "noise": _checked("noise", noise, least=demand_prior.MIN_NOISE),
        "intermittency": _checked("intermittency", intermittency, 0.0, LARGEST_SHARE),
        "day_effect": _checked("day_effect", day_effect, 0.0),
        "promotions": _checked("promotions", promotions, 0.0, LARGEST_SHARE),
        "promotion_lift": _checked("promotion_lift", promotion_lift, least=1e-6),
        "skew": _checked("skew", skew, -3.0, 3.0),
        "lots": _checked("lots", lots, 0.0, 1.0),
        "comovement": _checked("comovement", comovement, 0.0, 1.0),
        "stockouts": _checked("stockouts", stockouts, 0.0, LARGEST_SHARE),
    }

    def sample_law(key: Key[Array, ""]) -> Law:
        law_key, own_key = jax.random.split(key)
        return _narrowed(own_key, demand_prior.sample_law(law_key, is_count), known)

    told = {k: v for k, v in known.items() if v is not None} | (
        {} if is_count is None else {"is_count": is_count}
    )
    name = name or f"demand({', '.join(f'{k}={v}' for k, v in told.items())})"
    description = "the broad prior, narrowed to what is known of demand"
    return demand_truth.WORLD._replace(
        name=name, description=description, sample_law=sample_law
    )


def _pair(given: Range) -> tuple[float, float]:
    """A range's ends, a number's twice; not a number where it is neither."""
    try:
        numbers = np.asarray(given)
    except ValueError:  # sequences of different lengths
        numbers = np.array(None)
    if numbers.dtype.kind not in "iuf" or numbers.shape not in ((), (2,)):
        return np.nan, np.nan
    low, high = np.broadcast_to(numbers, 2).tolist()
    return float(low), float(high)


def _checked(
    name: str, given: Range, least: float = -np.inf, most: float = np.inf
) -> tuple[float, float] | None:
    if given is None:
        return None
    low, high = _pair(given)
    if not (least <= low <= high <= most and high < np.inf):
        wanted = f"in [{least:g}, {most:g}]" if most < np.inf else f"at least {least:g}"
        raise ValueError(
            f"{name} must be a number or two {wanted}, low before high, got {given!r}"
        )
    return low, high


def _narrowed(key: Key[Array, ""], law: Law, known: dict) -> Law:
    """The law with what is known in place of what was drawn."""
    draws = dict(zip(known, jax.random.uniform(key, (len(known),)), strict=True))
    logs = lambda name: jnp.log(transforms.log_between(draws[name], *known[name]))
    even = lambda name: known[name][0] + (known[name][1] - known[name][0]) * draws[name]
    made: dict[str, Any] = {}
    if known["level"]:
        made["level"] = logs("level")
    if known["spread"]:
        made["spread"] = jnp.exp(logs("spread"))
    if known["noise"]:
        made["noise"] = logs("noise")
    for name, field in PLAIN.items():
        if known[name]:
            made[field] = even(name)
    if known["day_effect"]:
        made |= _days(law, even("day_effect"))
    if known["promotions"]:
        lift = logs("promotion_lift") if known["promotion_lift"] else None
        made |= _promotions(law._replace(**made), even("promotions"), lift)
    if known["intermittency"]:
        # last: how often counts are 0 depends on all the rest
        made |= _zeros(law._replace(**made), even("intermittency"))
    return law._replace(**made)


def _zeros(law: Law, share: Float[Array, ""]) -> dict[str, Any]:
    """Structural zeros p̄ that make up the share: p̄ + (1 − p̄) P(none) = share, p̄ ≥ 0.

    Across instances p = σ(a + s z); with a = logit(p̄) √(1 + π s²/8) its mean is p̄
    within .003 (MacKay 1992).
    """
    alone = _none_sold(law)
    added = ((share - alone) / jnp.maximum(1.0 - alone, 1e-6)).clip(0.0, LARGEST_SHARE)
    logit = jnp.log(added.clip(1e-12)) - jnp.log1p(-added)
    spread = jnp.where(added > 0.0, SHARE_SPREAD, 0.0)
    widened = logit * jnp.sqrt(1.0 + jnp.pi * spread**2 / 8.0)
    return {"zero_logit": widened.clip(demand_prior.NO_ZEROS), "zero_spread": spread}


def _none_sold(law: Law) -> Float[Array, ""]:
    """P(none): periods without demand where there are no structural zeros.

    E exp(−rate / lot) over instances, noise and days for counts; for amounts the share
    that the Box–Cox transform cuts at 0. The same evenly spread draws for every law.
    """
    row_key, period_key = jax.random.split(jax.random.key(0))
    rows = demand_instances.sample_instances(row_key, law, NUM_ROWS)
    none = jnp.zeros((NUM_ROWS,))
    smooth = rows._replace(is_count=none > 0.0, zero_share=none)
    rate = demand_instances.future_demand(period_key, smooth, NUM_PERIODS)
    empty = jnp.exp(-rate / rows.lot[:, None])
    return jnp.where(law.is_count, empty, rate <= 0.0).mean()


def _days(law: Law, effect: Float[Array, ""]) -> dict[str, Any]:
    """Lifts of the law's days, scaled to a standard deviation of `effect`."""
    away = law.day_lift - law.day_lift.mean()
    size = jnp.sqrt((away**2).mean())
    # a law whose days are alike has no direction to scale
    even = jnp.linspace(-1.0, 1.0, demand_prior.NUM_DAY_TYPES) * jnp.sqrt(1.5)
    unit = jnp.where(size > 1e-6, away / jnp.maximum(size, 1e-6), even)
    spread = jnp.full_like(unit, 0.3 * effect)
    return {"day_lift": effect * unit, "day_spread": spread}


def _promotions(law, share, lift) -> dict[str, Any]:
    """The last type of day is the promotion.

    Its log demand is `lift` above log Σₖ wₖ exp(liftₖ), the mean of the other types.
    """
    usual = jax.nn.logsumexp(law.day_logit[:-1])
    logit = usual + jnp.log(share.clip(1e-12)) - jnp.log1p(-share)
    made = {"day_logit": law.day_logit.at[-1].set(logit)}
    if lift is not None:
        weights = jax.nn.softmax(law.day_logit[:-1])
        mean = jax.nn.logsumexp(law.day_lift[:-1], b=weights)
        made["day_lift"] = law.day_lift.at[-1].set(mean + lift)
    return made
