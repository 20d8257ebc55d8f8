"""The harmonic law simulated: normal means, a wrong prior mean, and n instances.

A cell draws n averages x̄ of m observations, estimates the prior mean b̂ by theirs, and
decides by w x̄ + (1−w) b with b = μ + Δ (pretrained), b̂ (fine-tuned) and the best mix of
the two, w = τ²/(τ²+v), v = s²/m, μ = 0. Regrets given θ integrate to (1−w)² (b−μ)².
"""

import pathlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from ptft_jax.task import Run, Swept, Task, Traced
from theory import laws


@dataclass(frozen=True)
class GaussianLawConfig:
    """Static configuration.

    Attributes:
      replications: portfolios averaged over in a cell.
    """

    replications: int = 1000


def make(config: GaussianLawConfig, folder: pathlib.Path) -> Run:
    """Returns `run(key, swept)`: mean regrets over Bayes of the three rules.

    Args:
      config: static configuration.
      folder: not used.

    Returns:
      A pure function; the mean of n averages is drawn as such, so n may be traced.
    """
    del folder

    def run(key: Key[Array, ""], swept: Traced):
        tau2, v, delta = swept["tau2"], swept["s2"] / swept["m"], swept["mismatch"]
        noise = jax.random.normal(key, (config.replications,))
        estimate = jnp.sqrt((tau2 + v) / swept["n"]) * noise
        variance = (tau2 + v) / swept["n"]
        share = variance / (variance + delta**2)
        regret = lambda b: (v / (tau2 + v)) ** 2 * b**2
        rules = {
            "pretrain": delta,
            "finetune": estimate,
            "combined": share * delta + (1.0 - share) * estimate,
        }
        return {name: regret(b).mean() for name, b in rules.items()}

    return run


def check(config: GaussianLawConfig, swept: Swept) -> None:
    """Refuses what the law is not defined for.

    Args:
      config: static configuration.
      swept: values of a cell.

    Raises:
      ValueError: naming the value.
    """
    if config.replications < 1:
        raise ValueError(f"replications must be at least 1, got {config.replications}")
    laws.gaussian_world(*(swept[k] for k in ("tau2", "s2", "m", "n", "mismatch")))


def finish(config: GaussianLawConfig, swept: Swept, outputs) -> dict[str, float]:
    """Measured regrets, the law's, and their ratio.

    Args:
      config: not used.
      swept: values of the cell.
      outputs: measured means.

    Returns:
      Metrics by name.
    """
    del config
    law = laws.gaussian_world(*(swept[k] for k in ("tau2", "s2", "m", "n", "mismatch")))
    measured = {name: float(value) for name, value in outputs.items()}
    return {
        **measured,
        "law_finetune": law.finetune,
        "law_combined": law.combined,
        "combined_over_law": measured["combined"] / law.combined
        if law.combined
        else 1.0,
    }


TASK = Task(
    name="gaussian_law",
    about="harmonic law in the Gaussian world, simulated",
    static=GaussianLawConfig,
    swept={"n": 64, "m": 4, "tau2": 0.5, "s2": 2.0, "mismatch": 0.3},
    make=make,
    shown=("pretrain", "finetune", "combined", "law_combined"),
    check=check,
    finish=finish,
)
