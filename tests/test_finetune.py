import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ptft_jax import finetune, gate, model, pretrain, risk, shapes, tuning, types
from ptft_jax.problems import newsvendor

NETWORK = tiny.NETWORK
CONFIG = finetune.FinetuneConfig(
    num_folds=3, num_splits=1, num_rows=3, checkpoints=(5, 30)
)
fit = finetune.make_fit(NETWORK, CONFIG)
decide = jax.jit(risk.decide, static_argnums=0)


@pytest.fixture(scope="module")
def params():
    return tiny.params()


def demands(n, m, seed=0):
    rng = np.random.default_rng(seed)
    level = rng.lognormal(0.0, 0.3, (n, 1))
    # Two thirds of the days sell nothing much, which no normal rule foresees.
    data = level * rng.choice([0.2, 0.25, 3.0], (n, m)) * rng.lognormal(0, 0.1, (n, m))
    return jnp.asarray(data, jnp.float32)


@pytest.fixture(scope="module")
def data():
    return types.portfolio(demands(300, 8), 0.5)


@pytest.fixture(scope="module")
def found(params, data):
    return fit(params, data, jax.random.key(1))


def test_fine_tuning_wins_where_there_is_much_to_learn(params, data, found):
    assert found.chosen.name != "none"
    future = demands(300, 400, seed=0)[:, 8:]
    cost = lambda policy: newsvendor.cost(
        decide(NETWORK, policy, data)[:, None], future, data.quantile[:, None]
    ).mean()
    assert cost(found.policy) < 0.97 * cost(risk.single(NETWORK, params))


def test_the_chosen_candidate_has_the_best_cautious_gain(params):
    data = shapes.extend(types.portfolio(demands(40, 8), 0.5), 300)
    found = fit(params, data, jax.random.key(1))
    caution = gate.caution(40, CONFIG.caution)
    score = lambda c: c.gain - caution * c.gain_se
    assert score(found.chosen) == max(map(score, found.candidates))
    assert score(found.chosen) >= 0
    assert {c.name for c in found.candidates} == {"none", *finetune.CLASSES}


@pytest.mark.parametrize("shape", [(1, 5), (30, 1)])
def test_nothing_changes_without_anything_to_learn_from(params, shape):
    data = types.portfolio(demands(*shape), 0.9)
    found = fit(params, data, jax.random.key(1))
    assert found.chosen.name == "none"
    before = decide(NETWORK, risk.single(NETWORK, params), data)
    chex.assert_trees_all_equal(decide(NETWORK, found.policy, data), before)


@pytest.mark.parametrize("noise", [0.001, 0.01, 0.07])
def test_the_gate_adopts_where_the_posterior_mean_of_the_gain_is_above_0(noise):
    harm, spread = 0.005, 0.02  # the prior N(−h, τ²) of the gain
    at_few = harm * noise / (spread**2 * np.sqrt(gate.FEW_INSTANCES))
    for n in (1, 64, 1000):
        se = noise / np.sqrt(n)
        gains = np.linspace(-0.03, 0.03, 41)
        posterior_mean = (gains / se**2 - harm / spread**2) / (
            1.0 / se**2 + 1.0 / spread**2
        )
        for gain, mean in zip(gains, posterior_mean, strict=True):
            candidates = (gate.UNCHANGED, gate.Candidate("head", 1.0, gain, se))
            chosen = gate.select(candidates, gate.caution(n, at_few))
            assert chosen == (mean > 0)


def test_a_gain_and_its_error_by_hand():
    before, after = np.array([2.0, 4.0, 6.0]), np.array([1.0, 4.0, 4.0])
    found = gate.judge("head", 0.1, before, after)
    # saved 1, 0 and 2 of 12, of standard deviation 1
    assert found[:2] == ("head", 0.1)
    assert found[2:] == pytest.approx((0.25, np.sqrt(3.0) / 12.0))
    # an income is a cost below 0, and what it grows by is a gain
    assert gate.judge("head", 0.1, -before, -after).gain == -3.0 / 12.0
    shared = gate.judge("head", 0.1, before, after, design_effect=9.0)
    assert (shared.gain, shared.gain_se) == pytest.approx((0.25, np.sqrt(3.0) / 4.0))


