import inspect
import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from theory import capacity, laws, rates, scaling

digits = mpmath.mp.clone()
digits.dps = 50

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
counts = st.integers(3, 10**7)
WEIGHTS = [np.array([[3.0, 0.0], [4.0, 1.0]]), np.array([[1.0, -2.0], [0.5, 1.0]])]


def covering_by_hand(widest, logarithm):
    """C₂⁶ (3 · ½)² C² ln(·) for three layers, C₂ from the quadratic for WᵀW."""
    squared = []
    for w in WEIGHTS:
        a, b, c = (
            digits.mpf(v)
            for v in (w[:, 0] @ w[:, 0], w[:, 0] @ w[:, 1], w[:, 1] @ w[:, 1])
        )
        squared.append((a + c + digits.sqrt((a - c) ** 2 + 4 * b * b)) / 2)
    return max(squared) ** 3 * digits.mpf("1.5") ** 2 * widest**2 * logarithm


def test_rates_at_fifty_digits():
    n, log_n = 1000, digits.log(1000)
    net = 50 * digits.log(1 + 2 * digits.mpf(1) / 3 * 7 * n / 2) + digits.log(20)
    learnt = digits.mpf(30) ** -1.5 + 30 * digits.log(30) / n
    for value, exact in (
        (rates.universal_priors(n, n), log_n**3 / (n * digits.log(log_n) ** 2)),
        (rates.data_pooling(n), 1 / digits.sqrt(n)),
        (
            rates.parameter_net(n, 50, 1 / 3, 7.0, 2.0, 0.05),
            2 * digits.sqrt(net / (2 * n)) + digits.mpf(4) / n,
        ),
        (rates.in_context_minimax(n, 1.5, 2), n ** (-digits.mpf(3) / 5)),
        (
            rates.in_context(n, 10**6, 30, 1.5, 2).total,
            learnt + 900 * digits.log(30) / 10**6,
        ),
        (rates.covering_rate(n, 4.0, 90.0, 2.0), 4 * (1 + log_n) / digits.sqrt(n)),
        (
            rates.trauger_tewari_log_covering(WEIGHTS, 0.5, 3.0, 3, 2),
            covering_by_hand(8, digits.log(9)),
        ),
        (
            rates.edelman_log_covering(WEIGHTS, 0.5, 3.0, 3, 2, 10, n),
            covering_by_hand(6, digits.log(2 * 10 * n)),
        ),
    ):
        assert type(value) is float
        assert value == pytest.approx(float(exact), rel=1e-12)


def test_norms_of_a_matrix_by_hand():
    norms = rates.weight_norms(WEIGHTS[0])
    assert norms.two_one == 5.0 + 1.0
    assert norms.one_one == 8.0
    assert rates.weight_norms(3.0 * np.eye(4)) == pytest.approx((3.0, 12.0, 12.0))


@properties
@hypothesis.given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
def test_norms_are_ordered_and_ignore_the_order_of_outputs(seed, rows, columns):
    w = np.random.default_rng(seed).standard_normal((rows, columns))
    norms = rates.weight_norms(w)
    assert norms.spectral <= norms.two_one * (1 + 1e-12)
    assert norms.two_one <= norms.one_one * (1 + 1e-12)
    assert rates.weight_norms(w[:, ::-1]) == pytest.approx(norms)
    # The (2,1) norm is not that of the transpose.
    if rows != columns:
        rank_one = np.outer(np.ones(rows), np.ones(columns))
        assert rates.weight_norms(rank_one).two_one == pytest.approx(
            columns * math.sqrt(rows)
        )


