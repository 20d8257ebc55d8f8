import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from losses_in_01 import DELTA, beta_losses

from theory import coin_betting as coins
from theory import kl as binary
from theory import pac_bayes

properties = hypothesis.settings(max_examples=25, derandomize=True, deadline=None)
nats = st.floats(0.0, 50.0)
deltas = st.floats(1e-6, 0.9)
samples = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)


@properties
@hypothesis.given(samples, nats, deltas, st.randoms(use_true_random=False))
def test_coin_betting_is_monotone_and_ignores_the_order(losses, kl, delta, random):
    value = pac_bayes.coin_betting(losses, kl, delta)
    n = len(losses)
    assert np.mean(losses) - 1e-12 <= value <= 1.0
    assert pac_bayes.coin_betting(losses, kl + 1.0, delta) >= value - 1e-10
    assert pac_bayes.coin_betting(losses, kl, delta / 2) >= value - 1e-10
    budget = kl - math.log(delta) + coins.log_regret(n)
    start = binary.inverse_upper(min(1.0, float(np.mean(losses))), budget / n)
    assert value <= start + 1e-10
    shuffled = random.sample(losses, n)
    assert pac_bayes.coin_betting(shuffled, kl, delta) == pytest.approx(value, abs=1e-9)


def test_losses_without_spread_are_inverted_by_hand():
    # All the capital is then kept off "loss": psi = n ln((1-c)/(1-mu)).
    budget = 2.0 - math.log(DELTA) + coins.log_regret(50)
    for c in (0.0, 0.2, 0.7):
        expected = 1.0 - (1.0 - c) * math.exp(-budget / 50)
        value = pac_bayes.coin_betting(np.full(50, c), 2.0, DELTA)
        assert value == pytest.approx(expected, rel=1e-12)


def test_losses_of_zero_and_one_are_inverted_by_relative_entropy():
    losses = np.repeat([1.0, 0.0], [20, 80])
    budget = 2.0 - math.log(DELTA) + coins.log_regret(100)
    value = pac_bayes.coin_betting(losses, 2.0, DELTA)
    assert value == pytest.approx(binary.inverse_upper(0.2, budget / 100), rel=1e-10)


def test_averaging_losses_over_the_posterior_first_is_surely_wrong():
    """θ ~ fair coins, one per possible instance; loss θ_x; true mean ½ for every θ.

    The posterior turns the n coins it saw into coins of mean c, at n·kl(c‖½) nats, and
    each instance then has posterior mean loss c: no spread, though every draw has.
    """
    n, c = 2_000, 0.25
    kl = n * binary.binary_kl(c, 0.5)
    averaged = pac_bayes.coin_betting(np.full(n, c), kl, DELTA)
    assert averaged < 0.36  # the truth is ½
    assert pac_bayes.maurer_kl(c, kl, n, DELTA) > 0.5
    draws = (np.random.default_rng(0).random((60, n)) < c).astype(float)
    assert pac_bayes.coin_betting_draws(draws, kl, DELTA, DELTA) > 0.5


def test_draws_of_one_policy_pay_for_the_draws_only():
    row = beta_losses(1, 500)
    single = pac_bayes.coin_betting(row, 10.0, DELTA)
    few, many = (
        pac_bayes.coin_betting_draws(np.tile(row, (draws, 1)), 10.0, DELTA, DELTA)
        for draws in (50, 1_500)
    )
    assert single < many < single + 0.01 < few
    assert many < pac_bayes.maurer_kl(float(row.mean()), 10.0, 500, DELTA)


def test_the_lagrangian_is_above_every_candidate_mean():
    x = beta_losses(2, 200)
    top, slope = coins._root(x, 8.0)
    for price in (0.3 / slope, 1.0 / slope, 5.0 / slope):
        reach = coins._reach(x, price, top)
        for mu in np.linspace(float(x.mean()), 0.5, 30):
            share = coins._best_share(x, mu, 0.5 * mu)
            psi = coins._log_capital(x, share, mu)[0]
            assert mu - price * psi <= reach + 1e-12
    at_best = coins._reach(x, 1.0 / slope, top)
    assert 8.0 / slope + at_best == pytest.approx(top, rel=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pac_bayes.coin_betting([0.1, 2.0], 1.0, 0.1), r"losses\[1\] = 2.0"),
        (lambda: pac_bayes.coin_betting([], 1.0, 0.1), "n = 0, expected"),
        (lambda: pac_bayes.coin_betting([0.1], -0.1, 0.1), "kl = -0.1 is not in"),
        (lambda: pac_bayes.coin_betting([0.1], 0.1, 0.0), "delta = 0.0 is not in"),
        (
            lambda: pac_bayes.coin_betting_draws([[0.1]], 1.0, 0.1, 0.1),
            "draws = 1, expected at least 2",
        ),
        (
            lambda: pac_bayes.coin_betting_draws([0.1], 1.0, 0.1, 0.1),
            r"losses has shape \(1,\), expected \(draws, n\)",
        ),
        (
            lambda: pac_bayes.coin_betting_draws([[0.1], [0.2]], 1.0, 0.1, 1.1),
            "delta = 1.1 is not in",
        ),
    ],
)
def test_complaints_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_infinite_divergence_is_vacuous():
    assert pac_bayes.coin_betting([0.1, 0.2], math.inf, DELTA) == 1.0
