import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from theory import capacity, two_path

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
digits = mpmath.mp.clone()
digits.dps = 50
DELTA = 0.05

# One head u in one dimension: decision .5 + u, cost the pinball cost at .8 of a demand
# uniform on [0, 1] under Q. Under P demand is uniform on [0, .625], so .5 is Bayes.
QUANTILE, BASE, LAW_P = 0.8, 0.5, 0.625
RADII = np.array([0.1, 0.2, 0.3])


def risk(x):
    """E max(.8 (Y-x), -.2 (Y-x)) for Y uniform on [0, 1]."""
    return QUANTILE * (0.5 - x) + x**2 / 2


def pinball(x, y):
    return np.maximum(QUANTILE * (y - x), (QUANTILE - 1.0) * (y - x))


def world_bound(n_fit, n_select, delta=DELTA):
    rademacher = [
        capacity.linear_ball(np.ones((n_fit, 1)), np.ones(n_fit), radius, QUANTILE)
        for radius in RADII
    ]
    return two_path.bound(
        pretrain_excess=0.0,
        total_variation=1.0 - LAW_P,
        mismatch_range=QUANTILE * BASE,
        approximation=risk(BASE + RADII) - risk(QUANTILE),
        rademacher=rademacher,
        optimisation=np.zeros(3),
        cost_bounds=QUANTILE * (1.0 - BASE + np.array([0.0, *RADII])),
        n_fit=n_fit,
        n_select=n_select,
        delta=delta,
    )


def simulated_excess(n_fit, n_select, replications, seed):
    """Excess risk of the selected head: exact minimisers over each ball, exact risk."""
    rng = np.random.default_rng(seed)
    fit, select = (rng.random((replications, n)) for n in (n_fit, n_select))
    free = np.quantile(fit, QUANTILE, axis=1, method="inverted_cdf")
    heads = np.stack(
        [np.full(replications, BASE)]
        + [np.clip(free, BASE - radius, BASE + radius) for radius in RADII],
        axis=1,
    )
    costs = pinball(heads[:, :, None], select[:, None, :]).mean(axis=2)
    chosen = np.take_along_axis(heads, costs.argmin(axis=1)[:, None], axis=1)[:, 0]
    return risk(chosen) - risk(QUANTILE)


@pytest.mark.parametrize(("n_fit", "n_select"), [(20, 10), (100, 100), (400, 100)])
def test_the_bound_holds_in_the_small_world(n_fit, n_select):
    excess = simulated_excess(n_fit, n_select, 2_000, seed=n_fit)
    terms = world_bound(n_fit, n_select)
    assert np.mean(excess > terms.total) <= DELTA
    # Of the fine-tuning path, approximation alone (0 at the last radius) fails; of the
    # pretraining path, the excess under P alone (0).
    assert np.mean(excess > risk(BASE + RADII[-1]) - risk(QUANTILE)) > 5 * DELTA
    assert risk(BASE) - risk(QUANTILE) > terms.pretrain_excess


def test_each_half_of_the_proof_holds_at_its_share_of_delta():
    n, replications, ball = 100, 2_000, 0.3
    demand = np.random.default_rng(8).random((replications, n))
    heads = np.linspace(BASE - ball, BASE + ball, 121)
    empirical = np.stack([pinball(x, demand).mean(axis=1) for x in heads], axis=1)
    gap = risk(heads) - empirical
    terms = world_bound(n, n)
    rademacher = capacity.linear_ball(np.ones((n, 1)), np.ones(n), ball, QUANTILE)
    b, share = QUANTILE * (1.0 - BASE + ball), DELTA / 12
    deviation = 3.0 * b * math.sqrt(math.log(2.0 / share) / (2 * n))
    assert terms.path in (0, 3)
    assert np.mean(gap.max(axis=1) > 2.0 * rademacher + deviation) <= share
    assert np.mean(gap.max(axis=1) > 0.0) > 0.5


