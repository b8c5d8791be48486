"""The project that times a bundle: whole in its folder, or not there at all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eeaug.cli import hw_measure
from eeaug.support.outputs import Output

FILES = {"main.c": b"one", "qemu/startup.c": b"two"}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from eeaug.export.measure import python_file

    monkeypatch.setattr(python_file, "project", lambda bundle, kind: FILES)
    return SimpleNamespace(directory=tmp_path / "bundle")


def there(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("empty", [False, True])
def test_an_empty_place_is_filled_at_once_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Any, empty: bool
) -> None:
    desk, write = tmp_path / "desk", Output.write
    desk.mkdir()
    if empty:
        (desk / "out").mkdir()
    before = list(desk.iterdir())

    def full(output: Output, content: bytes) -> None:
        if content == b"two":
            raise OSError("no room")
        write(output, content)

    with monkeypatch.context() as patched:
        patched.setattr(Output, "write", full)
        with pytest.raises(OSError, match="no room"):
            hw_measure._write(bundle, "onnx", desk / "out", force=False)
    assert list(desk.iterdir()) == before and there(desk) == {}
    written, _ = hw_measure._write(bundle, "onnx", desk / "out", force=False)
    assert written == list(FILES)
    assert there(desk / "out") == FILES and [p.name for p in desk.iterdir()] == ["out"]


def test_other_files_of_a_place_stay(tmp_path: Path, bundle: Any) -> None:
    (tmp_path / "mine.c").write_bytes(b"mine")
    hw_measure._write(bundle, "onnx", tmp_path, force=True)
    assert there(tmp_path) == {**FILES, "mine.c": b"mine"}
