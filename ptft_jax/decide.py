"""A firm's use: a file of demand → decisions, and what can be certified of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ptft_jax import (
    baselines,
    data,
    decision_table,
    dependence,
    finetune,
    gate,
    left_out,
    quantile_curve,
    risk,
    shapes,
    streamed,
)
from ptft_jax import certify as certify_
from ptft_jax.certify import Certified
from ptft_jax.crossfit import LEAST_INSTANCES
from ptft_jax.dependence import Dependence
from ptft_jax.finetune import Candidate, FinetuneConfig
from ptft_jax.model import Network
from ptft_jax.streams import cell_key
from ptft_jax.types import Portfolio


class Decided(NamedTuple):
    """Decisions for every instance of a file.

    Attributes:
      table: one row an instance, with the columns `decision_table.COLUMNS`.
      chosen: how fine-tuning changed the network, or None if it was not asked for.
      certified: the statements, or None where there are too few instances.
      notes: what the user should know of how the file was used.
      pit_distance: of the quantile curve (`quantile_curve.Curve`), or None without one.
    """

    table: pl.DataFrame
    chosen: Candidate | None
    certified: Certified | None
    notes: list[str]
    pit_distance: float | None = None


def recent(table: data.Table, most: int) -> tuple[data.Table, list[str]]:
    """The table with only the last observations of each instance.

    Args:
      table: n instances, rows in time order.
      most: observations to keep of each, ≥ 2.

    Returns:
      The table, and a note if anything was left out.
    """
    seen = ~np.isnan(table.values)
    longest = int(seen.sum(0).max())
    if longest <= most:
        return table, []
    later = np.cumsum(seen[::-1], axis=0)[::-1]
    values = np.where(later <= most, table.values, np.nan)
    note = (
        f"of up to {longest} observations an instance, the last {most} are used "
        "(--observations changes that)"
    )
    return table._replace(values=values), [note]


def decide(
    network: Network,
    params: Any,
    portfolio: Portfolio,
    names: list[str],
    *,
    config: FinetuneConfig | None,
    delta: float = 0.05,
    seed: int = 0,
    levels: tuple[float, ...] = (),
    report: Callable[[str], None] = lambda stage: None,
) -> Decided:
    """Fine-tunes on the portfolio's own instances, decides, and certifies.

    The certificates are of the same procedure on each half of the instances, scored on
    the other half: the decisions themselves come from fine-tuning on all of them.

    Args:
      network: the Transformer.
      params: pretrained.
      portfolio: n instances with at least two observations each.
      names: of the instances.
      config: of fine-tuning; None leaves the pretrained network unchanged.
      delta: failure probability of each certificate, in (0, 1).
      seed: of the splits and of fine-tuning.
      levels: of the quantile curve, increasing in (0, 1); none makes none.
      report: called with what is done next.

    Returns:
      The decisions and the certificates.
    """
    n, chosen, certified = len(names), None, None
    key = lambda stream: cell_key(seed, stream, n)
    padded = shapes.pad(portfolio)
    policy = pretrained = risk.single(network, params)
    fit = None if config is None else finetune.make_fit(network, config)
    if fit is not None:
        report("fine-tuning on all instances")
        found = fit(params, padded, key("finetune"))
        policy, chosen, past = found.policy, found.chosen, found.past
    else:
        past = dependence.examine(portfolio)
    report("deciding")
    before = left_out.decide(network, pretrained, padded)
    is_changed = chosen is not None and chosen != gate.UNCHANGED
    decisions = {
        "decision": left_out.decide(network, policy, padded) if is_changed else before,
        "decision_pretrained": before,
        "saa": baselines.saa(padded),
    }
    if n >= LEAST_INSTANCES:
        # padded alike, folds need no compilation of their own; more than a block of
        # instances take longer to decide for than to compile for
        size = padded.valid.shape[0]
        size = size if size <= streamed.BLOCK else shapes.bucket((n + 1) // 2)
        key_ = key("certify")
        certified = certify_.certify(
            network, params, portfolio, fit, key_, delta, report, size
        )
    columns = {k: np.asarray(x, np.float64)[:n] for k, x in decisions.items()}
    table = decision_table.make(portfolio, names, columns)
    notes = _of_number(n, config) + _of_time(past)
    made = Decided(table, chosen, certified, notes)
    if not levels:
        return made
    report("quantile curves")
    curve = quantile_curve.make(network, params, padded, levels, key("curve"))
    table = decision_table.with_curve(table, curve)
    return made._replace(table=table, pit_distance=curve.pit_distance)


def _of_number(n: int, config: FinetuneConfig | None) -> list[str]:
    """Notes on what too few or very many instances change."""
    if n < LEAST_INSTANCES:
        return [f"no certificate: it needs at least {LEAST_INSTANCES} instances"]
    if config is None or n <= config.most_instances:
        return []
    return [
        f"fine-tuning saw {config.most_instances} of the {n} instances, drawn at "
        "random (at most as many of each fold); decisions and certificates are for all"
    ]


def _of_time(found: Dependence) -> list[str]:
    """Notes on what a split over instances cannot tell of periods to come."""
    notes = []
    if found.design_effect > 1.0:
        notes.append(
            f"demand moves together from period to period: {found.num_usable} "
            f"instances say as much of periods to come as {found.num_independent:.3g} "
            "that move alone, and fine-tuning counts them so; certificates are about "
            "the periods in the file"
        )
    if found.is_ordered:
        notes.append(
            "demand is more alike in neighbouring periods: an observation left out "
            "does not stand for periods to come, so nothing is fine-tuned, and "
            "certificates are about the periods in the file"
        )
    return notes
