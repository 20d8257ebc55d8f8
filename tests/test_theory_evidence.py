import math

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from arena_settings import SMALL

from theory import arena, evidence, replications, sizes, verdict

DELTA = 0.05


@pytest.mark.parametrize("world", replications.WORLDS)
def test_risk_agrees_with_quadrature_and_with_fresh_losses(world):
    exact = replications.risks(world)
    for j in (0, 5, 10):
        w = replications.WEIGHTS[j]
        variance = (1 - w) ** 2 + w**2 / replications.PAST
        sigma = mpmath.sqrt(variance + replications.SHIFT2 + replications.NOISE2)
        quantile = mpmath.sqrt(2) * mpmath.erfinv(2 * replications.QUANTILE - 1)
        mean = -(1 - w) * replications.BELIEF - quantile * sigma

        def density(e, mean=mean, sigma=sigma):
            loss = replications.losses(world, np.array([float(e)]))
            return float(loss[0]) * mpmath.npdf(e, mean, sigma)

        cuts = [-30, -20, -5, 0, 5, 30]
        assert exact[j] == pytest.approx(float(mpmath.quad(density, cuts)), abs=1e-9)
    drawn = list(replications.draw(world, 600))
    gaps = np.array([d.told.losses.mean() - d.risk for d in drawn])
    assert abs(gaps.mean()) < 4 * gaps.std() / math.sqrt(len(gaps))
    over = np.array([d.told.train_losses.mean() - d.risk for d in drawn])
    assert over.mean() < 2 * over.std() / math.sqrt(len(over))


def test_observations_of_one_instance_are_correlated():
    told = [d.told.observation_losses for d in replications.draw("stock-out", 200)]
    pairs = np.concatenate(told)[:, :2]
    assert 0.3 < np.corrcoef(pairs.T)[0, 1] < 0.8


def test_evidence_is_complete_and_cannot_be_changed():
    for world in replications.WORLDS:
        drawn = next(replications.draw(world, 3))
        told = drawn.told
        assert all(field is not None for field in told)
        assert len(told.losses) == len(told.train_losses) == told.n
        np.testing.assert_array_equal(told.losses, told.observation_losses[:, 0])
        assert 0.0 <= told.kl <= math.log(len(replications.WEIGHTS))
        assert max(told.parameter_norms) <= told.radius
        for losses in (told.losses, told.train_losses, told.observation_losses):
            assert losses.min() >= 0.0
            assert losses.max() <= 1.0
            with pytest.raises(ValueError, match="read-only"):
                losses[0] = 0.0
    fixed = evidence.of_fixed_policy(np.zeros(3), DELTA)
    assert fixed.kl == 0.0
    assert fixed.radius is fixed.parameter_norms is fixed.observation_losses is None


@pytest.mark.parametrize(
    ("answer", "total"),
    [
        (np.float32(0.5), 0.5),
        (np.array(0.25), 0.25),
        (1, 1.0),
        (math.inf, math.inf),
        (jnp.bfloat16(0.5), 0.5),
        ({"total": jnp.float8_e4m3fn(0.25)}, 0.25),
        ({"total": 0.5, "spread": 0.1}, 0.5),
        (verdict.Case("", "", 0.1, 0.2, 0, 1.0), None),
        (True, None),
        ("0.5", None),
        (None, None),
        ([0.5], None),
        (np.array([0.5]), None),
        ({"spread": 0.1}, None),
        ({"total": math.nan}, None),
        (math.nan, None),
        (1j, None),
        (np.asarray(jnp.bfloat16(math.nan)), None),
        (np.zeros((), "V4"), None),
    ],
)
def test_answers_are_numbers_or_terms_with_a_total(answer, total):
    if total is None:
        with pytest.raises(arena.BoundError, match=r"the bound returned .* at n = "):
            arena.run(lambda told: answer, settings=SMALL)
    else:
        assert evidence.total_of(answer) == total
        assert type(evidence.total_of(answer)) is float


def test_a_posterior_at_temperature_zero_is_the_prior_and_cold_ones_choose_the_best():
    train = next(replications.blocks("newsvendor", 5)).train
    prior = replications.gibbs(train, 0.0)
    np.testing.assert_allclose(prior, 1.0 / len(replications.WEIGHTS))
    cold = replications.gibbs(train, 1e6)
    np.testing.assert_array_equal(
        cold.argmax(axis=-1), train.sum(axis=1).argmin(axis=-1)
    )


def test_blocks_hold_the_losses_that_the_evidence_is_a_mean_of():
    block = next(replications.blocks("stock-out", 3))
    posterior = replications.gibbs(block.train)
    for r, drawn in enumerate(replications.draw("stock-out", 3)):
        mean = block.fresh[r, :, 0] @ posterior[r]
        np.testing.assert_allclose(drawn.told.losses, mean, atol=1e-12)
        np.testing.assert_allclose(
            drawn.told.train_losses, block.train[r] @ posterior[r], atol=1e-12
        )
        assert drawn.risk == pytest.approx(
            posterior[r] @ replications.risks("stock-out"), rel=1e-12
        )


def test_pac_bayes_bounds_pay_for_the_divergence_and_others_do_not():
    drawn = next(replications.draw("newsvendor", 1)).told
    far = drawn._replace(kl=drawn.kl + 3.0)
    rises = {name for name, bound in sizes.SHIPPED.items() if bound(far) > bound(drawn)}
    assert rises == {"maurer_kl", "mcallester", "quadratic", "catoni_grid"}
    one = evidence.of_best_expert(np.zeros(4), np.ones(4), 100, DELTA)
    assert one.kl == pytest.approx(math.log(100))
    assert sizes.SHIPPED["maurer_kl"](one) < 1.0 == sizes.SHIPPED["betting"](one)
