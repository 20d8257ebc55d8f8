import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from theory import mismatch

digits = mpmath.mp.clone()

digits.dps = 50

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)

scales = st.floats(0.1, 10.0)


def sign_changes(f, low, high, parts=40):
    """Roots of f between its sign changes on a grid."""
    grid = [low + (high - low) * digits.mpf(k) / parts for k in range(1, parts)]
    values = [f(x) for x in grid]
    return [
        digits.findroot(f, (a, b), solver="anderson")
        for a, b, u, v in zip(grid, grid[1:], values, values[1:], strict=False)
        if u * v < 0
    ]


def exact_distances(p, q, cdf_p, cdf_q, low, high):
    """The four definitions, integrated between the kinks of their integrands."""
    log_ratio = lambda x: digits.log(p(x) / q(x))
    kinks = [low, *sign_changes(log_ratio, low, high), high]
    pieces = sorted([*kinks, *(low + (high - low) * k / 4 for k in range(1, 4))])
    gap = lambda x: cdf_p(x) - cdf_q(x)
    turns = sorted([*sign_changes(gap, low, high), *pieces])
    return (
        digits.quad(lambda x: abs(p(x) - q(x)), pieces) / 2,
        digits.quad(lambda x: p(x) * log_ratio(x), pieces),
        digits.quad(lambda x: p(x) ** 2 / q(x), pieces) - 1,
        digits.quad(lambda x: abs(gap(x)), turns),
    )


def agree(values, exact, rel=1e-10):
    for name, value, e in zip(values._fields, values, exact, strict=True):
        assert type(value) is float
        assert value == pytest.approx(float(e), rel=rel), name


def gaussian_in_digits(mean_p, sd_p, mean_q, sd_q):
    """The closed forms at 1,500 digits, and TV from the roots of ln p = ln q."""
    with digits.workdps(1500):
        gap, p, q = (digits.mpf(x) for x in (mean_p - mean_q, sd_p, sd_q))
        kl = digits.log(q / p) + (p**2 + gap**2) / (2 * q**2) - digits.mpf(1) / 2
        wider, rest = abs(p - q), 2 * q**2 - p**2
        wasserstein = abs(gap) * digits.erf(abs(gap) / digits.sqrt(2) / wider)
        wasserstein += (
            wider * digits.sqrt(2 / digits.pi) * digits.exp(-((gap / wider) ** 2) / 2)
        )
        a, b = 1 / q**2 - 1 / p**2, 2 * gap / p**2
        c = 2 * digits.log(q / p) - (gap / p) ** 2
        root = digits.sqrt(b**2 - 4 * a * c)
        tv = sum(
            abs(digits.ncdf((x - gap) / p) - digits.ncdf(x / q))
            for x in ((-b + root) / (2 * a), (-b - root) / (2 * a))
        )
        log_chi2 = 2 * digits.log(q) - digits.log(p) - digits.log(rest) / 2
        return tv, kl, log_chi2 + gap**2 / rest, wasserstein


@pytest.mark.parametrize(
    ("mean_p", "sd_p", "mean_q", "sd_q"),
    [
        (0.0, 1e-200, 0.0, 1e200),
        (3e100, 1e-200, 0.0, 1e100),
        (0.0, 1e-130, 1e-130, 1e40),
        (0.0, 1.0, 2e-9, 1.0 + 1e-7),
    ],
)
def test_gaussian_distances_of_extreme_scales(mean_p, sd_p, mean_q, sd_q):
    found = mismatch.gaussian(mean_p, sd_p, mean_q, sd_q)
    tv, kl, log_chi2, wasserstein = gaussian_in_digits(mean_p, sd_p, mean_q, sd_q)
    assert found.total_variation == pytest.approx(float(tv), rel=1e-8)
    assert found.kl == pytest.approx(float(kl), rel=1e-13)
    assert found.wasserstein == pytest.approx(float(wasserstein), rel=1e-13)
    chi2 = float(digits.expm1(log_chi2)) if log_chi2 < 700 else math.inf
    assert found.chi2 == pytest.approx(chi2, rel=1e-10)
    other = mismatch.gaussian(mean_q, sd_q, mean_p, sd_p)
    assert other.total_variation == pytest.approx(found.total_variation, rel=1e-15)
    assert other.wasserstein == found.wasserstein


