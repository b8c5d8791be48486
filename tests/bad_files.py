"""Bad bundles, data and models; see bad_inputs.py."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from bad_parts import CONTROLS, DEEP, LONG, Bad, Place, changed, copied, text
from hypothesis import strategies as st

from eeaug import data as samples

# parts of a manifest that stand nowhere else and decide nothing
FREE = ("versions", "tool", "settings", "data", "notes", "inputs", "search")


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
    bundle = copied(place)
    path = bundle / "manifest.json"
    good = path.read_bytes()
    if draw(st.integers(0, 4)) == 0:
        content, what = text(draw, good)
        certain = True
    else:
        document, what = changed(draw, json.loads(good))
        content = json.dumps(document).encode()
        certain = not what.removeprefix("without ").startswith(FREE)
    path.write_bytes(content)
    return Bad(_command(draw, bundle), f"manifest.json {what}", certain)


def report(draw: Any, place: Place) -> Bad:
    """A report.json of another structure, with the hash that belongs to it."""
    import hashlib

    bundle = copied(place)
    path = bundle / "report.json"
    if draw(st.integers(0, 4)) == 0:
        content, what = text(draw, path.read_bytes())
        certain = True
    else:
        document, what = changed(draw, json.loads(path.read_bytes()))
        content, certain = json.dumps(document).encode(), False
    path.write_bytes(content)
    whole = json.loads((bundle / "manifest.json").read_bytes())
    whole["files"]["report.json"] = hashlib.sha256(content).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(whole))
    return Bad(_command(draw, bundle), f"report.json {what}", certain)


def files(draw: Any, place: Place) -> Bad:
    """A file of a bundle that is gone, cut, changed in one bit, or no file; or another one in its list."""
    bundle = copied(place)
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
