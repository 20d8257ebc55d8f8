import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from theory import controls, kl, ordered, replications, sizes, stress, verdict

properties = hypothesis.settings(max_examples=15, derandomize=True, deadline=None)

DELTA = 0.05


def mean_plus(slack):
    return lambda told: float(told.losses.mean()) + slack


def train_mean_plus(slack):
    return lambda told: float(told.train_losses.mean()) + slack


def maurer(told):
    """A PAC-Bayes bound without a mistake."""
    n = told.n
    budget = (told.kl + math.log(2 * math.sqrt(n) / told.delta)) / n
    return kl.inverse_upper(float(told.train_losses.mean()), budget)


def test_known_miscoverage_is_found():
    exact = {
        name: stress.counts(sizes.SHIPPED[name], 100, DELTA).rate
        for name in ("clopper_pearson", "kl_chernoff", "hoeffding")
    }
    assert exact["clopper_pearson"] == pytest.approx(DELTA, rel=1e-9)
    # at no loss at all the Chernoff bound is the exact one
    assert exact["kl_chernoff"] == pytest.approx(DELTA, rel=1e-9)
    assert exact["hoeffding"] < 0.01


@pytest.mark.parametrize(("n", "num_experts"), [(7, 1), (12, 100), (20, 1_000_000)])
def test_best_of_experts_agrees_with_fifty_digits(n, num_experts):
    p = 0.37
    with mpmath.workdps(50):
        mass = [
            mpmath.binomial(n, k) * p**k * (mpmath.mpf(1) - p) ** (n - k)
            for k in range(n + 1)
        ]
        exact = [
            float(1 - (1 - mpmath.fsum(mass[: k + 1])) ** num_experts) for k in range(n)
        ]
    law = stress.best_count(n, num_experts, np.array([p]))[0]
    np.testing.assert_allclose(np.cumsum(law)[:-1], exact, rtol=1e-9, atol=1e-14)
    assert law.sum() == pytest.approx(1.0, abs=1e-12)


def test_experts_rate_is_one_minus_the_power_of_the_survival_function():
    n, num_experts, slack = 10, 100, 0.25
    case = stress.experts(train_mean_plus(slack), n, num_experts, DELTA)
    p = float(case.where.split("p = ")[1])
    last = max(k for k in range(n + 1) if k / n + slack < p + 1e-6)
    with mpmath.workdps(50):
        below = mpmath.fsum(
            mpmath.binomial(n, k) * mpmath.mpf(p) ** k * (1 - mpmath.mpf(p)) ** (n - k)
            for k in range(last + 1)
        )
        exact = float(1 - (1 - below) ** num_experts)
    assert case.rate == pytest.approx(exact, rel=1e-4)  # p is printed to 6 digits


def test_counts_and_sequences_agree_for_a_bound_on_the_mean():
    for slack in (0.1, 0.3):
        one = stress.counts(mean_plus(slack), 8, DELTA)
        two = stress.sequences(mean_plus(slack), 8, DELTA)
        assert one.rate == pytest.approx(two.rate, rel=1e-9)


@properties
@hypothesis.given(st.integers(1, 30), st.integers(0, 10**6))
def test_rates_of_bounds_that_jump_up_and_down_are_sums_of_the_mass(n, seed):
    values = np.random.default_rng(seed).random(n + 1)
    case = stress.counts(lambda told: values[int(told.losses.sum())], n, DELTA)
    p = np.unique([*stress.P_GRID, *np.nextafter(values, 2.0)])
    mass = stats.binom.pmf(np.arange(n + 1), n, p[:, None])
    worst = (mass * (values < p[:, None])).sum(axis=-1).max()
    assert case.rate == pytest.approx(worst, rel=1e-9)


@pytest.mark.parametrize("name", ["clopper_pearson", "kl_chernoff"])
def test_many_instances_are_enumerated(name):
    case = stress.counts(sizes.SHIPPED[name], 1_000, DELTA)
    # no loss at all is missed with chance δ by both
    assert case.rate == pytest.approx(DELTA, rel=1e-9)
    assert case.test == "Bernoulli, every count"


