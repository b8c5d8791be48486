"""HDF5 and zip files that lead elsewhere, unpack to gigabytes or never end; models without bounds."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_parts import (
    CONFIG,
    FILES,
    IDS,
    METADATA,
    WEIGHTS,
    members,
    refused,
    small_files,
    with_config,
    with_weights,
    zipped,
)

from eeaug.backbone import keras_allowed, keras_files, packed
from eeaug.errors import InputError
from eeaug.support import zip_file
from eeaug.support.regular import Unreadable

__all__ = ["small_files"]


def first(file: Any, group: str) -> str:
    """The name of a dataset of weights."""
    names: list[str] = []
    file[group].visititems(lambda _, found: names.append(found.name) if isinstance(found, h5py.Dataset) else None)
    return names[0]


def replaced(make: Callable[[Any, str, Any], object]) -> Callable[[Any, str], None]:
    """Put something else in the place of a dataset; ``make`` is told the file, the name and the dataset's shape."""

    def change(file: Any, group: str) -> None:
        name = first(file, group)
        shape = file[name].shape
        file.move(name, "/kept")
        make(file, name, shape)

    return change


def virtual(file: Any, name: str, shape: Any) -> None:
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("/etc/other.h5", "x", shape)
    file.create_virtual_dataset(name, layout)


def linked(file: Any, group: str) -> None:
    file[group].create_group("a/b/c")["deep"] = h5py.ExternalLink("/etc/x.h5", "/")


def typed(file: Any, group: str) -> None:
    file[group]["type"] = np.dtype("f4")


def packed_zeros(file: Any, name: str, shape: Any) -> None:
    file.create_dataset(name, (1 << 28,), "f4", compression="gzip", chunks=(1 << 20,))


def large_chunk(file: Any, group: str) -> None:
    file[group].create_dataset("more", (1,), "f4", chunks=(1 << 29,), maxshape=(None,))


def texts(file: Any, group: str) -> None:
    file[group].create_dataset("more", (9,), h5py.string_dtype())


def mixture(file: Any, group: str) -> None:
    file[group].create_dataset("more", (9,), np.dtype([("a", "f4"), ("b", "S9")]))


ELSEWHERE, LINK = "has its values in other files", "is a link to elsewhere"
WRONG_WEIGHTS: dict[str, tuple[Callable[[Any, str], object], str]] = {
    "external storage": (
        replaced(lambda f, name, shape: f.create_dataset(name, shape, "f4", external=[("/etc/hostname", 0, 999)])),
        ELSEWHERE,
    ),
    "virtual dataset": (replaced(virtual), ELSEWHERE),
    "external link": (
        replaced(lambda f, name, _: f.__setitem__(name, h5py.ExternalLink("/etc/x.h5", "/x"))), LINK
    ),
    "soft link": (replaced(lambda f, name, _: f.__setitem__(name, h5py.SoftLink("/kept"))), LINK),
    "external link deep inside": (linked, LINK),
    "stored type": (typed, "is a stored type"),
    "never written": (replaced(lambda f, name, _: f.create_dataset(name, (10**10,), "f4")), "unpack to more than"),
    "packed zeros": (replaced(packed_zeros), "unpack to more than"),
    "chunk": (large_chunk, "unpack to more than"),
    "texts": (texts, "holds no numbers"),
    "mixture": (mixture, "holds no numbers"),
}  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=IDS)
@pytest.mark.parametrize("change", WRONG_WEIGHTS)
def test_hdf5(small_files: Mapping[Any, Path], tmp_path: Path, change: str, file: Any) -> None:
    edit, said = WRONG_WEIGHTS[change]
    error = refused(with_weights(small_files[file], tmp_path / f"m{file[1]}", edit))
    assert type(error) is InputError and said in str(error)


def test_one_group_under_many_names_counts_once(small_files: Mapping[Any, Path], tmp_path: Path) -> None:
    path = with_weights(
        small_files[3, ".h5"], tmp_path / "m.h5", lambda f, group: f[group].__setitem__("up", f["/"])
    )
    assert keras_files.load(path).inputs


@pytest.mark.parametrize("version", [3, 2])
def test_members_of_a_zip_file(small_files: Mapping[Any, Path], tmp_path: Path, version: int) -> None:
    parts, path = members(small_files[version, ".keras"]), tmp_path / "m.keras"

    def said(**changes: bytes) -> str:
        return str(refused(zipped({**parts, **changes}, path)))

    assert "path out of the file" in said(**{"../../x": b""}) and "path out of the file" in said(**{"/x": b""})
    assert "unpacks to" in said(**{WEIGHTS: parts[WEIGHTS] + bytes(80 << 20)})
    assert "more than 16,777,216" in said(**{CONFIG: b" " * (17 << 20)})
    assert "12,003 members" in said(**{f"a/{i}": b"" for i in range(12_000)})
    assert "its list of members has" in said(**{f"a/{i}": b"" for i in range(20_000)})
    assert "a damaged .keras file" in said(**{WEIGHTS: b""}) and "is no object" in said(**{METADATA: b"[]"})
    assert "without model.weights.h5" in str(
        refused(zipped({CONFIG: parts[CONFIG], "model.weights.npz": b""}, path))
    )
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")  # of Python, that it does what it is asked to
        archive.writestr(CONFIG, "{}")
    assert "two members are called 'config.json'" in str(refused(path))


