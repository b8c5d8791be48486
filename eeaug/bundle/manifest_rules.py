"""What a manifest must be beyond its schema: stages that fit each other, and the same as report.json says.

Everything here is plain comparison of what manifest.schema and report.schema have let through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, prod
from pathlib import Path
from typing import Any

from eeaug.errors import ConversionError
from eeaug.schema.design import CHOICES
from eeaug.settings import ALWAYS, FORMATS
from eeaug.support.json_file import differences, place, value
from eeaug.support.printable import shown

__all__ = ["DEFAULT", "check", "compare", "facts"]

UNLISTED = ("manifest.json", "timing.json")
NEEDED = ("report.json", "hardware.yaml", "augmented.keras")
REPORT = "report.json"
DEFAULT = "default"
MOST_AXES = 8
Document = Mapping[str, Any]  # manifest.json as it stands there
Finding = tuple[str, str]  # a place in the manifest, and what is wrong there


def check(path: Path, manifest: Document) -> None:
    """Raise ConversionError at the first thing that contradicts another one, or cannot be run."""
    for looks in (_classes, _files, _stages, _points, _int8, _references, _preprocessing, _settings, _stream):
        for where, what in looks(manifest):
            raise ConversionError(f"{path}: {where}: {what}")


def facts(manifest: Document) -> dict[str, Any]:
    """What report.json repeats of a manifest: all but hashes, among which its own would be."""
    return {**manifest, "files": sorted(name for name in manifest["files"] if name not in (*UNLISTED, REPORT))}


def compare(path: Path, manifest: Document, report: Mapping[str, Any]) -> None:
    """Raise ConversionError where manifest.json and the report beside it contradict each other."""
    expected, stored = facts(manifest), report["manifest"]
    at = differences(expected, stored)
    if at is not None:
        raise _disagree(path, place(at), _shown_at(expected, at), place(("manifest", *at)), _shown_at(stored, at))
    for mine, ours, theirs, other in _repeated(manifest, report):
        if ours != other:
            raise _disagree(path, mine, value(ours), theirs, value(other))


def _disagree(path: Path, mine: str, ours: str, theirs: str, other: str) -> ConversionError:
    return ConversionError(f"{path}: {mine} is {ours}, but report.json ({theirs}) was written with {other}")


def _shown_at(document: Any, at: Sequence[str | int]) -> str:
    for key in at:
        if isinstance(document, dict) and key not in document:
            return "missing"
        document = document[key]
    return value(document)


def _repeated(manifest: Document, report: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, Any]]:
    """What the report's own figures say again: (place, value) in the manifest, (place, value) in the report."""
    model, design, stages = report["model"], report["design"], manifest["stages"]
    yield "tool.eeaug", manifest["tool"]["eeaug"], "eeaug", report["eeaug"]
    yield "inputs[0].name", manifest["inputs"][0]["name"], "model.file", model["file"]
    yield "inputs[0].sha256", manifest["inputs"][0]["sha256"], "model.sha256", model["sha256"]
    yield "files.hardware.yaml", manifest["files"]["hardware.yaml"], "hardware.sha256", report["hardware"]["sha256"]
    yield "decision.kind", manifest["decision"]["kind"], "model.decision", model["decision"]
    yield from _each("classes", manifest["classes"], "model.classes", model["classes"])
    for name, setting in manifest["settings"].items():
        yield f"settings.{name}", setting, f"settings.{name}", report["settings"][name]
    yield "number of stages", len(stages), "design.segments", len(design["segments"])
    yield from _each("stages[0].input_shape", stages[0]["input_shape"], "model.input_shape", model["input_shape"])
    for k, (stage, segment) in enumerate(zip(stages, design["segments"], strict=True)):
        here, there = f"stages[{k}]", f"design.segments[{k}]"
        yield f"{here}.name", stage["name"], f"{there}.stage", segment["stage"]
        yield f"{here}.processor", stage["processor"], f"{there}.processor", segment["processor"]
        for key in CHOICES:
            yield f"{here}.{key}", stage.get(key), f"{there}.{key}", segment.get(key)
        yield f"{here}.macs", stage["macs"], f"{there}.macs + head_macs", segment["macs"] + segment["head_macs"]
    yield "number of exits", len(stages) - 1, "design.exits", len(design["exits"])
    for k, (stage, exit_) in enumerate(zip(stages, design["exits"], strict=False)):
        yield f"stages[{k}].threshold", stage["threshold"], f"design.exits[{k}].threshold", exit_["threshold"]
    yield from _same_points(manifest["operating_points"], report["operating_points"], "operating_points")
    int8, reported = manifest.get("int8"), report["int8"]
    yield "int8", int8 is not None, "int8", reported is not None
    if int8 is None or reported is None:
        return
    for name in ("kernels", "calibration_samples"):
        yield f"int8.{name}", int8[name], f"int8.{name}", reported[name]
    yield "number of exits", len(stages) - 1, "int8.exits", len(reported["exits"])
    for k, (stage, exit_) in enumerate(zip(stages, reported["exits"], strict=False)):
        for name in ("threshold", "constant"):
            yield f"stages[{k}].int8.{name}", stage["int8"][name], f"int8.exits[{k}].{name}", exit_[name]
    int8_points = [{"name": p["name"], **p["int8"]} for p in manifest["operating_points"] if "int8" in p]
    yield from _same_points(int8_points, reported["operating_points"], "int8.operating_points")


