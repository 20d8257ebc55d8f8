"""Certificates of heads on problems made so that a term is needed nearly in full."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from ptft_jax.paths import certified, path_bound, two_path_bound
from ptft_jax.paths.policy import Decided
from ptft_jax.paths.problem import Problem
from theory import pac_bayes, two_path

DELTA, ROOMY = 0.05, 1e-9


def flat(cost, **given):
    """A problem whose cost is in [0, 1] and does not depend on the head."""
    fields = dict.fromkeys(Problem._fields)
    fields |= {"host_cost": cost, "randomised": lambda x, sd, y: cost(x, y)}
    fields |= {"move": lambda r: 0.0 * r, "largest": lambda a: 1.0}
    fields |= {"slope": lambda a: 0.0, "gap": lambda decided, u, r: 0.0}
    return Problem(**(fields | given))


def world(problem, **given):
    fields = {"problem": problem, "radii": (1.0,), "width": 1, "path_radius": 0}
    fields |= {"approximation": np.zeros(1), "bracket": 0.0, "distance": 0.0}
    fields |= {"pretrain": 0.0, "bayes": 0.0, "delta": DELTA}
    return certified.World(**(fields | given))


def sample(label, weights=(1.0, 0.0), first=0.0, tuned=0.0, path=0.0):
    n = len(label)
    leaves = np.zeros(n), np.ones(n), np.ones((n, 1)), np.asarray(label, float)
    return certified.Sample(
        Decided(*leaves, np.zeros(n)),
        3 * n // 4,
        np.array([[first]]),
        np.array(weights),
        np.array([first]),
        tuned,
        np.full(len(path_bound.STEPS), path),
    )


def values(rows, name="two_path"):
    return {row["term"]: row["value"] for row in rows if row["bound"] == name}


@pytest.mark.parametrize("n", [5, 8])
def test_the_path_bound_misses_seldom_and_with_half_its_deviation_too_often(n):
    given, k = world(flat(lambda x, y: 0.0 * x + y)), np.arange(n + 1)
    labels = [np.repeat([1.0, 0.0], (j, n - j)) for j in k]
    terms = [
        values(path_bound.bound(given, sample(each)), "pac_bayes_path")
        for each in labels
    ]
    whole = np.array([t["total"] for t in terms])
    half = whole - [t["deviation"] / 2 for t in terms]
    # n labels of chance p: the misses are enumerated
    missed = lambda bounds, p: stats.binom.pmf(k, n, p) @ (bounds < p)
    for p in (*np.linspace(0.05, 0.95, 19), *(whole[:-1] + ROOMY)):
        assert missed(whole, p) <= DELTA
    assert missed(half, half[0] + ROOMY) > DELTA


def test_the_empirical_term_of_the_path_bound_is_needed_in_full():
    problem, n = flat(lambda x, y: 0.0 * x + y), 4000
    label = (np.arange(n) % 2).astype(float)  # risk ½, seen exactly
    terms = values(path_bound.bound(world(problem), sample(label)), "pac_bayes_path")
    assert terms["total"] >= 0.5 > terms["total"] - terms["empirical"] / 2


def cut_risk(t, label, reach):
    """E |x − y| over the posterior of decisions tû + σz, cut to [−reach, reach]."""
    cost = lambda z: abs(np.clip(t + path_bound.SCALE * z, -reach, reach) - label)
    weigh = lambda z: cost(z) * stats.norm.pdf(z)
    edges = (np.array([-reach, reach]) - t) / path_bound.SCALE
    return integrate.quad(weigh, -9.0, 9.0, points=edges.clip(-9.0, 9.0))[0]


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_the_cut_that_maurers_bound_needs_is_paid_in_both_directions(
    width, monkeypatch
):
    # û lies at the end of the ball, the labels far beyond it: a cut raises the cost
    monkeypatch.setattr(path_bound, "WIDTH", width)
    radius, far, n = 0.02, 1.0, 1000

    def randomised(x, sd, y):
        z = (x - y) / sd
        return sd * (z * (2.0 * stats.norm.cdf(z) - 1.0) + 2.0 * stats.norm.pdf(z))

    problem = flat(
        lambda x, y: abs(x - y),
        randomised=randomised,
        move=lambda r: r,
        largest=lambda a: 1.0 + a,
        slope=lambda a: 1.0,
    )
    given = world(problem, radii=(radius,))
    reach = radius + width * path_bound.SCALE
    cut, plain = cut_risk(radius, far, reach), far - radius
    tail = path_bound.cut_cost(problem, reach)
    assert plain < cut <= plain + tail
    seen = sample(np.full(n, far), first=radius, path=far - radius)
    terms = values(path_bound.bound(given, seen), "pac_bayes_path")
    largest, nats = 1.0 + reach, (radius / path_bound.SCALE) ** 2 / 2
    maurer = lambda loss: largest * pac_bayes.maurer_kl(loss / largest, nats, n, DELTA)
    assert terms["end"] >= maurer(cut) + tail > maurer(plain) + tail
    parts = ("empirical", "deviation", "tail")
    assert terms["total"] == pytest.approx(sum(terms[name] for name in parts))


def without(terms, name):
    """The total with half of one of its terms."""
    return terms["total"] - terms[name] / 2


N = 400_000  # deviations are small beside the term that is tight


def test_the_approximation_of_the_two_path_bound_is_needed_in_full():
    given = world(flat(lambda x, y: 0 * y), approximation=np.array([0.5]), distance=1.0)
    terms = values(two_path_bound.bound(given, sample(np.zeros(N), tuned=0.5)))
    assert terms["path"] == 1
    assert without(terms, "approximation") < 0.5 <= terms["total"]


def test_the_optimisation_of_the_two_path_bound_is_needed_in_full():
    # φ₀ and the fitted head cost .5 on every instance, the head −1 of the ball nothing
    problem = flat(lambda x, y: 0.5 + 0.5 * x, gap=lambda decided, u, r: 0.5)
    seen = sample(np.zeros(N), weights=(0.0, 1.0), tuned=0.5)
    terms = values(two_path_bound.bound(world(problem, distance=1.0), seen))
    assert terms["path"] == 1
    assert without(terms, "optimisation") < 0.5 <= terms["total"]


def test_what_a_mixture_costs_over_the_best_candidate_is_counted():
    # all weight on a head that costs .5 where no change costs 0
    problem = flat(lambda x, y: 0.5 * x)
    seen = sample(np.zeros(N), weights=(0.0, 1.0), first=1.0, tuned=0.5)
    terms = values(two_path_bound.bound(world(problem), seen))
    assert terms["total"] >= 0.5
    assert min(terms["pretrain_path"], terms["finetune_path"]) >= 0.5
    right = sample(np.zeros(N), weights=(1.0, 0.0), first=1.0)
    assert values(two_path_bound.bound(world(problem), right))["pretrain_path"] == 0.0


@pytest.mark.parametrize("name", ["pretrain_excess", "mismatch"])
def test_the_pretraining_path_of_the_two_path_bound_is_needed_in_full(name):
    # mismatch: of two outcomes φ₀ costs 1 on the first, Bayes on the second. P gives
    # both ½ and no excess, Q gives .7 and .3: the excess is .4 and TV is .2
    given = {"bracket": 0.4} if name == "pretrain_excess" else {"distance": 0.2}
    far = world(flat(lambda x, y: 0 * y), approximation=np.array([1.0]), **given)
    terms = values(two_path_bound.bound(far, sample(np.zeros(N), tuned=0.4)))
    assert terms["path"] == 0
    assert without(terms, name) < 0.4 <= terms["total"]


def too_often(bound, bad, gap, n):
    """Chance that one good head of `bad` + 1 is not chosen, exactly.

    Bad heads cost 1 with chance ½, the good one with chance ½ − gap. The excess is then
    `gap`, and a miss if that is above the bound.
    """
    k = np.arange(n + 1)
    good = stats.binom.pmf(k, n, 0.5 - gap)
    lower = 1.0 - stats.binom.sf(k - 1, n, 0.5) ** bad  # a bad head is below k
    return float(good @ lower) if gap > bound else 0.0


def test_the_selection_of_the_two_path_bound_halved_misses_too_often():
    bad, n = 100_000, 2000
    terms = two_path.bound(
        pretrain_excess=0.0,
        total_variation=0.0,
        mismatch_range=0.0,
        approximation=np.ones(bad),
        rademacher=np.zeros(bad),
        optimisation=np.zeros(bad),
        cost_bounds=np.ones(bad + 1),
        n_fit=1,
        n_select=n,
        delta=DELTA,
    )
    assert terms.total == terms.selection  # φ₀ is the good head
    for gap in (0.5, 0.9, 1.0, 1.5):
        gap = gap * terms.selection + ROOMY
        assert too_often(terms.total, bad, gap, n) <= DELTA
    just = terms.selection / 2 + ROOMY
    assert too_often(terms.selection / 2, bad, just, n) > DELTA


def test_differences_of_costs_give_a_small_ball_a_small_range():
    problem = flat(
        lambda x, y: abs(x - y),
        move=lambda r: r,
        slope=lambda a: 1.0,
        largest=lambda a: 1.0 + a,
    )
    seen = sample(np.zeros(64))
    for radius, ranges in ((0.1, 0.2), (0.9, 1.8), (3.0, 4.0)):
        given = world(problem, radii=(radius,), approximation=np.array([9.0]))
        rows = two_path_bound.bound(given, seen)
        plain, paired = values(rows), values(rows, "two_path_paired")
        eta = 2.0 * math.sqrt(math.log(8 / (0.9 * DELTA)) / (2 * 16))
        assert plain["selection"] == pytest.approx((1.0 + radius) * eta)
        assert paired["selection"] == pytest.approx(min(ranges, 1.0 + radius) * eta)
        # the mismatch is of the whole cost in both
        assert plain["pretrain_path"] == paired["pretrain_path"]
