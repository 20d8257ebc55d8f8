import numpy as np
import pytest
from scipy import stats

from ptft_jax import law_verdicts, verdicts
from theory import laws

PANEL = {"world": "w", "protocol": "iid", "observations": 10, "quantile": 0.9}
BAYES, FULL = 2.0, 1.0


def table(excess, methods=("pretrained", "scratch", "finetuned"), n=64):
    """Rows of `risks.csv` from excesses over Bayes [seeds, methods]."""
    rows = []
    for seed, values in enumerate(excess):
        costs = dict(zip(methods, BAYES + np.asarray(values), strict=True))
        costs |= {"bayes": BAYES, "full_information": FULL}
        rows += [
            {**PANEL, "n": n, "seed": seed, "method": name, "cost": float(cost)}
            | {"cost_full": FULL, "excess": float(cost) / FULL - 1.0}
            for name, cost in costs.items()
        ]
    return rows


def replications(count, factor=1.0, seeds=5):
    """Verdicts on the harmonic law times a factor: scratch varies, cv .4."""
    rng, said = np.random.default_rng(0), []
    true = factor * laws.harmonic(0.1, 0.1)
    for _ in range(count):
        scratch = 0.1 * rng.gamma(1 / 0.16, 0.16, seeds)
        tuned = true * (1.0 + 0.02 * rng.standard_normal(seeds))
        rows = table(np.stack([np.full(seeds, 0.1), scratch, tuned], axis=1))
        (found,) = verdicts.harmonic_law(rows)
        said.append(found.verdict)
    return said


def test_a_law_that_is_exactly_true_is_rarely_settled():
    said = replications(300)
    decisive = sum(word in ("supported", "contradicted") for word in said)
    # exact binomial test that no more than 5% are, at 4 standard errors
    test = stats.binomtest(decisive, 300, 0.05, alternative="greater")
    assert test.pvalue > stats.norm.sf(4.0), decisive


@pytest.mark.parametrize(("factor", "word"), [(0.5, "supported"), (2, "contradicted")])
def test_a_law_that_is_far_off_is_settled(factor, word):
    assert replications(40, factor).count(word) >= 36


def test_the_law_is_judged_only_where_both_excesses_are_positive():
    worse = np.array([[-0.1, 0.1, 0.1], [0.05, 0.1, 0.1]])
    assert verdicts.harmonic_law(table(worse)) == []
    one = verdicts.harmonic_law(table(worse[1:]))
    assert one[0].verdict == "one seed: no verdict"
    without = [row for row in table(worse[1:]) if row["method"] != "bayes"]
    assert verdicts.harmonic_law(without) == []


def test_the_law_is_not_judged_where_fine_tuning_changed_nothing():
    kept = np.array([[0.1, 0.2, 0.1], [0.12, 0.3, 0.12], [0.09, 0.2, 0.09]])
    (found,) = verdicts.harmonic_law(table(kept))
    assert found.verdict == law_verdicts.UNCHANGED
    changed = kept + np.array([0.0, 0.0, 1e-3])
    (found,) = verdicts.harmonic_law(table(changed))
    assert found.verdict != law_verdicts.UNCHANGED


def test_a_law_names_the_costs_it_rests_on():
    rows = table(np.full((2, 3), 0.1))
    (found,) = verdicts.harmonic_law(rows)
    named = [rows[int(row.split(":")[1]) - 1]["method"] for row in found.rows]
    assert sorted(named) == sorted(2 * ["pretrained", "scratch", "finetuned", "bayes"])


def of_claim(rows, claim, bounds=()):
    return [v for v in verdicts.all_claims(rows, list(bounds)) if v.claim == claim]


METHODS = ("pretrained", "scratch", "finetuned", "saa", "pooled_loo")


@pytest.mark.parametrize(
    ("tuned", "word"),
    [
        ((0.05, 0.06, 0.05), "supported"),
        ((0.3, 0.31, 0.3), "contradicted"),
        ((0.05, 0.25, 0.06), "consistent, not settled by this run"),
    ],
)
def test_claims_on_errors_follow_the_fine_tuned_excess(tuned, word):
    excess = [(0.1, 0.2, each, 0.15, 0.1) for each in tuned]
    rows = table(excess, METHODS)
    # against the better path .1, and against the best baseline .1
    best = of_claim(rows, "C4")
    assert [v.verdict for v in best] == [word]
    assert "pooled_loo" in best[0].statement
    assert of_claim(rows, "C1")[0].verdict == word
    assert "pretrained" in of_claim(rows, "C1")[0].statement


@pytest.mark.parametrize(
    ("late", "word"), [(0.02, "supported"), (0.15, "contradicted")]
)
def test_the_gain_is_compared_at_the_ends(late, word):
    path = lambda tuned, by: [(0.2, 0.3, tuned + e, 0.2, 0.2) for e in by]
    rows = table(path(0.1, (0.0, 0.001, -0.001)), METHODS, n=16)
    rows += table(path(late, (0.001, 0.0, 0.002)), METHODS, n=256)
    assert [v.verdict for v in of_claim(rows, "C2")] == [word]
    assert of_claim(rows[: len(rows) // 2], "C2") == []


def certificate(held, name="tuned_betting", n=64):
    common = {**PANEL, "n": n, "tier": "certified", "term": "total", "delta": 0.05}
    return [
        {**common, "bound": name, "seed": seed, "value": 1.0, "risk": 0.9, "holds": h}
        for seed, h in enumerate(map(bool, held))
    ]


def test_certificates_are_contradicted_by_more_misses_than_chance_explains():
    one = np.arange(10) >= 1
    bounds = [*certificate(one), *certificate(one, n=256)]
    bounds += certificate(np.arange(10) >= 6, "broken")
    false = certificate(np.zeros(10, bool), "law")
    bounds += [{**row, "tier": "law"} for row in false]
    found = {v.statement.split()[0]: v for v in verdicts.claim_3(bounds)}
    assert set(found) == {"tuned_betting", "broken"}
    assert found["tuned_betting"].verdict == "consistent"
    assert "18 of 20 hold" in found["tuned_betting"].measured
    assert found["broken"].verdict == "contradicted"
    summary = verdicts.brief(list(found.values()))
    assert [v.verdict for v in summary] == ["contradicted by broken"]
