"""What a configuration may name: nothing that runs code or reads a file is handed to any loader."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from keras_parts import FILES, IDS, refused, small_files, with_config

from eeaug.backbone import keras_allowed, keras_files, stored_model
from eeaug.errors import ConversionError

__all__ = ["small_files"]

Change = Callable[[dict[str, Any]], object]


def layer(**keys: Any) -> Change:
    """Change keys of the convolution."""
    return lambda model: model["config"]["layers"][1].update(keys)


def setting(**keys: Any) -> Change:
    """Change settings of the convolution."""
    return lambda model: model["config"]["layers"][1]["config"].update(keys)


def both(*changes: Change) -> Change:
    return lambda model: [change(model) for change in changes]


def function(name: str, module: str) -> dict[str, str]:
    return {"class_name": "function", "config": name, "module": module, "registered_name": name}


CODE = {"class_name": "__lambda__", "config": {"value": "4wEA"}}
LAMBDA = {"class_name": "Lambda", "config": {"name": "inner", "function": ["4wEA", None, None]}}
POPEN = {"class_name": "Popen", "module": "subprocess", "config": {"args": "touch run"}, "registered_name": None}
TYPE = {"class_name": "__typespec__", "spec_name": "system", "module": "os", "registered_name": None, "config": []}
NAMES: dict[str, tuple[Change, str]] = {
    "activation is a lambda": (setting(activation=CODE), "is a Lambda"),
    "activation of builtins": (setting(activation=function("exec", "builtins")), "the function 'exec'"),
    "activation of os": (setting(activation=function("system", "os")), "the function 'system'"),
    "activation of keras.utils": (setting(activation=function("get_file", "keras.utils")), "'get_file'"),
    "activation by an odd name": (setting(activation="deserialize"), "the activation 'deserialize'"),
    "initializer runs a process": (setting(kernel_initializer=POPEN), "the class Popen"),
    "type of TensorFlow": (setting(activation=TYPE), "a type of TensorFlow"),
    "regularizer in a list": (setting(kernel_regularizer=[{"x": [CODE]}]), "is a Lambda"),
    "build settings": (layer(build_config={"input_shape": CODE}), "is a Lambda"),
    "class of os": (layer(class_name="system", module="os"), "class system"),
    "class of Keras that is no layer": (
        layer(class_name="enable_unsafe_deserialization", module="keras.config"), "enable_unsafe_deserialization"
    ),
    "layer in an odd module": (layer(module="antigravity"), "'antigravity.Conv2D'"),
    "layer in keras.utils": (layer(module="keras.utils"), "'keras.utils.Conv2D'"),
    "module is no text": (layer(module=["os"]), "names a class by"),
    "class is no text": (layer(class_name=["Dense"]), "names a class by"),
    "Lambda by its full name": (layer(class_name="keras.layers>Lambda"), "is a Lambda"),
    "Lambda in a wrapper": (
        layer(class_name="TimeDistributed", config={"name": "outer", "layer": LAMBDA}), "layer 'inner' is a Lambda"
    ),
    "Lambda as a cell": (layer(class_name="RNN", config={"name": "outer", "cell": LAMBDA}), "'inner' is a Lambda"),
    **{
        f"{name} that reads files": (both(layer(class_name=name), setting(vocabulary="/etc/hostname")), f"a {name}")
        for name in ("TextVectorization", "StringLookup")
    },
    **{
        f"{name} that runs what the file names": (layer(class_name=name), f"a {name}")
        for name in ("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "KerasLayer")
    },
}  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=IDS)
@pytest.mark.parametrize("change", NAMES)
def test_names_that_do_more_than_compute(
    small_files: Mapping[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, file: Any
) -> None:
    def loader(*_: Any) -> Any:
        raise AssertionError("a loader saw the file")

    monkeypatch.setattr(keras_files, "_routes", lambda *_: [loader])
    edit, said = NAMES[change]
    error = refused(with_config(small_files[file], tmp_path / f"m{file[1]}", edit))
    assert type(error) is ConversionError and said in str(error)


def operation(kind: str, config: dict[str, Any], arguments: dict[str, Any]) -> Change:
    settings = {"name": "conv", "trainable": True, "dtype": "float32", **config}
    return layer(class_name=kind, config=settings, inbound_nodes=[["start", 0, 0, arguments]])


WRITE = {"op": "WriteFile", "name": "x"}
OPERATIONS: dict[str, tuple[Change, str]] = {
    "file": (operation("TFOpLambda", {"function": "io.write_file"}, {"contents": "x"}), "io.write_file"),
    "library": (operation("TFOpLambda", {"function": "load_op_library"}, {}), "load_op_library"),
    "folder": (operation("SlicingOpLambda", {"function": "io.gfile.makedirs"}, {}), "io.gfile.makedirs"),
    "behind the name of a graph operation": (
        operation("TFOpLambda", {"function": "io.write_file", "node_def": {"op": "Add"}}, {"y": 1.0}),
        "io.write_file",
    ),
    "graph": (operation("TensorFlowOpLayer", {"node_def": WRITE, "constants": {}}, {}), "WriteFile"),
    "graph behind a function": (
        operation("TensorFlowOpLayer", {"node_def": WRITE, "function": "math.add", "constants": {}}, {}),
        "WriteFile",
    ),
    "as an activation": (
        setting(activation={"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}), "io.write_file"
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("change", OPERATIONS)
def test_operations_of_tensorflow(
    small_files: Mapping[Any, Path], tmp_path: Path, change: str, suffix: str
) -> None:
    edit, name = OPERATIONS[change]
    path = with_config(small_files[2, suffix], tmp_path / f"m{suffix}", edit)
    with pytest.raises(ConversionError, match=f"layer 'conv' calls TensorFlow's '{name}': use a Keras layer"):
        stored_model.read(path)  # before any framework is imported
    assert "TensorFlow's" in str(refused(path))
    with pytest.raises(ConversionError, match=r"of class|names the class"):  # Keras 3 files have none
        keras_files.load(with_config(small_files[3, suffix], tmp_path / f"three{suffix}", edit))


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_losses_are_never_built(small_files: Mapping[Any, Path], tmp_path: Path, file: Any) -> None:
    compiled = {"loss": CODE, "optimizer": {"class_name": "system", "module": "os", "config": {}}}

    def change(model: dict[str, Any]) -> None:
        model["compile_config"] = compiled
        model["config"]["layers"][1]["compile_config"] = compiled

    assert not keras_files.load(with_config(small_files[file], tmp_path / f"m{file[1]}", change)).compiled


def test_every_layer_of_keras_was_looked_at(keras: Any) -> None:
    """A layer that a new version of Keras brings is refused until it stands in one of the lists."""
    known = {name for name, value in vars(keras.layers).items() if isinstance(value, type)}
    assert known - keras_allowed.LAYERS <= {*keras_allowed.RUNS_CODE, "InputSpec"}
    assert not keras_allowed.LAYERS & set(keras_allowed.RUNS_CODE)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.h5")
    assert "not a file" in str(refused(tmp_path / "m.h5"))
    assert "not a file" in str(refused(Path(os.devnull)))
