"""`ptft_jax.features` in PyTorch, batched over portfolios; for `benchmarks.peers` only.

Every portfolio is seen in its own context, as in pretraining, so that what the two
functions of the original share is computed once. Portfolio-wide values keep the axis of
instances, [b, 1]. The lattice on which decisions are settled is left out: no loss uses
it, and XLA drops it as well.
"""

from typing import NamedTuple

import torch

from ptft_jax.features import ABOUT, MAX_INSTANCES
from ptft_jax.statistics import DEFAULT_NOISE, PRIOR_COUNTS


class Inputs(NamedTuple):
    """What the network sees of b portfolios of n instances."""

    scale: torch.Tensor  # [b, n]
    noise: torch.Tensor  # [b, n]
    shrinkage: torch.Tensor  # [b, n]
    observation: torch.Tensor  # [b, n, g]
    instance: torch.Tensor  # [b, n, f]
    portfolio: torch.Tensor  # [b, 1, p]
    residual: torch.Tensor  # [b, n, m]
    valid: torch.Tensor  # [b, n, m]


class _Own(NamedTuple):
    """Instances by themselves, and the counts they are weighed by."""

    count: torch.Tensor  # [b, n]
    present: torch.Tensor  # [b, n]
    scale: torch.Tensor  # [b, n]
    ratio: torch.Tensor  # [b, n, m]
    level: torch.Tensor  # [b, n]
    sd: torch.Tensor  # [b, n]


class _Shared(NamedTuple):
    """Portfolio-wide summaries, [b, 1] each."""

    center: torch.Tensor
    unit: torch.Tensor
    noise: torch.Tensor
    prior_count: torch.Tensor
    spread: torch.Tensor


def _mean(x, mask, dim):
    total = torch.where(mask, x, 0.0).sum(dim, keepdim=True)
    return total / mask.sum(dim, keepdim=True).clamp(min=1)


def _smallest_gap(observations, valid):
    """[b, 1]: next to each other in order lie the nearest, 0 being among them."""
    known = torch.where(valid, observations, 0.0)
    tolerance = 1e-5 * known.amax(-1, keepdim=True)
    ordered = known.sort(-1).values
    gap = torch.diff(ordered, dim=-1, prepend=torch.zeros_like(ordered[..., :1]))
    return torch.where(gap > tolerance, gap, torch.inf).amin((1, 2))[:, None]


def _own(observations, valid, count, present) -> tuple[_Own, torch.Tensor]:
    mean = observations.sum(-1) / count.clamp(min=1.0)
    log_mean = mean.clamp(min=1e-30).log()
    center = _mean(log_mean, present & (mean > 0), 1).exp()
    scale = torch.where(mean > 0, mean, center / (count + 1.0))
    ratio = observations / scale.clamp(min=1e-30)[..., None]
    deviation = torch.where(valid, ratio - 1.0, 0.0)
    sd = (deviation.square().sum(-1) / (count - 1.0).clamp(min=1.0)).sqrt()
    level = (scale.clamp(min=1e-30) / center.clamp(min=1e-30)).log().clamp(-6.0, 6.0)
    return _Own(count, present, scale, ratio, level, sd.clamp(0.0, 4.0)), center


def _trigamma(x):
    y = x + 1.0
    return 1.0 / x**2 + 1.0 / y + 1.0 / (2.0 * y**2) + 1.0 / (6.0 * y**3)


def _prior_count(own: _Own):
    used = own.count >= 2.0
    log_variance = (own.sd.square() + 1e-5).log()
    average = _mean(log_variance, used, 1)
    observed = _mean((log_variance - average).square(), used, 1)
    expected = _mean(_trigamma((own.count - 1.0).clamp(min=1.0) / 2.0), used, 1)
    excess = (observed - expected).clamp(min=1e-3)
    half = (1.0 + (1.0 + 2.0 * excess).sqrt()) / (2.0 * excess)
    return (2.0 * half).clamp(*PRIOR_COUNTS)


def _shared(observations, valid, own: _Own, center) -> _Shared:
    unit = _smallest_gap(observations, valid)
    unit = torch.where(unit.isfinite(), torch.maximum(unit, 1e-6 * center), center)
    spare = (own.count - 1.0).clamp(min=0.0)
    freedom = spare.sum(1, keepdim=True)
    squares = (spare * own.sd.square()).sum(1, keepdim=True)
    pooled = (squares / freedom.clamp(min=1.0) + 1e-4).sqrt()
    noise = torch.where(freedom > 0, pooled, DEFAULT_NOISE)
    average = _mean(own.level, own.present, 1)
    total = _mean((own.level - average).square(), own.present, 1)
    within = _mean(noise.square() / own.count.clamp(min=1.0), own.present, 1)
    spread = torch.maximum(total - within, 0.02 * total + 1e-4).sqrt()
    return _Shared(center, unit, noise, _prior_count(own), spread)


