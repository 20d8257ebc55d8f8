"""Rows of `bounds.csv` from the statements of `theory` about the fine-tuned head.

Each statement is made on each fold at δ/2 and holds for the mean over instances at δ,
like the certificates of `certify`.
"""

from typing import Any, NamedTuple

import numpy as np

from ptft_jax import (
    certify,
    head_rows,
    head_truth,
    path_certificates,
    shapes,
    two_path_rows,
)
from ptft_jax.bound_terms import SETTING
from ptft_jax.certify import Certified
from ptft_jax.draws import Cell
from ptft_jax.head_population import Population
from ptft_jax.lab import Lab
from ptft_jax.path_certificates import PathBound
from ptft_jax.streams import cell_key, generator
from ptft_jax.two_path_rows import RADII, Fitted
from theory import certificates, limits, two_path

FOLDS = "AB"
INSIDE = ("rademacher", "optimisation", "deviation", "comparator", "selection")

MEANING = {
    "path_kl": (
        "certified: mean cut cost of the Gibbs policy, whose head is drawn anew for "
        "every use from N(t u, s^2 I); t u lies between the pretrained head and one "
        "fitted to the scored fold itself. Maurer's PAC-Bayes bound; `mc` is what the "
        "finite number of draws costs, `kl` what the divergence adds. Not inherited "
        "by the head t u: a cut cost is not convex."
    ),
    "path_coin_betting": (
        "certified: the same kind of Gibbs policy by coin betting; its posterior may "
        "be another."
    ),
    "path_drawn": (
        "certified: mean cut cost of one head, drawn once from the posterior of "
        "path_coin_betting and then used; probability includes that draw."
    ),
    "path_..., setting_": (
        "terms of what the bound was found at, for each fold: step t, prior scale s, "
        "radius of the ball, divergence in nats. No part of the total."
    ),
    "two_path_ball_r": (
        "certified: cost of the chosen head, cut at b, over that of the best head of "
        "the ball of radius r, cut likewise; without E_pre and A_j, decisions not "
        "settled. Its risk column is an upper estimate of the same on fresh instances."
    ),
    "two_path": (
        "certified, in simulated worlds whose Bayes policy is known: cost of the "
        "chosen head, cut at b, less the Bayes risk, nothing of which is cut; the risk "
        "column is the same difference on fresh instances. It says nothing of what "
        "costs above b add. E_pre and A_j, of costs not cut, are computed in that "
        "world from fresh instances, with 4 standard errors added; no firm could know "
        "them."
    ),
    "floor_...": (
        "law: no bound on a mean in [0, b] that is valid for every law can be surely "
        "below this at the true risk. It needs the truth and certifies nothing; a "
        "single sample may give less. full_information + excess is the true risk."
    ),
    "saa_worst_case": (
        "law: largest expected cost of SAA over all bounded laws of demand with this "
        "cost of full information, for independent observations. One portfolio can "
        "exceed an expectation."
    ),
}


class Fold(NamedTuple):
    """What is stated of the instances of a fold."""

    paths: list[PathBound]
    fitted: Fitted
    heads: list[Any]  # (radius, head) tried when a ball's best risk is sought


def _fold(lab: Lab, cell: Cell, portfolio, half, key, which: str) -> Fold:
    scored = shapes.take(portfolio, half.others)
    rows = head_rows.gather(
        lab.network, lab.params, scored, half.context, key, len(half.others)
    )
    n = len(half.others)
    rng = generator(cell.seed, f"head/{which}/{cell.n}")
    is_fit = rng.permutation(n) < (n + 1) // 2
    weights = np.repeat([np.ones(n), is_fit.astype(np.float64)], len(RADII), axis=0)
    balls = head_rows.fit_balls(rows, weights, RADII + RADII)
    whole, part = balls[: len(RADII)], balls[len(RADII) :]
    paths = path_certificates.certify_fold(
        rows, whole, half.scale, lab.delta / 2.0, rng
    )
    fitted = two_path_rows.fit(rows, part, is_fit, half.scale)
    return Fold(paths, fitted, [(ball.radius, ball.head) for ball in balls])


def _row(bound: str, tier: str, risk: float, total: float, delta: float) -> dict:
    holds = bool(total >= risk)
    common = {"bound": bound, "tier": tier, "risk": risk, "delta": delta}
    return {**common, "holds": holds}


def expand(
    bound: str, tier: str, risk: float, terms: dict[str, float], delta: float
) -> list[dict[str, Any]]:
    """A bound's rows: `total`, then the terms that add up to it.

    Args:
      bound: its name.
      tier: certified, law or rate.
      risk: what it is about.
      terms: in the unit of the risk.
      delta: failure probability of a certificate.

    Returns:
      Rows of `bounds.csv` without the cell's columns.
    """
    total = sum(terms.values())
    common = _row(bound, tier, risk, total, delta)
    named = {"total": total, **terms}
    return [{**common, "term": term, "value": value} for term, value in named.items()]


