import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import worlds
from ptft_jax.worlds import demand_prior

N, K = 400, 200


def draw(world, seed=0):
    """Mean demand of each instance and all demands, of one law."""
    law_key, row_key, key = jax.random.split(jax.random.key(seed), 3)
    law = world.sample_law(law_key)
    rows = world.sample_instances(row_key, law, N)
    return law, rows, np.asarray(world.sample_demand(key, rows, K))


def test_what_is_known_is_what_is_drawn():
    world = worlds.demand(
        level=7.0, spread=0.2, noise=0.3, intermittency=0.4, is_count=True
    )
    for seed in range(4):
        law, rows, seen = draw(world, seed)
        assert (seen % 1 == 0).all()
        assert float(law.level) == pytest.approx(np.log(7.0))
        assert float(law.spread) == pytest.approx(0.2)
        assert (seen == 0).mean() == pytest.approx(0.4, abs=0.03)
        # counts of 0 are few at this level: most of the share is structural
        assert float(rows.zero_share.mean()) == pytest.approx(0.4, abs=0.05)


def test_ranges_hold_what_is_drawn_from_them():
    world = worlds.demand(level=(2.0, 8.0), noise=(0.1, 0.2), intermittency=0.0)
    laws = jax.vmap(world.sample_law)(jax.random.split(jax.random.key(0), 200))
    level, noise = np.exp(laws.level), np.exp(laws.noise)
    assert 2.0 <= level.min() < 2.2
    assert 7.3 < level.max() <= 8.0 + 1e-5
    assert 0.1 - 1e-6 <= noise.min()
    assert noise.max() <= 0.2 + 1e-6
    assert (np.asarray(laws.zero_logit) <= -20).all()


def test_promotions_are_a_type_of_day_of_that_share_and_lift():
    world = worlds.demand(
        promotions=0.1,
        promotion_lift=5.0,
        intermittency=0.0,
        day_effect=0.0,
        noise=0.02,
        is_count=False,
    )
    _, rows, seen = draw(world)
    shares = np.diff(np.asarray(rows.day_share), prepend=0.0, axis=1)
    assert shares[:, -1].mean() == pytest.approx(0.1, abs=0.02)
    usual = np.median(seen, axis=1, keepdims=True)
    promoted = seen > 3.0 * usual
    assert promoted.mean() == pytest.approx(0.1, abs=0.03)
    assert np.median((seen / usual)[promoted]) == pytest.approx(5.0, rel=0.2)


def many(world, num_laws, seed=0):
    return jax.vmap(world.sample_law)(jax.random.split(jax.random.key(seed), num_laws))


@pytest.mark.parametrize("day_effect", [None, 0.5])
@pytest.mark.parametrize("lift", [2.0, 0.5, (1.5, 3.0)])
def test_a_promotion_is_a_factor_on_the_mean_of_the_other_days(lift, day_effect):
    world = worlds.demand(promotions=0.1, promotion_lift=lift, day_effect=day_effect)
    laws = many(world, 500)
    weights = jax.nn.softmax(laws.day_logit[:, :-1], axis=-1)
    usual = (weights * jnp.exp(laws.day_lift[:, :-1])).sum(-1)
    factor = np.asarray(jnp.exp(laws.day_lift[:, -1]) / usual)
    low, high = lift if isinstance(lift, tuple) else (lift, lift)
    assert factor.min() == pytest.approx(low, rel=0.02 if low < high else 1e-4)
    assert factor.max() == pytest.approx(high, rel=0.02 if low < high else 1e-4)


def without_demand(world, num_laws):
    """Share of periods without demand of each of many laws, and its logit's law."""

    def share(keys):
        law = world.sample_law(keys[0])
        rows = world.sample_instances(keys[1], law, 4000)
        return (world.future_demand(keys[2], rows, 8) == 0).mean(), law.zero_logit

    keys = jax.random.split(jax.random.key(5), (num_laws, 3))
    return map(np.asarray, jax.lax.map(share, keys))


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        (0.4, {"is_count": True, "level": 3.0, "spread": 0.3, "noise": 0.5}),
        (0.7, {"is_count": True, "level": (1.0, 8.0), "spread": (0.1, 1.0)}),
        (0.5, {"is_count": False, "noise": 1.0}),
    ],
)
def test_intermittency_is_the_share_of_periods_without_demand(asked, known):
    share, logit = without_demand(worlds.demand(intermittency=asked, **known), 24)
    added = logit > -20.0
    assert added.mean() > 0.6
    # 4000 instances: a standard error of .005 at most
    assert share[added] == pytest.approx(asked, abs=0.02)
    # elsewhere counts alone are 0 more often
    assert (share[~added] > asked - 0.02).all()


def test_slow_movers_have_their_own_zeros_and_no_others():
    world = worlds.demand(is_count=True, level=0.2, spread=0.1, intermittency=0.4)
    share, logit = without_demand(world, 12)
    assert (logit < -20.0).all()
    assert (share > 0.42).all()


