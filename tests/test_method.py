"""The method for any problem: fine-tuning, certificates, experiment and decisions."""

import html
from dataclasses import replace

import jax
import jax.numpy as jnp
import launch
import numpy as np
import own
import pytest

from ptft_jax import experiment, gate, progress, report, shapes, store
from ptft_jax.draws import Cell
from ptft_jax.method import certify, crossfit, decide, finetune, lab, network, validate
from ptft_jax.problems.problem import pad

BRIEF = finetune.FinetuneConfig(num_folds=2, checkpoints=(20, 60), num_rows=4)
FIT = finetune.make_fit(launch.PROBLEM, launch.NETWORK, BRIEF)


def draw(n, center=1.0, seed=0):
    """Effects that are better than the world says, and their tests."""
    truth_key, seen_key = jax.random.split(jax.random.key(seed))
    theta = center + jax.random.normal(truth_key, (n,))
    return theta, launch.WORLD.observe(seen_key, theta, 1)


@pytest.fixture(scope="module")
def params():
    init = jax.jit(network.init, static_argnums=(0, 1))
    return init(launch.NETWORK, launch.PROBLEM, draw(8)[1], jax.random.key(1))


def cost(theta, x):
    return float(launch.WORLD.expected_cost(theta, x).mean())


def test_fine_tuning_repairs_a_wrong_start_and_never_acts_on_few(params):
    theta, seen = draw(1024)
    tuned = FIT(params, seen, jax.random.key(2))
    before = network.decide(launch.NETWORK, launch.PROBLEM, params, seen)
    after = finetune.decide(launch.NETWORK, launch.PROBLEM, tuned.params, seen)
    assert tuned.chosen != gate.UNCHANGED
    # launching all earns 1; the plug-in rule leaves some of that
    assert cost(theta, after) < cost(theta, before) - 0.03
    few = FIT(params, draw(12)[1], jax.random.key(3))
    assert few.chosen == gate.UNCHANGED


@pytest.mark.parametrize(("n", "is_changed"), [(64, False), (1024, True)])
def test_no_fold_learns_from_what_it_is_judged_on_and_few_must_win_by_more(
    n, is_changed, monkeypatch
):
    saved = 1.5 / np.sqrt(n) + np.resize([1.0, -1.0], n)  # by 1.5 standard errors
    told = []

    def train(params, seen, weights, mask, rate, key):
        told.append(weights)
        return jax.tree.map(lambda leaf: jnp.ones((2, 2, *leaf.shape)), params)

    def judge(stacked, seen, held_out, key):
        told.append(held_out)
        after = 20.0 - np.resize(saved, len(seen.y))
        return after if (stacked["w"] > 0).all() else np.full(len(seen.y), 20.0)

    monkeypatch.setattr(finetune, "_programs", lambda *given: (train, judge))
    fit = finetune.make_fit(launch.PROBLEM, launch.NETWORK, BRIEF)
    padded = pad(draw(n)[1], n + 8)
    found = fit({"w": jnp.zeros(1)}, padded, jax.random.key(0))
    held_out, weights = told[:2]
    present = np.arange(n + 8) < n
    np.testing.assert_array_equal(held_out + weights, np.stack([present, present]))
    np.testing.assert_array_equal(held_out.sum(0), present)
    assert (found.chosen != gate.UNCHANGED) == is_changed


def test_padding_changes_no_decision_of_a_policy(params):
    _, seen = draw(20)
    policy = jax.tree.map(lambda leaf: jnp.stack([leaf, 1.1 * leaf]), params)
    rule = lambda s: finetune.mean_outputs(launch.NETWORK, launch.PROBLEM, policy, s)[0]
    np.testing.assert_allclose(
        rule(pad(seen, 32))[:20], rule(seen), rtol=1e-4, atol=1e-5
    )


def test_certificates_are_about_instances_that_can_be_judged(params):
    theta, seen = draw(200)
    seen = jax.tree.map(lambda leaf: leaf[jnp.argsort(theta)], seen)
    odd = replace(launch.PROBLEM, judged=lambda s: jnp.arange(len(s.y)) % 4 == 0)
    given = (launch.NETWORK, odd, params, seen)
    halves = crossfit.cross_fit(*given, None, jax.random.key(4))
    for half in halves:
        assert len(half.others) == 25
        assert (half.others % 4 == 0).all()
        # in the order drawn, not that of the file
        assert (np.diff(half.others) < 0).any()
    assert not {*halves[0].others} & {*halves[1].others}
    made = certify.certify(*given, None, jax.random.key(4), 0.05)
    assert made.num_instances == 50
    some = made.statements[0]
    assert some.share_cut <= some.share_cut_bound <= 1.0
    assert some.share_cut_bound > 0.05  # 50 instances say no more
    few = replace(odd, judged=lambda s: jnp.arange(len(s.y)) < 3)
    with pytest.raises(ValueError, match="something can be left out: 3"):
        crossfit.cross_fit(launch.NETWORK, few, params, seen, None, jax.random.key(4))