def test_the_mismatch_step_holds_and_needs_the_cost_of_both_policies():
    # R_P(x) of demand uniform on [0, a], by the same integral as `risk`.
    def risk_p(x):
        below = x**2 / (2 * LAW_P) if x < LAW_P else x - LAW_P / 2
        return QUANTILE * (LAW_P / 2 - x) + below

    assert risk_p(BASE) <= min(map(risk_p, np.linspace(0.0, 1.0, 101))) + 1e-12
    excess = risk(BASE) - risk(QUANTILE)
    assert excess <= world_bound(10, 10).pretrain_path


def test_the_mismatch_step_needs_the_cost_of_the_bayes_policy_in_range():
    # Q is the outcome "usual"; P puts mass .01 on "rare". Decision a costs 1 on both, b
    # costs 0 on "usual" and 200 on "rare": a is Bayes under P, 1 too dear under Q.
    eps, ruin = 0.01, 200.0
    assert 1.0 < eps * ruin
    excess_q = 1.0 - 0.0

    def path(mismatch_range):
        given = arguments() | {"pretrain_excess": 0.0, "total_variation": eps}
        given["mismatch_range"] = mismatch_range
        return two_path.bound(**given).pretrain_path

    assert path(1.0) < excess_q <= path(ruin)


@pytest.mark.parametrize("pretrain_excess", [5.0, 50.0])
def test_by_hand(pretrain_excess):
    terms = two_path.bound(
        pretrain_excess=pretrain_excess,
        total_variation=0.25,
        mismatch_range=4.0,
        approximation=[0.5],
        rademacher=[0.25],
        optimisation=[0.125],
        cost_bounds=[1.0, 2.0],
        n_fit=4,
        n_select=16,
        delta=8.0 * math.exp(-8.0),  # ln(8/delta) = 8
    )
    comparator = 2.0 * math.sqrt(1.0 - math.log(2.0) / 8.0)
    finetune = 0.5 + 0.5 + 0.125 + 6.0 + comparator
    assert terms.pretrain_path == pretrain_excess + 2.0
    assert terms.finetune_paths == pytest.approx((finetune,), rel=1e-14)
    if pretrain_excess == 5.0:
        parts, name, path = [5.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0], "pretrain_excess", 0
    else:
        parts, name, path = [0.0, 0.0, 0.5, 0.5, 0.125, 6.0, comparator], "deviation", 1
    assert terms[:8] == pytest.approx((*parts, 2.0), rel=1e-14)
    assert (terms.dominant, terms.path) == (name, path)
    assert terms.total == pytest.approx(sum(parts) + 2.0, rel=1e-14)
    assert type(terms.total) is float


def arguments(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "pretrain_excess": float(rng.random()),
        "total_variation": float(rng.random()),
        "mismatch_range": float(rng.random()),
        "approximation": rng.random(3),
        "rademacher": rng.random(3),
        "optimisation": rng.random(3),
        "cost_bounds": np.sort(rng.random(4)),
        "n_fit": 300,
        "n_select": 200,
        "delta": 0.1,
    }


def test_the_total_at_fifty_digits():
    given = arguments(4)
    a, rad, eps = (given[k] for k in ("approximation", "rademacher", "optimisation"))
    b, d = [digits.mpf(float(v)) for v in given["cost_bounds"]], digits.mpf("0.1")

    def root(odds, n):
        return digits.sqrt(digits.log(odds) / (2 * n))

    paths = [
        digits.mpf(given["pretrain_excess"])
        + 2 * digits.mpf(given["mismatch_range"]) * digits.mpf(given["total_variation"])
    ]
    for j in range(3):
        paths.append(
            digits.mpf(float(a[j]))
            + 2 * digits.mpf(float(rad[j]))
            + digits.mpf(float(eps[j]))
            + 3 * b[j + 1] * root(8 * 3 / d, 300)
            + b[j + 1] * root(4 * 3 / d, 300)
        )
    exact = min(paths) + 2 * b[3] * root(4 * 4 / d, 200)
    assert two_path.bound(**given).total == pytest.approx(float(exact), rel=1e-14)


