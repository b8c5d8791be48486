"""What is refused as code of the user before anything is imported, and what a missing class is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from eeaug.backbone import custom_objects
from eeaug.errors import InputError
from eeaug.settings import Settings


@pytest.mark.parametrize(
    ("given", "content", "message"),
    [
        ("my_layers.py", None, "--custom-objects my_layers.py: no such file$"),
        ("my_layer.py", "my_layers.py", "no such file; did you mean 'my_layers.py'"),
        ("./folder", "folder/a.py", "a directory; give a file of Python, or a module as package.module"),
        ("broken.py", "def f(:\n", "--custom-objects broken.py, line 1: invalid syntax"),
        ("late.py", "a = 1\nb = (\n", "late.py, line 2: "),
        ("nothing.py", b"\x00\x01", "nothing.py"),
        ("my layers", None, "neither a file (my_layers.py) nor a module (package.module)"),
        ("a.1b", None, "neither a file"),
    ],
)
def test_what_is_no_code_is_refused(
    given: str, content: str | bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, str) and content.endswith(".py"):
        Path(content).parent.mkdir(exist_ok=True)
        Path(content).touch()
    elif content is not None:
        Path(given).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")) as caught:
        custom_objects.check([given])
    assert "\n" not in str(caught.value)


def test_modules_and_files_are_looked_at_without_being_run(tmp_path: Path) -> None:
    file = tmp_path / "stops.py"
    file.write_text("raise SystemExit('it was run')\n")
    custom_objects.check([str(file), "package.module", "module"])
    assert not custom_objects.has_any() and custom_objects.files() == []
    assert custom_objects.missing("mine>Scale") == "; --custom-objects FILE names the code that has it"


def test_the_manifest_has_names_of_files_without_their_folders() -> None:
    made = Settings.of(
        model=Path("m.h5"), hardware="psoc6", cache=Path(), custom_objects=("code/my_layers.py", "a.b")
    )
    assert made.as_dict(3)["custom_objects"] == ["my_layers.py", "a.b"]
    assert "custom_objects" not in Settings.of(model=Path("m.h5"), hardware="psoc6", cache=Path()).as_dict(3)