def test_gaussian_distances_are_never_nan():
    ends = (5e-324, 1e-200, 1.0, 1e200, 1.7e308)
    for sd_p in ends:
        for sd_q in ends:
            for gap in (0.0, 1e-300, 1.0, 1e155, 1.7e308):
                found = mismatch.gaussian(-gap, sd_p, gap, sd_q)
                assert 0.0 <= found.total_variation <= 1.0
                assert min(found.kl, found.chi2, found.wasserstein) >= 0.0


@pytest.mark.parametrize(
    ("mean_p", "sd_p", "mean_q", "sd_q"), [(0.3, 1.0, 1.0, 1.5), (2.0, 1.0, 1.0, 1.0)]
)
def test_gaussian_distances_are_their_definitions(mean_p, sd_p, mean_q, sd_q):
    p = lambda x: digits.npdf(x, mean_p, sd_p)
    q = lambda x: digits.npdf(x, mean_q, sd_q)
    cdf_p = lambda x: digits.ncdf(x, mean_p, sd_p)
    cdf_q = lambda x: digits.ncdf(x, mean_q, sd_q)
    exact = exact_distances(p, q, cdf_p, cdf_q, digits.mpf(-14), digits.mpf(16))
    agree(mismatch.gaussian(mean_p, sd_p, mean_q, sd_q), exact)


@pytest.mark.parametrize(
    ("a_p", "b_p", "a_q", "b_q"),
    [(3.0, 1.0, 4.0, 1.2), (3.0, 1.5, 3.0, 1.0), (4.0, 1.0, 3.0, 1.0), (4, 1, 3, 1.5)],
)
def test_gamma_distances_are_their_definitions(a_p, b_p, a_q, b_q):
    def density(a, b):
        scale = digits.mpf(b) ** a / digits.gamma(a)
        return lambda x: scale * x ** (digits.mpf(a) - 1) * digits.exp(-b * x)

    def cdf(a, b):
        return lambda x: digits.gammainc(a, 0, b * x, regularized=True)

    exact = exact_distances(
        density(a_p, b_p),
        density(a_q, b_q),
        cdf(a_p, b_p),
        cdf(a_q, b_q),
        digits.mpf("1e-30"),
        digits.mpf(90),
    )
    agree(mismatch.gamma(float(a_p), float(b_p), float(a_q), float(b_q)), exact)


def exact_sums(p, q):
    """The four definitions for probabilities of 0, 1, 2, …"""
    total, w1 = digits.mpf(0), digits.mpf(0)
    for a, b in zip(p, q, strict=True):
        total += a - b
        w1 += abs(total)
    return (
        sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
        sum(a * digits.log(a / b) for a, b in zip(p, q, strict=True)),
        sum(a * a / b for a, b in zip(p, q, strict=True)) - 1,
        w1,
    )


def poisson_terms(mean, count):
    terms = [digits.exp(-digits.mpf(mean))]
    for k in range(1, count):
        terms.append(terms[-1] * mean / k)
    return terms


def nb_terms(size, success, count):
    size, success = digits.mpf(size), digits.mpf(success)
    terms = [success**size]
    for k in range(1, count):
        terms.append(terms[-1] * (size + k - 1) / k * (1 - success))
    return terms


@pytest.mark.parametrize(("p", "q"), [(3.0, 4.5), (4.5, 3.0), (20.0, 19.9), (0.1, 5.0)])
def test_poisson_distances_are_their_definitions(p, q):
    exact = exact_sums(poisson_terms(p, 200), poisson_terms(q, 200))
    agree(mismatch.poisson(p, q), exact)


@pytest.mark.parametrize(
    ("r_p", "s_p", "r_q", "s_q"), [(2.5, 0.4, 1.5, 0.3), (0.7, 0.5, 4.0, 0.6)]
)
def test_negative_binomial_distances_are_their_definitions(r_p, s_p, r_q, s_q):
    exact = exact_sums(nb_terms(r_p, s_p, 800), nb_terms(r_q, s_q, 800))
    agree(mismatch.negative_binomial(r_p, s_p, r_q, s_q), exact)


def test_negative_binomial_with_a_nearly_fixed_mean_is_nearly_poisson():
    size = 1e7
    near = mismatch.negative_binomial(
        size, size / (size + 3.0), size, size / (size + 4)
    )
    for value, limit in zip(near, mismatch.poisson(3.0, 4.0), strict=True):
        assert value == pytest.approx(limit, rel=1e-5)


