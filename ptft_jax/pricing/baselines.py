"""What a user would do instead: prices without a network.

Every rule is a pure function of products, jitted, may be `vmap`ped, and returns a price
of the menu; 0 for padding, which changes no other decision.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ptft_jax.pricing import demand_law, regression, rule
from ptft_jax.pricing.demand_law import DemandLaw, Seen


def _best_under(seen: Seen, law: DemandLaw) -> Float[Array, "n"]:
    value = demand_law.relative_profit(law, seen.menu, seen.unit_cost)
    return demand_law.best_price(value, seen.menu)


def _best(seen: Seen, fits, elasticity: Float[Array, "n"]) -> Float[Array, "n"]:
    flat = jnp.zeros_like(elasticity)
    cut = elasticity.clip(0.0, regression.GREATEST_ELASTICITY)
    return _best_under(seen, DemandLaw(fits.log_reference, flat, cut, flat, flat))


def _population(seen: Seen, fits) -> regression.Population:
    return regression.population(fits, demand_law.present(seen))


@jax.jit
def own_regression(seen: Seen) -> Float[Array, "n"]:
    """Each product's log–log regression, its elasticity cut to [0, 10].

    Args:
      seen: n products.

    Returns:
      Prices; `mean_price` where fewer than two prices were logged.
    """
    fits = regression.fit(seen)
    return jnp.where(
        fits.information > 0.0, _best(seen, fits, fits.elasticity), mean_price(seen)
    )


@jax.jit
def pooled_elasticity(seen: Seen) -> Float[Array, "n"]:
    """One elasticity for all products: regression with an intercept each.

    ε = −Σ_ij x_ij y_ij / Σ_ij x_ij², x and y less the product's means.

    Args:
      seen: n products.

    Returns:
      Prices; `mean_price` where no product's price ever changed.
    """
    fits = regression.fit(seen)
    total = fits.information.sum()
    common = -(fits.x * fits.y).sum() / jnp.where(total > 0.0, total, 1.0)
    chosen = _best(seen, fits, jnp.full_like(fits.elasticity, common))
    return jnp.where(total > 0.0, chosen, mean_price(seen))


@jax.jit
def hierarchical_eb(seen: Seen) -> Float[Array, "n"]:
    """Elasticities shrunk to their mean, its spread across products by likelihood.

    Args:
      seen: n products.

    Returns:
      Prices.
    """
    fits = regression.fit(seen)
    shrunk = regression.shrink(fits, _population(seen, fits))
    return _best(seen, fits, shrunk.elasticity)


@jax.jit
def predictive_eb(seen: Seen) -> Float[Array, "n"]:
    """As `hierarchical_eb`, with what is not known of an elasticity averaged over.

    E e^{−εx} = e^{−ε̃x + s̃²x²/2} for ε ~ N(ε̃, s̃²): a bend b = s̃²/2.

    Args:
      seen: n products.

    Returns:
      Prices.
    """
    fits = regression.fit(seen)
    shrunk = regression.shrink(fits, _population(seen, fits))
    law = regression.plug_in(fits, shrunk)
    return _best_under(seen, law._replace(bend=shrunk.elasticity_sd**2 / 2.0))


@jax.jit
def price_points(seen: Seen) -> Float[Array, "n"]:
    """As `hierarchical_eb`, with what sells at a price beyond the curve, shrunk.

    Args:
      seen: n products.

    Returns:
      Prices: those of the network's problem where the network says 0.
    """
    return _best_under(seen, rule.plug_in(seen, rule.summarize(seen)).law)


@jax.jit
def mean_price(seen: Seen) -> Float[Array, "n"]:
    """The allowed price nearest to the (geometric) mean of those logged.

    Args:
      seen: n products.

    Returns:
      Prices; near the mean of the menu where nothing was logged.
    """
    reference = jnp.exp(regression.fit(seen).log_reference)
    index = demand_law.nearest(reference[:, None], seen.menu)[:, 0]
    return demand_law.pick(seen.menu, index)


@jax.jit
def last_price(seen: Seen) -> Float[Array, "n"]:
    """The allowed price nearest to the last one logged.

    Args:
      seen: n products, pairs in time order.

    Returns:
      Prices; `mean_price` where nothing was logged.
    """
    m = seen.valid.shape[1]
    last = m - 1 - seen.valid[:, ::-1].argmax(1)
    price = demand_law.pick(seen.price, last)
    index = demand_law.nearest(price[:, None], seen.menu)[:, 0]
    kept = demand_law.pick(seen.menu, index)
    return jnp.where(seen.valid.any(1), kept, mean_price(seen))


@jax.jit
def best_logged(seen: Seen) -> Float[Array, "n"]:
    """Sample average: the allowed price that earned the most in its logged periods.

    A pair counts for the allowed price nearest to its own, at that price's margin.

    Args:
      seen: n products.

    Returns:
      Prices; `mean_price` where nothing was logged.
    """
    index = demand_law.nearest(seen.price, seen.menu)
    at = jax.nn.one_hot(index, seen.menu.shape[1]) * seen.valid[..., None]
    periods = at.sum(1)
    units = (at * seen.units[..., None]).sum(1) / jnp.maximum(periods, 1.0)
    earned = (seen.menu - seen.unit_cost[:, None]) * units
    chosen = demand_law.best_price(
        jnp.where(periods > 0.0, earned, -jnp.inf), seen.menu
    )
    return jnp.where(seen.valid.any(1), chosen, mean_price(seen))


PRICING: dict[str, Callable] = {
    "own_regression": own_regression,
    "pooled_elasticity": pooled_elasticity,
    "hierarchical_eb": hierarchical_eb,
    "predictive_eb": predictive_eb,
    "price_points": price_points,
    "mean_price": mean_price,
    "last_price": last_price,
    "best_logged": best_logged,
}
