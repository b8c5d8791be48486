"""The dry run as text."""

from __future__ import annotations

from typing import Any

__all__ = ["render"]


def render(facts: dict[str, Any]) -> list[str]:
    """What a search would look at, cost and could bring, as lines."""
    from eeaug.report import units
    from eeaug.support.pace import lasting

    search, estimate = facts["search"], facts["estimate"]
    left_out = f" tried, {n} left out (--max-locations)" if (n := search["locations_left_out"]) else ""
    width = max((len(at["location"]) for at in facts["locations"]), default=8)
    lines = [
        f"{facts['model']} on {facts['hardware']}: {units.macs(facts['macs'])} MACs, "
        f"{len(facts['locations'])} locations{left_out}",
        f"would train {search['dense_heads']} dense and up to {search['convolutional_heads']} convolutional heads; "
        f"up to {search['architectures_at_most']:,} architectures, {search['placements_at_most']:,} placements",
        f"takes about {lasting(estimate['total_s'])}: {units.seconds(estimate['start_s'])} to start, "
        f"{units.seconds(estimate['features_s'])} for the passes of the frozen model, "
        f"{units.seconds(estimate['heads_s'])} for heads, {units.seconds(estimate['search_s'])} for the search, "
        f"{units.seconds(estimate['bundle_s'])} for the bundle ({_source(estimate)})",
        _kept(estimate),
        f"needs up to {units.size(facts['disk_bytes'])} of disk in {facts['cache']}",
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


def _kept(estimate: dict[str, Any]) -> str:
    """What earlier runs have left, which takes no time again."""
    kept, lacking, passed = estimate["heads_kept"], estimate["heads_to_train"], estimate["samples_to_pass"]
    of_heads = f"{kept} of {kept + lacking} heads are in the cache" if kept else "no head is in the cache"
    passes = f"{passed:,} samples go through the frozen model" if passed else "all features are"
    return f"{of_heads}; {passes}"


def _source(estimate: dict[str, Any]) -> str:
    """What the times come from."""
    if "from" in estimate:
        return "as an earlier run with these settings took for what the cache does not keep"
    return f"timed on {estimate['timed_samples']:,} samples and a few steps of training"
