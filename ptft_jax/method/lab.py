"""The laboratory of a run in a world of any problem: its cells' portfolios and methods.

What `ptft_jax.lab` is to demand.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax

from ptft_jax import shapes
from ptft_jax.draws import Cell
from ptft_jax.method import finetune
from ptft_jax.method import network as network_
from ptft_jax.method.finetune import FinetuneConfig
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import ProblemWorld, pad
from ptft_jax.streams import cell_key

Report = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How much is computed in a cell.

    Attributes:
      finetune: of the fine-tuned policy and of the policies of both folds.
      scratch: of the same network without pretraining; it need not beat no change.
    """

    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    scratch: FinetuneConfig = field(
        default_factory=lambda: FinetuneConfig(
            classes=("full",),
            checkpoints=(80, 160, 320, 640),
            full_rate=3e-3,
            caution=0.0,
        )
    )


_BRIEF = FinetuneConfig(num_folds=2, checkpoints=(40, 160))
QUICK = Effort(finetune=_BRIEF, scratch=replace(_BRIEF, caution=0.0))
EFFORTS = {"quick": QUICK, "full": Effort()}


class ProblemSource(NamedTuple):
    """What a run says of where its portfolios come from.

    Attributes:
      name: of the world.
      identity: what decides the draws, JSON-serialisable.
      size: of the largest portfolio; a world has none.
    """

    name: str
    identity: dict[str, Any]
    size: int | None = None


class ProblemLab(NamedTuple):
    """All that the cells of one run have in common.

    `pretrained_on` is the instances of the largest portfolio of pretraining, or None.
    """

    source: ProblemSource
    world: ProblemWorld
    network: Across
    params: Any
    effort: Effort
    delta: float
    pretrained_on: int | None = None


def open_lab(
    world: ProblemWorld,
    network: Across,
    params: Any,
    effort: Effort,
    delta: float,
    pretrained_on: int | None = None,
) -> ProblemLab:
    """Prepares a run.

    Args:
      world: simulated truth.
      network: the Transformer.
      params: pretrained.
      effort: how much is computed.
      delta: failure probability of each bound.
      pretrained_on: instances of the largest portfolio that the network was pretrained
        on, as `law_rows.over_seeds` takes it; None where nobody knows.

    Returns:
      What `run_cell` needs.
    """
    identity = {"world": world.name, "problem": world.problem.name}
    source = ProblemSource(world.name, identity)
    return ProblemLab(source, world, network, params, effort, delta, pretrained_on)


class Drawn(NamedTuple):
    """Instances of one law, what is seen of them, and full information's decision."""

    law: Any
    truth: Any
    seen: Any
    best: Any


def draw(world: ProblemWorld, cell: Cell, stream: str, n: int) -> Drawn:
    """Instances of the seed's law.

    Args:
      world: simulated truth.
      cell: its seed and observations are used.
      stream: of random numbers, such as `draw`.
      n: instances.

    Returns:
      Truth and data.
    """
    law = world.sample_law(cell_key(cell.seed, "law", 0))
    truth_key, seen_key = jax.random.split(cell_key(cell.seed, stream, n))
    truth = world.sample_instances(truth_key, law, n)
    num_observations = 1 if cell.observations is None else cell.observations
    seen = world.observe(seen_key, truth, num_observations)
    return Drawn(law, truth, seen, world.full_information(truth))


def decisions(
    lab: ProblemLab, cell: Cell, drawn: Drawn, report: Report
) -> Iterator[tuple[str, Any, float, Any]]:
    """Every method's decisions, one method at a time.

    Args:
      lab: what the cells have in common.
      cell: the cell.
      drawn: its instances.
      report: called with what is done next.

    Yields:
      The method, its decisions, seconds, and how it was chosen if it was trained.
    """
    problem, world, n = lab.world.problem, lab.world, cell.n
    padded = pad(drawn.seen, shapes.bucket(n))

    def pretrained():
        return finetune.single(lab.params), None

    def finetuned():
        fit = finetune.make_fit(problem, lab.network, lab.effort.finetune)
        found = fit(lab.params, padded, cell_key(cell.seed, "finetune", n))
        return found.params, found.chosen

    def scratch():
        init_key = cell_key(cell.seed, "scratch init", n)
        start = network_.init(lab.network, problem, padded, init_key)
        fit = finetune.make_fit(problem, lab.network, lab.effort.scratch)
        found = fit(start, padded, cell_key(cell.seed, "scratch", n))
        return found.params, found.chosen

    for method in (pretrained, finetuned, scratch):
        report(method.__name__)
        start = time.perf_counter()
        params, chosen = method()
        x = finetune.decide_compiled(lab.network, problem, params, padded)
        x = jax.block_until_ready(jax.tree.map(lambda leaf: leaf[:n], x))
        yield method.__name__, x, time.perf_counter() - start, chosen
    report("baselines")
    # jit knows a function by its identity: a rule made anew here would compile anew
    rules = {name: (rule, drawn.seen) for name, rule in problem.baselines.items()}
    if world.bayes is not None:
        rules["bayes"] = world.bayes, drawn.law, drawn.seen
    for name, (rule, *given) in rules.items():
        start = time.perf_counter()
        x = jax.block_until_ready(jax.jit(rule)(*given))
        yield name, x, time.perf_counter() - start, None
    yield "full_information", drawn.best, 0.0, None
