import math

import hypothesis
import numpy as np
import pytest
from arena_settings import SMALL
from hypothesis import strategies as st
from scipy import stats

from theory import arena, controls, sizes, verdict

properties = hypothesis.settings(max_examples=15, derandomize=True, deadline=None)

DELTA = 0.05


@properties
@hypothesis.given(st.integers(0, 50), st.integers(0, 50))
def test_p_value_of_a_sampled_case_is_the_binomial_tail(misses, other):
    low, high = sorted((misses, other))
    cases = [verdict.sampled("t", "w", DELTA, k, 50) for k in (low, high)]
    assert cases[1].p_value <= cases[0].p_value
    test = stats.binomtest(low, 50, DELTA, alternative="greater")
    assert cases[0].p_value == pytest.approx(test.pvalue, rel=1e-9)


def test_judgement_pays_for_the_number_of_sampled_cases():
    suspicious = verdict.sampled("t", "w", DELTA, 14, 130)
    assert 0.003 < suspicious.p_value < verdict.LEVEL
    harmless = verdict.sampled("t", "w", DELTA, 5, 130)
    assert not verdict.judge([suspicious]).valid
    assert verdict.judge([suspicious] + 9 * [harmless]).valid
    broken = verdict.exact("t", "w", DELTA, DELTA * (1 + 1e-8))
    assert verdict.exact("t", "w", DELTA, DELTA * (1 + 1e-10)).p_value == 1.0
    found = verdict.judge([suspicious, broken, harmless])
    assert (found.worst, found.p_value, found.valid) == (broken, 0.0, False)


def test_sizes_and_ranks_are_those_of_the_definition():
    found = arena.run(lambda told: 0.3, name="constant", settings=SMALL)
    own = {size.world: size for size in found.sizes if size.bound == "constant"}
    beta = own["Beta, mean .05, sd .05"]
    assert (beta.ratio, beta.gap, beta.tau) == pytest.approx((6.0, 0.25, 5.0))
    assert not found.valid
    rows = sizes.table(sizes.SHIPPED["hoeffding"], "mine", (50,), 5).rows
    group = [size for size in rows if size.world == "Bernoulli(.05)"]
    assert len(group) == 1 + len(sizes.SHIPPED)
    smallest = min(group, key=lambda size: size.value)
    assert (smallest.rank, smallest.bound) == (1, "clopper_pearson")
    mine, shipped = group[0], group[1]
    assert mine._replace(bound="hoeffding") == shipped
    assert all(size.over_floor > 0.9 for size in rows)


def test_violations_are_counted_on_the_losses_of_the_sizes():
    ns = (32, 1_000)
    found = sizes.table(controls.mean_of_fractions, "mine", ns, 2, 200)
    rejected = {case.where for case in found.cases if case.p_value < 1e-6}
    assert rejected == {
        f"{world}, n = {n}"
        for world in ("Beta, mean .05, sd .05", "newsvendor")
        for n in ns
    }
    assert {case.replications for case in found.cases} == {200, 40}
    # what is averaged does not depend on how many samples are compared
    assert found.rows == sizes.table(controls.mean_of_fractions, "mine", ns, 2).rows
    only = SMALL._replace(counts=(), expert_counts=(), instances=(40,), trials=60)
    tried = arena.run(controls.mean_of_fractions, settings=only)
    assert not tried.valid
    assert tried.worst.test == "losses of known law"
    assert tried.p_value == tried.worst.p_value * sum(
        case.replications > 0 for case in tried.cases
    )


@pytest.mark.parametrize("world", sizes.LAWS)
def test_laws_of_the_sizes_have_the_moments_they_claim(world):
    law = sizes.LAWS[world]
    losses = law.draw(np.random.default_rng(0), (100, 2_000))
    error = law.deviation / math.sqrt(losses.size)
    assert losses.mean() == pytest.approx(law.risk, abs=4 * error)
    assert losses.std() == pytest.approx(law.deviation, rel=0.02)
    assert law.baseline > law.risk