@pytest.mark.parametrize("name", ["mean above n = 100", "4n above n = 100"])
@pytest.mark.parametrize("n", [1_000, 10_000])
def test_mistakes_at_large_n_are_found_by_enumeration(name, n):
    bound = controls.CONTROLS[name]
    assert stress.counts(bound, 100, DELTA).rate <= DELTA * (1 + 1e-9)
    # Chernoff with n for 4n misses with chance δ^¼ where there is no loss
    assert stress.counts(bound, n, DELTA).rate > 0.99 * DELTA**0.25


def test_slow_bounds_are_called_at_likely_counts_only(monkeypatch):
    calls = []

    def doubled(told):
        calls.append(told.n)
        return controls.sample_doubled(told)

    every = stress.counts(doubled, 200, DELTA)
    assert len(calls) == 201
    monkeypatch.setattr(stress, "SLOW", 0.0)
    calls.clear()
    likely = stress.counts(doubled, 200, DELTA)
    assert len(calls) == len(stress.likely_counts(200)) < 201
    assert likely.test == "Bernoulli, likely counts"
    assert DELTA < likely.rate <= every.rate * (1 + 1e-12)
    calls.clear()
    stress.counts(doubled, 100, DELTA)
    assert len(calls) == 101
    assert len(stress.likely_counts(10_000)) < 1_500


def test_likely_counts_have_all_but_two_millionths_of_the_chance():
    for n in (1, 150, 10_000):
        mass = stats.binom.pmf(np.arange(n + 1), n, np.array(stress.LIKELY)[:, None])
        assert mass[:, stress.likely_counts(n)].sum(axis=-1).min() >= 1.0 - 2e-6


def test_sampling_agrees_with_enumeration():
    p, n, bound = 0.3, 12, train_mean_plus(0.1)
    values = np.arange(n + 1) / n + 0.1
    for num_experts in (1, 5):
        case = ordered.sample(bound, n, num_experts, p, DELTA, 3_000)
        law = stress.best_count(n, num_experts, np.array([p]))[0]
        exact = float(law[values < p].sum())
        error = math.sqrt(exact * (1 - exact) / case.replications)
        assert case.rate == pytest.approx(exact, abs=4 * error)


@properties
@hypothesis.given(st.floats(0.0, 0.5), st.floats(0.0, 0.3), st.integers(1, 15))
def test_a_larger_bound_is_violated_less_often(slack, more, n):
    low, high = (stress.counts(mean_plus(s), n, DELTA) for s in (slack, slack + more))
    assert high.rate <= low.rate + 1e-9


@properties
@hypothesis.given(st.floats(0.0, 0.5), st.integers(1, 8), st.integers(1, 10**6))
def test_more_experts_violate_a_bound_that_ignores_them_more(slack, n, num_experts):
    bound = train_mean_plus(slack)
    fewer, more = (stress.experts(bound, n, m, DELTA) for m in (1, num_experts))
    assert fewer.rate <= more.rate + 1e-9


def test_pairing_of_training_and_certifying_losses_is_an_order():
    def paired(told):
        return 1.0 + 0.01 * float(told.losses @ told.train_losses)

    assert ordered.order_matters(paired, 6, DELTA)
    assert not ordered.order_matters(maurer, 6, DELTA)
    assert not ordered.order_matters(sizes.SHIPPED["empirical_bernstein"], 20, DELTA)
    assert ordered.order_matters(sizes.SHIPPED["betting"], 6, DELTA)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stress.counts(maurer, 0, DELTA), "n = 0, expected at least 1"),
        (lambda: stress.sequences(maurer, 3, 1.0), "delta = 1.0 is not in"),
        (lambda: stress.experts(maurer, 3, 0, DELTA), "num_experts = 0, expected"),
        (lambda: ordered.order_matters(maurer, 1, DELTA), "n = 1, expected at least 2"),
        (lambda: ordered.sample(maurer, 3, 1, 0.1, DELTA, 0), "of = 0, expected"),
        (lambda: verdict.sampled("", "", DELTA, 4, 3), r"misses = 4.0 is not in"),
        (lambda: verdict.exact("", "", math.nan, 0.1), "delta = nan is not in"),
        (lambda: verdict.exact("", "", DELTA, 1.1), "rate = 1.1 is not in"),
        (lambda: next(replications.draw("x", 1)), "world = 'x', expected one of"),
        (
            lambda: next(replications.draw("stock-out", 0)),
            "replications = 0, expected",
        ),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