def test_discrete_distances_by_hand():
    p, q = [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]
    found = mismatch.discrete(p, q, [0.0, 10.0, 1.0])
    assert found.total_variation == 0.5
    assert found.kl == pytest.approx(math.log(2.0))
    assert found.chi2 == pytest.approx(0.25 + 0.25 + 0.5)
    assert found.wasserstein == pytest.approx(0.25 * 1.0 + 0.25 * 9.0)
    back = mismatch.discrete(q, p)
    assert back.kl == back.chi2 == math.inf
    assert back.wasserstein == pytest.approx(0.25 + 0.5)


def test_empirical_wasserstein_is_the_distance_of_the_discrete_laws():
    x, y = [3.0, 1.0, 1.0], [2.0, 5.0]
    exact = mismatch.discrete(
        [2 / 3, 0.0, 1 / 3, 0.0], [0.0, 0.5, 0.0, 0.5], [1.0, 2.0, 3.0, 5.0]
    )
    assert mismatch.empirical_wasserstein(x, y) == pytest.approx(exact.wasserstein)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(200_000), 0.5 + 2.0 * rng.standard_normal(200_000)
    law = mismatch.gaussian(0.0, 1.0, 0.5, 2.0).wasserstein
    assert mismatch.empirical_wasserstein(x, y) == pytest.approx(law, rel=0.02)


FAMILIES = (
    (mismatch.gaussian, lambda a, b: (a, b)),
    (mismatch.gamma, lambda a, b: (a, b)),
    (mismatch.poisson, lambda a, b: (a,)),
    (mismatch.negative_binomial, lambda a, b: (a, b / (b + 2.0))),
)


@properties
@hypothesis.given(scales, scales, scales, scales)
def test_distances_obey_the_known_inequalities(a, b, c, d):
    for family, law in FAMILIES:
        there = family(*law(a, b), *law(c, d))
        back = family(*law(c, d), *law(a, b))
        tv = there.total_variation
        assert 0.0 <= tv <= 1.0
        assert tv == pytest.approx(back.total_variation, rel=1e-6, abs=1e-12)
        assert there.wasserstein == pytest.approx(back.wasserstein, rel=1e-6, abs=1e-9)
        for kl in (there.kl, back.kl):
            assert tv <= mismatch.total_variation_bound(kl) + 1e-7
        assert there.kl <= math.log1p(there.chi2) + 1e-9
        same = family(*law(a, b), *law(a, b))
        assert same == pytest.approx((0.0, 0.0, 0.0, 0.0), abs=1e-12)


@properties
@hypothesis.given(st.floats(0.0, 5.0), st.floats(0.1, 2.0), scales, scales)
def test_gaussian_distances_increase_in_the_difference_of_means(gap, more, sd_p, sd_q):
    near = mismatch.gaussian(0.0, sd_p, gap, sd_q)
    far = mismatch.gaussian(0.0, sd_p, gap + more, sd_q)
    for close, distant in zip(near, far, strict=True):
        assert close <= distant + 1e-12
    assert far.wasserstein >= gap + more - 1e-12


@pytest.mark.parametrize("step", [1e-3, 1e-6, 1e-9])
def test_nearly_equal_laws_are_near(step):
    for family, law in FAMILIES:
        near = family(*law(2.0, 3.0), *law(2.0 + step, 3.0 + step))
        assert 0.0 <= near.total_variation < 2.0 * step
        assert near.wasserstein < 5.0 * step
        assert max(near.kl, near.chi2) < 10.0 * step**2 + 1e-13


def test_heavier_tails_have_an_infinite_chi2():
    assert mismatch.gaussian(0.0, 1.5, 0.0, 1.0).chi2 == math.inf
    assert mismatch.gaussian(0.0, 1.4, 0.0, 1.0).chi2 < math.inf
    assert mismatch.gamma(2.0, 1.0, 2.0, 2.0).chi2 == math.inf
    assert mismatch.gamma(1.0, 1.0, 2.0, 1.0).chi2 == math.inf
    assert mismatch.negative_binomial(1.0, 0.2, 1.0, 0.5).chi2 == math.inf
    assert mismatch.gaussian(0.0, 1.0, 60.0, 1.0).chi2 == math.inf
    assert mismatch.gaussian(0.0, 1.0, 60.0, 1.0).total_variation == 1.0
