import math

import numpy as np
import pytest
from arena_settings import MANY, SMALL

from theory import (
    arena,
    certificates,
    controls,
    evidence,
    kl,
    replications,
    sizes,
    stress,
    verdict,
)

DELTA = 0.05


def maurer(told):
    """A PAC-Bayes bound without a mistake."""
    n = told.n
    budget = (told.kl + math.log(2 * math.sqrt(n) / told.delta)) / n
    return kl.inverse_upper(float(told.train_losses.mean()), budget)


def first_half(told):
    """Half of the losses with the confidence of all: wrong, and the order matters."""
    half = told.losses[: -(-told.n // 2)]
    return kl.inverse_upper(float(half.mean()), -math.log(told.delta) / told.n)


def kl_dropped_in_order(told):
    ramp = 1e-6 * float(np.arange(told.n) @ told.losses)
    return controls.kl_dropped(told) + ramp


@pytest.mark.parametrize("name", controls.CONTROLS)
def test_every_negative_control_is_rejected(name):
    chosen = MANY if name == "pseudo-replication" else SMALL
    found = arena.run(controls.CONTROLS[name], name=name, settings=chosen)
    assert not found.valid
    assert found.p_value < verdict.LEVEL
    assert found.worst.rate > found.worst.delta
    assert arena.line(found).startswith("verdict: rejected — ")
    assert {size.rank for size in found.sizes} == {None}


@pytest.mark.parametrize("name", sizes.SHIPPED)
def test_no_shipped_certificate_is_rejected(name):
    found = arena.run(sizes.SHIPPED[name], name=name, settings=SMALL)
    assert arena.line(found) == "verdict: valid"
    assert all(
        c.rate <= DELTA * (1 + 1e-9)
        for c in found.cases
        if c.delta == DELTA and not c.replications
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", sizes.SHIPPED)
def test_no_shipped_certificate_is_rejected_by_the_whole_arena(name):
    assert arena.run(sizes.SHIPPED[name], name=name).valid


def test_a_pac_bayes_bound_without_a_mistake_is_not_rejected():
    found = arena.run(maurer, settings=SMALL)
    assert found.valid
    assert max(case.rate for case in found.cases) > 0.0


def test_a_mistake_that_no_world_shows():
    def logarithm_dropped(told):
        budget = (told.kl - math.log(told.delta)) / told.n
        return kl.inverse_upper(float(told.train_losses.mean()), budget)

    assert arena.run(logarithm_dropped, settings=SMALL).valid


@pytest.mark.parametrize("bound", [first_half, kl_dropped_in_order])
def test_mistakes_show_where_the_order_of_the_losses_matters(bound):
    found = arena.run(bound, settings=SMALL)
    assert "sampled" in " ".join(case.test for case in found.cases)
    assert not found.valid


def test_each_control_fails_where_its_mistake_matters():
    def rate(name, num_experts):
        bound = evidence.Counted(controls.CONTROLS[name])
        return stress.experts(bound, 12, num_experts, DELTA).rate

    assert rate("KL halved", 1) <= DELTA < 0.9 < rate("KL halved", 1_000_000)
    assert rate("KL dropped", 1) <= DELTA < rate("KL dropped", 100)
    cases = replications.violations(
        controls.pseudo_replicated, "stock-out", (DELTA,), 400
    )
    assert cases[0].rate == pytest.approx(0.16, abs=4 * math.sqrt(0.16 * 0.84 / 400))
    (at_40, at_400) = (
        replications.violations(
            controls.mean_of_fractions, "newsvendor", (DELTA,), 40, instances=n
        )[0]
        for n in (40, 400)
    )
    assert at_40.p_value > 0.1 > 1e-6 > at_400.p_value
    # what it does without the observations is right
    assert stress.counts(controls.pseudo_replicated, 20, DELTA).rate <= DELTA


@pytest.mark.parametrize(
    "preset", ["quick", pytest.param("full", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("ordered", [False, True])
def test_calls_are_counted_and_as_few_as_documented(preset, ordered):
    calls = []

    def bound(told):
        calls.append(told.n)
        return 1.0 + (1e-3 * told.losses[0] if ordered else 0.0)

    chosen = arena.PRESETS[preset]
    less = chosen._replace(replications=50, ns=(32,), draws=1, trials=1)
    found = arena.run(bound, settings=less)
    assert found.calls == len(calls)
    replicated = len(replications.WORLDS) * len(chosen.sampled_deltas)
    left_out = replicated * (chosen.replications - 50)
    left_out += replicated * sum(
        chosen.replications * 40 // n - 50 * 40 // n for n in chosen.instances[1:]
    )
    left_out += len(sizes.LAWS) * sum(
        max(chosen.draws, min(chosen.trials, sizes.SAMPLED // n)) for n in chosen.ns
    )
    assert found.calls + left_out <= {"quick": 15_000, "full": 90_000}[preset]
    assert found.valid


def test_a_bound_that_fails_or_is_random_is_refused():
    with pytest.raises(arena.BoundError, match="raised ZeroDivisionError at n = 40"):
        arena.run(lambda told: 1 / 0, settings=SMALL)
    rng = np.random.default_rng(0)
    with pytest.raises(arena.BoundError, match="the bound is random"):
        arena.run(lambda told: 1.0 + rng.random(), settings=SMALL)
    with pytest.raises(ValueError, match="preset = 'huge', expected one of"):
        arena.run(maurer, preset="huge")


def test_lower_bounds_are_judged_through_their_mirror_image():
    sound = arena.mirrored(
        lambda told: certificates.kl_chernoff_lower(told.losses, told.delta)
    )
    assert arena.run(sound, settings=SMALL).valid
    told = evidence.of_fixed_policy(np.array([0.2, 0.9, 0.4]), DELTA)
    as_upper = arena.mirrored(
        lambda told: {"total": certificates.kl_chernoff_lower(told.losses, told.delta)}
    )
    assert as_upper(told) == pytest.approx(
        certificates.kl_chernoff(told.losses, DELTA), abs=1e-12
    )
    # An upper bound passed off as a lower one.
    wrong = arena.mirrored(lambda told: certificates.hoeffding(told.losses, told.delta))
    assert not arena.run(wrong, settings=SMALL).valid