def _summaries(observations, valid, own: _Own, shared: _Shared):
    spare = (own.count - 1.0).clamp(min=0.0)
    prior = shared.prior_count
    squares = spare * own.sd.square() + prior * shared.noise.square()
    noise = (squares / (spare + prior)).sqrt()
    residual = torch.where(valid, (own.ratio - 1.0) / noise[..., None], 0.0)
    residual = residual.clamp(-8.0, 8.0)
    per_count = 1.0 / own.count.clamp(min=1.0)
    third = residual.pow(3).sum(-1) * per_count
    zeros = _mean((observations <= 0).to(noise.dtype), valid, -1)[..., 0]
    log_unit = own.level + (shared.center.clamp(min=1e-30) / shared.unit).log()
    variance = noise.square() * per_count
    pull = variance / (variance + shared.spread.square())
    shrinkage = (-pull * own.level / noise).clamp(-3.0, 3.0)
    rows = [
        noise.log(),
        ((own.sd + 0.02) / (shared.noise + 0.02)).log().clamp(-3.0, 3.0),
        third.sign() * third.abs().pow(1.0 / 3.0),
        residual.abs().sum(-1) * per_count,
        residual.amax(-1) / 2.0,
        residual.amin(-1) / 2.0,
        zeros,
        log_unit.clamp(-3.0, 5.0) / 3.0,
        own.level,
        pull,
        shrinkage,
        per_count.sqrt(),
        own.count.clamp(min=1.0).log() / 3.0,
    ]
    return noise, shrinkage, residual, torch.stack(rows, -1)


def _observation(observations, valid, own: _Own, shared: _Shared, residual):
    units = (observations / shared.unit[..., None]).log1p().clamp(0.0, 5.0)
    log_ratio = (own.ratio + 0.1).log().clamp(-3.0, 4.0)
    columns = [
        residual / 2.0,
        residual.tanh(),
        log_ratio,
        own.ratio.clamp(0.0, 30.0).sqrt(),
        (observations <= 0).to(residual.dtype),
        units / 3.0,
        log_ratio + 0.5 * own.level[..., None],
    ]
    return _mean(torch.stack(columns, -1), valid[..., None], 2)[:, :, 0]


def _portfolio(own: _Own, shared: _Shared, instance):
    weight = own.present[..., None]
    means = _mean(instance, weight, 1)
    spreads = (_mean((instance - means).square(), weight, 1) + 1e-8).sqrt()
    n = own.present.sum(1, keepdim=True).to(instance.dtype).clamp(1.0, MAX_INSTANCES)
    logs = torch.stack([shared.noise, shared.prior_count, shared.spread, n], -1)
    return torch.cat([means, spreads, logs.log() / 3.0, n.rsqrt()[..., None]], -1)


@torch.no_grad()
def inputs(observations: torch.Tensor, valid: torch.Tensor) -> Inputs:
    """Inputs of the network for every instance of a batch of portfolios.

    Args:
      observations: demand, [b, n, m], 0 where it is not valid.
      valid: which observations exist, [b, n, m].

    Returns:
      What `features.features` and `features.portfolio_features` give.
    """
    count, present = valid.sum(-1).to(observations.dtype), valid.any(-1)
    own, center = _own(observations, valid, count, present)
    shared = _shared(observations, valid, own, center)
    noise, shrinkage, residual, instance = _summaries(observations, valid, own, shared)
    observation = _observation(observations, valid, own, shared, residual)
    portfolio = _portfolio(own, shared, instance)
    rows = observation, instance, portfolio, residual, valid
    return Inputs(own.scale, noise, shrinkage, *rows)


def exceedances(given: Inputs, start: torch.Tensor) -> torch.Tensor:
    """`features.exceedances` at several decisions of each instance.

    Args:
      given: of b portfolios.
      start: decisions in units of noise from the observed mean, [b, n, k].

    Returns:
      Shares, [b, n, k, c].
    """
    levels = start[..., None] + torch.tensor(ABOUT, device=start.device)
    away = given.residual[:, :, None, None] - levels[..., None]
    above = torch.where(given.valid[:, :, None, None], (4.0 * away).sigmoid(), 0.0)
    count = given.valid.sum(-1).clamp(min=1)
    return above.sum(-1) / count[:, :, None, None]
