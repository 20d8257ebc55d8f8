"""A firm's use for any problem: a table → decisions, and what can be certified."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import polars as pl

from ptft_jax import gate, shapes
from ptft_jax.decision_table import rounded
from ptft_jax.gate import Candidate
from ptft_jax.method import certify, crossfit, finetune
from ptft_jax.method.certify import Certified
from ptft_jax.method.finetune import FinetuneConfig
from ptft_jax.method.network import Across
from ptft_jax.problems.problem import Problem, judged, num_instances, pad
from ptft_jax.streams import cell_key
from ptft_jax.tables.problems import DataError, counted, quoted


class Decided(NamedTuple):
    """Decisions for every instance of a table.

    Attributes:
      table: columns instance, decision, decision_pretrained, and one a baseline.
      chosen: how fine-tuning changed the network, or None if it was not asked for.
      certified: the statements, or None where there are too few instances.
      remarks: on decisions that the data say little of.
    """

    table: pl.DataFrame
    chosen: Candidate | None
    certified: Certified | None
    remarks: list[str]


def decide(
    problem: Problem,
    network: Across,
    params: Any,
    seen: Any,
    names: list[str],
    *,
    config: FinetuneConfig | None,
    delta: float = 0.05,
    seed: int = 0,
    report: Callable[[str], None] = lambda stage: None,
) -> Decided:
    """Fine-tunes on the instances themselves, decides, and certifies.

    Args:
      problem: the problem, whose decision is an array [n].
      network: the Transformer.
      params: pretrained.
      seen: n instances.
      names: of the instances.
      config: of fine-tuning; None leaves the pretrained network unchanged.
      delta: failure probability of each certificate, in (0, 1).
      seed: of the folds and of what is left out.
      report: called with what is done next.

    Returns:
      The decisions and the certificates.

    Raises:
      DataError: a decision is not a finite number.
    """
    n, chosen, certified = num_instances(seen), None, None
    key = lambda stream: cell_key(seed, stream, n)
    padded = pad(seen, shapes.bucket(n))
    rule = lambda policy: finetune.decide_compiled(network, problem, policy, padded)[:n]
    policy, fit = finetune.single(params), None
    if config is not None:
        report("fine-tuning on all instances")
        fit = finetune.make_fit(problem, network, config)
        found = fit(params, padded, key("finetune"))
        policy, chosen = found.params, found.chosen
    report("deciding")
    before = rule(finetune.single(params))
    is_changed = chosen is not None and chosen != gate.UNCHANGED
    columns = {
        "decision": rule(policy) if is_changed else before,
        "decision_pretrained": before,
    }
    baselines = {name: jax.jit(each)(seen) for name, each in problem.baselines.items()}
    columns |= baselines
    for name, x in columns.items():
        if lost := int((~np.isfinite(np.asarray(x))).sum()):
            raise DataError(
                f"{counted(lost, 'number')} of column {quoted(name)} cannot be "
                "represented in single precision; give the data in other units"
            )
    if judged(problem, seen).sum() >= crossfit.LEAST_INSTANCES:
        report("certificates")
        certified = certify.certify(
            network, problem, params, padded, fit, key("certify"), delta
        )
    numbers = {name: rounded(np.asarray(x, np.float64)) for name, x in columns.items()}
    table = pl.DataFrame({"instance": names, **numbers})
    remarks = problem.remarks(seen, names) if problem.remarks else []
    return Decided(table, chosen, certified, remarks)


def summary(decided: Decided) -> dict[str, Any]:
    """What a user must know beside the decisions, JSON-serialisable.

    Args:
      decided: of `decide`.

    Returns:
      The statements by name, and how fine-tuning changed the network.
    """
    out: dict[str, Any] = {"instances": len(decided.table), "notes": decided.remarks}
    if decided.chosen is not None:
        out["finetuning"] = decided.chosen._asdict()
    if decided.certified is not None:
        out["delta"] = decided.certified.delta
        out["meaning"] = decided.certified.meaning
        out["certified_instances"] = decided.certified.num_instances
        for made in decided.certified.statements:
            out[made.name] = {
                "value": made.value,
                "measured": made.empirical,
                "share_cut": made.share_cut,
                "share_cut_bound": made.share_cut_bound,
            }
        notes = gate.notes(decided.chosen, decided.certified.scores)
        out["notes"] = [*notes, *decided.remarks]
    return out


def describe(summary: dict[str, Any]) -> list[str]:
    """The summary as lines of text.

    Args:
      summary: of `summary`.

    Returns:
      Lines, fine-tuning first.
    """
    lines: list[str] = []
    notes = [f"note: {note}" for note in summary["notes"]]
    chosen = summary.get("finetuning")
    if chosen is not None and chosen["name"] == "none":
        lines.append("fine-tuning: no change won on held-out instances")
    elif chosen is not None:
        lines.append(
            f"fine-tuning: {chosen['name']}, {chosen['dial']:g} steps; held-out cost "
            f"{chosen['gain']:+.2%} ± {chosen['gain_se']:.2%} saved against "
            "pretrained, the best of all tried: expect less"
        )
    if "delta" not in summary:
        least = crossfit.LEAST_INSTANCES
        lines.append(
            f"no certificate: it needs at least {least} instances of which something "
            "can be left out"
        )
        return lines + notes
    if summary["certified_instances"] < summary["instances"]:
        lines.append(
            f"certificates are about {summary['certified_instances']} of "
            f"{summary['instances']} instances: nothing can be left out of the others"
        )
    texts = {
        "pretrained_betting": "certified cost bound, pretrained: at most",
        "finetuned_betting": "certified cost bound, fine-tuned: at most",
        "finetuned_gain_over_pretrained": "certified gain over pretrained: at least",
    }
    if summary.get("finetuned_betting") == summary["pretrained_betting"]:
        both = "certified cost bound, pretrained and fine-tuned alike: at most"
        texts = {"pretrained_betting": both}
    for name, text in texts.items():
        if name in summary:
            found = summary[name]
            lines.append(
                f"{text} {found['value']:.5g} an instance at confidence "
                f"{1.0 - summary['delta']:g} (measured {found['measured']:.5g}; "
                f"{found['share_cut']:.2%} of instances beyond the range here, at most "
                f"{found['share_cut_bound']:.2%} in all)"
            )
    lines.append(summary["meaning"])
    return lines + notes
