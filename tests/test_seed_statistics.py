import math

import numpy as np
import pytest
from scipy import stats

from ptft_jax import seed_statistics, verdict
from theory import laws


def test_an_interval_is_students_and_one_seed_has_none():
    low, high = seed_statistics.mean_of([1.0, 3.0]).interval()
    assert (low + high) / 2 == pytest.approx(2.0)
    assert high - low == pytest.approx(2 * 12.7062, rel=1e-4)
    assert all(map(math.isnan, seed_statistics.mean_of([1.0]).interval()))


def test_pseudo_values_of_a_mean_are_the_values_and_of_a_square_lose_its_bias():
    x = np.random.default_rng(0).standard_normal(7)
    mean = seed_statistics.pseudo_values(lambda kept: x[kept].mean(), 7)
    np.testing.assert_allclose(mean, x, atol=1e-12)
    square = seed_statistics.pseudo_values(lambda kept: x[kept].mean() ** 2, 7)
    # Quenouille's bias of the square of a mean is its variance, exactly
    unbiased = x.mean() ** 2 - x.var(ddof=1) / 7
    assert square.mean() == pytest.approx(unbiased, abs=1e-12)
    one = seed_statistics.pseudo_values(lambda kept: x[kept].mean(), 1)
    assert one.tolist() == [x[0]]


def test_the_jackknife_of_the_harmonic_law_has_its_standard_error():
    # by the delta method, d/dE of 1/(1/P + 1/E) is (P/(P+E))²
    rng, seeds = np.random.default_rng(1), 400
    scratch = rng.gamma(6.25, 1.0 / 6.25, seeds)
    law = lambda kept: laws.harmonic(1.0, float(scratch[kept].mean()))
    found = seed_statistics.mean_of(seed_statistics.pseudo_values(law, seeds))
    slope = (1.0 / (1.0 + scratch.mean())) ** 2
    expected = slope * scratch.std(ddof=1) / math.sqrt(seeds)
    assert found.error == pytest.approx(expected, rel=0.01)


def outcomes(misses, seeds, places=1):
    held = [(f"n = {k}", True, 0.05) for k in range(1, places) for _ in range(seeds)]
    return [*held, *(("n = 0", seed >= misses, 0.05) for seed in range(seeds))]


def test_coverage_is_the_exact_binomial_test_with_its_number_accounted_for():
    found = seed_statistics.coverage(outcomes(2, 12, places=5))
    exact = sum(math.comb(12, k) * 0.05**k * 0.95 ** (12 - k) for k in range(2, 13))
    assert found.least == pytest.approx(exact)
    assert found.p_value == pytest.approx(5 * exact)
    assert (found.misses, found.trials, found.tests) == (2, 60, 5)
    assert found.worst == "n = 0"
    assert seed_statistics.coverage(outcomes(0, 12)).p_value == 1.0


@pytest.mark.parametrize(("misses", "is_rejected"), [(1, False), (3, False), (6, True)])
def test_a_valid_certificate_survives_its_first_misses(misses, is_rejected):
    found = seed_statistics.coverage(outcomes(misses, 16, places=8))
    assert found.is_rejected == is_rejected


def test_what_holds_surely_must_not_miss_once():
    assert seed_statistics.coverage([("sure", False, 0.0)]).is_rejected
    assert not seed_statistics.coverage([("sure", True, 0.0)]).is_rejected
    assert not seed_statistics.coverage([("one draw", False, 0.05)]).is_rejected


def test_certificates_that_fail_just_as_often_as_they_may_are_rarely_rejected():
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(500):
        held = rng.random((6, 12)) >= 0.05
        rows = [(str(k), h, 0.05) for k, row in enumerate(held.tolist()) for h in row]
        rejected += seed_statistics.coverage(rows).is_rejected
    test = stats.binomtest(rejected, 500, seed_statistics.LEVEL, alternative="greater")
    assert test.pvalue > 1e-3


def test_a_certificate_that_fails_twice_as_often_as_it_may_is_found_with_many_seeds():
    held = (np.random.default_rng(2).random(2000) >= 0.1).tolist()
    assert seed_statistics.coverage([("n", h, 0.05) for h in held]).is_rejected


def test_an_interval_is_judged_by_where_it_lies():
    judge = lambda *ends, **given: verdict.judge(ends, words=verdict.TARGET, **given)
    assert judge(0.9, 1.1, good_below=True, target=1.2) == "met"
    assert judge(1.3, 1.4, good_below=True, target=1.2) == "NOT MET"
    assert judge(1.0, 1.4, good_below=True, target=1.2) == "not settled by this run"
    assert judge(math.nan, math.nan, good_below=True) == "not judged"
    assert judge(0.1, 0.2, good_below=False) == "met"
    assert judge(-0.2, -0.1, good_below=False) == "NOT MET"
    assert verdict.judge(None, good_below=True) == "one seed: no verdict"
    assert "no difference" in verdict.judge((0.0, 0.0), good_below=True)