def _path_rows(folds, truths, weigh, delta) -> list[dict[str, Any]]:
    out = []
    for pair in zip(*(fold.paths for fold in folds), strict=True):
        name = pair[0].name
        terms = {t: weigh([p.terms[t] for p in pair]) for t in pair[0].terms}
        risk = weigh([truth.paths[name] for truth in truths])
        out += expand(name, "certified", risk, terms, delta)
        for letter, path in zip(FOLDS, pair, strict=True):
            for field in ("step", "scale", "radius", "nats"):
                value = getattr(path.posterior, field)
                term = f"{SETTING}{field}_{letter}"
                out.append({**out[-1], "term": term, "value": value})
    return out


def _two_path_rows(folds, truths, weigh, delta) -> list[dict[str, Any]]:
    out = []
    share = delta / 2.0
    for j, radius in enumerate(RADII):
        made = [fold.fitted.within(j, share) for fold in folds]
        terms = {t: weigh([getattr(b, t) for b in made]) for t in INSIDE}
        risk = weigh([truth.gaps[j] for truth in truths])
        name = f"two_path_ball_{radius:g}"
        out += expand(name, "certified", risk, terms, delta)
    if truths[0].excess is None:
        return out
    made = [
        fold.fitted.bound(truth.pretrain_excess, truth.approximation, share)
        for fold, truth in zip(folds, truths, strict=True)
    ]
    terms = {t: weigh([getattr(b, t) for b in made]) for t in two_path.TERMS}
    risk = weigh([truth.excess for truth in truths])
    return out + expand("two_path", "certified", risk, terms, delta)


def head_statements(
    lab: Lab,
    cell: Cell,
    certified: Certified,
    portfolio,
    populations: list[list[Population]],
) -> list[dict[str, Any]]:
    """Rows about the fine-tuned head: along the path, and of the two-path bound.

    Args:
      lab: what the cells have in common.
      cell: the cell.
      certified: the folds.
      portfolio: the cell's.
      populations: fresh instances, by redraw and fold.

    Returns:
      Rows of `bounds.csv`.
    """
    folds, truths = [], []
    for k, half in enumerate(certified.halves):
        key = cell_key(cell.seed, f"head rows {FOLDS[k]}", cell.n)
        folds.append(_fold(lab, cell, portfolio, half, key, FOLDS[k]))
        redraws = [redraw[k] for redraw in populations]
        truths.append(head_truth.measure(*folds[-1], redraws))
    weigh = lambda values: certify.weigh(certified.scores, values)
    args = (folds, truths, weigh, lab.delta)
    return [*_path_rows(*args), *_two_path_rows(*args)]


def floors(
    lab: Lab, certified: Certified, risk: dict[str, Any], full: float
) -> list[dict[str, Any]]:
    """What no distribution-free bound can be surely below, at each policy's true risk.

    b · floor(min(R/b, 1), n, δ/2) on each fold; law, because it is computed from the
    truth.

    Args:
      lab: with δ.
      certified: the folds.
      risk: true risks by policy, one a fold.
      full: expected cost of full information in the same population.

    Returns:
      Rows of `bounds.csv`.
    """
    out = []
    for policy in certified.halves[0].policies:
        ends = []
        for half, true in zip(certified.halves, risk[policy], strict=True):
            share = min(float(true) / half.scale, 1.0)
            least = certificates.floor(share, len(half.others), lab.delta / 2.0)
            ends.append(half.scale * least)
        true = certify.weigh(certified.scores, list(risk[policy]))
        total = certify.weigh(certified.scores, ends)
        terms = {"full_information": full, "excess": true - full}
        terms["confidence"] = total - true
        out += expand(f"floor_{policy}", "law", true, terms, lab.delta)
    return out


def saa_law(lab: Lab, cell: Cell, risks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Worst case of SAA beside its cost; none under `rolling`, where periods depend.

    Args:
      lab: with δ.
      cell: the cell.
      risks: its rows of `risks.csv`.

    Returns:
      Rows of `bounds.csv`.
    """
    if cell.protocol != "iid":
        return []
    saa = next(row for row in risks if row["method"] == "saa")
    share = limits.saa_worst_case(cell.quantile, cell.observations)
    terms = {"full_information": saa["cost_full"], "regret": share * saa["cost_full"]}
    return expand("saa_worst_case", "law", saa["cost"], terms, lab.delta)
