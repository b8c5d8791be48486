"""Layers, activations and models from code that the user names; nothing that a model file says leads to code.

A model file only has names, ``my_package>MyLayer`` or ``MyLayer``; what they mean is in the files that the user has
named (``--custom-objects``) and nowhere else: a module that the model file names is not looked at. Keras keeps such
objects for the whole process, and so does this module.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from eeaug.backbone.keras2_config import Item, items
from eeaug.errors import InputError
from eeaug.hardware import KINDS
from eeaug.support import places
from eeaug.support.printable import one_line, quoted
from eeaug.support.spelling import nearest

__all__ = [
    "bind", "check", "failure", "files", "files_run", "has_any", "is_of_user", "kind", "load", "macs", "missing",
    "names_in", "plainly", "run_again",
]  # fmt: skip

MOST_BYTES = 1 << 24  # of a file of code
SHORT = 160  # characters of a message that stands as it is; of a longer one its first sentence does
OPTION = "--custom-objects"
_NOT_OF_USER = ("keras", "tensorflow", "tf_keras", "numpy", "builtins", "functools", "eeaug")
_TABLES = ("custom_objects", "CUSTOM_OBJECTS")  # a mapping of this name in a file is one of objects by their name

_objects: dict[str, Any] = {}  # by name, with and without the package that Keras registers it under
_run: dict[Path, CodeType] = {}  # files as they were run
_files: dict[Path, tuple[str, str]] = {}  # what was loaded → its name for people, and its SHA-256


def check(given: Sequence[str]) -> None:
    """Refuse what cannot be code, before anything is imported.

    Raises
    ------
    InputError : no such file, none of Python, or a name that no module can have
    """
    for one in given:
        if _is_file(one):
            _parsed(Path(one))
        elif not all(part.isidentifier() for part in one.split(".")):
            raise InputError(f"{OPTION} {one}: neither a file (my_layers.py) nor a module (package.module)")


def load(given: Sequence[str]) -> None:
    """Run the files or import the modules, and let Keras know what they define; each once in a process.

    Raises
    ------
    InputError : as :func:`check`; or the code fails: its file, line and message
    """
    if not given:
        return
    check(given)
    import keras

    for one in given:
        known, before = dict(keras.saving.get_custom_objects()), set(sys.modules)
        module = _from_file(Path(one)) if _is_file(one) else _imported(one)
        if module is None:
            continue
        registered = {
            name: value for name, value in keras.saving.get_custom_objects().items() if known.get(name) is not value
        }
        objects = {**_defined(module), **registered}
        for name, value in objects.items():
            if any(base.__module__.split(".")[0] == "tf_keras" for base in getattr(value, "__mro__", ())):
                raise InputError(
                    f"{OPTION} {one}: {name} is a class of tf_keras, which is Keras 2: let it import keras, "
                    "or tensorflow.keras, which are Keras 3"
                )
        _objects.update({name.rpartition(">")[2]: value for name, value in objects.items()} | objects)
        keras.saving.get_custom_objects().update(objects)
        _remember(module, set(sys.modules) - before)


def has_any() -> bool:
    """Whether code has been loaded."""
    return bool(_files)


def files() -> list[dict[str, str]]:
    """Name and SHA-256 of every file that was loaded, those that it imports from beside it too."""
    return [{"name": name, "sha256": sha256} for name, sha256 in sorted(_files.values())]


def files_run() -> list[Path]:
    """The files that were named and loaded as files."""
    return list(_run)


def run_again(path: Path) -> dict[str, Any]:
    """The classes and functions of a file that :func:`files_run` has, made anew; nothing keeps them."""
    from unittest import mock  # here: it takes a while, and few have code of their own

    module = ModuleType(path.stem)
    module.__file__ = str(path)
    with _on_path(path.parent), mock.patch.dict(sys.modules, {module.__name__: module}):
        exec(_run[path], module.__dict__)
    return _defined(module)


def bind(config: Item) -> None:
    """Let Keras find what a configuration names, under the very names that it has there; changes it in place."""
    import keras

    wanted: dict[str, Any] = {}
    for item in items(config):
        inner = item.get("config")
        built_in = item.get("registered_name", "") is None  # as Keras 3 stores its own
        name = inner if item["class_name"] == "function" else item.get("registered_name") or item["class_name"]
        value = None if built_in or not isinstance(name, str) else _found(name)
        if value is not None:
            wanted[str(name)] = value
            if item.get("module") not in (None, "builtins"):
                item["module"] = None
        parts: dict[str, Any] = inner if isinstance(inner, dict) else {}
        for key, text in parts.items():
            if key.endswith("activation") and isinstance(text, str) and (function := _found(text)) is not None:
                wanted[text] = function
                parts[key] = {
                    "module": "builtins", "class_name": "function", "config": text, "registered_name": "function",
                }  # fmt: skip
    keras.saving.get_custom_objects().update(wanted)


def missing(name: str) -> str:
    """What would help where a model file names a class or function that Keras has not."""
    if not _files:
        return f"; {OPTION} FILE names the code that has it"
    listed = ", ".join(sorted(name for name, _ in _files.values()))
    short = name.rpartition(">")[2]
    plain = [known for known in _objects if ">" not in known]
    return f"; {listed} has no {short if short.isidentifier() else quoted(short)}{nearest(short, plain)}"


def is_of_user(value: Any) -> bool:
    """Whether an object, or its class, is neither of Keras nor of TensorFlow."""
    module = getattr(value if isinstance(value, FunctionType) else type(value), "__module__", "") or ""
    return value is not None and module.split(".")[0] not in _NOT_OF_USER


def kind(layer: Any) -> str:
    """Name of its class; with the module for one of the user, as it may be called like one of Keras."""
    of = type(layer)
    return f"{of.__module__}.{of.__name__}" if is_of_user(layer) else str(of.__name__)


def names_in(model: Any) -> list[str]:
    """Names of the user's classes and functions that compute a Keras model."""
    layers = list(model._flatten_layers())
    values = [*layers, *(getattr(layer, "activation", None) for layer in layers)]
    return sorted({getattr(v, "__name__", type(v).__name__) for v in values if is_of_user(v)})


