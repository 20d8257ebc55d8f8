import math

import hypothesis
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from theory import certificates, kl, wealth

DELTA = 0.05
BOUNDS = ("hoeffding", "empirical_bernstein", "kl_chernoff", "bentkus", "betting")
P_GRID = np.concatenate([[0.001, 0.01, 0.02, 0.03], np.arange(1, 20) / 20, [0.99]])

digits = mpmath.mp.clone()
digits.dps = 50
properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
samples = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)
deltas = st.floats(1e-6, 0.9)


def upper_bound(name):
    return getattr(certificates, name)


def lower_bound(name):
    return getattr(certificates, f"{name}_lower")


def zeros_and_ones(k, n):
    return np.repeat([1.0, 0.0], [k, n - k])


def miscoverage_of_counts(bounds, n, p):
    """P(U(k) < p) for k ~ Bin(n, p), exactly."""
    return stats.binom.pmf(np.arange(n + 1), n, p)[np.asarray(bounds) < p].sum()


def every_sequence(n):
    """All 2ⁿ sequences of n losses in {0, 1}."""
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)


def miscoverage_of_sequences(bounds, sequences, p):
    """P(U(x) < p) for x ~ Bernoulli(p)ⁿ, exactly, order included."""
    ones = sequences.sum(axis=1)
    chance = p**ones * (1.0 - p) ** (sequences.shape[1] - ones)
    return chance[bounds < p].sum()


def beta_losses(key, shape):
    """Mean .05, standard deviation .05."""
    return np.random.default_rng(key).beta(0.9, 17.1, shape)


@pytest.mark.parametrize("n", [1, 2, 7, 50])
@pytest.mark.parametrize("name", BOUNDS[:4])
def test_miscoverage_is_at_most_delta(name, n):
    bounds = [upper_bound(name)(zeros_and_ones(k, n), DELTA) for k in range(n + 1)]
    # just above a bound is where the next miss begins
    grid = np.concatenate([P_GRID, np.nextafter(bounds, 2.0)])
    for p in grid[grid <= 1.0]:
        assert miscoverage_of_counts(bounds, n, p) <= DELTA * (1 + 1e-9), p


@pytest.mark.parametrize(
    ("name", "most"), [("kl_chernoff", 0.045), ("hoeffding", 0.01)]
)
def test_miscoverage_at_a_hundred_is_known(name, most):
    bounds = [upper_bound(name)(zeros_and_ones(k, 100), DELTA) for k in range(101)]
    assert max(miscoverage_of_counts(bounds, 100, p) for p in P_GRID[4:]) <= most


@pytest.mark.parametrize("delta", [0.01, DELTA, 0.5])
def test_clopper_pearson_misses_exactly_delta_above_each_bound(delta):
    n = 40
    bounds = [certificates.clopper_pearson(k, n, delta) for k in range(n + 1)]
    for p in np.array(bounds[:-1]) * (1 + 1e-13):
        assert miscoverage_of_counts(bounds, n, p) == pytest.approx(delta, rel=1e-9)


@pytest.mark.parametrize("delta", [0.01, DELTA, 0.3])
@pytest.mark.parametrize("n", [1, 3, 11])
def test_betting_misses_at_most_delta_over_all_sequences(n, delta):
    sequences = every_sequence(n)
    bounds = wealth.upper(sequences, delta)
    grid = np.concatenate([P_GRID, np.nextafter(np.unique(bounds)[::9], 2.0)])
    for p in grid[grid <= 1.0]:
        assert miscoverage_of_sequences(bounds, sequences, p) <= delta, p


def test_doubled_sample_size_is_caught():
    n = 50
    bounds = [kl.inverse_upper(k / n, -math.log(DELTA) / (2 * n)) for k in range(n + 1)]
    assert max(miscoverage_of_counts(bounds, n, p) for p in P_GRID) > 1.5 * DELTA


