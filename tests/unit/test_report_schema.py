"""The schema of report.json: strict, described, with units; printed by the command."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import VALIDATOR, valid
from jsonschema import Draft202012Validator
from reports import SAMPLE_FILE

from eeaug.cli.report import report as command
from eeaug.schema import manifest
from eeaug.schema.design import CHOICES
from eeaug.schema.report import schema


def parts(node: Any, at: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside, with its place."""
    yield at, node
    for name, inner in (*node.get("properties", {}).items(), *node.get("$defs", {}).items()):
        yield from parts(inner, f"{at}.{name}")
    for key in ("items", "additionalProperties", "else"):
        if isinstance(node.get(key), dict):
            yield from parts(node[key], f"{at}[]")


PARTS = [*parts(schema()), *parts(manifest.schema(), "$manifest")]


def test_it_is_a_schema_and_the_sample_follows_it() -> None:
    Draft202012Validator.check_schema(schema())
    valid(SAMPLE_FILE)


def optional(at: str) -> set[str]:
    """What is at this place for some bundles only."""
    if at.endswith("settings"):
        return {
            "architecture", "input_shape", "decision", "blank", "blank_when", "c_prefix", "custom_objects",
            "max_blank_loss", "period_s", "stream", "refresh", "debounce", "max_missed", "background",
        }  # fmt: skip
    if at.rpartition(".")[2].partition("_")[0] == "promise":
        return {"max_missed"}
    if at.endswith(".handover[]"):
        return {"encoding"}
    if at.endswith(".handover[].encoding"):
        return {"scale", "zero_point"}
    if at == "$.design":
        return {"remote", "without_latency_limit"}
    if at == "$":
        return {"stream"}
    if at.endswith(".preprocessing"):
        return {"front_end", "inputs"}
    if at.endswith(".hardware"):
        return {"idle", "levels"}
    if at.endswith((".baseline", ".segments[]")) and "manifest" not in at:
        return set(CHOICES)
    if at.endswith("int8.stages[]"):
        return {"vela"}
    if at.endswith("manifest"):
        optional_facts = {"finetuned", "early_view", "retargeted_from", "custom_objects", "int8", "c", "c_int8"}
        return {"model_inputs", "onnx_one", "stream", *optional_facts}
    if at.endswith(".stream"):
        return {"int8"}
    if "manifest" not in at:
        return set()
    if at.endswith(".stages[].outputs"):
        return {"returns"}
    return (
        {"int8", "tflm", "triton", "vela", *CHOICES}
        if at.endswith(".stages[]")
        else {"int8"}
        if at.endswith(".operating_points[]")
        else set()
    )


def test_everything_is_described_and_numbers_have_units() -> None:
    assert len(PARTS) > 200
    for at, part in PARTS:
        kinds = part.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "$ref" not in part and "if" not in part:
            assert part.get("description", "").endswith((".", ":")), at
        assert ("unit" in part) == bool({"number", "integer"} & set(kinds)), at
        if "object" in kinds and "properties" in part:
            assert part["additionalProperties"] is False, at
            assert part["required"] == [name for name in part["properties"] if name not in optional(at)], at


def objects(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict):
        yield path
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from objects(inner, (*path, key))


# by name of a processor, of a format, of a package
FREE = {
    ("hardware", "by_rates"),
    ("hardware", "runtimes"),
    ("hardware", "idle"),
    ("hardware", "sleep_power_w"),
    ("hardware", "levels"),
    ("verification", "formats"),
}
FREE |= {("manifest", "versions"), *(("manifest", "stages", k, "files") for k in range(2))}


@pytest.mark.parametrize("path", sorted(objects(json.loads(SAMPLE_FILE.read_text())), key=str), ids=str)
def test_a_field_too_many_or_too_few_is_a_mistake(path: tuple[Any, ...]) -> None:
    sample = json.loads(SAMPLE_FILE.read_text())
    for change in ("more", "fewer"):
        edited = copy.deepcopy(sample)
        node = edited
        for key in path:
            node = node[key]
        if change == "more":
            node["unheard_of"] = ["x"]
        elif path not in FREE:
            del node[next(iter(node))]
        assert (path in FREE and change == "fewer") == VALIDATOR.is_valid(edited), (path, change)


def test_the_command_prints_it() -> None:
    for arguments, described in (((), schema()), (("report",), schema()), (("manifest",), manifest.schema())):
        done = CliRunner().invoke(command, ["--schema", *arguments])
        assert done.exit_code == 0 and json.loads(done.stdout) == described
    assert CliRunner().invoke(command, ["--schema", "somewhere"]).exit_code == 2