def macs(
    layer: Any, input_shapes: Sequence[tuple[int, ...]], output_shapes: Sequence[tuple[int, ...]]
) -> dict[str, int] | None:
    """What the layer's own ``macs(input_shapes, output_shapes)`` gives, by operation type; None: it has none.

    Shapes are without the batch. It gives a whole number, which counts as dense, or numbers by hardware.KINDS.

    Raises
    ------
    InputError : it fails, or gives something else
    """
    function = getattr(layer, "macs", None)
    if not is_of_user(layer) or not callable(function):
        return None
    try:
        given = function(list(input_shapes), list(output_shapes))
    except Exception as error:  # whatever the user's code raises is the user's to see, in one line
        raise InputError(f"layer {layer.name!r}: {failure(error) or plainly(error)}") from error
    numbers = given if isinstance(given, Mapping) else {"dense": given}
    for name, number in numbers.items():
        whole = isinstance(number, int) and not isinstance(number, bool)
        if name not in KINDS or not whole or number < 0:
            raise InputError(
                f"layer {layer.name!r}: {type(layer).__name__}.macs gives {quoted(given)}, must give a "
                f"whole number of at least 0, or such numbers by {', '.join(KINDS)}"
            )
    return {name: number for name, number in numbers.items() if number}


def failure(error: BaseException) -> str | None:
    """``my_layers.py, line 12: NameError: ...`` where an error comes from the user's code, or None."""
    named = {str(path): name for path, (name, _) in _files.items()}
    one: BaseException | None = error
    while one is not None:
        at = [frame for frame in traceback.extract_tb(one.__traceback__) if frame.filename in named]
        if at:
            return f"{named[at[-1].filename]}, line {at[-1].lineno}: {plainly(one)}"
        one = one.__cause__ or one.__context__
    return None


# -- the files ----------------------------------------------------------------------------------------


def _is_file(given: str) -> bool:
    return given.endswith(".py") or os.sep in given or Path(given).is_file()