def test_bets_that_see_their_own_loss_are_caught(monkeypatch):
    honest = wealth.bets

    def peeking(losses, delta):
        return np.where(losses < 0.5, honest(losses, delta), 0.0)

    monkeypatch.setattr(wealth, "bets", peeking)
    sequences = every_sequence(11)
    bounds = wealth.upper(sequences, DELTA)
    worst = max(miscoverage_of_sequences(bounds, sequences, p) for p in P_GRID)
    assert worst > 1.5 * DELTA


@pytest.mark.parametrize(
    ("losses", "mean"),
    [
        (beta_losses(0, (20_000, 40)), 0.05),
        (np.random.default_rng(1).choice([0.0, 0.3, 1.0], (20_000, 40)), 1.3 / 3),
        ((np.random.default_rng(2).random((20_000, 40)) < 0.08).astype(float), 0.08),
    ],
    ids=["beta", "three points", "rare"],
)
def test_betting_covers_in_simulation(losses, mean):
    misses = int((wealth.upper(losses, DELTA) < mean).sum())
    test = stats.binomtest(misses, len(losses), DELTA, alternative="greater")
    assert test.pvalue > 1e-3
    misses = int((1.0 - wealth.upper(1.0 - losses, DELTA) > mean).sum())
    test = stats.binomtest(misses, len(losses), DELTA, alternative="greater")
    assert test.pvalue > 1e-3


@pytest.mark.parametrize(
    ("n", "rows", "betting", "hoeffding"),
    [
        (100, 400, 0.0805, 0.173),
        (1_000, 100, 0.0543, 0.089),
        (10_000, 20, 0.0515, 0.063),
        (100_000, 3, 0.0505, 0.054),
    ],
)
def test_reference_sizes(n, rows, betting, hoeffding):
    losses = beta_losses(3, (rows, n))
    losses *= 0.05 / losses.mean()
    bounds = wealth.upper(losses.clip(0.0, 1.0), DELTA)
    assert certificates.floor(0.05, n, DELTA) < bounds.mean() < betting
    sizes = [certificates.hoeffding(row.clip(0.0, 1.0), DELTA) for row in losses]
    assert np.mean(sizes) == pytest.approx(hoeffding, abs=1e-3)


def exact_capital(losses, m, delta):
    """max_t W_t(m) from the definitions, at 50 digits."""
    x, n = [digits.mpf(v) for v in losses], len(losses)
    m, target = digits.mpf(m), digits.log(1 / digits.mpf(delta))
    shares = [digits.mpf(weight) for weight, _ in wealth.GAMBLERS]
    total, squares, best = digits.mpf(0.5), digits.mpf(0.25), digits.mpf(0)
    for i in range(n):
        bet = digits.sqrt(2 * target / (n * squares / (i + 1)))
        for k, (_, most) in enumerate(wealth.GAMBLERS):
            shares[k] *= 1 - min(bet, most / (1 - m)) * (x[i] - m)
        best = max(best, sum(shares))
        total += x[i]
        squares += (x[i] - total / (i + 2)) ** 2
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("delta", [1e-6, DELTA, 0.5])
def test_betting_inverts_the_capital_at_fifty_digits(seed, delta):
    rng = np.random.default_rng(seed)
    losses = rng.beta(0.9, 17.1, 60) if seed % 2 else rng.integers(2, size=30) * 1.0
    bound = certificates.betting(losses, delta)
    assert bound == 1.0 or exact_capital(losses, bound, delta) >= 1 / digits.mpf(delta)
    assert exact_capital(losses, bound - 1e-9, delta) < 1 / digits.mpf(delta)


def exact_cdf(k, n, p):
    p = digits.mpf(p)
    return sum(digits.binomial(n, j) * p**j * (1 - p) ** (n - j) for j in range(k + 1))


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 30), (3, 30), (29, 30), (7, 500)])
@pytest.mark.parametrize("delta", [1e-9, DELTA, 0.9])
def test_clopper_pearson_inverts_the_cdf_at_fifty_digits(k, n, delta):
    upper = certificates.clopper_pearson(k, n, delta)
    assert exact_cdf(k, n, upper * (1 + 1e-13)) <= delta
    assert exact_cdf(k, n, upper * (1 - 1e-13)) >= delta
    lower = certificates.clopper_pearson_lower(n - k, n, delta)
    assert lower == pytest.approx(1.0 - upper, abs=1e-13)