def test_instances_that_share_shocks_must_win_by_more(monkeypatch):
    won = gate.Candidate("head", 0.1, 0.03, 0.01)  # by three standard errors
    found = (gate.UNCHANGED, "kept"), (won, "changed")
    propose = lambda params, portfolio, key, past: found
    monkeypatch.setattr(finetune, "make_propose", lambda network, config: propose)
    decide = finetune.make_fit(NETWORK, CONFIG)
    rng = np.random.default_rng(0)
    shared = np.exp(rng.normal(0.0, 1.0, 8) + rng.normal(0.0, 0.5, (256, 8)))
    for observations, policy in (
        (rng.permuted(shared, axis=1), "changed"),
        (shared, "kept"),
    ):
        data = types.portfolio(jnp.asarray(observations, jnp.float32), 0.9)
        fitted = decide(None, data, jax.random.key(0))
        assert fitted.policy == policy
        worth = fitted.past.num_independent
        assert (gate.caution(worth, CONFIG.caution) < 3.0) == (policy == "changed")


def test_same_key_same_policy(params, data, found):
    again = fit(params, data, jax.random.key(1))
    chex.assert_trees_all_equal(again.policy, found.policy)


def test_every_usable_instance_is_held_out_once_a_split():
    usable = np.arange(40) % 3 == 0
    usable[36:] = False  # 12 of 40
    out = gate.held_out_by(jax.random.key(0), usable, 5, 3)
    assert out.shape == (15, 40)
    for split in out.reshape(3, 5, 40):
        assert (split.sum(0) == usable).all()
        assert sorted(split.sum(1)) == [2, 2, 2, 3, 3]
    assert (out[:5] != out[5:10]).any()


def test_a_gain_that_is_not_a_number_is_never_chosen():
    broken = gate.Candidate("full", 1.0, np.nan, 0.1)
    better = gate.Candidate("head", 1.0, 0.5, 0.1)
    assert gate.select((gate.UNCHANGED, broken), 1.0) == 0
    assert gate.select((gate.UNCHANGED, broken, better), 1.0) == 2


def test_a_gain_that_noise_alone_could_be_is_never_chosen():
    lucky = gate.Candidate("full", 1.0, 6.0, 2.6)  # allocation of 96 noisy items
    sure = gate.Candidate("head", 1.0, 0.1, 0.02)
    assert gate.select((gate.UNCHANGED, lucky), 2.0) == 0
    assert gate.select((gate.UNCHANGED, lucky, sure), 2.0) == 2


def test_certificates_that_are_not_of_the_change_are_noted():
    head = gate.Candidate("head", 0.1, 0.2, 0.01)
    same = {"pretrained": np.ones(3), "finetuned": np.ones(3)}
    other = {"pretrained": np.ones(3), "finetuned": np.zeros(3)}
    assert gate.notes(head, [same, same]) == [gate.KEPT]
    assert gate.notes(head, [same, other]) == []
    assert gate.notes(gate.UNCHANGED, [same, same]) == gate.notes(None, []) == []


def test_slow_movers_give_finite_candidates(params):
    # One sale in eight months each: most batches of labels are all zero.
    sold = np.eye(8, dtype=np.float32)[np.arange(24) % 8]
    data = shapes.extend(types.portfolio(jnp.asarray(sold), 0.95), 300)
    found = fit(params, data, jax.random.key(0))
    assert len(found.candidates) == 1 + len(CONFIG.radii) + 2 * len(CONFIG.checkpoints)
    assert np.isfinite([(c.gain, c.gain_se) for c in found.candidates]).all()
    assert np.isfinite(decide(NETWORK, found.policy, data)).all()


