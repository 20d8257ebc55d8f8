"""Simulated worlds by name."""

from ptft_jax.worlds import contaminated, demand_truth, gamma_poisson, lognormal
from ptft_jax.worlds.knowledge import demand as demand
from ptft_jax.worlds.world import World as World


def _doubled(key):
    law = gamma_poisson.sample_law(key)
    return law._replace(mean=2.0 * law.mean)


WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        gamma_poisson.WORLD,
        lognormal.WORLD,
        demand_truth.WORLD,
        contaminated.contaminated(
            gamma_poisson.WORLD,
            gamma_poisson.WORLD._replace(sample_law=_doubled),
            0.1,
            name="contaminated",
            description="gamma_poisson, a tenth of the instances from twice the mean",
        ),
    )
}
