"""One cell of the main experiment in a world of any problem.

What `validate` is to demand: every method's exact risk, and certificates beside the
truth that they are about. Costs are counted from where full information costs
`ProblemWorld.base`: a constant is added to those of a problem whose costs may be
negative (a revenue) or 0, and excess = cost/cost_full − 1 means the same everywhere.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import jax
import numpy as np

from ptft_jax import shapes
from ptft_jax.draws import Cell
from ptft_jax.method import certify, crossfit, finetune
from ptft_jax.method import network as network_
from ptft_jax.method.certify import GAIN
from ptft_jax.method.finetune import FinetuneConfig
from ptft_jax.method.network import Across
from ptft_jax.own_bounds import NONE, OwnBounds
from ptft_jax.problems.problem import ProblemWorld, pad
from ptft_jax.streams import cell_key

POPULATION = 4096  # fresh instances that a certificate's truth is measured on
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
    """All that the cells of one run have in common."""

    source: ProblemSource
    world: ProblemWorld
    network: Across
    params: Any
    effort: Effort
    delta: float
    own: OwnBounds = NONE


def open_lab(
    world: ProblemWorld,
    network: Across,
    params: Any,
    effort: Effort,
    delta: float,
    own: OwnBounds = NONE,
) -> ProblemLab:
    """Prepares a run.

    Args:
      world: simulated truth.
      network: the Transformer.
      params: pretrained.
      effort: how much is computed.
      delta: failure probability of each bound.
      own: bounds of one's own by name.

    Returns:
      What `run_cell` needs.
    """
    identity = {"world": world.name, "problem": world.problem.name}
    source = ProblemSource(world.name, identity)
    return ProblemLab(source, world, network, params, effort, delta, own)


class _Drawn(NamedTuple):
    law: Any
    truth: Any
    seen: Any
    best: Any  # decision of full information


def _draw(world: ProblemWorld, cell: Cell, stream: str, n: int) -> _Drawn:
    """Instances of the seed's law."""
    law = world.sample_law(cell_key(cell.seed, "law", 0))
    truth_key, seen_key = jax.random.split(cell_key(cell.seed, stream, n))
    truth = world.sample_instances(truth_key, law, n)
    seen = world.observe(seen_key, truth, cell.observations)
    return _Drawn(law, truth, seen, world.full_information(truth))


def _decisions(
    lab: ProblemLab, cell: Cell, drawn: _Drawn, report: Report
) -> Iterator[tuple[str, Any, float, Any]]:
    """Every method's decisions, one method at a time."""
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


def _mean(values) -> float:
    return float(np.asarray(values, np.float64).mean())


def _unit(world: ProblemWorld, drawn: _Drawn) -> tuple[float, float]:
    """Cost of full information as it is reported, and what is added to all costs."""
    full = _mean(world.expected_cost(drawn.truth, drawn.best))
    base = abs(full) if world.base is None else _mean(world.base(drawn.truth))
    return base, base - full


def _risks(lab, cell, drawn, report) -> tuple[list[dict], dict]:
    world = lab.world
    full, shift = _unit(world, drawn)
    rows, chosen = [], {}
    for method, x, seconds, candidate in _decisions(lab, cell, drawn, report):
        cost = _mean(world.expected_cost(drawn.truth, x)) + shift
        excess = cost / full - 1.0 if full > 0.0 else float("nan")
        row = {"method": method, "cost": cost, "cost_full": full, "excess": excess}
        rows.append({**row, "wall_s": round(seconds, 3)})
        if candidate is not None:
            chosen[method] = candidate._asdict()
    return rows, chosen


def _truths(lab: ProblemLab, cell: Cell, halves) -> tuple[dict[str, float], float]:
    """What the statements are about, on fresh instances of the same law; the shift."""
    fresh = _draw(lab.world, cell, "population", POPULATION)
    means: dict[str, list[float]] = {}
    for half in halves:
        key = cell_key(cell.seed, "left out", cell.n)
        costs = crossfit.scores(lab.network, lab.world.problem, half, fresh.seen, key)
        low, high = half.low, half.high
        own = {k: _mean(c.clip(low, high)) for k, c in costs.items()}
        saved = costs["pretrained"] - costs["finetuned"]
        gain = saved.clip(-half.move, half.move).mean()
        own[GAIN] = float(gain)
        for name, value in own.items():
            means.setdefault(name, []).append(value)
    sizes = [len(half.others) for half in halves]
    found = {name: float(np.average(v, weights=sizes)) for name, v in means.items()}
    return found, _unit(lab.world, fresh)[1]


def _bounds(lab: ProblemLab, cell: Cell, seen: Any) -> list[dict[str, Any]]:
    """Every certificate beside its truth, and its terms."""
    problem = lab.world.problem
    fit = finetune.make_fit(problem, lab.network, lab.effort.finetune)
    key = cell_key(cell.seed, "certify", cell.n)
    padded = pad(seen, shapes.bucket(cell.n))
    certified = certify.certify(
        lab.network, problem, lab.params, padded, fit, key, lab.delta, lab.own
    )
    (truths, shift), rows = _truths(lab, cell, certified.halves), []
    for made in certified.statements:
        is_gain = made.policy is None
        by = 0.0 if is_gain else shift
        value, true = made.value + by, truths[made.policy or GAIN] + by
        holds = value <= true if is_gain else value >= true
        common = {"bound": made.name, "tier": "certified", "risk": true}
        common |= {"delta": lab.delta, "holds": bool(holds)}
        terms = {"empirical": made.empirical + by}
        terms["deviation"] = made.value - made.empirical
        if made.terms:
            terms = {**made.terms, "least": made.terms["least"] + by}
        terms = {"total": value, **terms}
        rows += [{**common, "term": term, "value": v} for term, v in terms.items()]
    return rows


def run_cell(
    lab: ProblemLab, cell: Cell, report: Report = lambda stage: None
) -> dict[str, Any]:
    """Computes one cell.

    Args:
      lab: what the cells have in common.
      cell: the cell; its protocol and quantile are of no matter.
      report: called with what is done next.

    Returns:
      A JSON-serialisable record: `risks`, `bounds`, what was chosen, seconds.
    """
    start = time.perf_counter()
    report("drawing")
    drawn = _draw(lab.world, cell, "draw", cell.n)
    risks, chosen = _risks(lab, cell, drawn, report)
    report("certificates")
    bounds = _bounds(lab, cell, drawn.seen)
    return {
        "cell": asdict(cell),
        "risks": risks,
        "bounds": bounds,
        "chosen": chosen,
        "wall_s": round(time.perf_counter() - start, 3),
    }
