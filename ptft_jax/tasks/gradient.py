"""Fine-tuning by gradient steps in simulated worlds with a mismatch."""

import pathlib
from dataclasses import dataclass

import jax
from jaxtyping import Array, Key

from ptft_jax import tuning
from ptft_jax.paths import gradients, heads
from ptft_jax.paths.gradients import GradientConfig, Start
from ptft_jax.task import Run, Swept, Task, Traced
from ptft_jax.tasks import ground
from theory import checks

CLASSES = ("adapter", "full", "scratch")


@dataclass(frozen=True)
class GradientTaskConfig:
    """Static configuration.

    Attributes:
      world: gaussian_means, gamma_poisson or contaminated.
      trained: adapter, full, or scratch (all weights from a random start).
      n_max: largest n of the program.
      observations: of each instance, 0 for the world's own.
      pool: fresh instances that errors are averaged over.
      width: of the network.
      num_steps: of pretraining.
      segments: numbers of fine-tuning steps to choose from.
      segment_steps: fine-tuning steps of a segment.
      batch: instances a fine-tuning step sees.
    """

    world: str = "gaussian_means"
    trained: str = "full"
    n_max: int = 2048
    observations: int = 0
    pool: int = 1 << 13
    width: int = 32
    num_steps: int = 1000
    segments: int = 4
    segment_steps: int = 60
    batch: int = 128


def make(config: GradientTaskConfig, folder: pathlib.Path) -> Run:
    """Returns `run(key, swept)`: regrets before and after fine-tuning.

    The number of steps is chosen on the last quarter of the n instances.

    Args:
      config: static configuration.
      folder: the pretrained network is kept there.

    Returns:
      A pure function; n, mismatch and the learning rate are traced.
    """
    base = ground.prepare(
        config.world, config.observations, config.width, config.num_steps, folder
    )
    steps = GradientConfig(config.segments, config.segment_steps, config.batch)
    frozen, cap = base.frozen, base.path_world.cap
    train = gradients.make_train(frozen, base.problem, steps, cap)
    decide = gradients.make_decision(frozen, cap)

    def run(key: Key[Array, ""], swept: Traced):
        n, mismatch = swept["n"], swept["mismatch"]
        # the instances do not depend on the class, so that classes can be compared
        draw_key, init_key, train_key = jax.random.split(key, 3)
        _, instances = ground.draw(base, draw_key, mismatch, config.n_max)
        is_pretrained = config.trained != "scratch"
        params = frozen.params if is_pretrained else frozen.kind.init(init_key)
        which = tuning.adapter if config.trained == "adapter" else tuning.full
        start = Start(params, which(params, swept["rate"]), is_pretrained)
        tuned = train(start, instances, heads.num_fitted(n), n, train_key)
        fresh = ground.pool(base, mismatch, config.pool)
        portfolio = fresh.instances.portfolio

        def error(before, params):
            context = frozen.kind.attend(before, frozen.context)
            return ground.regret(fresh, decide(params, portfolio, context))

        return {
            "bayes": fresh.bayes.mean(),
            "pretrained": error(frozen.params, frozen.params),
            "finetuned": error(params, tuned),
        }

    return run


def check(config: GradientTaskConfig, swept: Swept) -> None:
    """Refuses what cannot be computed.

    Args:
      config: static configuration.
      swept: values of a cell.

    Raises:
      ValueError: naming the value.
    """
    if config.trained not in CLASSES:
        raise ValueError(f"trained must be one of {CLASSES}, got {config.trained!r}")
    ground.check(config, swept)
    for name in ("segments", "segment_steps", "batch"):
        checks.count(name, getattr(config, name))
    checks.positive("rate", swept["rate"])


def finish(config: GradientTaskConfig, swept: Swept, outputs) -> dict[str, float]:
    """Errors, and the gain over the pretrained policy.

    Args:
      config: not used.
      swept: not used.
      outputs: of `run`.

    Returns:
      Metrics by name.
    """
    del config, swept
    found = {name: float(value) for name, value in outputs.items()}
    return {**found, "gain": found["pretrained"] - found["finetuned"]}


TASK = Task(
    name="gradient",
    about="fine-tuning by gradient steps: errors by n, mismatch and learning rate",
    static=GradientTaskConfig,
    swept={"n": 256, "mismatch": 0.3, "rate": 1e-3},
    make=make,
    shown=("pretrained", "finetuned", "gain"),
    check=check,
    finish=finish,
)
