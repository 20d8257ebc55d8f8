import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ptft_jax import certify, crossfit, finetune, left_out, risk, shapes, types
from ptft_jax.crossfit import Scores
from theory import certificates

KEY = jax.random.key(0)
M, Q = 4, 0.9


@pytest.fixture(scope="module")
def params():
    return tiny.params()


def lognormal(n, m=M, seed=0):
    return jnp.asarray(tiny.demand(m, n, seed).T, jnp.float32)


def portfolio(n, m=M, seed=0):
    return types.portfolio(lognormal(n, m, seed), Q)


PAIR = ("pretrained", "saa")


def scores(left, right, scales=(1.0, 1.0)):
    costs = lambda x: {"saa": np.array(x), "pretrained": np.array(x)}
    made = lambda x, b: Scores(costs(x), b, {PAIR: b})
    return made(left, scales[0]), made(right, scales[1])


def test_padding_changes_no_instance():
    data = portfolio(5)
    padded = shapes.pad(data)
    assert padded.valid.shape[0] == shapes.bucket(5) > 5
    np.testing.assert_array_equal(padded.observations[:5], data.observations)
    assert not padded.present[5:].any()
    assert 0 < padded.quantile.min()


@pytest.mark.parametrize(
    ("n", "size"), [(1, 128), (128, 128), (129, 256), (512, 512), (1115, 1152)]
)
def test_bucket_sizes(n, size):
    assert shapes.bucket(n) == size


def test_decisions_equal_those_of_the_policy_itself(params):
    policy = risk.single(tiny.NETWORK, params)
    stacked = jax.tree.map(lambda leaf: jnp.concatenate([leaf, 1.1 * leaf]), policy)
    data = shapes.pad(portfolio(9))
    expected = jax.jit(risk.decide, static_argnums=0)(tiny.NETWORK, stacked, data)
    found = left_out.decide(tiny.NETWORK, stacked, data)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_decision_does_not_see_the_observation_left_out(params):
    policy = risk.single(tiny.NETWORK, params)
    data, context = portfolio(6), shapes.pad(portfolio(8, seed=1))
    position = jnp.array([[0] * 6, [2] * 6])
    changed = data._replace(observations=data.observations.at[:, 2].set(1e3))
    args = (context, position)
    one = left_out.left_out_decisions(tiny.NETWORK, policy, data, *args)
    two = left_out.left_out_decisions(tiny.NETWORK, policy, changed, *args)
    np.testing.assert_array_equal(one[1], two[1])
    assert (one[0] != two[0]).all()


def test_parts_of_a_population_are_decided_alike(params):
    policy = risk.single(tiny.NETWORK, params)
    data, context = portfolio(200), shapes.pad(portfolio(8, seed=1))
    position = jnp.ones((1, 200), int)
    args = (context, position)
    whole = left_out.left_out_decisions(tiny.NETWORK, policy, data, *args)
    last = jax.tree.map(lambda leaf: leaf[190:], data)
    args = (context, position[:, 190:])
    part = left_out.left_out_decisions(tiny.NETWORK, policy, last, *args)
    np.testing.assert_allclose(whole[:, 190:], part, rtol=1e-5)


def test_costs_are_means_over_the_rows_that_count():
    data = types.portfolio(jnp.array([[1.0, 3.0], [2.0, jnp.nan], [4.0, 2.0]]), 0.75)
    position = jnp.array([[0, 0, 0], [1, 1, 1]])
    counts = jnp.array([[True, False, True], [True, False, False]])
    x = np.array([[3.0, 9.0, 2.0], [1.0, 9.0, 9.0]], np.float32)
    found = left_out.instance_costs(data, x, position, counts)
    np.testing.assert_allclose(found, [(0.25 * 2 + 0.75 * 2) / 2, 0.0, 0.75 * 2])


def bound_and_mean(params, data, key):
    halves = crossfit.cross_fit(tiny.NETWORK, params, data, None, key)
    found = crossfit.score(tiny.NETWORK, data, halves, key)
    made = certify.cost_bounds(found, "pretrained", 0.05, ("betting",))[0]
    return made.value, made.empirical


def test_a_file_sorted_by_size_has_no_smaller_bound(params):
    # losses are bet on one after the other: in order of size they would look small
    rng = np.random.default_rng(0)
    level = rng.lognormal(2.0, 1.2, (2000, 1))
    demand = level * rng.lognormal(0.0, 0.5, (2000, M))
    ordered = demand[np.argsort(demand.mean(1))]
    data = types.portfolio(jnp.asarray(ordered, jnp.float32), Q)
    for key in jax.random.split(KEY, 5):
        bound, mean = bound_and_mean(params, data, key)
        assert bound > mean


def test_a_fold_decides_without_looking_at_the_other(params):
    fit = finetune.make_fit(tiny.NETWORK, tiny.BRIEF)
    data = portfolio(20)
    first, second = crossfit.cross_fit(tiny.NETWORK, params, data, fit, KEY)
    assert sorted([*first.index, *second.index]) == list(range(20))
    np.testing.assert_array_equal(first.others, second.index)
    observations = data.observations.at[second.index].mul(50.0)
    changed = data._replace(observations=observations)
    again, other = crossfit.cross_fit(tiny.NETWORK, params, changed, fit, KEY)
    assert again.scale == first.scale
    assert again.ranges == first.ranges
    assert other.scale != second.scale
    for name, policy in first.policies.items():
        jax.tree.map(np.testing.assert_array_equal, policy, again.policies[name])


