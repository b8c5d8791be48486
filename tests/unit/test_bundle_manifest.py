"""A bundle that was changed is noticed, whatever was changed, in one line; what is strange in it is not read."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reports import SAMPLE_FILE, write_bundle

from eeaug.bundle import manifest, manifest_rules
from eeaug.errors import ConversionError, EeaugError, InputError
from eeaug.schema import manifest as described
from eeaug.support import json_file, regular

Path_ = tuple[Any, ...]
REPORT: dict[str, Any] = json.loads(SAMPLE_FILE.read_bytes())
STRANGE = (None, True, -3, 0.4321, 10**17, 1e308, "x", "", [], {}, [[[[]]]], ["a", "b"], [1] * 50)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("manifest") / "bundle")


@pytest.fixture(scope="module")
def sound(place: Path) -> dict[str, Any]:
    return manifest.read(place).manifest


def refused(run: Callable[[], object], kind: type[EeaugError] = ConversionError) -> str:
    with pytest.raises(kind) as caught:
        run()
    line = str(caught.value)
    assert type(caught.value) is kind and "\n" not in line and len(line) < 300 and "\x1b" not in line, line
    return line


def nodes(node: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    yield path, node
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from nodes(inner, (*path, key))


def changes(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node missing, of another type, out of range; lists with something swapped, missing or twice."""
    for path, old in nodes(document):
        if not path:
            continue
        values = [value for value in STRANGE if type(value) is not type(old) or value != old]
        if isinstance(old, list):
            values += [old[:-1], [*old, *old[-1:]], old[::-1]]
        elif type(old) in (int, float):
            values.append(old + 1)
        elif isinstance(old, str):
            values.append(f"{old}\x1b]0;x")
        for value in values:
            if value != old or type(value) is not type(old):
                edited = copy.deepcopy(document)
                functools.reduce(lambda node, key: node[key], path[:-1], edited)[path[-1]] = value
                yield f"{path}={value!r}", edited
        edited = copy.deepcopy(document)
        del functools.reduce(lambda node, key: node[key], path[:-1], edited)[path[-1]]
        yield f"{path} deleted", edited


def judged(edited: dict[str, Any], report: dict[str, Any]) -> None:
    """What manifest.read does once it has parsed both."""
    path = Path("manifest.json")
    if edited.get("schema_version") != described.VERSION or type(edited["schema_version"]) is not int:
        raise ConversionError("another version")
    json_file.check(path, edited, described.schema())
    manifest_rules.check(path, edited)
    for name in edited["files"]:
        if name != "report.json" and edited["files"][name] != hashlib.sha256(name.encode()).hexdigest():
            raise ConversionError("another hash")
    if "report.json" not in edited["files"]:
        raise ConversionError("no report")
    manifest_rules.compare(path, edited, report)


def test_no_change_of_the_manifest_is_silent(sound: dict[str, Any]) -> None:
    judged(sound, REPORT)
    count = 0
    for what, edited in changes({key: value for key, value in sound.items() if key != "reference"}):
        edited["reference"] = sound["reference"]
        if what.startswith("('files', 'report.json')"):
            continue  # compared with the file itself
        count += 1
        try:
            judged(edited, REPORT)
        except ConversionError as error:
            line = str(error)
            assert "\n" not in line and len(line) < 300 and "\x1b" not in line, line
        else:
            pytest.fail(f"silent: {what}")
    assert count > 1500


FORGED = [
    (("stages", 0, "threshold"), 0.5, "operating_points[1].thresholds: differ"),
    (("stages", 0, "macs"), 1, "stages[0].macs is 1, but report.json (design.segments[0].macs + head_macs)"),
    (("classes", 0), "cat", "classes[0]"),
    (("preprocessing", "scale"), 0, "preprocessing.scale: must not be 0"),
    (("preprocessing", "std"), [1.0, 0.0, 1.0], "preprocessing.std: must not hold 0"),
    (("preprocessing", "mean"), [1.0, 2.0], "has shape 2, a sample 32×32×3"),
    (("decision", "kind"), "evil", "decision.kind: must be one of"),
    (("decision", "classes"), 4, "classes: are 10, decision.classes is 4"),
    (("settings", "threads"), -3, "settings.threads: must be 1 or more, given -3"),
    (("settings", "max_accuracy_drop"), 9, "settings.max_accuracy_drop: must be"),
    (("stages", 1, "inputs"), ["other"], "stages[1].inputs: other of shape"),
    (("stages", 1, "threshold"), 0.5, "stages[1].threshold: must be null"),
    (("stages", 0, "name"), "1-cm4f", "stages: 1-cm4f stands twice"),
    (("stages", 0, "files", "onnx"), "stages/1-cm4f/model.onnx", "stages/1-cm4f/model.onnx is stages[0]"),
    (("stages", 0, "files", "onnx"), "/etc/passwd", "/etc/passwd is not listed in files"),
    (("operating_points", 0, "name"), "default", "operating_points: default stands twice"),
    (("operating_points", 0, "thresholds"), [], "must be 1, one for each exit, given 0"),
]


