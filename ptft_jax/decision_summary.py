"""What a user must know beside the decisions for a file: as a record, and in words."""

from typing import Any

from ptft_jax import gate
from ptft_jax.certify import MEANING
from ptft_jax.decide import Decided


def summary(decided: Decided) -> dict[str, Any]:
    """What a user must know beside the decisions, JSON-serialisable.

    Args:
      decided: of `decide`.

    Returns:
      Certified cost bound and gains with the measured values, the share that was cut,
      how fine-tuning changed the network, and notes.
    """
    out: dict[str, Any] = {"instances": len(decided.table), "notes": decided.notes}
    if decided.pit_distance is not None:
        out["pit_distance"] = decided.pit_distance
    if decided.chosen is not None:
        out["finetuning"] = decided.chosen._asdict()
    certified = decided.certified
    if certified is None:
        return out
    policy = "pretrained" if decided.chosen is None else "finetuned"
    names = {
        "certified_cost_bound": f"{policy}_betting",
        "certified_gain_over_saa": f"{policy}_gain_over_saa",
    }
    if policy == "finetuned":
        names["certified_gain_over_pretrained"] = "finetuned_gain_over_pretrained"
    for field, name in names.items():
        found = certified.find(name)
        out[field] = {"value": found.value, "measured": found.empirical}
        cut = name.replace("_betting", "") + "_share_cut"
        share = certified.find(cut)
        out[field] |= {"share_cut": share.empirical, "share_cut_bound": share.value}
        out[field]["cut_at"] = [
            fold.scale if found.against is None else fold.ranges[policy, found.against]
            for fold in certified.scores
        ]
    of_folds = gate.notes(decided.chosen, [fold.costs for fold in certified.scores])
    out["notes"] = [*out["notes"], *of_folds]
    return out | {"delta": certified.delta, "meaning": MEANING}


def describe(summary: dict[str, Any]) -> list[str]:
    """The summary as lines of text.

    Args:
      summary: of `summary`.

    Returns:
      Lines, certificates first.
    """
    lines = []
    chosen = summary.get("finetuning")
    if chosen is not None:
        lines.append(_describe_choice(chosen))
    if "certified_cost_bound" in summary:
        level = f"{1.0 - summary['delta']:g}"
        for field, text, least in (
            ("certified_cost_bound", "certified cost bound", "at most"),
            ("certified_gain_over_pretrained", "certified gain over pretrained", ""),
            ("certified_gain_over_saa", "certified gain over SAA", ""),
        ):
            if field in summary:
                found = summary[field]
                low, high = sorted(found["cut_at"])
                if least and found["value"] > 0.9 * (low + high) / 2.0:
                    text += " (hardly below the scale: too few instances to say more)"
                lines.append(
                    f"{text}: {least or 'at least'} {found['value']:.5g} per instance "
                    f"and period at confidence {level} (measured "
                    f"{found['measured']:.5g}); cut at {low:.5g} and {high:.5g} (one "
                    f"scale a fold), beyond which are {found['share_cut']:.2%} of "
                    f"instances here and at most {found['share_cut_bound']:.2%} at "
                    f"confidence {level}"
                )
        lines.append(summary["meaning"])
    if "pit_distance" in summary:
        lines.append(
            "quantile curves: observations left out fall below each quantile as often "
            f"as it says to within {summary['pit_distance']:.1%}"
        )
    return lines + [f"note: {note}" for note in summary["notes"]]


def _describe_choice(chosen: dict[str, Any]) -> str:
    if chosen["name"] == "none":
        return "fine-tuning: no change won on held-out instances; pretrained kept"
    dial = "radius" if chosen["name"] == "head" else "steps"
    return (
        f"fine-tuning: {chosen['name']}, {dial} {chosen['dial']:g}; held-out cost "
        f"{chosen['gain']:+.2%} ± {chosen['gain_se']:.2%} saved against "
        "pretrained, the best of all tried: expect less"
    )