@pytest.mark.parametrize("total", [0.0, 0.4, 3.0, 11.7])
def test_bentkus_inverts_its_p_value_at_fifty_digits(total):
    n = 30
    losses = np.full(n, total / n)
    mean = digits.mpf(float(losses.mean()))

    def p_value(alpha):
        a = digits.mpf(alpha)
        head = mean * digits.log(mean / a) if mean else 0
        tail = (1 - mean) * digits.log((1 - mean) / (1 - a))
        cdf = digits.e * exact_cdf(math.ceil(total), n, a)
        return min(digits.exp(-n * (head + tail)), cdf)

    bound = certificates.bentkus(losses, DELTA)
    assert p_value(bound * (1 + 1e-12)) <= DELTA < p_value(bound * (1 - 1e-12))


def test_closed_forms_at_fifty_digits():
    losses = beta_losses(4, 20)
    x, n = [digits.mpf(v) for v in losses], 20
    mean = sum(x) / n
    variance = sum((v - mean) ** 2 for v in x) / (n - 1)
    log_1, log_2 = (digits.log(c / digits.mpf(0.3)) for c in (1, 2))
    hoeffding = mean + digits.sqrt(log_1 / (2 * n))
    bernstein = digits.sqrt(2 * variance * log_2 / n) + 7 * log_2 / (3 * (n - 1))
    floor = 1 - (1 - digits.mpf(0.2)) * digits.mpf(0.3) ** (digits.mpf(1) / n)
    for value, exact in (
        (certificates.hoeffding(losses, 0.3), hoeffding),
        (certificates.empirical_bernstein(losses, 0.3), mean + bernstein),
        (certificates.floor(0.2, n, 0.3), floor),
    ):
        assert value == pytest.approx(float(exact), rel=1e-14)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("loss", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 10, 1000])
def test_no_bound_is_below_the_floor_on_losses_without_spread(name, loss, n):
    floor = certificates.floor(loss, n, DELTA)
    assert upper_bound(name)(np.full(n, loss), DELTA) >= floor - 1e-12
    assert certificates.clopper_pearson(0, n, DELTA) == pytest.approx(
        certificates.floor(0.0, n, DELTA), rel=1e-12
    )


@properties
@hypothesis.given(samples, deltas)
def test_bounds_are_ordered_and_in_the_unit_interval(losses, delta):
    mean = float(np.mean(losses))
    by_name = {name: upper_bound(name)(losses, delta) for name in BOUNDS}
    assert by_name["bentkus"] <= by_name["kl_chernoff"]
    assert by_name["kl_chernoff"] <= by_name["hoeffding"] + 1e-12
    assert all(0.0 <= bound <= 1.0 for bound in by_name.values())
    for name in ("hoeffding", "empirical_bernstein", "kl_chernoff"):
        assert by_name[name] >= mean


@properties
@hypothesis.given(st.integers(1, 60), st.integers(0, 60), deltas)
def test_clopper_pearson_is_the_smallest_on_counts(n, k, delta):
    k = min(k, n)
    exact = certificates.clopper_pearson(k, n, delta)
    assert exact <= certificates.bentkus(zeros_and_ones(k, n), delta) + 1e-12
    if k < n:
        assert exact < certificates.clopper_pearson(k + 1, n, delta)
    assert certificates.clopper_pearson(k, n + 1, delta) <= exact


@properties
@hypothesis.given(samples, deltas, deltas)
def test_bounds_decrease_in_delta(losses, delta, other):
    low, high = sorted((delta, other))
    for name in BOUNDS[:4]:
        bound = upper_bound(name)
        assert bound(losses, high) <= bound(losses, low) + 1e-12