def test_what_all_instances_share_is_not_learned_from(params):
    # Every instance has its large sale in the same period: instances held out confirm
    # it, no later period does.
    rng = np.random.default_rng(0)
    shared = np.where(np.arange(8) == 2, 8.0, 1.0) * rng.lognormal(0.0, 0.1, (300, 8))
    alone = rng.permuted(shared, axis=1)
    for observations, is_changed in ((shared, False), (alone, True)):
        data = types.portfolio(jnp.asarray(observations, jnp.float32), 0.5)
        found = fit(params, data, jax.random.key(0))
        assert (found.chosen.name != "none") == is_changed


def test_a_fit_is_judged_on_instances_it_has_not_learned_from(params):
    # An instance that every fit holds out has its costs under the mean of all.
    data = types.portfolio(demands(12, 4), 0.7)
    position, counts = risk.left_out(jax.random.key(0), data.valid, 4)
    rows = risk.leave_one_out_rows(NETWORK, params, data, position, counts)
    other = jax.tree.map(lambda leaf: leaf + 0.05, params)
    stacked = jax.tree.map(lambda a, b: jnp.stack([a, b])[None], params, other)
    out = jnp.ones((2, 12), bool).at[1, :6].set(False)
    costs = tuning.held_out_costs(NETWORK, stacked, data, position, rows, out)[0]
    alone = risk.instance_costs(rows, jnp.zeros(16), data.quantile)
    np.testing.assert_allclose(costs[:6], alone[:6], rtol=1e-5)
    again = risk.leave_one_out_rows(NETWORK, other, data, position, counts)
    mean = (rows.decision.base + again.decision.base) / 2
    both = risk.left_out_costs(rows, mean, data.quantile)
    np.testing.assert_allclose(costs[6:], both[6:], rtol=1e-5)


def test_number_of_adapter_parameters():
    network = model.Network()
    params = jax.eval_shape(
        lambda key: pretrain.init_params(network, key), jax.random.key(0)
    )
    mask = jax.tree_util.tree_map_with_path(tuning.is_adapter, params)
    sizes = jax.tree.map(lambda leaf, used: leaf.size * used, params, mask)
    assert sum(jax.tree.leaves(sizes)) == 2018


def test_left_out_positions_are_observations_and_do_not_repeat():
    valid = jnp.asarray(np.random.default_rng(0).uniform(size=(50, 7)) < 0.6)
    position, counts = risk.left_out(jax.random.key(0), valid, 7)
    for i in range(50):
        used = np.asarray(position[:, i])[np.asarray(counts[:, i])]
        assert (
            len(set(used)) == len(used) == (valid[i].sum() if valid[i].sum() > 1 else 0)
        )
        assert np.asarray(valid)[i, used].all()


def test_left_out_costs_are_those_of_decisions_that_have_not_seen_the_label(params):
    data = types.portfolio(demands(10, 4), 0.7)
    position, counts = risk.left_out(jax.random.key(0), data.valid, 4)
    rows = risk.leave_one_out_rows(NETWORK, params, data, position, counts)
    costs = risk.instance_costs(rows, jnp.zeros(16), data.quantile)
    by_hand = np.zeros(10)
    for j in position:
        rest, label = types.leave_one_out(data, j)
        x = decide(NETWORK, risk.single(NETWORK, params), rest)
        by_hand += np.asarray(newsvendor.cost(x, label, data.quantile)) / 4
    np.testing.assert_allclose(costs, by_hand, rtol=1e-4)


def test_a_part_of_many_instances_is_fitted_to_and_judged_on(params):
    data = shapes.pad(types.portfolio(demands(500, 6), 0.5))
    most = dataclasses.replace(CONFIG, classes=("head",), most_instances=128)
    found = finetune.make_fit(NETWORK, most)(params, data, jax.random.key(1))
    assert found.past.num_usable == 128
    key = jax.random.fold_in(jax.random.key(1), 500)
    part = shapes.part(key, data, 128)
    assert part.valid.shape[0] == 128
    rows = lambda portfolio: {tuple(row) for row in np.asarray(portfolio.observations)}
    assert rows(part) < rows(data)
    assert shapes.part(key, data, 512) is data