@properties
@hypothesis.given(counts, counts, st.floats(0.1, 5.0), st.integers(1, 20))
def test_rates_fall_with_n(n, more, smoothness, dimension):
    for rate in (
        lambda k: rates.universal_priors(k, 10**9),
        rates.data_pooling,
        lambda k: rates.in_context_minimax(k, smoothness, dimension),
        lambda k: rates.parameter_net(k, 100, 1.0, 1.0, 1.0, 0.05),
        lambda k: rates.covering_rate(k, 50.0, 1.0, 1.0),
        lambda k: rates.in_context(k, 10**6, 30, smoothness, dimension).total,
    ):
        assert rate(n + more) <= rate(n)
    assert rates.in_context_minimax(n, smoothness, dimension) >= 1.0 / n
    assert rates.in_context_minimax(
        n, smoothness, dimension + 1
    ) >= rates.in_context_minimax(n, smoothness, dimension)


def test_the_parameter_net_is_that_of_capacity_in_any_unit_of_cost():
    value = rates.parameter_net(100, 7, 0.5, 3.0, 2.0, 0.05)
    assert value == capacity.parameter_net(7, 0.5, 3.0, 100, 0.05, 2.0)
    in_cents = rates.parameter_net(100, 7, 0.5, 300.0, 200.0, 0.05)
    assert in_cents == pytest.approx(100.0 * value, rel=1e-14)


def test_more_instances_than_in_pretraining_are_a_plateau():
    short = [rates.universal_priors(n, 512) for n in (128, 256, 512, 1024, 4096)]
    assert short[0] > short[1] > short[2] == short[3] == short[4]
    assert rates.universal_priors(4096, 4096) < short[-1]


@properties
@hypothesis.given(st.floats(1.0, 3.0), st.integers(1, 5), st.integers(1, 500))
def test_capacities_grow_with_norms_depth_and_length(more, layers, tokens):
    larger = [more * w for w in WEIGHTS]
    edelman = lambda w, k, t: rates.edelman_log_covering(w, 1.0, 1.0, k, 8, t, 100)
    base = edelman(WEIGHTS, layers, tokens) * (1 - 1e-12)
    assert edelman(larger, layers, tokens) >= base
    assert edelman(WEIGHTS, layers + 1, tokens) > base
    assert edelman(WEIGHTS, layers, tokens + 1) > base
    tewari = lambda w, k: rates.trauger_tewari_log_covering(w, 1.0, 1.0, k, 8)
    assert tewari(larger, layers) >= tewari(WEIGHTS, layers) * (1 - 1e-12)
    assert tewari(WEIGHTS, layers + 1) > tewari(WEIGHTS, layers)


def test_capacity_of_an_ordinary_network_says_nothing_below_a_million_instances():
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((64, 64)) / 8.0 for _ in range(12)]
    for c in (
        rates.edelman_log_covering(weights, 1.0, 8.0, 4, 64, 128, 10**6),
        rates.trauger_tewari_log_covering(weights, 1.0, 8.0, 4, 64),
    ):
        assert rates.covering_rate(10**6, c, 1.0, 1.0) == 1.0
    assert rates.covering_rate(10**6, 10.0, 1.0, 1.0) < 0.05
    deep = rates.edelman_log_covering(weights, 1.0, 8.0, 2_000, 64, 128, 10**6)
    assert deep == math.inf
    assert rates.covering_rate(10, deep, 1.0, 1.0) == 1.0
    assert rates.trauger_tewari_log_covering([np.zeros((2, 2))], 1.0, 1.0, 1, 2) == 0.0


@pytest.mark.parametrize("m", [10**3, 10**5])
def test_the_best_basis_gives_the_minimax_rate_up_to_a_logarithm(m):
    alpha, d = 1.5, 2
    minimax = rates.in_context_minimax(m, alpha, d)
    best = round(m ** (d / (2 * alpha + d)))
    terms = rates.in_context(m, 10**12, best, alpha, d)
    assert terms.approximation == pytest.approx(minimax, rel=0.1)
    assert terms.total < minimax * (2.0 + math.log(m))
    few = rates.in_context(m, 100, best, alpha, d)
    assert few.pretraining > 10.0 * (few.approximation + few.in_context)