def _parsed(path: Path) -> tuple[bytes, ast.Module]:
    if not path.exists():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{OPTION} {path}: no such file{nearest(path.name, beside)}")
    if path.is_dir():
        raise InputError(f"{OPTION} {path}: a directory; give a file of Python, or a module as package.module")
    source = places.read(path, MOST_BYTES)
    try:
        return source, ast.parse(source, str(path))
    except SyntaxError as error:
        raise InputError(f"{OPTION} {path}, line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{OPTION} {path}: no file of Python: {one_line(str(error))}") from error


def _from_file(path: Path) -> ModuleType | None:
    """The module that a file makes, run from the bytes that were looked at; None: it is there already."""
    place = path.resolve()
    if place in _files:
        return None
    source, tree = _parsed(path)
    name = place.stem
    if getattr(sys.modules.get(name), "__file__", None) == str(place):  # of the caller, who has imported it
        _files[place] = (path.name, hashlib.sha256(source).hexdigest())
        return sys.modules[name]
    while name in sys.modules:
        name += "_"
    module = ModuleType(name)
    module.__file__ = str(place)
    _files[place] = (path.name, hashlib.sha256(source).hexdigest())
    sys.modules[name] = module
    with _on_path(place.parent), _explained(str(path), place, name):
        code = compile(tree, str(place), "exec")
        exec(code, module.__dict__)
    _run[place] = code
    return module


def _imported(name: str) -> ModuleType:
    with _on_path(Path.cwd()), _explained(name, None, None):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise InputError(
                f"{OPTION} {name}: no module {error.name} (looked for from {Path.cwd()} "
                "and in the installed packages)"
            ) from error
    return module


@contextmanager
def _explained(given: str, place: Path | None, name: str | None) -> Iterator[None]:
    """What the code raises is one line, and leaves nothing behind."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        inside = [frame for frame in frames if place is not None and frame.filename == str(place)]
        at = f", line {inside[-1].lineno}" if inside else ""
        if place is not None:
            _files.pop(place, None)
            sys.modules.pop(str(name), None)
        hint = "; give it as package.module" if "no known parent package" in str(error) else ""
        raise InputError(f"{OPTION} {given}{at}: {plainly(error)}{hint}") from error


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """Modules beside the code are found while it is loaded; nothing is written there."""
    unwritten, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = unwritten


def _remember(module: ModuleType, new: set[str]) -> None:
    """The files of a module, and of those beside it or below that it has imported."""
    file = getattr(module, "__file__", None)
    if file is None:
        return
    folder = Path(file).resolve().parent
    for one in (module, *(sys.modules[name] for name in new if name in sys.modules)):
        place = Path(getattr(one, "__file__", None) or "").resolve()
        if place not in _files and place.suffix == ".py" and place.is_relative_to(folder):
            _files[place] = (
                place.relative_to(folder).as_posix(), hashlib.sha256(place.read_bytes()).hexdigest()
            )  # fmt: skip


def _defined(module: ModuleType) -> dict[str, Any]:
    """Classes and functions of a module that are none of Keras, by the names that they have there."""
    objects = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type | FunctionType)
        and not name.startswith("__")
        and value.__module__.split(".")[0] not in _NOT_OF_USER
    }
    for table in _TABLES:
        named = vars(module).get(table)
        if isinstance(named, Mapping):
            objects |= {str(name): value for name, value in named.items() if callable(value)}
    return objects


def _found(name: str) -> Any:
    return _objects.get(name, _objects.get(name.rpartition(">")[2]))


def plainly(error: BaseException) -> str:
    """Kind and message of an error of the user's code, or of Keras while it runs that, on one line."""
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error)).rsplit("Exception encountered:", 1)[-1]
    text = re.sub(r"^\s*Exception encountered when calling \S+\s*", "", text).split("Arguments received by")[0]
    text = text if len(text) <= SHORT else text.split(". ")[0]
    return f"{type(error).__name__}: {one_line(text, 200)}" if text.strip() else type(error).__name__
