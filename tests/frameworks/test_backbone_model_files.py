"""Models of several files, in zip files, of Windows and of Keras 1: read as the one file that they were."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_nets import saved
from keras_parts import members, refused, zipped

from eeaug.backbone import keras_files, model, model_files
from eeaug.errors import InputError

SHAPE = (8, 8, 3)
X = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)


def small(k: Any, first: bool = False) -> Any:
    at = {"data_format": "channels_first"} if first else {}
    start = k.Input((3, 8, 8) if first else SHAPE)
    x = k.layers.Conv2D(4, 3, activation="relu", name="conv", **at)(start)
    x = k.layers.MaxPooling2D(2, name="pool", **at)(x)
    x = k.layers.BatchNormalization(name="norm", axis=1 if first else -1)(x)
    x = k.layers.Flatten(name="flat")(x)
    net = k.Model(start, k.layers.Dense(3, activation="softmax", name="dense")(x), name="small")
    rng = np.random.default_rng(1)
    for variable in net.weights:
        variable.assign(rng.uniform(0.2, 0.9, variable.shape))
    return net


def same(path: Path, net: Any, **options: Any) -> None:
    x = np.moveaxis(X, -1, 1) if net.input_shape[1] == 3 else X
    np.testing.assert_allclose(keras_files.load(path, **options)(x), net(x), atol=1e-5)


def weights(net: Any, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.save_weights(path)
    return path


def described(net: Any, path: Path) -> Path:
    path.write_text(net.to_json())
    return path


# -- of Windows ---------------------------------------------------------------------------------------


def of_windows(source: Path, target: Path) -> Path:
    """Groups have their whole path as name, joined by backslashes, as Keras wrote there."""
    with h5py.File(source) as file, h5py.File(target, "w") as copy:

        def give(name: str, thing: Any) -> None:
            if isinstance(thing, h5py.Group) and "vars" in thing:
                file.copy(thing["vars"], copy.create_group(name.replace("/", "\\")), "vars")

        file.visititems(give)
        if "vars" in file:
            file.copy("vars", copy)
    return target


@pytest.mark.parametrize("version", [3, 2])
def test_keras_files_of_windows(keras: Any, old: Any, tmp_path: Path, version: int) -> None:
    net = small(keras if version == 3 else old)
    parts = members(saved(net, tmp_path / "m.keras"))
    (tmp_path / "plain.h5").write_bytes(parts["model.weights.h5"])
    parts["model.weights.h5"] = of_windows(tmp_path / "plain.h5", tmp_path / "windows.h5").read_bytes()
    same(zipped(parts, tmp_path / "windows.keras"), net)


def test_two_groups_that_would_be_one(keras: Any, tmp_path: Path) -> None:
    path = weights(small(keras), tmp_path / "w" / "m.weights.h5")
    described(small(keras), path.parent / "m.json")
    with h5py.File(path, "r+") as file:
        file.copy("layers/conv2d", file, "layers\\conv2d")
    assert "has no name of its own" in str(refused(path))


# -- a description beside weights ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "name", "beside"),
    [(3, "m.weights.h5", "model.json"), (2, "m.h5", "m.json"), (2, "m.weights.h5", "config.json")],
)
def test_layers_are_described_beside_weights(
    keras: Any, old: Any, tmp_path: Path, version: int, name: str, beside: str
) -> None:
    net = small(keras if version == 3 else old)
    path = weights(net, tmp_path / name)
    description = described(net, tmp_path / beside)
    (tmp_path / "labels.json").write_text('{"0": "cat"}')
    same(path, net)
    given = model.load(path)
    assert given.notes == (f"the file holds weights; {beside} describes their layers",)
    description.write_text(description.read_text() + "\n")
    assert model.load(path).sha256 != given.sha256, "both files are the model"
    elsewhere = description.rename(tmp_path / "elsewhere")
    assert "--architecture FILE" in str(refused(path))
    same(path, net, architecture=elsewhere)


def test_json_within_json(old: Any, tmp_path: Path) -> None:
    net = small(old)
    (tmp_path / "m.json").write_text(json.dumps(net.to_json()))
    same(weights(net, tmp_path / "w.h5"), net)


def test_of_several_descriptions_the_one_of_the_same_name(keras: Any, tmp_path: Path) -> None:
    net = small(keras)
    path = weights(net, tmp_path / "first.weights.h5")
    described(net, tmp_path / "second.json")
    described(net, tmp_path / "third.json")
    assert "(second.json, third.json); name one by --architecture" in str(refused(path))
    described(net, tmp_path / "first.json")
    same(path, net)


def test_a_description_that_is_of_no_use(keras: Any, tmp_path: Path) -> None:
    net = small(keras)
    whole, description = saved(net, tmp_path / "m.keras"), described(net, tmp_path / "m.json")
    with pytest.raises(InputError, match="a whole model; --architecture is for"):
        keras_files.load(whole, architecture=description)
    path = weights(net, tmp_path / "m.weights.h5")
    assert f"give the file of its weights ({path.name})" in str(refused(description))
    with pytest.raises(InputError, match="a model file; --architecture takes"):
        keras_files.load(path, architecture=whole)


def test_a_description_runs_no_code(keras: Any, tmp_path: Path) -> None:
    net = small(keras)
    path, description = weights(net, tmp_path / "m.weights.h5"), described(net, tmp_path / "m.json")
    config = json.loads(description.read_text())
    config["config"]["layers"][1]["class_name"] = "Lambda"
    description.write_text(json.dumps(config))
    assert "is a Lambda, which runs code" in str(refused(path))


def test_an_unpacked_keras_file(keras: Any, tmp_path: Path) -> None:
    net = small(keras)
    with zipfile.ZipFile(saved(net, tmp_path / "m.keras")) as archive:
        archive.extractall(tmp_path / "hub")
    same(tmp_path / "hub", net)


# -- zip files ----------------------------------------------------------------------------------------


def zip_of(folder: Path, path: Path, *, sep: str = "/") -> Path:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return zipped({str(f.relative_to(folder.parent)).replace("/", sep): f.read_bytes() for f in files}, path)


@pytest.mark.parametrize("sep", ["/", "\\"])
def test_a_saved_model_in_a_zip_file(old: Any, tmp_path: Path, sep: str) -> None:
    net = small(old)
    place = saved(net, tmp_path / "exported")
    same(zip_of(place, tmp_path / "m.zip", sep=sep), net)
    assert model_files.meant(place / "saved_model.pb") == model_files.meant(place / "keras_metadata.pb") == place


def test_weights_and_layers_in_a_zip_file(old: Any, tmp_path: Path) -> None:
    net = small(old)
    path = weights(net, tmp_path / "project" / "net.h5")
    described(net, path.parent / "net.json")
    (path.parent / "__MACOSX").mkdir()
    (path.parent / "__MACOSX" / "._net.h5").write_text("of a Mac")
    same(zip_of(path.parent, tmp_path / "m.zip"), net)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a.keras", "b/c.keras"], "holds 2 models (a.keras, c.keras); unpack it and give one"),
        (["a.keras", "../b"], "the member '../b' is a path out of the file"),
        (["a.keras", "b\\..\\..\\c"], "is a path out of the file"),
        (["a.keras", "/etc/b"], "the member '/etc/b' is a path out of the file"),
        (["a.keras", "b/c", "b\\c"], "two members have the same path"),
        (["a.txt"], "a zip file without config.json, not a Keras model: holds a.txt"),
        (["sub/a.keras"], "m.zip: sub/a.keras: neither a .keras nor an .h5 file"),
    ],
)
def test_zip_files_that_are_refused(tmp_path: Path, names: list[str], reason: str) -> None:
    path = zipped(dict.fromkeys(names, b"x"), tmp_path / "m.zip")
    assert reason in str(refused(path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.zip"]


def test_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.keras", bytes(80 << 20))
    assert "unpacks to" in str(refused(path))


# -- Keras 1 ------------------------------------------------------------------------------------------


def of_keras_1(net: Any, path: Path, *, first: bool = False, backend: str = "", **changes: Any) -> Path:
    """The small net as Keras 1.2 wrote it, by hand; ``changes`` of the convolution's configuration."""
    order = "th" if first else "tf"
    conv = net.get_layer("conv").get_weights()
    kernel = conv[0][::-1, ::-1] if backend == "theano" else conv[0]
    plain: Mapping[str, Any] = {"W_regularizer": None, "b_regularizer": None, "bias": True}
    names = ("gamma", "beta", "running_mean", "running_std")
    norm = dict(zip(names, net.get_layer("norm").get_weights(), strict=True))
    layers = [
        ("Convolution2D", "conv", {
            "nb_filter": 4, "nb_row": 3, "nb_col": 3, "border_mode": "valid", "subsample": [1, 1],
            "dim_ordering": order, "activation": "relu", "init": "glorot_uniform", **plain,
            "input_dtype": "float32", "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01},
            "batch_input_shape": [None, 3, 8, 8] if first else [None, 8, 8, 3], **changes,
        }, {"W": kernel.transpose(3, 2, 0, 1) if first else kernel, "b": conv[1]}),
        ("MaxPooling2D", "pool", {"pool_size": [2, 2], "border_mode": "valid", "dim_ordering": order}, {}),
        ("BatchNormalization", "norm", {"mode": 0, "axis": 1 if first else -1, "epsilon": 1e-3}, norm),
        ("Flatten", "flat", {}, {}),
        ("Dense", "dense", {"output_dim": 3, "init": "uniform", "activation": "softmax", "input_dim": 36, **plain},
         dict(zip("Wb", net.get_layer("dense").get_weights(), strict=True))),
    ]  # fmt: skip
    config = {
        "class_name": "Sequential",
        "config": [
            {"class_name": kind, "config": {"name": name, "trainable": True, **inner}}
            for kind, name, inner, _ in layers
        ],
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "1.2.2"
        if backend:
            file.attrs["backend"] = backend
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for _, name, _, _ in layers]
        for _, name, _, values in layers:
            inside = group.create_group(name)
            inside.attrs["weight_names"] = [f"{name}_{key}".encode() for key in values]
            for key, value in values.items():
                inside[f"{name}_{key}"] = np.ascontiguousarray(value)
    return path


@pytest.mark.parametrize(("first", "backend"), [(False, ""), (True, ""), (True, "theano"), (False, "tensorflow")])
def test_files_of_keras_1(old: Any, tmp_path: Path, first: bool, backend: str) -> None:
    net = small(old, first)
    path = of_keras_1(net, tmp_path / "m.h5", first=first, backend=backend)
    same(path, net)
    assert ("Theano" in str(model.load(path).notes)) == (first and not backend)


def test_what_keras_1_had_alone(old: Any, tmp_path: Path) -> None:
    net = small(old)
    path = of_keras_1(net, tmp_path / "m.h5", activation="hard_sigmoid")
    assert "layer 'conv' uses hard_sigmoid" in str(refused(path))
    path = of_keras_1(net, tmp_path / "m.h5", strange=1)
    assert str(refused(path)).endswith("(written by Keras 1: load and save it with Keras 2 first)")