@properties
@hypothesis.given(samples, deltas, st.floats(0.0, 1.0))
def test_bounds_on_the_mean_alone_increase_in_each_loss(losses, delta, share):
    raised = [loss + share * (1.0 - loss) for loss in losses]
    for name in ("hoeffding", "kl_chernoff", "bentkus"):
        bound = upper_bound(name)
        assert bound(losses, delta) <= bound(np.minimum(raised, 1.0), delta) + 1e-12


@properties
@hypothesis.given(samples, st.floats(0.0, 0.99), st.floats(0.0, 0.99))
def test_capital_is_nondecreasing_in_the_candidate_mean(losses, m, other):
    x = np.array([losses, losses])
    capital = wealth.log_capital(x, wealth.bets(x, DELTA), np.sort([m, other]))
    assert capital[0] <= capital[1] + 1e-9


@properties
@hypothesis.given(samples, deltas)
def test_lower_bounds_mirror_upper_bounds(losses, delta):
    mirrored = 1.0 - np.array(losses)
    for name in BOUNDS:
        lower = lower_bound(name)(losses, delta)
        assert lower == pytest.approx(
            1.0 - upper_bound(name)(mirrored, delta), abs=1e-9
        )
        assert 0.0 <= lower <= 1.0


def test_bets_do_not_see_the_loss_they_are_placed_on():
    losses = beta_losses(5, (1, 20))
    changed = losses.copy()
    changed[0, 10] = 1.0
    before, after = (wealth.bets(x, DELTA)[0] for x in (losses, changed))
    np.testing.assert_array_equal(before[:11], after[:11])
    assert (before[11:] != after[11:]).all()
    assert before[0] == pytest.approx(math.sqrt(-2 * math.log(DELTA) / (20 * 0.25)))


def test_many_samples_at_once_are_the_samples_one_by_one(monkeypatch):
    losses = beta_losses(6, (7, 50))
    together = wealth.upper(losses, DELTA)
    monkeypatch.setattr(wealth, "BLOCK", 100)
    np.testing.assert_allclose(wealth.upper(losses, DELTA), together, atol=1e-10)
    single = [certificates.betting(row, DELTA) for row in losses]
    np.testing.assert_allclose(single, together, atol=1e-10)


def test_paired_gain_is_the_betting_bound_of_rescaled_differences():
    rng = np.random.default_rng(7)
    old = 40.0 + 10.0 * rng.random(400)
    new = old - 4.0 * rng.random(400)
    gain = certificates.paired_gain(new, old, DELTA, 50.0)
    lower = certificates.betting_lower((old - new + 50.0) / 100.0, DELTA)
    assert gain == pytest.approx(100.0 * lower - 50.0, abs=1e-12)
    assert 0.0 < gain < 2.0
    harm = certificates.paired_gain(old, new, DELTA, 50.0)
    assert -4.0 < harm < -2.0
    scaled = certificates.paired_gain(new / 50.0, old / 50.0, DELTA, 1.0)
    assert 50.0 * scaled == pytest.approx(gain, abs=1e-6)


def test_paired_gain_beats_two_separate_bounds():
    rng = np.random.default_rng(8)
    old = rng.random(2_000)
    new = np.maximum(old - 0.1 * rng.random(2_000), 0.0)
    separate = certificates.betting_lower(old, DELTA / 2) - certificates.betting(
        new, DELTA / 2
    )
    assert certificates.paired_gain(new, old, DELTA, 1.0) > separate + 0.015


def test_paired_gain_on_signs_is_the_bound_whose_coverage_is_enumerated():
    sequences = every_sequence(9)
    bounds = wealth.upper(1.0 - sequences, DELTA)
    zero = np.zeros(9)
    for row, bound in zip(sequences[::37], bounds[::37], strict=True):
        gain = certificates.paired_gain(zero, 2.0 * row - 1.0, DELTA, 1.0)
        assert gain == pytest.approx(1.0 - 2.0 * bound, abs=1e-9)