def _same_points(
    ours: Sequence[Mapping[str, Any]], reported: Sequence[Mapping[str, Any]], there: str
) -> Iterator[tuple[str, Any, str, Any]]:
    yield f"number of {there}", len(ours), there, len(reported)
    for k, (point, other) in enumerate(zip(ours, reported, strict=True)):
        yield f"{there}[{k}].name", point["name"], f"{there}[{k}].name", other["name"]
        at = f"{there}[{k}].thresholds"
        yield from _each(at, point["thresholds"], at, other["thresholds"])


def _each(mine: str, ours: Sequence[Any], theirs: str, other: Sequence[Any]) -> Iterator[tuple[str, Any, str, Any]]:
    yield f"length of {mine}", len(ours), theirs, len(other)
    for k, (a, b) in enumerate(zip(ours, other, strict=True)):
        yield f"{mine}[{k}]", a, f"{theirs}[{k}]", b


# -- one part against another -------------------------------------------------------------------------


def _classes(manifest: Document) -> Iterator[Finding]:
    names, decision = manifest["classes"], manifest["decision"]
    if len(names) != decision["classes"]:
        yield "classes", f"are {len(names)}, decision.classes is {decision['classes']}"
    if decision["kind"] == "binary" and decision["classes"] != 2:
        yield "decision.classes", f"must be 2 where kind is binary, given {decision['classes']}"


def _files(manifest: Document) -> Iterator[Finding]:
    files = manifest["files"]
    for name in UNLISTED:
        if name in files:
            yield "files", f"{name} has no hash in a bundle"
    missing = [name for name in NEEDED if name not in files]
    if missing:
        yield "files", f"{', '.join(missing)} missing"
    seen: dict[str, str] = {}
    for k, stage in enumerate(manifest["stages"]):
        for kind, name in stage["files"].items():
            at = place(("stages", k, "files", kind))
            if kind not in FORMATS:
                yield at, f"no such format; there are {', '.join(FORMATS)}"
            if name not in files:
                yield at, f"{shown(name)} is not listed in files, so nothing says that it is what was written"
            if name in seen:
                yield at, f"{shown(name)} is {seen[name]}, too"
            seen[name] = at
        for kind in ALWAYS:
            if kind not in stage["files"]:
                yield place(("stages", k, "files")), f"{kind} missing"


def _stages(manifest: Document) -> Iterator[Finding]:
    stages, given = manifest["stages"], manifest.get("model_inputs", ())
    yield from _unique("stages", [stage["name"] for stage in stages])
    yield from _unique("model_inputs", [tensor["name"] for tensor in given])
    if given:
        yield from _fed(stages[0], "stages[0]", given, "the model has")
    elif len(stages[0]["inputs"]) != 1:
        yield "stages[0].inputs", f"are {len(stages[0]['inputs'])}, but no model_inputs in the file"
    for k, stage in enumerate(stages):
        at, handed = f"stages[{k}]", stage["outputs"]["handover"]
        if k + 1 < len(stages):
            if not handed:
                yield f"{at}.outputs.handover", "must be a tensor, as another stage follows"
                return
            given_here = given if k == 0 else stages[k - 1]["outputs"]["handover"]
            listed = [(tensor["name"], tensor["shape"]) for tensor in given_here if tensor["name"] in _names(given)]
            for tensor in handed[1:]:
                if (tensor["name"], tensor["shape"]) not in listed:
                    yield (
                        f"{at}.outputs.handover",
                        f"{shown(tensor['name'])} is no input of the model that it is given",
                    )
            yield from _unique(f"{at}.outputs.handover", [tensor["name"] for tensor in handed])
            yield from _fed(stages[k + 1], f"stages[{k + 1}]", handed, f"{at} hands over")
        else:
            if handed:
                yield f"{at}.outputs.handover", "must be empty, as no stage follows"
            if stage["threshold"] is not None:
                yield f"{at}.threshold", f"must be null, as no stage follows, given {stage['threshold']}"
        if stage["reuse"] is not None and len(stage["reuse"]) != k + 1:
            yield f"{at}.reuse", f"must be null or {k + 1} numbers, given {len(stage['reuse'])}"


