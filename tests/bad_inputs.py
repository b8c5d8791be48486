"""Bad inputs, made by kind: what a user, a broken disk or an attacker could hand to the command.

Each kind is a hypothesis strategy that writes files below a folder and gives a :class:`Bad`: the arguments of
``eeaug`` and what may come of them. Everything is derived from good inputs by one change, so that the change, and
not another mistake, is what must be noticed.
"""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import yaml
from hypothesis import strategies as st

from eeaug import data as samples
from eeaug.cli.main import group

__all__ = ["KINDS", "Bad", "Place"]

DEEP = 100_000  # brackets
LONG = "9" * 6_000
CONTROLS = "\x1b]0;owned\x07\x1b[31m"
# what may stand where something else is meant
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 3.7, 1e300, -1e300, float("nan"), float("inf"), "", "evil", CONTROLS, "../../etc/passwd",
    "/dev/zero", [], {}, [[]], {"a": 1}, "x" * 5_000, list(range(2_000)),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where an example is tried: an empty folder, and good inputs that are copied, never changed."""

    folder: Path
    model: Path
    data: Path
    bundle: Path


@dataclass(frozen=True)
class Bad:
    """Arguments of ``eeaug``; ``certain``: they cannot be right, exit code 0 is a failure, too.

    ``lines``: the message may be a list of mistakes, one a line. ``call``: the part of the command that must
    notice, where the whole of it takes seconds; it serves where no process is started.
    """

    arguments: list[str]
    what: str
    certain: bool = True
    lines: bool = False
    call: Callable[[], object] | None = None


Kind = Callable[[Any, Place], Bad]


# -- options -------------------------------------------------------------------------------------------

REAL = ("nan", "inf", "-1", "", " ", "abc", "1e400", "1%%", "1..2", "--", "1,5", "0x", "-0.5", "1 2", "7 parsecs")
WHOLE = ("-1", "1.5", "abc", "", "9" * 30, LONG, "nan", "1e3", "0x10", "-99999999999999999999")
WORD = ("", "maccs", "MACS!", "none,", "a b", CONTROLS, "x" * 3_000, "../..", "0")
FILE = ("", "nowhere/at/all", "x" * 300, "a/" * 3_000, "/dev/null/x", CONTROLS, "nul\0byte", "\udcff\udcfe.x")


def _values(option: click.Parameter) -> tuple[str, ...]:
    kind = option.type
    if isinstance(kind, click.IntRange) or kind is click.INT:
        return WHOLE
    if isinstance(kind, click.Path):
        return FILE
    if isinstance(kind, click.Choice):
        return WORD
    return REAL if kind.name in ("float range", "float") or isinstance(kind, click.FloatRange) else WORD


def options(draw: Any, place: Place) -> Bad:
    """One option of a command with a value of a wrong kind, or an option that does not exist."""
    lines = {
        "augment": [str(place.model), "--hw", "psoc6", "--data", str(place.data), "--dry-run"],
        "retarget": [str(place.bundle), "-o", str(place.folder / "out")],
        "check": [str(place.bundle), "--max-accuracy-drop", "0.19"],
        "report": [str(place.bundle)],
        "evaluate": [str(place.bundle), "--data", str(place.data)],
    }
    name = draw(st.sampled_from(sorted(lines)))
    line = [name, *lines[name]]
    if draw(st.integers(0, 9)) == 0:
        flag = draw(st.sampled_from(["--max-latnecy", "--hww", "--x", "-Z", "--max_latency", "--" + "a" * 500]))
        return Bad([*line, flag, "1"], f"{name} {flag}")
    known = group.get_command(click.Context(group), name)
    assert known is not None
    usable = [p for p in known.params if isinstance(p, click.Option) and not p.is_flag and p.type.name != "text"]
    option = draw(st.sampled_from(sorted(usable, key=lambda p: str(p.name))))
    value = draw(st.sampled_from(_values(option)))
    flag = next(o for o in option.opts if o.startswith("--") or len(o) == 2)
    # names, groups and files that only matter later are no certain mistake
    certain = isinstance(option.type, (click.Choice, click.IntRange)) or "range" in option.type.name
    return Bad([*line, flag, value], f"{name} {flag} {value[:40]!r}", certain=certain)


# -- documents -----------------------------------------------------------------------------------------


def _paths(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to every node of a document but its root."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from _paths(child, (*at, key))


def _changed(draw: Any, document: Any, below: tuple[Any, ...] = ()) -> tuple[Any, str]:
    """A copy with one node taken away or replaced, and what was done."""
    made = copy.deepcopy(document)
    ways = [path for path in _paths(made) if path[: len(below)] == below and path != below]
    way = draw(st.sampled_from(ways))
    parent = made
    for key in way[:-1]:
        parent = parent[key]
    name = ".".join(map(str, way))
    if draw(st.integers(0, 4)) == 0:
        del parent[way[-1]]
        return made, f"without {name}"
    old = parent[way[-1]]
    parent[way[-1]] = draw(
        st.sampled_from([value for value in ODD if type(value) is not type(old) or value != old])
    )
    return made, f"{name} = {parent[way[-1]]!r:.40}"


def _text(draw: Any, good: bytes) -> tuple[bytes, str]:
    """The text of a document, spoilt as a whole."""
    bombs: dict[str, bytes] = {
        "empty": b"",
        "cut": good[: draw(st.integers(0, len(good) - 1))],
        "brackets": b"[" * DEEP,
        "braces": b'{"a":' * DEEP,
        "a long number": b'{"schema_version": ' + LONG.encode() + b"}",
        "not UTF-8": good[:40] + b"\xff\xfe\x80" + good[40:],
        "NUL": good[:40] + b"\0" + good[40:],
        "another type": b"[]",
        "a number": b"7",
        "NaN": b'{"schema_version": NaN}',
    }
    name = draw(st.sampled_from(sorted(bombs)))
    return bombs[name], name


def hardware(draw: Any, place: Place) -> Bad:
    """A hardware description with one mistake."""
    import eeaug.hardware_profiles as profiles

    good = Path(str(profiles.__file__)).parent.joinpath("psoc6.yaml").read_bytes()
    path = place.folder / "board.yaml"
    if draw(st.integers(0, 2)) == 0:
        content, what = _text(draw, good)
        laughs = b"a: &a [x]\n" + b"".join(
            b"%c: &%c [%s]\n" % (97 + i, 97 + i, b", ".join([b"*%c" % (96 + i)] * 9)) for i in range(1, 12)
        )
        merges = b"a: &a {x: 1}\n" + b"".join(
            b"b%d: &b%d {<<: [%s]}\n" % (i, i, b", ".join([b"*a" if i == 0 else b"*b%d" % (i - 1)] * 9))
            for i in range(14)
        )
        many = b"".join(b"key_%d: 1\n" % i for i in range(100_000))
        extra = {"laughs": laughs, "merges": merges, "100,000 keys": many, "tag": b"!!python/object:os.system {}\n"}
        name = draw(st.sampled_from(["as it is", *extra]))
        content, what = (content, what) if name == "as it is" else (extra[name], name)
        certain = what != "cut"
    else:
        document, what = _changed(draw, yaml.safe_load(good))
        content, certain = yaml.safe_dump(document).encode(), False
    path.write_bytes(content)
    return Bad(["hw", "check", str(path)], f"board.yaml {what}", certain, lines=True)


def configuration(draw: Any, place: Place) -> Bad:
    """A file of options that cannot be."""
    good = {"hw": "psoc6", "max-latency": 2.5, "format": ["tflite"], "data": str(place.data)}
    path = place.folder / "run.yaml"
    if draw(st.booleans()):
        content, what = _text(draw, yaml.safe_dump(good).encode())
    else:
        document, what = _changed(draw, good)
        content = yaml.safe_dump(document).encode()
    path.write_bytes(content)
    arguments = ["augment", str(place.folder / "missing.h5"), "--config", str(path)]  # never gets as far as a run
    return Bad(arguments, f"run.yaml {what}", lines=True)


# -- bundles -------------------------------------------------------------------------------------------

# parts of a manifest that stand nowhere else and decide nothing
FREE = ("versions", "tool", "settings", "data", "notes", "inputs", "search")


def _copied(place: Place) -> Path:
    return Path(shutil.copytree(place.bundle, place.folder / "bundle", symlinks=True))


def _command(draw: Any, bundle: Path) -> list[str]:
    return draw(
        st.sampled_from([
            ["report", str(bundle)],
            ["check", str(bundle), "--max-accuracy-drop", "0.19"],
            ["report", str(bundle), "--format", "markdown"],
        ])
    )  # fmt: skip


def manifest(draw: Any, place: Place) -> Bad:
    """A manifest that says something else than what was written."""
    bundle = _copied(place)
    path = bundle / "manifest.json"
    good = path.read_bytes()
    if draw(st.integers(0, 4)) == 0:
        content, what = _text(draw, good)
        certain = True
    else:
        document, what = _changed(draw, json.loads(good))
        content = json.dumps(document).encode()
        certain = not what.removeprefix("without ").startswith(FREE)
    path.write_bytes(content)
    return Bad(_command(draw, bundle), f"manifest.json {what}", certain)


def report(draw: Any, place: Place) -> Bad:
    """A report.json of another structure, with the hash that belongs to it."""
    import hashlib

    bundle = _copied(place)
    path = bundle / "report.json"
    if draw(st.integers(0, 4)) == 0:
        content, what = _text(draw, path.read_bytes())
        certain = True
    else:
        document, what = _changed(draw, json.loads(path.read_bytes()))
        content, certain = json.dumps(document).encode(), False
    path.write_bytes(content)
    whole = json.loads((bundle / "manifest.json").read_bytes())
    whole["files"]["report.json"] = hashlib.sha256(content).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(whole))
    return Bad(_command(draw, bundle), f"report.json {what}", certain)


def files(draw: Any, place: Place) -> Bad:
    """A file of a bundle that is gone, cut, changed in one bit, or no file; or another one in its list."""
    bundle = _copied(place)
    listed = json.loads((bundle / "manifest.json").read_bytes())
    name = draw(st.sampled_from(sorted(listed["files"])))
    path = bundle / name
    content = path.read_bytes()
    how = draw(st.sampled_from(["gone", "cut", "bit", "directory", "fifo", "link", "dangling", "longer", "listed"]))
    path.unlink()
    if how == "cut":
        path.write_bytes(content[: draw(st.integers(0, len(content) - 1))])
    elif how == "bit":
        at = draw(st.integers(0, len(content) - 1))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :])
    elif how == "directory":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "link":
        path.symlink_to(place.bundle / name)
    elif how == "dangling":
        path.symlink_to(place.folder / "nowhere")
    elif how == "longer":
        path.write_bytes(content + b"\0")
    elif how == "listed":
        path.write_bytes(content)
        other = draw(
            st.sampled_from(["/dev/zero", "../outside", "/etc/hostname", "a\\b", "", ".", "stages", "/proc/kmsg"])
        )
        listed["files"][other] = "0" * 64
        (bundle / "manifest.json").write_text(json.dumps(listed))
        how += f" {other!r}"
    return Bad(_command(draw, bundle), f"{name} {how}")


# -- data ----------------------------------------------------------------------------------------------


def _npy(shape: str, descr: str = "'<f4'", body: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def data(draw: Any, place: Place) -> Bad:
    """Samples and labels that are not: damaged archives, headers that lie, labels out of range."""
    path = place.folder / "samples.npz"
    with np.load(place.data) as stored:
        arrays = {name: stored[name] for name in stored.files}
    members: dict[str, bytes] = {}
    how = draw(
        st.sampled_from([
            "cut", "bit", "header", "object", "labels", "nan", "one class", "short", "text", "names", "empty",
            "shape", "fifo", "directory", "no train", "complex",
        ])
    )  # fmt: skip
    part = draw(st.sampled_from(["train", "val", "test"]))
    if how == "labels":
        y = arrays[f"y_{part}"].astype(np.int64)
        y[draw(st.integers(0, len(y) - 1))] = draw(st.sampled_from([-1, 10, 10**9, -(2**62)]))
        arrays[f"y_{part}"] = y
    elif how == "nan":
        x = arrays[f"x_{part}"].astype(np.float32)
        x.reshape(-1)[draw(st.integers(0, x.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        arrays[f"x_{part}"] = x
    elif how == "one class":
        arrays["y_train"] = np.zeros_like(arrays["y_train"])
    elif how == "short":
        arrays[f"y_{part}"] = arrays[f"y_{part}"][:-1]
    elif how == "text":
        arrays[f"x_{part}"] = np.full(arrays[f"x_{part}"].shape, "a")
    elif how == "complex":
        arrays[f"x_{part}"] = arrays[f"x_{part}"].astype(np.complex64)
    elif how == "names":
        arrays["class_names"] = np.array(["same"] * 10)
    elif how == "empty":
        arrays[f"x_{part}"], arrays[f"y_{part}"] = arrays[f"x_{part}"][:0], arrays[f"y_{part}"][:0]
    elif how == "shape":
        arrays[f"x_{part}"] = arrays[f"x_{part}"][:, ::2]
    elif how == "no train":
        arrays = {name: a for name, a in arrays.items() if not name.endswith("train")}
    elif how == "object":
        arrays[f"x_{part}"] = np.array([{}] * len(arrays[f"x_{part}"]), object)
    elif how == "header":
        lie = draw(
            st.sampled_from([
                _npy("(100000000000, 28, 28, 1)"), _npy("(-1, 28, 28)"), _npy("(1,)" * 2_000), _npy("()", "'O'"),
                _npy("(600, 28, 28, 1)"), b"\x93NUMPY\x09\x09", b"junk", b"",
            ])
        )  # fmt: skip
        members[f"x_{part}.npy"] = lie
        arrays.pop(f"x_{part}")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", one.getvalue())
        for name, body in members.items():
            archive.writestr(name, body)
    whole = content.getvalue()
    certain = how not in ("one class", "names", "bit")
    if how == "cut":
        whole = whole[: draw(st.integers(0, len(whole) - 1))]
    elif how == "bit":
        at = draw(st.integers(0, len(whole) - 1))
        whole = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
    if how == "fifo":
        os.mkfifo(path)
    elif how == "directory":
        path.mkdir()
    else:
        path.write_bytes(whole)
    cache = place.folder / "cache"
    arguments = ["augment", str(place.model), "--hw", "psoc6", "--data", str(path), "--dry-run"]

    def call() -> None:
        given = samples.load(str(path), place.model, cache=cache, input_shape=(28, 28, 1), labelled=True)
        given = given.labelled("softmax", 10)
        given.check((28, 28, 1), 10)
        samples.split(given, seed=0)

    return Bad([*arguments, "--cache-dir", str(cache)], f"data: {how} ({part})", certain, call=call)


# -- models --------------------------------------------------------------------------------------------


def models(draw: Any, place: Place) -> Bad:
    """A model file that is cut, changed, or none at all."""
    content = place.model.read_bytes()
    how = draw(st.sampled_from(["cut", "bytes", "text", "zip", "suffix", "fifo", "directory", "config"]))
    path = place.folder / "model.h5"
    certain = how not in ("bytes",)
    if how == "cut":
        path.write_bytes(content[: draw(st.integers(0, len(content) * 9 // 10))])
    elif how == "bytes":
        at = draw(st.integers(0, 20_000))
        path.write_bytes(content[:at] + draw(st.binary(min_size=1, max_size=64)) + content[at + 64 :])
    elif how == "text":
        path.write_text(draw(st.sampled_from(["", "hello", "{" * DEEP, "\x89HDF\r\n\x1a\n", CONTROLS])))
    elif how == "zip":
        path = path.with_suffix(".keras")
        inside = draw(
            st.sampled_from([
                {}, {"config.json": b""}, {"config.json": b"[" * DEEP}, {"config.json": b"{}"},
                {"config.json": b'{"class_name": "Functional", "config": {"layers": ' + LONG.encode() + b"}}"},
                {"config.json": b'{"class_name": "Sequential", "config": {"layers": []}}', "metadata.json": b"3"},
                {"config.json": b'{"class_name": "Lambda", "config": {}}'},
                {"config.json": b'{"class_name": "Sequential", "config": {"name": "s", "layers": [{"module": "os",'
                 b' "class_name": "system", "config": {"name": "x"}}]}}',
                 "metadata.json": b'{"keras_version": "3.0.0"}'},
            ])
        )  # fmt: skip
        with zipfile.ZipFile(path, "w") as archive:
            for name, body in inside.items():
                archive.writestr(name, body)
    elif how == "suffix":
        path = path.with_suffix(draw(st.sampled_from([".tflite", ".onnx", ".pb", ".json", ".txt", ""])))
        path.write_bytes(b"\0\0\0\0TFL3" + bytes(100))
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "directory":
        path.mkdir()
        if draw(st.booleans()):
            (path / "saved_model.pb").write_bytes(draw(st.binary(max_size=200)))
    elif how == "config":
        import h5py

        shutil.copy(place.model, path)
        with h5py.File(path, "r+") as file:
            text = file.attrs["model_config"]
            document = json.loads(text)
            layers = document["config"]["layers"]
            layer = draw(st.integers(1, len(layers) - 1))
            change = draw(st.sampled_from(["class", "units", "gone", "lambda", "deep", "name"]))
            if change == "class":
                layers[layer]["class_name"] = draw(st.sampled_from(["Conv9D", "os.system", "", "TFSMLayer"]))
            elif change == "units":
                config = next(entry["config"] for entry in layers if "filters" in entry["config"])
                config["filters"] = draw(st.sampled_from([10**8, -1, 0, "many", None, 1e300]))
            elif change == "gone":
                del layers[layer]
            elif change == "lambda":
                layers[layer] = {**layers[layer], "class_name": "Lambda"}
            elif change == "name":
                layers[layer]["config"]["name"] = draw(st.sampled_from([None, 7, [], {}]))
            body = json.dumps(document) if change != "deep" else "[" * 30_000
            file.attrs["model_config"] = body
        how += f" {change}"
        certain = change not in ("name",)
    return Bad(["inspect", str(path)], f"model: {how}", certain)


# -- places --------------------------------------------------------------------------------------------


def places(draw: Any, place: Place) -> Bad:
    """Where something is to be written that must not, or cannot, be."""
    folder = place.folder / "here"
    folder.mkdir()
    bundle = _copied(place)
    (folder / "thesis.txt").write_text("mine")
    (folder / "manifest.json").write_text('{"name": "a browser extension"}')
    (bundle / "notes.txt").write_text("mine")
    (place.folder / "loop").symlink_to(place.folder / "loop")
    (place.folder / "dangling").symlink_to(place.folder / "nowhere" / "at all")
    file = place.folder / "file.txt"
    file.write_text("mine")
    model = Path(shutil.copy(place.model, bundle / "model.h5"))
    line = ["augment", str(model), "--data", str(place.data), "--hw", "psoc6", "--force", "-o"]
    directory = draw(
        st.sampled_from([
            "", str(folder), str(bundle), str(file), "/", "/proc", "/dev/null", str(place.folder / "loop"),
            str(place.folder / "dangling"), str(place.folder / "a" / "b"), "x" * 300, str(place.folder / "nul\0"),
            ".", str(file / "below"),
        ])
    )  # fmt: skip
    target = draw(
        st.sampled_from([
            "", str(folder), str(bundle / "manifest.json"), str(bundle / "report.json"),
            str(place.folder / "loop"), str(place.folder / "dangling"), str(place.folder / "a" / "b.html"),
            "x" * 300, str(file / "below"),
        ])
    )  # fmt: skip
    which = draw(st.sampled_from(["augment", "report", "junit", "cache", "retarget"]))
    if which == "augment":
        return Bad([*line, directory], f"augment -o {directory[-30:]!r}")
    if which == "retarget":
        return Bad(["retarget", str(place.bundle), "--force", "-o", directory], f"retarget -o {directory[-30:]!r}")
    if which == "cache":
        line = [
            "augment",
            str(place.model),
            "--data",
            str(place.data),
            "--hw",
            "psoc6",
            "-o",
            str(place.folder / "o"),
        ]
        cache = draw(st.sampled_from(["", str(file), str(file / "below"), "/proc/nowhere", "x" * 300]))
        return Bad([*line, "--cache-dir", cache], f"--cache-dir {cache[-30:]!r}")
    if which == "junit":
        line = ["check", str(place.bundle), "--max-accuracy-drop", "0.19", "--junit"]
        target = draw(st.sampled_from([target, str(file)]))
        return Bad([*line, target], f"--junit {target[-30:]!r}")
    return Bad(
        ["report", str(place.bundle), "--format", "html", "--force", "-o", target], f"report -o {target[-30:]!r}"
    )


KINDS: dict[str, tuple[Kind, int]] = {
    "options": (options, 120),
    "hardware": (hardware, 100),
    "configuration": (configuration, 50),
    "manifest": (manifest, 120),
    "report": (report, 60),
    "files": (files, 60),
    "data": (data, 60),
    "models": (models, 80),
    "places": (places, 80),
}  # fmt: skip
