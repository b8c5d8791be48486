"""All heads by location, before any is trained, and how they will be trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from eeaug.cascade.output import Decision
from eeaug.heads import families, layers, selection
from eeaug.heads.layers import Head
from eeaug.heads.packing import Offer
from eeaug.heads.training import Plan
from eeaug.network.locations import Location
from eeaug.settings import Effort

__all__ = ["dense_plan", "map_plan", "planned"]

HIDDEN_PLACES = 12  # locations with hidden heads, which take twice as long as others on pooled values
PATIENCE = 2  # steps of dense heads that bring nothing on screen


def dense_plan(effort: Effort, seed: int) -> Plan:
    return Plan(effort.dense_epochs, effort.dense_steps, 512, effort.dense_rate, seed, PATIENCE)


def map_plan(effort: Effort, seed: int) -> Plan:
    """Small batches: tensors stay in the processor's cache, and a pass over the data makes more steps."""
    return Plan(effort.map_epochs, 1600, 64, 16e-3, seed)


def planned(
    decision: Decision,
    locations: Sequence[Location],
    tail: Sequence[layers.Dense],
    backbone_macs: int,
    chosen: Collection[str],
    effort: Effort,
    samples: int,
    pinned: Collection[str],
    *,
    reaching_back: bool,
    inputs: Mapping[str, Location] | None = None,
) -> tuple[dict[Location, tuple[Head, ...]], Offer]:
    """Dense heads by location and the convolutional ones that are chosen from once they are trained.

    They answer as ``decision`` says.

    ``chosen`` families; ``samples`` to train on; ``pinned`` locations get convolutional heads in any case.
    ``reaching_back``: whether heads may read the tensors of earlier locations. ``inputs`` of the model (by
    families.vectors) that heads read beside their tensor, where these go past it.
    """
    share = effort.dense_share * backbone_macs / max(1, len(locations))
    values = min(effort.dense_values * samples, share, families.POOLED_LIMIT)
    dense: dict[Location, tuple[Head, ...]] = {}
    inside = [at for at in locations if not at.at_input]
    hidden = {*selection.spread(inside, HIDDEN_PLACES, backbone_macs), *(at for at in locations if at.at_input)}
    for i, at in enumerate(locations):
        if "blueprint" in chosen:
            dense[at] = families.dense_heads(at, tail, decision, backbone_macs, values)
        if "hidden" in chosen and (at in hidden or at.name in pinned):
            dense[at] = (*dense.get(at, ()), *families.hidden_heads(at, decision, values))
        dense |= {at: families.with_inputs(dense[at], inputs or {})} if at in dense else {}
        if reaching_back and "dense-connection" in chosen:
            earlier = [place for place in locations[:i] if not place.at_input]
            dense[at] = (*dense.get(at, ()), *families.dense_connections(at, earlier, decision, values))
    most = max(effort.map_macs, effort.map_share * backbone_macs)
    of_maps = [family for family in chosen if family in families.MAP_FAMILIES]
    maps = {at: families.map_heads(at, of_maps, decision, most) for at in inside}
    seen = samples * map_plan(effort, 0).for_samples(samples).epochs
    limit = max(effort.map_s, effort.map_passes * selection.pass_s(backbone_macs, samples))
    return dense, Offer(maps, samples, seen, limit, backbone_macs, tuple(pinned))