def test_bounds_of_the_folds_are_weighed_by_the_instances_they_are_about():
    rng = np.random.default_rng(0)
    left, right = 2.0 * rng.beta(2, 5, 30), 3.0 * rng.beta(2, 5, 20)
    found = certify.cost_bounds(scores(left, right, (2.0, 3.0)), "pretrained", 0.1)
    by_name = {c.name: c for c in found}
    ends = [
        b * certificates.betting(x / b, 0.05) for x, b in ((left, 2.0), (right, 3.0))
    ]
    expected = (30 * ends[0] + 20 * ends[1]) / 50
    assert by_name["pretrained_betting"].value == pytest.approx(expected)
    mean = (left.sum() + right.sum()) / 50
    assert by_name["pretrained_betting"].empirical == pytest.approx(mean)
    values = {name: c.value for name, c in by_name.items()}
    assert values["pretrained_kl_chernoff"] <= values["pretrained_hoeffding"]
    assert all(c.value >= c.empirical for c in found)


def test_costs_above_the_scale_are_cut_and_counted():
    found = certify.cost_bounds(scores([0.5, 9.0], [0.5, 0.5]), "pretrained", 0.1)
    share, mean = found[-1], found[0]
    assert share.is_share
    assert share.empirical == 0.25
    ends = [certificates.clopper_pearson(k, 2, 0.05) for k in (1, 0)]
    assert share.value == pytest.approx(sum(ends) / 2)
    assert mean.empirical == pytest.approx((0.5 + 1.0 + 0.5 + 0.5) / 4)


def test_gain_of_a_policy_over_itself_is_not_positive():
    found, _ = certify.gain_bounds(scores([0.1] * 9, [0.2] * 9), *PAIR, 0.1)
    assert found.empirical == 0.0
    assert found.value <= 0.0
    assert found.is_gain


def test_gain_is_certified_where_it_is_large():
    costs = {"saa": np.full(60, 0.9), "pretrained": np.full(60, 0.1)}
    fold = Scores(costs, 1.0, {PAIR: 1.0})
    found, share = certify.gain_bounds((fold, fold), *PAIR, 0.05)
    assert 0.5 < found.value <= found.empirical == pytest.approx(0.8)
    assert share.empirical == 0.0
    assert share.is_share
    assert not share.is_gain


def test_harm_beyond_the_range_is_cut_and_counted():
    costs = {"saa": np.zeros(10), "pretrained": np.r_[5.0, np.zeros(9)]}
    fold = Scores(costs, 1.0, {PAIR: 2.0})
    found, share = certify.gain_bounds((fold, fold), *PAIR, 0.1)
    assert found.empirical == pytest.approx(-0.2)
    assert share.empirical == pytest.approx(0.1)
    assert share.value == pytest.approx(certificates.clopper_pearson(1, 10, 0.05))


def test_a_gain_has_half_of_delta_on_each_fold_and_a_win_beyond_the_range_is_no_harm():
    rng = np.random.default_rng(0)
    saved = [np.r_[5.0, rng.uniform(-1.0, 1.5, n - 1)] for n in (30, 20)]
    made = lambda x, b: Scores(
        {"saa": 9.0 + x, "pretrained": np.full(len(x), 9.0)}, 1.0, {PAIR: b}
    )
    folds = made(saved[0], 2.0), made(saved[1], 3.0)
    found, share = certify.gain_bounds(folds, *PAIR, 0.1)
    ends = [
        certificates.paired_gain(np.zeros(len(x)), x.clip(-b, b), 0.05, b)
        for x, b in zip(saved, (2.0, 3.0), strict=True)
    ]
    assert found.value == pytest.approx((30 * ends[0] + 20 * ends[1]) / 50, rel=1e-6)
    assert share.empirical == 0.0


def test_scales_are_twice_what_the_fold_itself_has_seen():
    costs = {"pretrained": [1.0, 3.0], "finetuned": [2.0, 1.0], "saa": [1.0, 3.0]}
    scale, ranges = crossfit._scales({k: np.array(v) for k, v in costs.items()})
    assert scale == 6.0
    # two policies that agree leave a range of almost nothing
    assert ranges == {
        ("finetuned", "pretrained"): 4.0,
        ("finetuned", "saa"): 4.0,
        ("pretrained", "saa"): pytest.approx(6e-6),
    }


@pytest.mark.parametrize("data", [portfolio(3), portfolio(8, 1)])
def test_too_little_data_is_refused(params, data):
    with pytest.raises(ValueError, match="at least 2"):
        certify.certify(tiny.NETWORK, params, data, None, KEY)


def test_certificates_hold_as_often_as_they_say(params):
    delta, repeats, violations = 0.25, 60, 0
    for seed in range(repeats):
        data = portfolio(40, seed=seed)
        found = certify.certify(
            tiny.NETWORK, params, data, None, jax.random.key(seed), delta
        )
        fresh = portfolio(128, M, seed=20_000 + seed)
        key = jax.random.key(repeats + seed)
        risks = []
        for half in found.halves:
            position, counts, x = left_out.several(
                tiny.NETWORK, half.policies, fresh, half.context, key
            )
            cost = left_out.instance_costs(fresh, x["pretrained"], position, counts)
            risks.append(cost.mean())
        true = certify.weigh(found.scores, risks)
        violations += found.find("pretrained_betting").value < true
    # 4 standard errors above δ
    assert violations / repeats <= delta + 4 * (delta * (1 - delta) / repeats) ** 0.5
