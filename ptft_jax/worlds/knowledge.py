"""Managerial knowledge as a prior: what is known of demand before any of it is seen."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ptft_jax.worlds import demand_prior, demand_truth, transforms
from ptft_jax.worlds.demand_prior import Law
from ptft_jax.worlds.world import World

Range = float | tuple[float, float] | None
LARGEST_SHARE = 0.98
# drawn evenly and used as they are
PLAIN = {
    "skew": "skew",
    "lots": "lot_share",
    "comovement": "comovement",
    "stockouts": "stockout",
}
SHARE_SPREAD = 0.5  # sd of the logit of intermittency across instances


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

    Each argument is a number that is known, a range (low, high) that a portfolio's
    value is drawn from, or None: as broad as in `demand_prior.sample_law`. Pretrain on
    the world with `pretrain.run(…, sample_example=world.sample_example)`.

    Args:
      level: typical demand of an instance per period, > 0, in units; log-uniform.
      spread: sd of log level across instances, > 0; log-uniform.
      noise: relative sd of an instance's demand among like periods, > 0; log-uniform.
      intermittency: share of periods without any demand, in [0, .98]; uniform.
      is_count: whole numbers (True) or amounts (False).
      day_effect: sd of log demand between types of day (weekdays), ≥ 0; uniform.
      promotions: share of periods with a promotion, in [0, .98]; uniform.
      promotion_lift: factor on demand in a promotion, > 0; log-uniform; with
        `promotions` only.
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
      ValueError: a value out of its range, or a lift without promotions.
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
        law = _narrowed(own_key, demand_prior.sample_law(law_key), known)
        return law if is_count is None else _of_kind(law, is_count)

    told = {k: v for k, v in known.items() if v is not None} | (
        {} if is_count is None else {"is_count": is_count}
    )
    name = name or f"demand({', '.join(f'{k}={v}' for k, v in told.items())})"
    description = "the broad prior, narrowed to what is known of demand"
    return demand_truth.WORLD._replace(
        name=name, description=description, sample_law=sample_law
    )


def _checked(
    name: str, given: Range, least: float = -jnp.inf, most: float = jnp.inf
) -> tuple[float, float] | None:
    if given is None:
        return None
    low, high = given if isinstance(given, tuple) else (given, given)
    if not least <= low <= high <= most:
        wanted = (
            f"in [{least:g}, {most:g}]" if most < jnp.inf else f"at least {least:g}"
        )
        raise ValueError(f"{name} must be {wanted}, low before high, got {given}")
    return float(low), float(high)


def _of_kind(law: Law, is_count: bool) -> Law:
    return law._replace(is_count=jnp.full_like(law.is_count, is_count))


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
    if known["intermittency"]:
        made |= _zeros(law, even("intermittency"))
    if known["day_effect"]:
        made |= _days(law, even("day_effect"))
    if known["promotions"]:
        lift = logs("promotion_lift") if known["promotion_lift"] else None
        made |= _promotions(law._replace(**made), even("promotions"), lift)
    return law._replace(**made)


def _zeros(law: Law, share: Float[Array, ""]) -> dict[str, Any]:
    logit = jnp.log(share.clip(1e-12)) - jnp.log1p(-share)
    spread = jnp.where(share > 0.0, SHARE_SPREAD, 0.0)
    return {"zero_logit": logit.clip(-30.0), "zero_spread": spread}


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
    """The last type of day is the promotion."""
    usual = jax.nn.logsumexp(law.day_logit[:-1])
    logit = usual + jnp.log(share.clip(1e-12)) - jnp.log1p(-share)
    made = {"day_logit": law.day_logit.at[-1].set(logit)}
    if lift is not None:
        made["day_lift"] = law.day_lift.at[-1].set(lift)
    return made
