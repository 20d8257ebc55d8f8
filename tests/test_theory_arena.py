import math

import hypothesis
import mpmath
import numpy as np
import pytest
from arena_settings import MANY, SMALL
from hypothesis import strategies as st
from scipy import stats

from theory import arena, controls, evidence, kl, replications, sizes, stress, verdict

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
    # what it does without the observations is right
    assert stress.counts(controls.pseudo_replicated, 20, DELTA).rate <= DELTA


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


@pytest.mark.parametrize("world", replications.WORLDS)
def test_risk_agrees_with_quadrature_and_with_fresh_losses(world):
    exact = replications.risks(world)
    for j in (0, 5, 10):
        w = replications.WEIGHTS[j]
        variance = (1 - w) ** 2 + w**2 / replications.PAST
        sigma = mpmath.sqrt(variance + replications.SHIFT2 + replications.NOISE2)
        quantile = mpmath.sqrt(2) * mpmath.erfinv(2 * replications.QUANTILE - 1)
        mean = -(1 - w) * replications.BELIEF - quantile * sigma

        def density(e, mean=mean, sigma=sigma):
            loss = replications.losses(world, np.array([float(e)]))
            return float(loss[0]) * mpmath.npdf(e, mean, sigma)

        cuts = [-30, -20, -5, 0, 5, 30]
        assert exact[j] == pytest.approx(float(mpmath.quad(density, cuts)), abs=1e-9)
    drawn = list(replications.draw(world, 600))
    gaps = np.array([d.told.losses.mean() - d.risk for d in drawn])
    assert abs(gaps.mean()) < 4 * gaps.std() / math.sqrt(len(gaps))
    over = np.array([d.told.train_losses.mean() - d.risk for d in drawn])
    assert over.mean() < 2 * over.std() / math.sqrt(len(over))


def test_observations_of_one_instance_are_correlated():
    told = [d.told.observation_losses for d in replications.draw("stock-out", 200)]
    pairs = np.concatenate(told)[:, :2]
    assert 0.3 < np.corrcoef(pairs.T)[0, 1] < 0.8


def test_evidence_is_complete_and_cannot_be_changed():
    for world in replications.WORLDS:
        drawn = next(replications.draw(world, 3))
        told = drawn.told
        assert all(field is not None for field in told)
        assert len(told.losses) == len(told.train_losses) == told.n
        np.testing.assert_array_equal(told.losses, told.observation_losses[:, 0])
        assert 0.0 <= told.kl <= math.log(len(replications.WEIGHTS))
        assert max(told.parameter_norms) <= told.radius
        for losses in (told.losses, told.train_losses, told.observation_losses):
            assert losses.min() >= 0.0
            assert losses.max() <= 1.0
            with pytest.raises(ValueError, match="read-only"):
                losses[0] = 0.0
    fixed = evidence.of_fixed_policy(np.zeros(3), DELTA)
    assert fixed.kl == 0.0
    assert fixed.radius is fixed.parameter_norms is fixed.observation_losses is None


def test_sampling_agrees_with_enumeration():
    p, n, bound = 0.3, 12, train_mean_plus(0.1)
    values = np.arange(n + 1) / n + 0.1
    for num_experts in (1, 5):
        case = stress.sample(bound, n, num_experts, p, DELTA, 3_000)
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
    rows = sizes.table(sizes.SHIPPED["hoeffding"], "mine", (50,), 5)
    group = [size for size in rows if size.world == "Bernoulli(.05)"]
    assert len(group) == 7
    smallest = min(group, key=lambda size: size.value)
    assert (smallest.rank, smallest.bound) == (1, "clopper_pearson")
    mine, shipped = group[0], group[1]
    assert mine._replace(bound="hoeffding") == shipped
    assert all(size.over_floor > 0.9 for size in rows)


def test_pairing_of_training_and_certifying_losses_is_an_order():
    def paired(told):
        return 1.0 + 0.01 * float(told.losses @ told.train_losses)

    assert stress.order_matters(paired, 6, DELTA)
    assert not stress.order_matters(maurer, 6, DELTA)
    assert not stress.order_matters(sizes.SHIPPED["empirical_bernstein"], 20, DELTA)
    assert stress.order_matters(sizes.SHIPPED["betting"], 6, DELTA)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stress.counts(maurer, 0, DELTA), "n = 0, expected at least 1"),
        (lambda: stress.sequences(maurer, 3, 1.0), "delta = 1.0 is not in"),
        (lambda: stress.experts(maurer, 3, 0, DELTA), "num_experts = 0, expected"),
        (lambda: stress.order_matters(maurer, 1, DELTA), "n = 1, expected at least 2"),
        (lambda: stress.sample(maurer, 3, 1, 0.1, DELTA, 0), "of = 0, expected"),
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


@pytest.mark.parametrize("world", sizes.LAWS)
def test_laws_of_the_sizes_have_the_moments_they_claim(world):
    law = sizes.LAWS[world]
    losses = law.draw(np.random.default_rng(0), (100, 2_000))
    error = law.deviation / math.sqrt(losses.size)
    assert losses.mean() == pytest.approx(law.risk, abs=4 * error)
    assert losses.std() == pytest.approx(law.deviation, rel=0.02)
    assert law.baseline > law.risk


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
    less = chosen._replace(replications=50, ns=(32,), draws=1)
    found = arena.run(bound, settings=less)
    assert found.calls == len(calls)
    replicated = len(replications.WORLDS) * len(chosen.sampled_deltas)
    left_out = replicated * (chosen.replications - 50)
    left_out += len(sizes.LAWS) * len(chosen.ns) * chosen.draws
    assert found.calls + left_out <= {"quick": 10_000, "full": 70_000}[preset]
    assert found.valid


@pytest.mark.parametrize(
    ("answer", "total"),
    [
        (np.float32(0.5), 0.5),
        (np.array(0.25), 0.25),
        (1, 1.0),
        (math.inf, math.inf),
        ({"total": 0.5, "spread": 0.1}, 0.5),
        (verdict.Case("", "", 0.1, 0.2, 0, 1.0), None),
        (True, None),
        ("0.5", None),
        (None, None),
        ([0.5], None),
        (np.array([0.5]), None),
        ({"spread": 0.1}, None),
        ({"total": math.nan}, None),
        (math.nan, None),
        (1j, None),
    ],
)
def test_answers_are_numbers_or_terms_with_a_total(answer, total):
    if total is None:
        with pytest.raises(arena.BoundError, match=r"the bound returned .* at n = "):
            arena.run(lambda told: answer, settings=SMALL)
    else:
        assert evidence.total_of(answer) == total
        assert type(evidence.total_of(answer)) is float


def test_a_bound_that_fails_or_is_random_is_refused():
    with pytest.raises(arena.BoundError, match="raised ZeroDivisionError at n = 40"):
        arena.run(lambda told: 1 / 0, settings=SMALL)
    rng = np.random.default_rng(0)
    with pytest.raises(arena.BoundError, match="the bound is random"):
        arena.run(lambda told: 1.0 + rng.random(), settings=SMALL)
    with pytest.raises(ValueError, match="preset = 'huge', expected one of"):
        arena.run(maurer, preset="huge")
