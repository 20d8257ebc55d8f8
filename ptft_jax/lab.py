"""The laboratory of a run: what all cells share, and all methods side by side."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float64

from ptft_jax import (
    baselines,
    finetune,
    finite_population,
    left_out,
    pretrain,
    risk,
    shapes,
    synthetic,
)
from ptft_jax.draws import Cell, Draw
from ptft_jax.finetune import FinetuneConfig, Finetuned
from ptft_jax.model import Network
from ptft_jax.sources import Source
from ptft_jax.streams import cell_key

METHODS = (
    "pretrained",
    "finetuned",
    "scratch",
    *baselines.COUNTS,
    "bayes",
    "hierarchical_bayes",
    "full_information",
)
Report = Callable[[str], None]

# below this level of demand, instances share their support points, not shapes
LOW_COUNT = 10.0


@dataclass(frozen=True)
class Effort:
    """How much is computed in a cell.

    Attributes:
      finetune: of the fine-tuned policy and of the policies of both folds.
      scratch: of the same network without pretraining; it need not beat no change.
      redraws: of the population for the true risk of certified policies.
      portfolios: fresh synthetic ones that the real portfolio is compared with.
    """

    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    scratch: FinetuneConfig = field(
        default_factory=lambda: FinetuneConfig(
            classes=("full",),
            num_splits=1,
            checkpoints=(80, 160, 320, 640),
            full_rate=3e-3,
            caution=0.0,
        )
    )
    redraws: int = 2
    portfolios: int = 64


# Alike for both but for the caution, so that both share their programs: compilation is
# most of the quick preset's time.
_BRIEF = FinetuneConfig(
    classes=("head", "full"), num_folds=2, num_splits=1, checkpoints=(60, 240)
)
QUICK = Effort(
    finetune=_BRIEF,
    scratch=replace(_BRIEF, caution=0.0),
    redraws=1,
    portfolios=32,
)
EFFORTS = {"quick": QUICK, "full": Effort()}


class Lab(NamedTuple):
    """All that the cells of one run have in common."""

    source: Source
    network: Network
    params: Any
    effort: Effort
    delta: float
    fit: finetune.Fit
    fit_scratch: finetune.Fit
    synthetic: synthetic.Losses

    @property
    def pretrained_on(self) -> int:
        """Instances of the largest portfolio that a network is pretrained on."""
        return pretrain.PretrainConfig().most_instances


def open_lab(
    source: Source,
    network: Network,
    params: Any,
    effort: Effort,
    delta: float,
) -> Lab:
    """Prepares a run; programs compiled for one cell serve the others.

    Args:
      source: of portfolios.
      network: the Transformer.
      params: pretrained.
      effort: how much is computed.
      delta: failure probability of each bound.

    Returns:
      What `run_cell` needs.
    """
    fit = finetune.make_fit(network, effort.finetune)
    fit_scratch = finetune.make_fit(network, effort.scratch)
    losses = synthetic.make_losses(network, params, effort.portfolios)
    shared = source, network, params, effort, delta
    return Lab(*shared, fit, fit_scratch, losses)


_init_params = jax.jit(pretrain.init_params, static_argnums=0)


def _baselines(drawn: Draw) -> dict[str, Callable]:
    table = dict(baselines.NEWSVENDOR)
    if drawn.is_whole:
        table |= {k: f for k, f in baselines.COUNTS.items() if k not in table}
    if drawn.is_whole and drawn.level < LOW_COUNT:
        table |= baselines.COUNTS
    return table


def _decided(network, policy, padded, drawn):
    """Decisions of a policy; where the truth is finite, it is told of how many."""
    if drawn.length is None or np.isinf(drawn.length).all():
        return left_out.decide(network, policy, padded)
    more = padded.valid.shape[0] - len(drawn.length)
    population = np.pad(drawn.length, (0, more), constant_values=np.inf)
    return finite_population.of_policy(network, policy, padded, population)


def decisions(
    lab: Lab, cell: Cell, drawn: Draw, report: Report
) -> Iterator[tuple[str, Float64[np.ndarray, "n"], float, Finetuned | None]]:
    """Every method's decisions for the cell's portfolio, one method at a time.

    Where the truth is a file's whole column, of which the observations are part, the
    network's decisions are of `finite_population`; baselines are as published.

    Args:
      lab: what the cells have in common.
      cell: the cell.
      drawn: its portfolio.
      report: called with what is done next.

    Yields:
      The method, its decisions, the seconds it took (with compilation, the first time
      of a shape), and how it was chosen if it was trained.
    """
    padded = shapes.pad(drawn.portfolio)
    key = lambda stream: cell_key(cell.seed, stream, cell.n)

    def pretrained():
        return risk.single(lab.network, lab.params), None

    def finetuned():
        found = lab.fit(lab.params, padded, key("finetune"))
        return found.policy, found

    def scratch():
        start = _init_params(lab.network, key("scratch init"))
        found = lab.fit_scratch(start, padded, key("scratch"))
        return found.policy, found

    for method in (pretrained, finetuned, scratch):
        report(method.__name__)
        start = time.perf_counter()
        policy, found = method()
        x = _decided(lab.network, policy, padded, drawn)[: cell.n].astype(np.float64)
        yield method.__name__, x, time.perf_counter() - start, found
    report("baselines")
    for name, baseline in _baselines(drawn).items():
        start = time.perf_counter()
        x = np.asarray(baseline(padded), np.float64)[: cell.n]
        yield name, x, time.perf_counter() - start, None
    for name, x in drawn.references.items():
        yield name, np.asarray(x, np.float64), 0.0, None
    yield "full_information", np.asarray(drawn.full_information, np.float64), 0.0, None