@properties
@hypothesis.given(st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_fitted_constant_scales_with_the_error(unit, seed):
    n = [32, 64, 128, 256]
    noise = np.exp(0.1 * np.random.default_rng(seed).standard_normal(4))
    error = noise * [rates.data_pooling(k) for k in n]
    fit = rates.fit_constant(n, error, rates.data_pooling)
    scaled = rates.fit_constant(n, unit * error, rates.data_pooling)
    assert scaled.constant == pytest.approx(unit * fit.constant, rel=1e-9)
    assert scaled.residual == pytest.approx(fit.residual, abs=1e-9)
    assert fit.constant == pytest.approx(math.exp(np.log(noise).mean()), rel=1e-12)


def test_a_rate_of_the_wrong_slope_has_the_larger_residual():
    n = np.array([32, 64, 128, 256, 512, 1024])
    error = [laws.james_stein_regret(int(k), 0.5, 0.5) for k in n]
    right = rates.fit_constant(n, error, lambda k: 1.0 / k)
    assert right == pytest.approx((0.75, 0.0), abs=1e-12)
    assert rates.fit_constant(n, error, rates.data_pooling).residual > 0.5
    assert scaling.log_log_slope(n, error).slope == pytest.approx(-1.0)


def test_no_rate_calls_itself_a_guarantee():
    public = [
        f
        for name, f in inspect.getmembers(rates, inspect.isfunction)
        if f.__module__.startswith("theory.") and not name.startswith("_")
    ]
    assert len(public) >= 10
    for f in public:
        assert not {"bound", "certificate"} & set(f.__name__.split("_"))
        assert "Source: " in f.__doc__
        if f not in (rates.weight_norms, rates.fit_constant):
            assert "Hidden: " in f.__doc__, f.__name__


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rates.universal_priors(2, 10), "n = 2, expected at least 3"),
        (lambda: rates.universal_priors(10, 2), "n_pretrain = 2, expected"),
        (lambda: rates.data_pooling(0), "n = 0, expected at least 1"),
        (lambda: rates.weight_norms([1.0]), r"weight has shape \(1,\)"),
        (lambda: rates.weight_norms([[math.nan]]), r"weight\[0, 0\] = nan is not"),
        (
            lambda: rates.trauger_tewari_log_covering([], 1.0, 1.0, 1, 1),
            "weights = 0, expected",
        ),
        (
            lambda: rates.edelman_log_covering([EYE], 0.0, 1.0, 1, 2, 1, 1),
            "head_norm = 0.0 is not positive",
        ),
        (
            lambda: rates.edelman_log_covering([EYE], 1.0, 1.0, 0, 2, 1, 1),
            "num_layers = 0, expected",
        ),
        (
            lambda: rates.edelman_log_covering([EYE], 1.0, 1.0, 1, 2, 0, 1),
            "tokens = 0, expected",
        ),
        (lambda: rates.covering_rate(1, -1.0, 1.0, 1.0), "log_covering = -1.0"),
        (lambda: rates.covering_rate(1, 1.0, math.nan, 1.0), "loss_range = nan"),
        (lambda: rates.parameter_net(1, 1, 1.0, 1.0, 1.0, 1.0), "delta = 1.0 is not"),
        (lambda: rates.parameter_net(1, 0, 1.0, 1.0, 1.0, 0.1), "num_parameters = 0"),
        (lambda: rates.in_context_minimax(1, 0.0, 1), "smoothness = 0.0 is not"),
        (lambda: rates.in_context(1, 1, 1, 1.0, 1), "basis = 1, expected at least 2"),
        (
            lambda: rates.fit_constant([10], [1.0, 2.0], rates.data_pooling),
            "1 n, 2 error",
        ),
        (
            lambda: rates.fit_constant([10, 20], [1.0, 0.0], rates.data_pooling),
            "error at n = 20 = 0.0 is not positive",
        ),
        (
            lambda: rates.fit_constant([1.5], [1.0], rates.data_pooling),
            "n = 1.5 is not",
        ),
        (
            lambda: rates.fit_constant([4], [1.0], lambda k: 0.0),
            r"rate\(4\) = 0.0 is not positive",
        ),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