def _names(tensors: Sequence[Document]) -> list[str]:
    return [tensor["name"] for tensor in tensors]


def _fed(stage: Document, at: str, given: Sequence[Document], whence: str) -> Iterator[Finding]:
    """Whether a stage takes of these tensors what they are."""
    names = _names(given)
    shape = given[0]["shape"] if len(given) == 1 else [sum(prod(tensor["shape"]) for tensor in given)]
    if [name for name in names if name in stage["inputs"]] != stage["inputs"] or stage["input_shape"] != shape:
        takes = f"{', '.join(map(shown, stage['inputs']))} of shape {_shape(stage['input_shape'])}"
        yield f"{at}.inputs", f"{takes}, but {whence} {', '.join(map(shown, names))} of shape {_shape(shape)}"


def _points(manifest: Document) -> Iterator[Finding]:
    points, exits = manifest["operating_points"], len(manifest["stages"]) - 1
    names = [point["name"] for point in points]
    yield from _unique("operating_points", names)
    if names and DEFAULT not in names:
        yield "operating_points", f"{DEFAULT} missing"
    for k, point in enumerate(points):
        for at, given in (("", point), (".int8", point.get("int8", {}))):
            for name, values in given.items():
                if name in ("thresholds", "constants") and len(values) != exits:
                    yield (
                        f"operating_points[{k}]{at}.{name}",
                        f"must be {exits}, one for each exit, given {len(values)}",
                    )
        if point["name"] == DEFAULT:
            defaults = [stage["threshold"] for stage in manifest["stages"][:-1]]
            if point["thresholds"] != defaults:
                yield (
                    f"operating_points[{k}].thresholds",
                    "differ from the stages' own, which they are the default of",
                )


def _int8(manifest: Document) -> Iterator[Finding]:
    there = "int8" in manifest
    for k, stage in enumerate(manifest["stages"]):
        for name, given in (("int8", stage), ("tflite-int8", stage["files"])):
            if (name in given) != there:
                at = f"stages[{k}]" if given is stage else f"stages[{k}].files"
                yield (
                    at,
                    f"{name} {'missing' if there else 'is there'}, {'as' if there else 'but no'} int8 in the file",
                )
        if there:
            wanted = {*stage["inputs"], *_names(stage["outputs"]["handover"][:1])}
            wanted.add(stage["outputs"]["probabilities"])
            if {*stage["int8"]["inputs"], *stage["int8"]["outputs"]} != wanted:
                yield f"stages[{k}].int8", "inputs and outputs are not those of the stage"
    for k, point in enumerate(manifest["operating_points"]):
        if "int8" in point and not there:
            yield f"operating_points[{k}].int8", "is there, but no int8 in the file"
        if there and "int8" in point and point["name"] == DEFAULT:
            defaults = [stage["int8"]["threshold"] for stage in manifest["stages"][:-1]]
            if point["int8"]["thresholds"] != defaults:
                yield f"operating_points[{k}].int8.thresholds", "differ from the stages' own"


def _references(manifest: Document) -> Iterator[Finding]:
    first, points = manifest["reference"], manifest["operating_points"]
    yield from _reference(manifest, "reference", first, points)
    if "int8" not in manifest:
        return
    at, int8 = "int8.reference", manifest["int8"]["reference"]
    yield from _reference(manifest, at, int8, [point for point in points if "int8" in point])
    for name in ("part", "samples", "weighted"):
        if int8[name] != first[name]:
            yield f"{at}.{name}", f"is {value(int8[name])}, reference.{name} is {value(first[name])}"