def test_a_known_range_of_costs_is_not_taken_from_a_sample(params):
    seen = draw(64)[1]
    known = replace(launch.PROBLEM, costs=(-9.0, 9.0))
    made = certify.certify(
        launch.NETWORK, known, params, seen, None, jax.random.key(4), 0.05
    )
    assert {(half.low, half.high) for half in made.halves} == {(-9.0, 9.0)}
    assert made.statements[0].share_cut_bound == 0.0


def test_certificates_hold_on_fresh_instances(params):
    _, seen = draw(400)
    padded = pad(seen, shapes.bucket(400))
    given = (launch.NETWORK, launch.PROBLEM, params, padded, FIT)
    made = certify.certify(*given, jax.random.key(4), 0.05)
    _, fresh = draw(4096, seed=9)
    sizes = [len(half.others) for half in made.halves]
    assert sum(sizes) == 400
    true = {}
    for half in made.halves:
        found = crossfit.scores(
            launch.NETWORK, launch.PROBLEM, half, fresh, jax.random.key(5)
        )
        for name, values in found.items():
            cut = values.clip(half.low, half.high).mean()
            true.setdefault(name, []).append(cut)
    mean = {name: np.average(pair, weights=sizes) for name, pair in true.items()}
    value = {s.name: s.value for s in made.statements}
    assert value["pretrained_betting"] >= mean["pretrained"]
    assert value["finetuned_betting"] >= mean["finetuned"]
    gain = mean["pretrained"] - mean["finetuned"]
    assert value["finetuned_gain_over_pretrained"] <= gain + 1e-3
    # and they say something: launching everything costs about −1
    assert value["finetuned_betting"] < 0.0


@pytest.mark.usefixtures("undrawn")
def test_a_cell_of_the_experiment_has_every_method_and_bound(params, tmp_path):
    effort = lab.Effort(finetune=BRIEF, scratch=BRIEF)
    room = lab.open_lab(launch.WORLD, launch.NETWORK, params, effort, 0.05)
    cells = [Cell("iid", 64, 1, None, seed) for seed in (0, 1)]
    with progress.watch(1.0, quiet=True) as watched:
        run = lambda: experiment.run(
            room, cells, tmp_path, watched, {}, validate.run_cell
        )
        first = run()
        again = run()
    assert (first.risks, first.bounds) == (again.risks, again.bounds)
    kept = store.find(tmp_path, [experiment.config_of(room, cell) for cell in cells])
    for record in kept.records.values():
        own.check_betting(record, ("pretrained", "finetuned"))
    of_first = [row for row in first.risks if row["seed"] == 0]
    assert [row["method"] for row in of_first] == [
        "pretrained",
        "finetuned",
        "scratch",
        "what looks good",
        "bayes",
        "full_information",
    ]
    for row in first.risks:
        assert row["excess"] == pytest.approx(row["cost"] / row["cost_full"] - 1.0)
        assert row["excess"] >= -1e-6
    certified = [row for row in first.bounds if row["tier"] == "certified"]
    names = {row["bound"] for row in certified if row["term"] == "total"}
    assert names == {
        "pretrained_betting",
        "finetuned_betting",
        "finetuned_gain_over_pretrained",
    }
    assert all(row["holds"] for row in certified)
    report.write(first)
    page = (tmp_path / "report.html").read_text()
    assert certify.MEANING in html.unescape(page)
    # nobody said what the network was pretrained on
    assert "rate_universal_priors" not in page


def test_decide_gives_a_row_an_instance_and_statements(params):
    seen = draw(64)[1]
    names = [f"feature {i}" for i in range(64)]
    given = (launch.PROBLEM, launch.NETWORK, params, seen, names)
    made = decide.decide(*given, config=BRIEF)
    assert made.table.columns == [
        "instance",
        "decision",
        "decision_pretrained",
        "what looks good",
    ]
    assert made.table["instance"].to_list() == names
    lines = decide.describe(decide.summary(made))
    assert any("certified cost bound, " in line for line in lines)
    few = jax.tree.map(lambda leaf: leaf[:3], seen)
    made = decide.decide(*given[:3], few, names[:3], config=None)
    assert made.certified is None
    assert "no certificate" in decide.describe(decide.summary(made))[-1]
