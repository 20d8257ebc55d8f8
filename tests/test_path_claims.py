import math
import pathlib

import numpy as np
import pytest

from ptft_jax.paths import bound_claims, claims, curves, text
from ptft_jax.paths.run import Part, Result
from theory import laws, two_path

PART = Part("gaussian_means", 0.3)
N = (64, 256, 1024, 4096)
BAYES, PRETRAIN, TRIVIAL = 2.0, 0.1, 400.0
SEEDS = 8
NOISE = np.random.default_rng(0).standard_normal((len(N), SEEDS))
WOBBLE = 1.0 + 0.02 * (NOISE - NOISE.mean(1, keepdims=True))


def made(tuned, head=None, n=N, seeds=SEEDS, bounds=(), law=None):
    """A run by hand: regrets by n, wobbling by 2% over seeds."""
    head = head if head is not None else 32.0 / np.array(n)
    found = {"pretrained": np.full(len(n), PRETRAIN), "head": np.asarray(head)}
    found |= {"tuned": np.asarray(tuned), "refitted": np.asarray(tuned)}
    risks = []
    for method, mean in found.items():
        for i, k in enumerate(n):
            for s in range(seeds):
                by = 1.0 if method == "pretrained" else WOBBLE[i, s]
                row = {"n": k, "seed": s, "method": method}
                risks.append({**row, **where(), "cost": BAYES + mean[i] * by})
    facts = {"bayes": BAYES, "trivial": TRIVIAL, "total_variation": 0.1}
    facts |= {"crossover_law": 320.0 if law is None else law, "bracket": 0.01}
    return Result(risks, list(bounds), {PART: facts}, pathlib.Path())


def where():
    return {"world": PART.world, "mismatch": PART.mismatch}


def harmonic(n=N):
    return np.array([laws.harmonic(PRETRAIN, 32.0 / k) for k in n])


def certificate(name, held, n=1024, delta=0.05, value=1.0):
    common = {**where(), "bound": name, "tier": "certified", "term": "total"}
    common |= {"n": n, "delta": delta, "value": value, "risk": 0.5}
    return [{**common, "seed": s, "holds": bool(h)} for s, h in enumerate(held)]


def two_paths(values, n=N, held=True):
    rows = []
    for k, value in zip(n, values, strict=True):
        (row,) = certificate("two_path", [held], k, value=value)
        rows.append(row)
        for term in two_path.TERMS:
            share = 0.8 if term == "selection" else 0.2 / (len(two_path.TERMS) - 1)
            rows.append({**row, "term": term, "value": share * value})
    return rows


@pytest.mark.parametrize(
    ("factor", "word"), [(1.0, "met"), (1.19, "met"), (1.25, "NOT MET")]
)
def test_the_harmonic_law_is_met_up_to_its_target(factor, word):
    found = claims.law_of_both(made(factor * harmonic()), PART)
    assert found.verdict == word
    assert found.numbers["average"] == pytest.approx(factor, rel=0.02)
    low, high = found.numbers["interval"]
    assert low < factor < high


def test_one_large_ratio_or_a_loss_to_pretraining_is_enough_to_miss_the_target():
    tuned = harmonic()
    tuned[0] *= 1.6
    assert claims.law_of_both(made(tuned), PART).verdict == "NOT MET"
    # ratios near 1 at a path of E_ft far above E_pre, but above pretrained
    worse = made(np.full(4, 1.05 * PRETRAIN), head=np.full(4, 5.0))
    found = claims.law_of_both(worse, PART)
    assert found.verdict == "NOT MET"
    assert found.numbers["above_pretrained"] == list(N)


def test_ratios_are_of_means_and_their_interval_holds_the_laws_own_error():
    result = made(harmonic())
    found = curves.curves(result, PART)
    whole, pseudo = claims.ratios(found)
    head, tuned = found["head"].mean, found["tuned"].mean
    np.testing.assert_allclose(whole, tuned * (1 / PRETRAIN + 1 / head))
    # the law is the same multiple of the head's mean and tuned of its own: one wobble
    alone = tuned[-1] * (1 / PRETRAIN + 1 / head[-1])
    assert pseudo[:, -1].mean() == pytest.approx(alone, rel=1e-3)
    one = claims.law_of_both(made(harmonic(), seeds=1), PART)
    assert one.numbers["interval"] is None