def _reference(
    manifest: Document, at: str, reference: Document, operating_points: Sequence[Document]
) -> Iterator[Finding]:
    points, stages = reference["points"], len(manifest["stages"])
    names = [point["name"] for point in points]
    yield from _unique(f"{at}.points", names)
    # a bundle without operating points still has the default one
    if {*names} != {DEFAULT, *(point["name"] for point in operating_points)}:
        yield f"{at}.points", "are not the operating points"
    for k, point in enumerate(points):
        if len(point["exits"]) != stages:
            yield (
                f"{at}.points[{k}].exits",
                f"must be {stages}, one for each stage, given {len(point['exits'])}",
            )
        for i, seen in enumerate(point["exits"]):
            for name in ("left", "reached"):
                known = {seen[name][key] is None for key in ("mean_confidence", "sd")}
                known.add(not seen[name]["samples"])
                if len(known) > 1:
                    yield (
                        f"{at}.points[{k}].exits[{i}].{name}",
                        "has samples without mean and sd, or these alone",
                    )


def _preprocessing(manifest: Document) -> Iterator[Finding]:
    steps = manifest["preprocessing"]
    yield from _steps(steps, "preprocessing", manifest["stages"][0]["input_shape"])
    shapes = {tensor["name"]: tensor["shape"] for tensor in manifest.get("model_inputs", ())}
    for name, inner in steps.get("inputs", {}).items():
        if name in shapes:
            yield from _steps(inner, f"preprocessing.inputs.{name}", shapes[name])
        else:
            yield "preprocessing.inputs", f"{shown(name)} is none of model_inputs"


def _steps(steps: Document, at: str, wanted: Sequence[int]) -> Iterator[Finding]:
    if not steps["scale"]:
        yield f"{at}.scale", "must not be 0"
    for name in ("mean", "std"):
        shape, numbers = _array(steps[name])
        if shape is None or not all(type(n) in (int, float) and isfinite(n) for n in numbers):
            yield f"{at}.{name}", "must be a number or numbers nested as a sample"
        elif len(shape) > len(wanted) or any(
            given not in (1, want) for given, want in zip(reversed(shape), reversed(wanted), strict=False)
        ):
            yield f"{at}.{name}", f"has shape {_shape(shape)}, a sample {_shape(wanted)}"
        elif name == "std" and not all(numbers):
            yield f"{at}.std", "must not hold 0"


def _array(given: Any) -> tuple[list[int] | None, list[Any]]:
    """Shape and numbers of nested lists; the shape is None where they are no array."""
    shape: list[int] = []
    level = [] if given is None else [given]
    while any(isinstance(item, list) for item in level):
        lengths = {len(item) if isinstance(item, list) else 0 for item in level}
        if len(lengths) > 1 or len(shape) == MOST_AXES or lengths == {0}:
            return None, []
        shape += lengths
        level = [inner for item in level for inner in item]
    return shape, level


def _settings(manifest: Document) -> Iterator[Finding]:
    settings = manifest["settings"]
    if settings["seed"] != manifest["seed"]:
        yield "seed", f"is {manifest['seed']}, settings.seed is {settings['seed']}"
    for k, pinned in enumerate(settings["threshold"]):
        try:
            right = 0 < float(pinned.rpartition("=")[2]) <= 1
        except ValueError:
            right = False
        if not right:
            yield f"settings.threshold[{k}]", f"must be LOCATION=VALUE, a value up to 1, given {value(pinned)}"
    for name in ("c", "c_int8"):
        for k, processor in enumerate(manifest.get(name, {"processors": ()})["processors"]):
            if any(number >= len(manifest["stages"]) for number in processor["stages"]):
                yield f"{name}.processors[{k}].stages", f"there are {len(manifest['stages'])} stages only"


def _stream(manifest: Document) -> Iterator[Finding]:
    if "stream" not in manifest:
        return
    if manifest["decision"]["kind"] not in ("softmax", "binary"):
        yield "stream", f"is there, but decision.kind is {manifest['decision']['kind']}: one class is answered"
    if ("int8" in manifest["stream"]) != ("int8" in manifest):
        yield "stream", "must have int8 where the file has"
    for at, entry in (("stream", manifest["stream"]), ("stream.int8", manifest["stream"].get("int8"))):
        if entry is not None:
            yield from _rule(entry["rule"], f"{at}.rule", len(manifest["stages"]) - 1)


def _rule(rule: Document, at: str, exits: int) -> Iterator[Finding]:
    if "of" in rule:
        if rule["wanted"] > rule["window"]:
            yield f"{at}.wanted", f"must be at most window, {rule['window']}, given {rule['wanted']}"
        rule, at = rule["of"], f"{at}.of"
    for name in ("thresholds", "lower"):
        if name in rule and len(rule[name]) != exits:
            yield f"{at}.{name}", f"must be {exits}, one for each exit, given {len(rule[name])}"


def _unique(at: str, names: Sequence[str]) -> Iterator[Finding]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield at, f"{shown(name)} stands twice"
        seen.add(name)


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "of a number"
