"""Simulated sales unlike the prior: calendars, life cycles, lots, promotions, caps.

Development sets. They are made by period, as shops make them, not from the laws that
networks are pretrained on: levels drift, seasons and promotions come in stretches and
shelves run empty. Every function gives a table of periods by products.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

Table = Float64[np.ndarray, "periods n"]
YEAR = 365.0


def _wave(rng, days, size, amplitude, cycle):
    phase = rng.uniform(0.0, 2.0 * np.pi, (size, 1))
    return amplitude * np.sin(2.0 * np.pi * days / cycle + phase)


def _counts(rng, mean, size):
    return rng.poisson(mean * rng.gamma(size, 1.0 / size, mean.shape))


def _stretches(rng, shape, number, length) -> np.ndarray:
    """Periods that lie in one of some stretches of each product."""
    inside = np.zeros(shape, bool)
    for row in inside:
        for start in rng.integers(0, shape[1], rng.poisson(number)):
            row[start : start + rng.integers(*length)] = True
    return inside


def _enough(sales: np.ndarray, least: int) -> Table:
    return sales[(sales > 0).sum(1) >= least].T.astype(float)


def retail(n: int = 900, periods: int = 400) -> Table:
    """Daily units of a shop: weekdays, seasons, trends, promotions, empty shelves."""
    rng, day = np.random.default_rng(11), np.arange(periods)
    week = np.array([-0.1, -0.15, -0.15, -0.05, 0.1, 0.3, 0.2])
    week = week + rng.normal(0.0, 0.1, (n, 7))
    log = rng.normal(0.6, 1.3, (n, 1)) + week[:, day % 7]
    log = log + _wave(rng, day, n, rng.normal(0.0, 0.25, (n, 1)), YEAR)
    log = log + rng.normal(0.0, 0.35, (n, 1)) * (day / periods - 0.5)
    promoted = _stretches(rng, (n, periods), 4, (4, 12))
    log = log + promoted * np.abs(rng.normal(0.5, 0.4, (n, 1)))
    log = log + rng.normal(0.0, 0.06, periods)
    sales = _counts(rng, np.exp(log), rng.gamma(4.0, 1.0, (n, 1)) + 0.5)
    sales[_stretches(rng, (n, periods), 1.5, (1, 12))] = 0
    return _enough(sales, 15)


def bakery(n: int = 300, periods: int = 300) -> Table:
    """Daily units of fresh goods: weekdays, common weather, sold out at a cap."""
    rng, day = np.random.default_rng(12), np.arange(periods)
    week = np.array([-0.1, -0.1, -0.05, 0.0, 0.1, 0.35, 0.25])
    week = week + rng.normal(0.0, 0.12, (n, 7))
    usual = np.exp(rng.normal(3.2, 0.9, (n, 1)) + week[:, day % 7])
    weather = 0.12 * rng.normal(size=periods) * rng.normal(1.0, 0.4, (n, 1))
    sales = _counts(rng, usual * np.exp(weather), rng.gamma(3.0, 6.0, (n, 1)) + 3.0)
    sales = np.minimum(sales, np.round(usual * rng.uniform(1.2, 2.2, (n, 1))))
    sales[rng.uniform(size=sales.shape) < rng.beta(0.4, 8.0, (n, 1))] = 0
    return sales.T.astype(float)


def weekly(n: int = 700, periods: int = 110) -> Table:
    """Weekly units, 1 to 2000: promotions up to tenfold, a season, heavy tails."""
    rng, week = np.random.default_rng(13), np.arange(periods)
    share = rng.beta(1.2, 7.0, (n, 1))
    promoted = rng.uniform(size=(n, periods)) < share
    log = rng.normal(3.5, 1.4, (n, 1)) + promoted * rng.gamma(4.0, 0.25, (n, 1))
    log = log - 0.15 * np.roll(promoted, 1, 1)
    season = 0.2 * np.sin(2.0 * np.pi * week / 52.0 + rng.uniform(0.0, 6.0))
    log = log + season * rng.normal(1.0, 0.5, (n, 1))
    sd = 0.15 * np.exp(0.5 * rng.normal(size=(n, 1)))
    log = log + (sd * rng.standard_t(4, (n, periods))).clip(-3.0, 3.0)
    log = log + rng.normal(0.0, 0.3, (n, 1)) * (week / periods - 0.5)
    return rng.poisson(np.exp(log)).T.astype(float)


def parts(n: int = 1400, periods: int = 51) -> Table:
    """Monthly spare parts: intermittent, in lots, with births and declines."""
    rng, month = np.random.default_rng(14), np.arange(periods)
    rate = np.exp(rng.normal(-1.0, 0.9, (n, 1)))
    lot = rng.choice([1, 1, 1, 1, 2, 2, 4, 5, 10], (n, 1))
    late = np.maximum(0.0, month - rng.uniform(0.0, periods, (n, 1)))
    rate = rate * np.exp(-late * rng.exponential(0.03, (n, 1)))
    orders = rng.poisson(rate * (month >= rng.uniform(-60.0, 20.0, (n, 1))))
    sizes = rng.poisson(rng.gamma(0.9, 0.8, (n, 1)) * orders)
    return _enough(lot * (orders + sizes), 6)


def monthly(n: int = 800, periods: int = 60) -> Table:
    """Monthly counts, 1 to 50: seasons, trends, overdispersed."""
    rng, month = np.random.default_rng(15), np.arange(periods)
    log = rng.normal(1.5, 1.0, (n, 1))
    amplitude = np.abs(rng.normal(0.0, 0.4, (n, 1)))
    log = log + _wave(rng, month, n, amplitude, 12.0)
    log = log + rng.normal(0.0, 0.3, (n, 1)) * (month / periods - 0.5)
    size = np.exp(rng.normal(1.2, 0.8, (n, 1)))
    return _enough(_counts(rng, np.exp(log), size), 6)


def slow(n: int = 1200, periods: int = 60) -> Table:
    """Slow movers without a calendar: intermittent, overdispersed counts."""
    rng = np.random.default_rng(0)
    rate = 0.8 * rng.gamma(0.8, 1.25, (n, 1))
    zero = rng.beta(2.0, 3.0, (n, 1))
    size = rng.uniform(0.3, 3.0, (n, 1))
    mean = np.broadcast_to(rate / (1.0 - zero), (n, periods))
    sales = _counts(rng, mean, size) * (rng.uniform(size=mean.shape) > zero)
    return _enough(sales, 6)


def chain(n: int = 1100, periods: int = 560) -> Table:
    """Daily takings of a chain's shops: common weekdays, promotions, Christmas."""
    rng, day = np.random.default_rng(5), np.arange(periods)
    week = rng.normal(0.0, 0.18, 7) + rng.normal(0.0, 0.08, (n, 7))
    promoted = ((day // 7) % 2 == 0) & (day % 7 < 5)
    log = rng.normal(8.6, 0.4, (n, 1)) + week[:, day % 7]
    log = log + rng.normal(0.3, 0.12, (n, 1)) * promoted
    log = log + _wave(rng, day, n, 0.05, YEAR)
    log = log + 0.25 * np.exp(-(((day % YEAR - 352.0) / 10.0) ** 2))
    log = log + rng.normal(0.0, 0.08, (n, 1)) * (day / periods - 0.5)
    sd = 0.1 * np.exp(0.25 * rng.normal(size=(n, 1)))
    sales = np.exp(log + sd * rng.standard_t(6, (n, periods)))
    return sales[:, day % 7 != 6].T


KINDS: dict[str, Callable[[], Table]] = {
    made.__name__: made
    for made in (retail, bakery, weekly, parts, monthly, slow, chain)
}