@pytest.mark.parametrize(
    ("tuned", "word"),
    [
        (0.8 * np.minimum(PRETRAIN, 32.0 / np.array(N)), "met"),
        (1.5 * np.minimum(PRETRAIN, 32.0 / np.array(N)), "NOT MET"),
        (0.995 * np.minimum(PRETRAIN, 32.0 / np.array(N)), "not settled by this run"),
    ],
)
def test_the_smaller_path_governs_where_tuned_is_below_both(tuned, word):
    assert claims.smaller_path(made(tuned), PART).verdict == word


def test_no_question_about_means_is_judged_from_one_seed():
    result = made(harmonic(), seeds=1)
    for ask in (claims.smaller_path, claims.growth, claims.slope, claims.crossing):
        assert ask(result, PART).verdict == "not judged"


def test_gains_that_grow_fall_or_stay():
    grows, falls, stays = harmonic(), harmonic()[::-1], np.full(4, 0.05)
    for ask in (claims.growth, claims.slope):
        assert ask(made(grows), PART).verdict == "met"
        assert ask(made(falls), PART).verdict == "NOT MET"
        assert ask(made(stays), PART).verdict == "not settled by this run"


def test_the_slope_of_the_gain_is_over_every_n_whatever_its_sign():
    n = (100, 1000, 10_000)
    tuned = PRETRAIN * (1.0 - np.array([-0.3, 0.1, 0.5]))  # gains -.3, .1, .5 of E_pre
    found = claims.slope(made(tuned, n=n), PART)
    assert found.numbers["slope"] == pytest.approx(0.4, abs=0.02)
    assert found.verdict == "met"
    assert claims.slope(made(tuned[:2], n=n[:2]), PART).verdict == "not judged"


@pytest.mark.parametrize(
    ("law", "word"), [(320.0, "met"), (600.0, "NOT MET"), (math.inf, "NOT MET")]
)
def test_the_crossing_of_the_law_lies_in_the_interval_of_the_measured_one(law, word):
    # 32/n = .1 at n = 320
    found = claims.crossing(made(harmonic(), law=law), PART)
    assert found.verdict == word
    assert found.numbers["crossover"] == pytest.approx(320.0, rel=0.05)


def test_a_crossing_outside_the_n_measured_is_not_judged():
    found = claims.crossing(made(harmonic(), head=np.full(4, 0.01)), PART)
    assert found.verdict == "not judged"
    assert "outside" in found.measured


def test_a_valid_certificate_may_miss_and_a_broken_one_is_found():
    first = np.arange(12) > 0
    rows = [r for n in N for r in certificate("a", first, n)]
    found = bound_claims.coverage(made(harmonic(), bounds=rows), PART)
    assert found.verdict == "met"
    assert found.numbers["misses"] == len(N)
    rows += certificate("b", np.arange(12) > 6)
    found = bound_claims.coverage(made(harmonic(), bounds=rows), PART)
    assert found.verdict == "NOT MET"
    assert "b at n = 1024" in found.measured


def test_a_row_of_no_sample_is_counted_once_and_laws_not_at_all():
    rows = [r for n in N for r in certificate("a", np.ones(12), n)]
    rows += certificate("mismatch_cost", [True], "", 0.0)
    rows += [{**r, "tier": "law", "holds": ""} for r in certificate("law", [False])]
    found = bound_claims.coverage(made(harmonic(), bounds=rows), PART)
    assert (found.numbers["of"], found.numbers["tests"]) == (12 * len(N) + 1, 5)
    broken = certificate("mismatch_cost", [False], "", 0.0)
    found = bound_claims.coverage(made(harmonic(), bounds=rows + broken), PART)
    assert found.verdict == "NOT MET"


