"""``eeaug inspect``: blocks, costs, locations; nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eeaug.cli import shared
from eeaug.support.outputs import Output

__all__ = ["inspect"]

_ENDS = {
    "softmax": "softmax",
    "binary": "a single sigmoid (class 1 at 0.5 and above)",
    "multilabel": "a sigmoid per class (one class or several labels, as the labels of the data are)",
}


@click.command()
@click.argument("model", type=shared.ModelPlace())
@click.option("--hw", "hardware", metavar="NAME|FILE", help="Target: adds latencies and what memory holds.")
@shared.option("--architecture")
@shared.option("--input-shape", show_default=False)
@click.option(
    "--output", "output_name", metavar="NAME", help="Which output is the classifier, of a model that has several."
)
@click.option("--blank", is_flag=True, help="For any MODEL: exits only recognise empty samples; see eeaug augment.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "svg", "html"]),
    help="svg or html: a picture of blocks, layers, costs and locations; by default what FILE's name ends with "
    "(.svg, .html, .json), else text.",
)
@click.option("-o", "output", type=shared.Place(), metavar="FILE", help="Write it there instead of to stdout.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--allow-unsafe", is_flag=True, help="Trust the model file: let it run code (Lambda layers, SavedModel graphs)."
)
@shared.option("--custom-objects")
def inspect(
    model: Path, hardware: str | None, architecture: Path | None, input_shape: tuple[int, ...] | None,
    output_name: str | None, blank: bool, as_json: bool, form: str | None, output: Path | None, force: bool,
    allow_unsafe: bool, custom_objects: tuple[str, ...],
) -> None:  # fmt: skip
    """Show the blocks of MODEL, what they cost, and where exits can stand (and why not elsewhere).

    \b
    Examples:
      eeaug inspect model.h5 --hw psoc6
      eeaug inspect model.h5 --hw psoc6 -o model.html
    """
    form = shared.format_of(form, as_json, output)
    if blank and output_name is not None:
        raise click.UsageError("--blank and --output contradict each other: all outputs stay")
    to = Output(
        output, force, {"the model": model, "the architecture": architecture, "the hardware description": hardware}
    )
    to.check()
    from eeaug.hardware import read as read_hardware

    target = read_hardware(hardware) if hardware is not None else None
    facts = _facts(model, target, architecture, input_shape, allow_unsafe, output_name, custom_objects, blank=blank)
    if form == "json":
        from eeaug.bundle.directory import dump_json

        shared.give(dump_json(facts).encode(), to)
    elif form == "svg":
        from eeaug.report.render import block_picture

        shared.give(block_picture.svg(facts).encode(), to)
    elif form == "html":
        from eeaug.report.render import page

        shared.give(page.inspected(facts).encode(), to)
    else:
        shared.show(lambda console: _print(facts, console), to)


def _ends(classifier: Any) -> str:
    """What the output is, as far as layers tell; the data of a run tells the rest."""
    if classifier.answers:
        return ", ".join(f"{answer.name} ({_shape(answer.shape)})" for answer in classifier.answers)
    ending, kind = classifier.ending, classifier.decision.kind
    if classifier.logits and ending.computed:
        return "a logit (eeaug adds the sigmoid)" if kind == "binary" else "logits (eeaug adds the softmax)"
    if ending.activation in ("softmax", "sigmoid") and ending.meaning != "derived":
        return _ENDS[kind]
    read = "probabilities" if kind == "softmax" else _ENDS[kind]
    if classifier.logits:
        return f"{ending.words}: {read} or logits, as the answers to real samples are"
    doubt = " if the answers to real samples are such" if ending.meaning == "derived" else ""
    return f"{ending.words}: {read}{doubt}"


def _facts(
    path: Path,
    target: Any,
    architecture: Path | None,
    input_shape: tuple[int, ...] | None,
    allow_unsafe: bool,
    output_name: str | None,
    code: tuple[str, ...],
    *,
    blank: bool = False,
) -> dict[str, Any]:
    import numpy as np

    from eeaug.backbone import custom_objects, keras_files, model, stored_model
    from eeaug.heads import families
    from eeaug.network import graph, locations, macs
    from eeaug.network.costs import Costs

    custom_objects.check(code)
    stored_model.read(path, architecture=architecture, allow_unsafe=allow_unsafe, custom=bool(code))
    keras_files.import_keras()
    custom_objects.load(code)
    classifier = model.load(
        path,
        architecture=architecture,
        allow_unsafe=allow_unsafe,
        output=output_name,
        input_shape=input_shape,
        blank=blank,
    )
    blocks = graph.blocks(classifier)
    end = "the model's own outputs" if blank else locations.END
    places, reasons = locations.find(blocks, classifier.decision.outputs, classifier.layout, end)
    total = sum(block.total_macs for block in blocks)
    tail = () if blank else families.blueprint_units(classifier.calls, blocks)
    decision, every = classifier.decision, list(families.MAP_FAMILIES)
    inputs = families.vectors(classifier)
    heads = {
        at.name: [
            *families.with_inputs(families.dense_heads(at, tail, decision, total), inputs),
            *families.with_inputs(families.hidden_heads(at, decision), inputs),
            *(() if at.at_input else families.map_heads(at, every, decision, most_macs=np.inf)),
        ]
        for at in places
    }
    rows: list[dict[str, Any]] = []

    def exits(name: str) -> dict[str, Any]:
        costs = [head.macs for head in heads.get(name, [])]
        return {
            "location": name in heads,
            "reason": reasons.get(name),
            "heads": [h.name for h in heads.get(name, [])],
            "head_macs": [min(costs), max(costs)] if costs else None,
        }

    for block in blocks:
        rows.append({
            "block": block.name,
            "layers": list(block.layers),
            "shape": list(block.shape),
            "macs": block.total_macs,
            "macs_by_type": dict(block.macs),
            "parameters": block.parameters,
            "activation_elements": block.elements,
            "peak_elements": block.peak_elements,
            **exits(block.name),
        })  # fmt: skip
    facts: dict[str, Any] = {
        "model": path.name,
        "input_shape": list(classifier.input_shape),
        "inputs": dict(zip(classifier.layout.names, map(list, classifier.layout.shapes), strict=True))
        if classifier.layout.several
        else None,
        "classes": classifier.classes,
        "decision": classifier.decision.kind,
        "logits": classifier.logits,
        "notes": list(classifier.notes),
        "ends": _ends(classifier),
        "layers": len(classifier.calls),
        "macs": total,
        "parameters": sum(block.parameters for block in blocks),
        "blueprint": [[layer.units, layer.activation] for layer in tail],
        "locations": len(places),
        "input": exits(model.INPUT),
        "blocks": rows,
        "calls": [
            {
                "name": call.name,
                "kind": call.kind,
                "inputs": list(call.inputs),
                "shape": list(call.shapes[0]),
                "kernel": list(call.weights[0][:-2]) if "Conv" in call.kind and call.weights else [],
                "macs": macs.total(macs.count(call)),
            }
            for call in classifier.calls
        ],
        "hardware": None,
    }
    if target is not None:
        table = Costs(target, blocks, [], int(np.prod(classifier.input_shape)))
        facts["hardware"] = _on(target, table)
    return facts


def _on(target: Any, table: Any) -> dict[str, Any]:
    """The whole model on each processor at its own clock: latency, energy, bytes, and whether it fits."""
    import numpy as np

    processors = []
    for p, mode in enumerate(table.modes):
        if not mode.nominal:
            continue
        segments = table.segments(np.zeros((1, 0), dtype=np.intp), (p,))
        used = table.memory_bytes(segments)
        latency, energy = float(segments.time_s[0, 0]), float(segments.energy_j[0, 0])
        processors.append({
            "name": mode.processor.name,
            "latency_s": None if np.isnan(latency) else latency,
            "energy_j": None if np.isnan(energy) else energy,
            "storage_bytes": int(segments.parameters_bytes[0, 0]),
            "peak_activation_bytes": int(segments.activation_bytes[0, 0]),
            "fits": all(bool(used[memory.name][0] <= memory.bytes) for memory in target.memories),
            "block_latency_s": [
                None if unknown else float(seconds)
                for seconds, unknown in zip(
                    np.diff(table.block_time_s[p]), np.diff(table.block_unknown[p]), strict=True
                )
            ],
        })  # fmt: skip
    return {"name": target.name, "basis": "profile", "processors": processors}


def _print(facts: dict[str, Any], console: Any) -> None:
    from eeaug.report import units
    from eeaug.report.render.tables import table

    ends = facts["ends"]
    kind = "gives" if facts["decision"] == "blank" else f"{facts['classes']} classes, ends in"
    console.print(
        f"{facts['model']}: input {units.sample(facts['input_shape'], facts.get('inputs'))}, {kind} {ends}; "
        f"{facts['layers']} layers, {units.macs(facts['macs'])} MACs, {facts['parameters']:,} parameters",
        soft_wrap=True,
    )
    for note in facts["notes"]:
        console.print(note, soft_wrap=True)
    target = facts["hardware"]
    processors = target["processors"] if target else []
    wide = console.width >= 100  # a narrow terminal gets what decides
    columns = ["output", "MACs", "weights", "exit heads", *(f"{p['name']}*" for p in processors)]
    blocks = table(["block", *(["layers", "peak"] if wide else []), *columns])
    for column in blocks.columns[1:]:
        column.no_wrap = True
    start = facts["input"]
    blocks.add_row(
        "input",
        *(["", ""] if wide else []),
        _shape(facts["input_shape"]), "", "", _range(start["head_macs"]),
        *("" for _ in processors),
    )  # fmt: skip
    for i, block in enumerate(facts["blocks"]):
        blocks.add_row(
            block["block"],
            *([str(len(block["layers"])), f"{block['peak_elements']:,}"] if wide else []),
            _shape(block["shape"]),
            units.macs(block["macs"]),
            f"{block['parameters']:,}",
            _range(block["head_macs"]),
            *(units.seconds(p["block_latency_s"][i]) for p in processors),
        )
    console.print(blocks)
    if start["reason"]:
        console.print(f"no exit on the input: {start['reason']}", soft_wrap=True)
    for block in facts["blocks"]:
        if block["reason"]:
            console.print(f"no exit after {block['block']}: {block['reason']}", soft_wrap=True)
    console.print(
        f"{facts['locations']} locations; exit heads: MACs of the smallest and largest tried there; "
        "peak: tensor elements alive at once",
        soft_wrap=True,
    )
    for processor in processors:
        fits = "fits" if processor["fits"] else "does not fit"
        console.print(
            f"whole model on {processor['name']}: {units.seconds(processor['latency_s'])}*, "
            f"{units.joules(processor['energy_j'])}*, storage {units.size(processor['storage_bytes'])}, "
            f"activations {units.size(processor['peak_activation_bytes'])}: {fits}",
            soft_wrap=True,
        )
    if target:
        console.print("* estimated from the profile", soft_wrap=True)


def _range(head_macs: list[int] | None) -> str:
    from eeaug.report import units

    return f"{units.macs(head_macs[0])} – {units.macs(head_macs[1])}" if head_macs else "no"


def _shape(shape: list[int]) -> str:
    return "×".join(map(str, shape))