JSONS = {
    "[" * 100_000: "more than 100 brackets",
    '{"a":' * 120 + "1" + "}" * 120: "more than 100 brackets",
    '{"a": ' + "1" * 6000 + "}": "an integer of 6,000 digits",
    '{"a": ' + "1" * 4000 + "}": "an integer of 4,000 digits",
}


@pytest.mark.parametrize(("text", "said"), JSONS.items(), ids=["brackets", "nested", "digits", "fewer digits"])
def test_json(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        packed.stored_json(text)


@pytest.mark.parametrize("text", ["", "null", "[]", "NaN", "\xff", '{"class_name": "Sequential"}', '"x"'])
def test_json_that_is_no_configuration(small_files: Mapping[Any, Path], tmp_path: Path, text: str) -> None:
    parts = {**members(small_files[3, ".keras"]), CONFIG: text.encode("latin-1")}
    assert type(refused(zipped(parts, tmp_path / "m.keras"))) is InputError


def layers(model: dict[str, Any]) -> Any:
    return model["config"]["layers"]


def start_shape(*shape: int | None) -> Callable[[dict[str, Any]], object]:
    def change(model: dict[str, Any]) -> None:
        config = layers(model)[0]["config"]
        config.update({key: shape for key in ("batch_shape", "batch_input_shape") if key in config})

    return change


def waiting(model: dict[str, Any]) -> None:
    """The convolution takes what the pooling behind it gives."""
    config = layers(model)
    config[1]["inbound_nodes"] = config[3]["inbound_nodes"]


def many_calls(model: dict[str, Any]) -> None:
    layers(model)[1]["inbound_nodes"] *= 10_001


MODELS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "filters": (lambda m: layers(m)[1]["config"].update(filters=10**8), "the file holds 127 numbers in all"),
    "units": (lambda m: layers(m)[3]["config"].update(units=10**9), "the file holds 127 numbers in all"),
    "input": (start_shape(None, 10**6, 10**6, 3), "has an input of 3,000,000,000,000 numbers"),
    "larger input": (start_shape(None, 10**18, 10**6, 3), "has an input of 10¹⁵ or more numbers"),
    "batch": (start_shape(10**9, 8, 8, 3), "has a batch of 1,000,000,000 samples"),
    "name": (lambda m: layers(m)[1]["config"].update(name="n" * 9_999), "has a name of 9,999 characters"),
    "calls": (many_calls, "are called more"),
}  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=IDS)
@pytest.mark.parametrize("change", MODELS)
def test_models_without_bounds(small_files: Mapping[Any, Path], tmp_path: Path, change: str, file: Any) -> None:
    edit, said = MODELS[change]
    assert said in str(refused(with_config(small_files[file], tmp_path / f"m{file[1]}", edit)))


REPEATING = {
    "unrolled": [("RepeatVector", {"n": 10**7}), ("LSTM", {"units": 1, "unroll": True})],
    "augmentation": [("RandAugment", {"num_ops": 10**9})],
}


@pytest.mark.parametrize("layers", REPEATING.values(), ids=REPEATING)
def test_layers_that_repeat_themselves_as_they_are_built(layers: Any) -> None:
    start = {"class_name": "InputLayer", "config": {"name": "start", "batch_shape": [None, 8]}}
    made = [{"class_name": kind, "config": {"name": kind.lower(), **settings}} for kind, settings in layers]
    model = {"class_name": "Sequential", "config": {"name": "net", "layers": [start, *made]}}
    assert "repeats itself more than 4,096 times" in str(keras_allowed.too_much(model, by_keras_2=False))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_layer_that_waits_for_itself(small_files: Mapping[Any, Path], tmp_path: Path, suffix: str) -> None:
    """tf_keras tries for ever to find an order."""
    path = with_config(small_files[2, suffix], tmp_path / f"m{suffix}", waiting)
    assert "layer 'conv' waits for itself" in str(refused(path))


def test_more_weights_than_the_configuration_means(small_files: Mapping[Any, Path], tmp_path: Path) -> None:
    def change(file: Any, group: str) -> None:
        file[group].create_dataset("more/vars/0", data=np.zeros(9))

    path = with_weights(small_files[3, ".keras"], tmp_path / "m.keras", change)
    assert "its configuration means 127 weights, the file holds 136" in str(refused(path))


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_truncated_files(small_files: Mapping[Any, Path], tmp_path: Path, file: Any) -> None:
    content, path = small_files[file].read_bytes(), tmp_path / f"m{file[1]}"
    for length in {*range(0, 96, 7), *range(0, len(content), len(content) // 40)}:
        path.write_bytes(content[:length])
        assert type(refused(path)) is InputError, length


def test_a_long_list_of_members_is_not_read(tmp_path: Path) -> None:
    """The end of a zip file says how long the list before it is."""
    path = tmp_path / "m.keras"
    path.write_bytes(b"PK\x03\x04" + struct.pack("<4s4H2LH", zip_file.END, 0, 0, 1, 1, 1 << 30, 0, 0))
    assert "its list of members has 1,073,741,824 bytes" in str(refused(path))