def test_the_two_path_bound_is_below_the_trivial_one_where_n_is_large():
    ask = lambda values, n=N: bound_claims.size(
        made(harmonic(n), n=n, bounds=two_paths(values, n)), PART
    )
    assert ask([900.0, 500.0, 390.0, 200.0]).verdict == "met"
    assert ask([900.0, 500.0, 410.0, 200.0]).verdict == "NOT MET"
    early = ask([300.0, 200.0], N[:2])
    assert early.verdict == "not judged"
    assert early.numbers["below_trivial"] == list(N[:2])
    assert "1024: selection" in ask([900.0, 500.0, 390.0, 200.0]).measured


@pytest.mark.parametrize(
    ("power", "word"),
    [(-0.5, "met"), (-0.42, "met"), (-0.35, "NOT MET"), (0.0, "NOT MET")],
)
def test_the_slope_of_the_two_path_bound_is_judged(power, word):
    values = 900.0 * np.array(N) ** power
    result = made(harmonic(), bounds=two_paths(values))
    found = bound_claims.slope(result, PART)
    assert found.verdict == word
    assert found.numbers["slope"] == pytest.approx(power, abs=1e-9)
    two = made(harmonic(N[:2]), n=N[:2], bounds=two_paths(values[:2], N[:2]))
    assert bound_claims.slope(two, PART).verdict == "not judged"


@pytest.mark.parametrize(
    ("free", "said"), [((), False), ((64,), False), ((256, 1024), True)]
)
def test_a_path_that_does_not_fall_is_named_beside_the_slope(free, said):
    rows = two_paths(900.0 / np.sqrt(N))
    heads = [r for r in rows if r["term"] == "total"]
    rows += [{**r, "term": "path", "value": float(r["n"] not in free)} for r in heads]
    found = bound_claims.slope(made(harmonic(), bounds=rows), PART)
    assert ("pretraining path" in found.measured) is said
    assert found.numbers["pretraining_path"] == [n for n in free if n != N[0]]
    assert found.verdict == "met"


def cut_costs(ratios, seeds=4):
    rows = []
    for n, ratio in ratios.items():
        for name, value in (("tuned_betting_cut", ratio), ("cut_wall", 1.01)):
            tier = {"tier": "law"} if name == "cut_wall" else {}
            some = certificate(name, [True] * seeds, n, value=0.5 * value)
            rows += [{**row, **tier} for row in some]
    return rows


@pytest.mark.parametrize(
    ("ratios", "word"),
    [
        ({256: 1.2, 4096: 1.05}, "met"),
        ({256: 1.2, 4096: 1.07}, "NOT MET"),
        ({256: 1.26, 65536: 1.01}, "NOT MET"),
        ({1024: 1.0}, "not judged"),
        ({}, "not judged"),
    ],
)
def test_the_bound_of_the_cut_cost_is_judged_where_there_is_a_target(ratios, word):
    result = made(harmonic(), bounds=cut_costs(ratios))
    found = bound_claims.tightness(result, PART)
    assert found.verdict == word
    if word != "not judged":
        assert found.numbers["n"] == list(ratios)
        assert found.numbers["ratio"] == pytest.approx(list(ratios.values()))
        assert found.numbers["wall"] == pytest.approx([1.01] * len(ratios))


def test_every_question_of_a_part_is_in_the_report():
    result = made(harmonic(), bounds=two_paths(900.0 / np.sqrt(N)))
    result.facts[PART] |= {"pretrain": PRETRAIN, "synthetic_excess": 0.001}
    result.facts[PART] |= {"synthetic_cost": 2.0}
    verdicts = claims.all_claims(result)
    assert [v.claim for v in verdicts[PART]] == 2 * ["C1"] + 3 * ["C2"] + 4 * ["C3"]
    said = text.report(result, verdicts)
    for v in verdicts[PART]:
        assert v.statement in said
    # 2B·TV = 80 against a Bayes cost of 2
    assert "says nothing here" in said
    result.facts[PART]["total_variation"] = 1e-4
    assert "says nothing here" not in text.report(result, verdicts)
