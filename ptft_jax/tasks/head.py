"""Fine-tuning the head in a ball, in simulated worlds with a mismatch, certified.

The pretrained policy attends to a frozen synthetic portfolio. The head is fitted on the
first 3n/4 instances; the rest certify it. Costs are cut at twice the largest cost on
the first part, so that they are bounded by a number the others do not know.
"""

import pathlib
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ptft_jax.paths import heads, policy, problem
from ptft_jax.task import Run, Swept, Task, Traced
from ptft_jax.tasks import ground
from theory import certificates, checks


@dataclass(frozen=True)
class HeadConfig:
    """Static configuration.

    Attributes:
      world: gaussian_means, gamma_poisson or contaminated.
      n_max: largest n of the program, which all its cells pay for.
      observations: of each instance, 0 for the world's own.
      pool: fresh instances that errors are averaged over.
      width: of the network.
      num_steps: of pretraining.
    """

    world: str = "gaussian_means"
    n_max: int = 2048
    observations: int = 0
    pool: int = 1 << 13
    width: int = 32
    num_steps: int = 1000


def make(config: HeadConfig, folder: pathlib.Path) -> Run:
    """Returns `run(key, swept)`: regrets, and what a certificate needs.

    Args:
      config: static configuration.
      folder: the pretrained network is kept there.

    Returns:
      A pure function; n, mismatch and radius are traced.
    """
    base = ground.prepare(
        config.world, config.observations, config.width, config.num_steps, folder
    )
    decide = policy.make_decide(base.frozen, base.path_world.cap)
    params, solved = base.frozen.params, base.problem

    def run(key: Key[Array, ""], swept: Traced):
        n, mismatch = swept["n"], swept["mismatch"]
        n_fit, position = heads.num_fitted(n), jnp.arange(config.n_max)
        decided = decide(params, ground.draw(base, key, mismatch, config.n_max)[1])
        solve = lambda k: solved.solve(decided, 1.0 * (position < k), swept["radius"])
        first, whole = solve(n_fit), solve(n)
        cost = solved.cost(problem.decisions(decided, first), decided.label)
        scale = 2.0 * jnp.where(position < n_fit, cost, 0.0).max()
        fresh = ground.pool(base, mismatch, config.pool)
        seen = decide(params, fresh.instances)
        after = problem.decisions(seen, first)
        cut = jnp.minimum(solved.cost(after, seen.label), scale)
        return {
            "bayes": fresh.bayes.mean(),
            "pretrained": ground.regret(fresh, seen.base),
            "head": ground.regret(fresh, problem.decisions(seen, whole)),
            "head_certified": ground.regret(fresh, after),
            "cut_cost": cut.mean(),
            "cut_at": scale,
            "losses": heads.last(cost, n_fit, config.n_max),
        }

    return run


def check(config: HeadConfig, swept: Swept) -> None:
    """Refuses what cannot be computed.

    Args:
      config: static configuration.
      swept: values of a cell.

    Raises:
      ValueError: naming the value.
    """
    ground.check(config, swept)
    checks.positive("radius", swept["radius"])
    checks.confidence(swept["delta"])


def finish(config: HeadConfig, swept: Swept, outputs) -> dict[str, float]:
    """Errors, and the certificate of the cut cost from the instances held out.

    Args:
      config: not used.
      swept: n and δ of the cell.
      outputs: of `run`.

    Returns:
      Metrics; `tightness` is the bound over the cut cost on fresh instances, `holds`
      is 1 where the bound is not below it.
    """
    del config
    held_out = swept["n"] - heads.num_fitted(swept["n"])
    found = {k: float(v) for k, v in outputs.items() if k != "losses"}
    scale = found["cut_at"] or 1.0
    losses = np.asarray(outputs["losses"][:held_out], np.float64)
    bound = certificates.betting(np.minimum(losses / scale, 1.0), swept["delta"])
    found["gain"] = found["pretrained"] - found["head"]
    found["betting"] = bound * scale
    found["tightness"] = found["betting"] / found["cut_cost"]
    found["holds"] = float(found["betting"] >= found["cut_cost"])
    return found


TASK = Task(
    name="head",
    about="head fine-tuning in a ball: errors and a certificate, by n and mismatch",
    static=HeadConfig,
    swept={"n": 256, "mismatch": 0.3, "radius": 0.1, "delta": 0.05},
    make=make,
    shown=("pretrained", "head", "head_certified", "tightness"),
    check=check,
    finish=finish,
)
