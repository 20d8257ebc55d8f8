"""The properties that all baselines share."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import (
    baselines,
    count_baselines,
    regression_baselines,
    summaries,
    types,
)
from ptft_jax.types import Portfolio, portfolio

ALL = {
    **baselines.COUNTS,
    "shrunken_saa_rescaled": baselines.shrunken_saa,
}
EACH = pytest.mark.parametrize("decide", ALL.values(), ids=ALL.keys())
WHOLE = {"gamma_poisson_eb", "npmle_negbin"}  # for counts, which have no unit
BLANK = float("nan")


def make(rows, quantile=0.9) -> Portfolio:
    return portfolio(jnp.asarray(rows, jnp.float32), quantile)


@pytest.fixture
def ragged() -> Portfolio:
    """Counts with zeros, from two to six observations each, [9, 6]."""
    rng = np.random.default_rng(3)
    rows = rng.poisson(rng.gamma(2.0, 4.0, (9, 1)), (9, 6)).astype(float)
    rows[np.arange(6)[None] >= rng.integers(2, 7, (9, 1))] = BLANK
    quantile = jnp.asarray(rng.uniform(0.55, 0.93, 9), jnp.float32)
    return portfolio(jnp.asarray(rows, jnp.float32), quantile)


def close(a, b, rtol=2e-3):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=1e-3)


@EACH
def test_permuting_instances_permutes_decisions(decide, ragged):
    order = jnp.asarray(np.random.default_rng(0).permutation(9))
    permuted = jax.tree.map(lambda leaf: leaf[order], ragged)
    close(decide(permuted), decide(ragged)[order])


@EACH
def test_order_of_observations_does_not_matter(decide, ragged):
    flipped = ragged._replace(
        observations=ragged.observations[:, ::-1], valid=ragged.valid[:, ::-1]
    )
    close(decide(flipped), decide(ragged))


@EACH
def test_padding_gets_zero_and_changes_nothing(decide, ragged):
    padded = Portfolio(
        observations=jnp.pad(
            ragged.observations, ((0, 3), (0, 2)), constant_values=7.0
        ),
        valid=jnp.pad(ragged.valid, ((0, 3), (0, 2))),
        quantile=jnp.pad(ragged.quantile, (0, 3), constant_values=0.99),
    )
    x = decide(padded)
    close(x[:9], decide(ragged))
    np.testing.assert_array_equal(x[9:], 0.0)


LOOPS = ["shrunken_saa", "lognormal_eb", "global_qr", "npmle_negbin", "saa"]


@pytest.mark.parametrize("name", LOOPS)
def test_jit_changes_nothing(name, ragged):
    decide = ALL[name]
    keywords = getattr(decide, "keywords", {})
    plain = inspect.unwrap(getattr(decide, "func", decide))
    close(plain(ragged, **keywords), decide(ragged))


@EACH
def test_vmap_is_a_loop(decide, ragged):
    other = ragged._replace(observations=ragged.observations + 3.0 * ragged.valid)
    batch = jax.tree.map(lambda a, b: jnp.stack([a, b]), ragged, other)
    close(jax.vmap(decide)(batch), jnp.stack([decide(ragged), decide(other)]))


@pytest.mark.parametrize("name", sorted(set(ALL) - WHOLE))
@pytest.mark.parametrize("unit", [1e-30, 1e-3, 1e4, 1e30])
def test_a_common_unit_scales_the_decisions(name, unit, ragged):
    decide = ALL[name]
    scaled = ragged._replace(observations=unit * ragged.observations)
    close(decide(scaled) / unit, decide(ragged))


@pytest.mark.parametrize("name", ["saa", "normal_t", "pooled_mean", "pooled_loo"])
@pytest.mark.parametrize("far", [3, 30])
def test_an_instance_has_its_own_unit(name, far, ragged):
    unit = jnp.asarray(10.0 ** np.linspace(-far, far, 9), jnp.float32)
    scaled = ragged._replace(observations=unit[:, None] * ragged.observations)
    decide = baselines.NEWSVENDOR[name]
    close(decide(scaled) / unit, decide(ragged))


def test_ordinary_demand_keeps_its_unit_and_no_other_is_far_from_it():
    largest = jnp.asarray([0.0, 1e-9, 1.0, 1e9, 3e-38, 1e-30, 1e30, 3e38])
    unit = np.asarray(summaries.unit(largest), np.float64)
    np.testing.assert_array_equal(unit[:4], 1.0)
    np.testing.assert_array_equal(np.frexp(unit)[0], 0.5)
    within = np.asarray(largest, np.float64)[4:] / unit[4:]
    assert (within >= 2.0**-30).all()
    assert (within < 2.0**30).all()


@pytest.mark.parametrize(
    "name", sorted(set(baselines.COUNTS) - {"shrunken_saa", "global_qr"})
)
def test_quantiles_of_other_instances_do_not_matter(name, ragged):
    decide = baselines.COUNTS[name]
    alone = ragged._replace(quantile=jnp.full(9, ragged.quantile[4]))
    close(decide(alone)[4], decide(ragged)[4])


@EACH
@pytest.mark.parametrize(
    "rows",
    [
        [[0, 0, 0], [1, 2, 3], [0, 4, 0]],
        [[0, 0, 0], [0, 0, 0]],
        [[2], [5], [0]],
        [[3, 3, 3], [3, 3, 3]],
        [[4]],
        [[1, 0, BLANK], [BLANK, BLANK, BLANK], [6, BLANK, BLANK]],
    ],
    ids=["a zero", "all zero", "one each", "constant", "alone", "ragged"],
)
def test_decisions_are_finite_on_degenerate_data(decide, rows):
    for quantile in (0.1, 0.95):
        # padded to the shape of the other tests, hence compiled already
        padded = np.full((9, 6), BLANK)
        padded[: len(rows), : len(rows[0])] = rows
        x = np.asarray(decide(make(padded, quantile)))
        assert np.isfinite(x).all()
        assert (x >= 0).all()


@pytest.mark.parametrize("rescale", [True, False])
def test_shrunken_saa_of_a_single_observation(rescale):
    close(baselines.shrunken_saa(make([[4.0]]), rescale=rescale), [4.0])


def test_public_names_are_registered():
    assert baselines.NEWSVENDOR["saa"] is baselines.saa
    assert set(baselines.COUNTS) == set(baselines.NEWSVENDOR) | WHOLE
    assert isinstance(baselines.COUNTS["shrunken_saa"], functools.partial)


@EACH
def test_double_precision_is_kept(decide):
    with types.enable_x64(True):
        rows = jnp.asarray([[1.0, 0.0, 3.0], [2.0, 5.0, 1.0]], jnp.float64)
        assert jax.eval_shape(decide, portfolio(rows, 0.9)).dtype == jnp.float64


@pytest.mark.parametrize("decide", [baselines.npmle_negbin, baselines.global_qr])
def test_instances_in_several_blocks_are_decided_as_in_one(decide):
    # what these two fit is the same for a portfolio three times over
    rng = np.random.default_rng(6)
    rows = rng.poisson(rng.gamma(2.0, 4.0, (700, 1)), (700, 9)).astype(float)
    rows[:, 4:][rng.uniform(size=(700, 5)) < 0.3] = BLANK
    assert 3 * 700 > 2 * count_baselines.BLOCK
    assert 3 * 700 * 9 > regression_baselines.BLOCK
    found = decide(make(np.tile(rows, (3, 1))))
    close(found, np.tile(decide(make(rows)), 3))
