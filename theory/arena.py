"""Tries to break a bound on the risk of a policy, and ranks it if that fails.

`run(bound)` calls it with `Evidence` from four kinds of worlds: losses of 0 and 1
whose violation rate is computed; the best of M experts, in which PAC-Bayes mistakes
show; a policy that is fine-tuned and certified thousands of times; and the losses of
known law that bounds are ranked on. A verdict of valid says that no violation was found
at the n that were tried, and proves nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

from theory import controls, ordered, replications, sizes, stress
from theory.evidence import Bound as Bound
from theory.evidence import BoundError as BoundError
from theory.evidence import Counted, of_fixed_policy
from theory.evidence import Evidence as Evidence
from theory.evidence import mirrored as mirrored
from theory.verdict import Case as Case
from theory.verdict import Size as Size
from theory.verdict import Verdict as Verdict
from theory.verdict import judge
from theory.verdict import line as line


class Settings(NamedTuple):
    """How hard to try.

    Attributes:
      deltas: δ of the exact tests.
      sequences: n of which all 2ⁿ samples are tried.
      counts: n of which all n + 1 counts are tried, or the likely ones of many; see
        `stress.counts`.
      expert_counts: n of which all pairs of counts are tried.
      experts: numbers of experts M.
      ordered_sequences: n of which all samples are tried if the order matters.
      ordered_samples: samples for each law and size if the order matters.
      ordered_risks: true risks of those samples, beside one that the bound decides.
      sampled_deltas: δ of the tests by simulation.
      instances: n of the fine-tuned and certified policies.
      replications: of fine-tuning and certifying at the first of them, in each world;
        at the others fewer, for as many instances in all.
      ns: n of the table of sizes.
      draws: samples averaged in it.
      trials: samples in which violations are counted in it, fewer at large n.
    """

    deltas: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5)
    sequences: tuple[int, ...] = (1, 2, 5)
    counts: tuple[int, ...] = (20, 100, 1_000, 10_000)
    expert_counts: tuple[int, ...] = (12, 30)
    experts: tuple[int, ...] = (1, 100, 10_000, 1_000_000)
    ordered_sequences: tuple[int, ...] = (10,)
    ordered_samples: int = 500
    ordered_risks: tuple[float, ...] = (0.02, 0.1, 0.4)
    sampled_deltas: tuple[float, ...] = (0.05, 0.5)
    instances: tuple[int, ...] = (40, 400)
    replications: int = 10_000
    ns: tuple[int, ...] = (32, 100, 316, 1_000, 3_162, 10_000)
    draws: int = 20
    trials: int = 1_000


PRESETS = {
    "quick": Settings(
        counts=(20, 100, 1_000),
        expert_counts=(12,),
        ordered_sequences=(8,),
        ordered_samples=200,
        replications=1_000,
        ns=(32, 100, 316, 1_000),
        draws=5,
        trials=200,
    ),
    "full": Settings(),
}

# What each negative control fails in, at little cost.
CONTROL_SETTINGS = Settings(
    sequences=(),
    counts=(200,),
    expert_counts=(12,),
    experts=(1_000_000,),
    sampled_deltas=Settings().deltas,
    replications=300,
)


def run(
    bound: Bound,
    *,
    name: str = "bound",
    preset: str = "full",
    settings: Settings | None = None,
    report: Callable[[str], None] | None = None,
) -> Verdict:
    """Judges a bound.

    Args:
      bound: from `Evidence` to a number, or to named terms with `total`; the same
        evidence must give the same answer.
      name: in the table of sizes.
      preset: quick (at most 1.5·10⁴ calls) or full (at most 9·10⁴).
      settings: instead of a preset.
      report: told what is done next.

    Returns:
      The verdict with its tables.

    Raises:
      BoundError: the bound raised, returned no number, or is random.
      ValueError: the preset is not known.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset = {preset!r}, expected one of {list(PRESETS)}")
    chosen = PRESETS[preset] if settings is None else settings
    say = report or (lambda stage: None)
    counted = Counted(bound)
    cases = violations(counted, chosen, say)
    say("sizes")
    table = sizes.table(counted, name, chosen.ns, chosen.draws, chosen.trials)
    return judge(cases + table.cases, table.rows, counted.calls)


def violations(
    bound: Callable[[Evidence], float],
    settings: Settings,
    report: Callable[[str], None] = lambda stage: None,
) -> list[Case]:
    """Violation rates in all worlds but those of the table of sizes.

    Args:
      bound: from evidence to a float.
      settings: how hard to try.
      report: told what is done next.

    Returns:
      One case a world, size and δ, at its worst law.

    Raises:
      BoundError: the bound is random, or `Counted` refuses its answer.
    """
    report("Bernoulli")
    _check_repeatable(bound)
    small = settings.sequences
    large = settings.counts + settings.expert_counts
    in_order = any(
        ordered.order_matters(bound, n, 0.05) for n in (*small, *large) if n > 1
    )
    exact = (*small, *settings.ordered_sequences) if in_order else small
    cases = [stress.sequences(bound, n, d) for n in exact for d in settings.deltas]
    if in_order:
        report("order matters: sampling")
        cases += _sampled(bound, settings)
    else:
        cases += [
            stress.counts(bound, n, d) for n in settings.counts for d in settings.deltas
        ]
        report("experts")
        cases += [
            stress.experts(bound, n, num_experts, d)
            for n in settings.expert_counts
            for num_experts in settings.experts
            for d in settings.deltas
        ]
    for world in replications.WORLDS:
        report(world)
        for n in settings.instances:
            of = max(1, settings.replications * settings.instances[0] // n)
            cases += replications.violations(
                bound, world, settings.sampled_deltas, of, instances=n
            )
    return cases


def control_cases() -> dict[str, list[Case]]:
    """Violation rates of the negative controls, by name.

    Returns:
      For each of `controls.CONTROLS` the cases of `CONTROL_SETTINGS`.
    """
    return {
        name: violations(Counted(control), CONTROL_SETTINGS)
        for name, control in controls.CONTROLS.items()
    }


def _sampled(bound: Callable[[Evidence], float], settings: Settings) -> list[Case]:
    """The Bernoulli and expert worlds for a bound that depends on the order."""
    sizes_of = [(n, 1) for n in settings.counts]
    sizes_of += [
        (n, num_experts)
        for n in settings.expert_counts[:1]
        for num_experts in (settings.experts[1], settings.experts[-1])
    ]
    return [
        ordered.sample(bound, n, num_experts, p, delta, settings.ordered_samples)
        for n, num_experts in sizes_of
        for delta in settings.sampled_deltas
        for p in (
            *settings.ordered_risks,
            ordered.above_no_loss(bound, n, num_experts, delta),
        )
    ]


def _check_repeatable(bound: Callable[[Evidence], float]) -> None:
    """Refuses a bound that answers the same evidence in two ways."""
    drawn = next(replications.draw("newsvendor", 1))
    for told in (drawn.told, of_fixed_policy(drawn.told.losses.copy(), 0.05)):
        one, two = bound(told), bound(told)
        if one != two:
            raise BoundError(
                f"the bound is random: {one:g}, then {two:g} on the same evidence"
            )