@properties
@hypothesis.given(st.integers(0, 10**6), st.floats(0.01, 0.9))
def test_the_total_is_monotone_in_each_argument(seed, share):
    given = arguments(seed)
    total = two_path.bound(**given).total
    for name, value in given.items():
        if name.startswith("n_"):
            changed = value + 1 + int(100 * share)
            assert two_path.bound(**{**given, name: changed}).total <= total
        elif name == "delta":
            assert two_path.bound(**{**given, name: 0.1 * share}).total >= total
        else:
            changed = value + share * (1.0 - value)
            assert two_path.bound(**{**given, name: changed}).total >= total


@properties
@hypothesis.given(st.integers(0, 10**6))
def test_terms_add_up_to_the_smallest_path(seed):
    terms = two_path.bound(**arguments(seed))
    parts = [getattr(terms, name) for name in two_path.TERMS]
    paths = (terms.pretrain_path, *terms.finetune_paths)
    assert min(parts) >= 0.0
    assert sum(parts) == pytest.approx(terms.total, rel=1e-14)
    assert paths[terms.path] == min(paths)
    assert getattr(terms, terms.dominant) == max(parts)
    assert terms._fields[: len(two_path.TERMS)] == two_path.TERMS


def test_pretraining_is_chosen_for_few_instances_and_fine_tuning_for_many():
    paths = [world_bound(n, n).path for n in (10, 100, 1_000, 10_000, 100_000)]
    assert paths[0] == 0
    assert paths[-1] == 3
    assert paths == sorted(paths)


def test_slope_is_minus_one_half_once_fine_tuning_is_chosen():
    few, many = (world_bound(n, n) for n in (40_000, 160_000))
    assert few.path == many.path == 3
    assert many.total == pytest.approx(few.total / 2.0, rel=1e-12)
    # On the pretraining path it levels off instead.
    start, end = (world_bound(n, n) for n in (10, 40))
    assert start.path == end.path == 0
    assert end.total > 0.5 * start.total + 0.1


def test_below_the_largest_cost_from_some_n_on():
    largest = QUANTILE * (1.0 - BASE + 0.3)
    totals = np.array([world_bound(n, n).total for n in 2 ** np.arange(3, 18)])
    assert (np.diff(totals) < 0).all()
    assert totals[0] > largest > totals[-1]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pretrain_excess", -0.1, "pretrain_excess = -0.1 is not in"),
        ("pretrain_excess", math.nan, "pretrain_excess = nan is not in"),
        ("total_variation", 1.5, r"total_variation = 1.5 is not in \[0, 1\]"),
        ("mismatch_range", math.inf, "mismatch_range = inf is not in"),
        ("approximation", [0.1, -0.2, 0.1], r"approximation\[1\] = -0.2 is not in"),
        ("approximation", [0.1], "1 approximation, 3 rademacher"),
        ("rademacher", [0.1, 0.1, math.nan], r"rademacher\[2\] = nan is not in"),
        ("optimisation", 0.1, r"optimisation has shape \(\), expected one number"),
        ("cost_bounds", [1.0, 1.0, 1.0], "3 cost_bounds; expected J, J, J and J"),
        ("approximation", [], r"approximation has shape \(0,\)"),
        ("n_fit", 0, "n_fit = 0, expected at least 1"),
        ("n_select", 0, "n_select = 0, expected at least 1"),
        ("delta", 1.0, r"delta = 1.0 is not in \(0, 1\)"),
    ],
)
def test_complaints_name_the_value(name, value, message):
    with pytest.raises(ValueError, match=message):
        two_path.bound(**{**arguments(), name: value})
