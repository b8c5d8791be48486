"""The dry run as text."""

from __future__ import annotations

from typing import Any

__all__ = ["render"]


def render(facts: dict[str, Any]) -> list[str]:
    """What a search would look at, cost and could bring, as lines."""
    from eeaug.report import units

    search, estimate = facts["search"], facts["estimate"]
    left_out = f" tried, {n} left out (--max-locations)" if (n := search["locations_left_out"]) else ""
    width = max((len(at["location"]) for at in facts["locations"]), default=8)
    lines = [
        f"{facts['model']} on {facts['hardware']}: {units.macs(facts['macs'])} MACs, "
        f"{len(facts['locations'])} locations{left_out}",
        f"would train {search['dense_heads']} dense and up to {search['convolutional_heads']} convolutional heads; "
        f"up to {search['architectures_at_most']:,} architectures, {search['placements_at_most']:,} placements",
        f"takes about {units.seconds(estimate['total_s'])}: {units.seconds(estimate['features_s'])} for the passes "
        f"of the frozen model, {units.seconds(estimate['heads_s'])} for heads (scaled from "
        f"{estimate['timed_samples']} samples)",
        f"needs up to {units.size(facts['disk_bytes'])} of disk in {facts['cache']}",
        *(
            f"--format {name} is not tried here, as a run does before it trains"
            for name in facts["formats_not_tried"]
        ),
        "",
        "MACs saved if every sample left there, by the cheapest and the dearest head:",
    ]
    for at in facts["locations"]:
        savings = [f"{share:6.1%} {name}" for name, share in at["best_saving"].items()]
        if at["possible"] == 0:
            why = ", ".join(at["ruled_out_by"]) or "no placement"
            savings.append(f"ruled out by {why}")
        elif at["ruled_out_by"]:
            by = ", ".join(f"{limit} {number}" for limit, number in at["ruled_out_by"].items())
            savings.append(f"{at['possible']} of {at['placements']} placements left ({by})")
        lines.append(f"  {at['location']:<{width}}  " + "  ".join(savings))
    if not facts["locations"]:
        lines.append("  no exit can stand anywhere: see eeaug inspect")
    return lines