@pytest.mark.parametrize(("path", "value", "words"), FORGED, ids=lambda value: str(value)[:40])
def test_one_that_was_forged_on_both_sides_must_still_make_sense(
    sound: dict[str, Any], path: Path_, value: Any, words: str
) -> None:
    edited, report = copy.deepcopy(sound), copy.deepcopy(REPORT)
    functools.reduce(lambda node, key: node[key], path[:-1], edited)[path[-1]] = value
    report["manifest"] = manifest_rules.facts(edited)
    assert words in refused(lambda: judged(edited, report))


def test_what_differs_is_named_with_both_values(place: Path, sound: dict[str, Any]) -> None:
    edited = copy.deepcopy(sound)
    edited["settings"]["seed"] = edited["seed"] = 7
    line = refused(lambda: judged(edited, REPORT))
    assert line == "manifest.json: seed is 7, but report.json (manifest.seed) was written with 0"
    edited = copy.deepcopy(sound) | {"classes": sound["classes"][::-1]}
    assert '"truck", but report.json (manifest.classes[0]) was written with "airplane"' in refused(
        lambda: judged(edited, REPORT)
    )


# -- files --------------------------------------------------------------------------------------------


def with_file(place: Path, name: str, digest: str = "0" * 64) -> Path:
    document = json.loads((place / "manifest.json").read_bytes())
    document["files"][name] = digest
    (place / "manifest.json").write_text(json.dumps(document))
    return place


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../out/report.json", "a/../report.json", "./report.json", "a//b", "a\\b", "", "a\0b", "x/"],
)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    place = with_file(write_bundle(tmp_path / "out"), name)
    assert "is no path of a file below it" in refused(lambda: manifest.read(place))


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "out")
    os.mkfifo(place / "fifo")
    (place / "link").symlink_to(place / "report.json")
    (place / "folder").symlink_to(place / "stages")
    (place / "device").symlink_to("/dev/zero")
    with (place / "large").open("wb") as file:
        file.truncate(regular.MOST_BYTES + 1)  # takes no room
    for name, words in (
        ("fifo", "is no regular file"),
        ("stages", "is no regular file"),
        ("link", "leads through a link"),
        ("folder/0-cm0p/model.onnx", "leads through a link, folder"),
        ("device", "leads through a link"),
        ("large", "at most 4,294,967,296 bytes are read"),
        ("n" * 300, "File name too long"),
        ("nowhere", "nowhere is missing"),
    ):
        before = (place / "manifest.json").read_bytes()
        assert words in refused(lambda: manifest.read(with_file(place, name)))  # noqa: B023
        (place / "manifest.json").write_bytes(before)
    manifest.read(place)  # what is not listed is nobody's business
    (place / "manifest.json").rename(place / "real.json")
    (place / "manifest.json").symlink_to("real.json")
    assert "leads through a link" in refused(lambda: manifest.read(place))


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"{", InputError, "broken JSON at line 1"),
        (b"\xff", InputError, "not UTF-8 at byte 0"),
        (b"[" * 100_000 + b"]" * 100_000, ConversionError, "nested too deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, ConversionError, "nested too deep"),
        (b'{"schema_version": ' + b"1" * 6000 + b"}", ConversionError, "an integer of 6,000 digits"),
        (b'{"schema_version": 1e999}', ConversionError, "beyond all that can be computed with"),
        (b'{"schema_version": NaN}', ConversionError, "holds NaN"),
        (b'{"schema_version": -Infinity}', ConversionError, "holds -Infinity"),
        (b'{"schema_version": 1, "schema_version": 1}', ConversionError, "'schema_version' twice"),
        (b'{"schema_version": 1, "x": "\\ud800"}', ConversionError, "half a character"),
        (b'{"schema_version": true}', InputError, "schema_version true"),
        (b'{"schema_version": 1.0}', InputError, "schema_version 1.0"),
        (b"{}", InputError, "schema_version null"),
        (b'{"schema_version": 1}', ConversionError, "missing"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_json_that_no_bundle_holds(tmp_path: Path, content: bytes, kind: type[EeaugError], words: str) -> None:
    place = write_bundle(tmp_path / "out")
    (place / "manifest.json").write_bytes(content)
    assert words in refused(lambda: manifest.read(place), kind)


def test_sizes_are_known_before_json_is_read(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "out")
    with (place / "manifest.json").open("wb") as file:
        file.truncate(6 << 30)
    assert "at most 33,554,432 bytes are read" in refused(lambda: manifest.read(place))


# -- the manifest itself ------------------------------------------------------------------------------


def test_a_pipeline_can_be_held_to_its_hash(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "out")
    found = manifest.read(place).sha256
    assert found == hashlib.sha256((place / "manifest.json").read_bytes()).hexdigest()
    assert manifest.read(place, found.upper()).sha256 == found
    other = "ab" * 32
    line = refused(lambda: manifest.read(place, other))
    assert found in line and other in line
    for wrong in ("", "ab", "z" * 64, found + "\n"):
        assert "64 hexadecimal digits" in refused(lambda: manifest.read(place, wrong), InputError)  # noqa: B023


def test_figures_that_do_not_fit_together(tmp_path: Path) -> None:
    report = copy.deepcopy(REPORT)
    report["design"]["measured"]["leave_rates"] = []
    place = write_bundle(tmp_path / "out", json.dumps(report).encode())
    from click.testing import CliRunner

    from eeaug.cli.report import report as command

    for form in ("text", "markdown", "html"):
        done = CliRunner().invoke(command, [str(place), "--format", form])
        assert type(done.exception) is ConversionError and "do not fit together" in str(done.exception), form


def test_a_bundle_without_an_exit_is_read() -> None:
    """Its one point is the default one, though there are none to choose from."""
    seen = {"samples": 9, "mean_confidence": 0.6, "sd": 0.1}
    one = {"name": "default", "exits": [{"left": seen, "reached": seen}]}
    alone: dict[str, Any] = {"operating_points": [], "stages": [{}], "reference": {"points": [one]}}
    assert not [*manifest_rules._references(alone)]
    alone["reference"] = {"points": [{**one, "name": "frugal"}]}
    assert [*manifest_rules._references(alone)]


def test_the_int8_cascade_has_a_reference_of_its_own(sound: dict[str, Any]) -> None:
    """At the points that it has, of the same samples as the float one."""
    with_int8 = copy.deepcopy(sound)
    for point in with_int8["operating_points"][1:]:
        point["int8"] = {"thresholds": [0.5], "constants": [0]}
    reference = copy.deepcopy(sound["reference"])
    reference["points"] = [p for p in reference["points"] if p["name"] != sound["operating_points"][0]["name"]]
    with_int8["int8"] = {"kernels": "reference", "calibration_samples": 4, "reference": reference}
    assert not [*manifest_rules._references(with_int8)]
    for name, value, words in (
        ("part", "choose", ("int8.reference.part", 'is "choose", reference.part is "test"')),
        ("samples", 299, ("int8.reference.samples", "is 299, reference.samples is 5000")),
        ("points", sound["reference"]["points"], ("int8.reference.points", "are not the operating points")),
    ):
        edited = copy.deepcopy(with_int8)
        edited["int8"]["reference"][name] = value
        assert [*manifest_rules._references(edited)] == [words]


@pytest.mark.parametrize(
    "change", [{"stream": {}}, {"settings": {"stream": True}}], ids=["decides streams", "asked to, no exits"]
)
def test_a_bundle_for_streams_has_no_order(place: Path, change: dict[str, Any]) -> None:
    bundle = manifest.read(place)
    manifest.check_no_stream(bundle)
    other = replace(bundle, manifest=bundle.manifest | change)
    assert "samples in order" in refused(lambda: manifest.check_no_stream(other), InputError)
