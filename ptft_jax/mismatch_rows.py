"""Rows of `bounds.csv` on what the real world costs the pretrained policy more.

R_Q(φ₀) − R_P(φ₀), a part of the pretraining error: certified from held-out real
instances and fresh synthetic portfolios by `theory.mismatch.certified`. Each side is in
units of a scale fixed on other instances, twice the largest left-out cost in the
context: the worlds have no unit in common. The rows are differences of such shares.
"""

from typing import Any

import numpy as np

from ptft_jax import certify
from ptft_jax.certify import Certified
from ptft_jax.draws import Cell
from ptft_jax.lab import Lab
from theory import certificates, mismatch

NAME = "mismatch_pretrained"

MEANING = {
    NAME: (
        "certified: mean cut cost of the pretrained policy on the scored instances "
        "less that on fresh portfolios of the broad prior, of the same n up to 512, m "
        "and q, each divided by its own scale: twice the largest left-out cost in the "
        "context. A share, not a cost. Below 0, the real world is certified to cost "
        "less for its scale. It is about this policy, and bounds no distance of the "
        "worlds. Its risk column has the true risk, nothing cut, and the mean of the "
        "synthetic portfolios, an estimate."
    )
}


def statement(
    lab: Lab, cell: Cell, certified: Certified, risk: dict[str, Any]
) -> list[dict[str, Any]]:
    """The certified mismatch of each fold at δ/2, weighed, and its terms.

    Args:
      lab: what the cells have in common.
      cell: the cell.
      certified: the folds and their scores.
      risk: true risks by policy, one a fold.

    Returns:
      Rows of `bounds.csv`: `total`, then `real` and `synthetic`, whose difference was
      measured, and what each deviates by at most.
    """
    weigh = lambda values: certify.weigh(certified.scores, list(values))
    synthetic = lab.synthetic(cell.n, cell.observations, cell.quantile)
    share = lab.delta / 2.0
    # half of a fold's δ is the synthetic side's, as in `mismatch.certified`
    slack = float(synthetic.mean()) - certificates.betting_lower(synthetic, share / 2.0)
    real, totals, true = [], [], []
    for fold, cost in zip(certified.scores, risk["pretrained"], strict=True):
        losses = np.minimum(fold.costs["pretrained"] / fold.scale, 1.0)
        real.append(float(losses.mean()))
        totals.append(mismatch.certified(losses, synthetic, share))
        true.append(float(cost) / fold.scale)
    expected = float(synthetic.mean())
    total, measured = weigh(totals), weigh(real)
    terms = {"real": measured, "synthetic": -expected}
    terms["synthetic_deviation"] = slack
    terms["real_deviation"] = total - (measured - expected) - slack
    gap = weigh(true) - expected
    common = {"bound": NAME, "tier": "certified", "risk": gap, "delta": lab.delta}
    common["holds"] = bool(total >= gap)
    named = {"total": total, **terms}
    return [{**common, "term": term, "value": value} for term, value in named.items()]
