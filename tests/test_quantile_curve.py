import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
import tiny
from scipy import stats

from ptft_jax import checkpoint, cli, quantile_curve, shapes, types

LEVELS = tuple(k / 10.0 for k in range(1, 10))
N, M = 512, 8


@pytest.fixture(scope="module")
def sales():
    """Demand of two laws that the network was not trained on, and its future."""
    rng = np.random.default_rng(0)
    mean = rng.gamma(2.0, 3.0, (N, 1))
    days = 0.5 + rng.beta(0.4, 0.4, (N, M + 40))
    amounts = mean * days
    return {"amounts": amounts, "counts": rng.poisson(amounts).astype(float)}


@pytest.mark.parametrize("kind", ["amounts", "counts"])
def test_curves_are_in_order_and_cover_what_comes_next(sales, kind):
    network, params, _ = checkpoint.load_shipped()
    seen, future = np.split(sales[kind], [M], axis=1)
    portfolio = shapes.pad(types.portfolio(jnp.asarray(seen, jnp.float32), 0.5))
    curve = quantile_curve.make(network, params, portfolio, LEVELS, jax.random.key(0))
    assert curve.quantiles.shape == (N, 9)
    assert (np.diff(curve.quantiles, axis=1) >= 0.0).all()
    assert (curve.uncertainty >= 0.0).all()
    # a quantile of counts covers more than its level, and less without its atom
    below = (future[:, None] < curve.quantiles[..., None]).mean((0, 2))
    upto = (future[:, None] <= curve.quantiles[..., None]).mean((0, 2))
    assert (upto >= np.array(LEVELS) - 0.03).all()
    assert (below <= np.array(LEVELS) + 0.03).all()
    assert curve.pit_distance < 0.08


@pytest.mark.parametrize("unit", [0.0, 1.0])
def test_transforms_of_a_known_law_are_uniform(unit):
    rng, size = np.random.default_rng(1), 20000
    if unit:
        law, k = stats.poisson(2.0), np.arange(-1, 12)
        # a curve that is settled to k from k − ½ to k + ½
        quantiles = np.interp(quantile_curve.LEVELS, law.cdf(k), k + 0.5)
    else:
        law = stats.gamma(2.0)
        quantiles = law.ppf(quantile_curve.LEVELS)
    answers = quantile_curve._Answers(
        jnp.broadcast_to(jnp.asarray(quantiles, jnp.float32), (size, len(quantiles))),
        jnp.full(size, unit),
    )
    given = jnp.asarray(law.rvs(size, random_state=rng), jnp.float32)
    u = jnp.asarray(rng.random(size), jnp.float32)
    pit = np.asarray(quantile_curve.transform(answers, given, u))
    assert stats.kstest(pit, "uniform").statistic < 0.015
    assert pit.min() >= 0.0
    assert pit.max() <= 1.0


def test_levels_move_to_where_the_coverage_is():
    rng = np.random.default_rng(2)
    pit = rng.random((4, 4000)) ** 2  # a law too low: P(F̂ ≤ p) = √p
    levels = np.array(LEVELS)
    moved = quantile_curve.moved_levels(pit, levels)
    np.testing.assert_allclose(moved, levels**2, atol=0.02)
    nothing = np.full((1, 5), np.nan)
    np.testing.assert_allclose(quantile_curve.moved_levels(nothing, levels), levels)


def test_decide_writes_the_curve(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    weights = tiny.write_weights(tmp_path / "w.safetensors")
    tiny.write_csv(tmp_path / "sales.csv", tiny.demand(6))
    line = ["decide", "sales.csv", "--quantile", ".9", "--no-finetune"]
    line += ["--weights", str(weights)]
    assert cli.main([*line, "--curve", ".9,.1,.5"]) == 0
    table = pl.read_csv("decisions.csv")
    assert table.columns[-4:] == ["q0.1", "q0.5", "q0.9", "uncertainty"]
    assert (table["q0.1"] <= table["q0.5"]).all()
    assert "quantile curves" in capfd.readouterr().out
    assert cli.main([*line, "--curve", ".9,1.5"]) == 2
    assert "--curve takes levels in (0, 1)" in capfd.readouterr().err