@pytest.mark.parametrize("name", BOUNDS)
def test_any_sequence_of_numbers_gives_a_python_float(name):
    for losses in ([0, 1, 0], (0.0, 1.0, 0.0), jnp.array([0.0, 1.0, 0.0])):
        for bound in (upper_bound(name), lower_bound(name)):
            assert type(bound(losses, DELTA)) is float
            assert bound(losses, DELTA) == bound(np.array([0.0, 1.0, 0.0]), DELTA)


def test_counts_at_the_ends():
    n = np.int64(10)
    assert certificates.clopper_pearson(10, n, DELTA) == 1.0
    assert certificates.clopper_pearson_lower(0, n, DELTA) == 0.0
    zero = certificates.clopper_pearson(0, n, DELTA)
    assert zero == pytest.approx(1.0 - DELTA**0.1, rel=1e-12)
    assert certificates.clopper_pearson_lower(n, n, DELTA) == pytest.approx(1.0 - zero)
    assert type(zero) is float


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize(
    ("losses", "delta", "message"),
    [
        ([0.5, 1.2], DELTA, r"losses\[1\] = 1.2 is not in \[0, 1\]"),
        ([-1e-9], DELTA, r"losses\[0\] = -1e-09 is not in"),
        ([0.1, 0.2, math.nan], DELTA, r"losses\[2\] = nan is not in"),
        ([], DELTA, "n = 0, expected at least 1"),
        ([[0.1]], DELTA, r"losses has shape \(1, 1\), expected \(n,\)"),
        ([0.5], 0.0, r"delta = 0.0 is not in \(0, 1\)"),
        ([0.5], 1.0, r"delta = 1.0 is not in"),
        ([0.5], math.nan, r"delta = nan is not in"),
    ],
)
def test_complaints_name_the_value(name, losses, delta, message):
    for bound in (upper_bound(name), lower_bound(name)):
        with pytest.raises(ValueError, match=message):
            bound(losses, delta)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: certificates.clopper_pearson(3, 2, 0.1), r"k = 3 is not in \[0, 2\]"),
        (lambda: certificates.clopper_pearson(-1, 2, 0.1), r"k = -1 is not in"),
        (lambda: certificates.clopper_pearson_lower(0, 0, 0.1), "n = 0, expected"),
        (lambda: certificates.clopper_pearson(1, 2, 1.5), "delta = 1.5 is not in"),
        (lambda: certificates.floor(1.5, 2, 0.1), r"risk = 1.5 is not in \[0, 1\]"),
        (lambda: certificates.floor(0.5, 0, 0.1), "n = 0, expected at least 1"),
        (lambda: certificates.floor(0.5, 2, -0.1), "delta = -0.1 is not in"),
        (
            lambda: certificates.paired_gain([0.1, 0.2], [0.1], 0.1, 1.0),
            "2 losses_new, 1 losses_old",
        ),
        (
            lambda: certificates.paired_gain([0.1, 9.0], [0.1, 0.2], 0.1, 5.0),
            r"losses_old - losses_new\[1\] = -8.8 is not in \[-5, 5\]",
        ),
        (
            lambda: certificates.paired_gain([0.1], [math.inf], 0.1, 1.0),
            r"losses_old - losses_new\[0\] = inf is not in",
        ),
        (
            lambda: certificates.paired_gain([math.nan], [0.1], 0.1, 1.0),
            r"losses_new\[0\] = nan is not in",
        ),
        (
            lambda: certificates.paired_gain([0.1], [0.2], 0.1, 0.0),
            "loss_range = 0.0 is not positive and finite",
        ),
        (lambda: certificates.paired_gain([0.1], [0.2], 2.0, 1.0), "delta = 2.0"),
        (lambda: certificates.paired_gain([], [], 0.1, 1.0), "n = 0, expected"),
    ],
)
def test_other_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