def test_counts_and_amounts_are_each_as_broad_as_the_prior_has_them():
    broad = many(worlds.demand(), 8000, seed=1)
    for is_count in (True, False):
        of_kind = np.asarray(broad.is_count) == is_count
        laws = many(worlds.demand(is_count=is_count), 4000)
        assert (np.asarray(laws.is_count) == is_count).all()
        for name, told in laws._asdict().items():
            one = np.asarray(told, float)
            other = np.asarray(getattr(broad, name), float)[of_kind]
            # largest difference of two empirical laws: 2.2 √(2/4000) at level 10⁻⁴
            grid = np.quantile(other, np.linspace(0.02, 0.98, 25)) + 1e-6
            below = lambda draws, grid=grid: (draws.ravel()[:, None] <= grid).mean(0)
            assert np.abs(below(one) - below(other)).max() < 0.05, name
    lots = many(worlds.demand(is_count=True), 4000).lot_share > 0
    assert lots.mean() == pytest.approx(0.2, abs=4.0 * (0.2 * 0.8 / 4000) ** 0.5)


def test_a_law_given_its_kind_is_the_law():
    for seed in range(8):
        key = jax.random.key(seed)
        law = demand_prior.sample_law(key)
        same = demand_prior.sample_law(key, bool(law.is_count))
        jax.tree.map(np.testing.assert_array_equal, law, same)


@pytest.mark.parametrize("given", [[2, 8], (2, 8.0), np.array([2.0, 8.0])])
def test_a_range_is_any_sequence_of_two_numbers(given):
    assert worlds.demand(level=given).name == worlds.demand(level=(2.0, 8.0)).name


def test_lots_are_units_that_are_sold_together():
    world = worlds.demand(lots=1.0, level=20.0, is_count=True, intermittency=0.0)
    _, rows, seen = draw(world)
    lot = np.asarray(rows.lot)[:, None]
    assert (lot > 1).all()
    assert (seen % lot == 0).all()


def _known(**more):
    return worlds.demand(
        level=20.0, spread=0.1, noise=0.4, intermittency=0.0, is_count=False, **more
    )


def _between(seen):
    """Correlation of log demand between instances, over the periods."""
    logs = np.log(seen + 1e-3)
    logs = (logs - logs.mean(1, keepdims=True)) / logs.std(1, keepdims=True)
    return ((logs.mean(0) ** 2).mean() - 1.0 / N) * N / (N - 1.0)


def test_comovement_is_shared_by_period_and_leaves_every_law_as_it_is():
    (_, rows, apart), (_, _, together) = draw(_known()), draw(_known(comovement=0.5))
    assert abs(_between(apart)) < 0.01
    assert 0.3 < _between(together) < 0.7
    whole = draw(_known(comovement=1.0))[2]
    assert _between(whole) > _between(together)
    world = _known(comovement=0.5)
    moving = rows._replace(comovement=np.full(N, 0.5, np.float32))
    keys = jax.random.split(jax.random.key(7), 64)
    one = jax.jit(lambda key: world.sample_demand(key, moving, K).mean(-1)[:5])
    means = np.asarray([one(key) for key in keys])
    still = np.asarray(
        world.future_demand(jax.random.key(8), rows, 4096), np.float64
    ).mean(1)[:5]
    error = means.std(0, ddof=1) / np.sqrt(len(keys))
    assert (np.abs(means.mean(0) - still) < 4.0 * error + 2e-3 * still).all()


def test_stockouts_cut_what_is_seen_and_not_what_is_to_come():
    world = _known(stockouts=0.4)
    _, rows, seen = draw(world)
    later = np.asarray(world.future_demand(jax.random.key(9), rows, 1000))
    # 40% of periods sell 60% of demand on average
    ratio = seen.mean() / later.mean()
    assert ratio == pytest.approx(1.0 - 0.4 * 0.4, abs=0.02)


def test_nothing_known_is_the_broad_prior():
    broad = worlds.WORLDS["demand"]
    key = jax.random.key(3)
    law = worlds.demand().sample_law(key)
    same = broad.sample_law(jax.random.split(key)[0])
    jax.tree.map(np.testing.assert_array_equal, law, same)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"level": 0.0}, "level"),
        ({"noise": (0.5, 0.1)}, "noise"),
        ({"intermittency": 1.0}, "intermittency"),
        ({"promotion_lift": 2.0}, "promotions"),
        ({"level": "many"}, "level"),
        ({"level": (2.0, 4.0, 8.0)}, "level"),
        ({"level": [2.0]}, "level"),
        ({"level": [[2.0], [4.0, 8.0]]}, "level"),
        ({"spread": (0.1, None)}, "spread"),
        ({"noise": ["low", "high"]}, "noise"),
        ({"noise": float("nan")}, "noise"),
        ({"level": float("inf")}, "level"),
        ({"skew": [1, -1]}, "skew"),
        ({"stockouts": {"low": 0.1}}, "stockouts"),
    ],
)
def test_impossible_knowledge_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        worlds.demand(**given)


def test_worlds_that_know_different_things_have_different_names():
    names = {worlds.demand(level=k).name for k in (1.0, 2.0)} | {worlds.demand().name}
    assert len(names) == 3
