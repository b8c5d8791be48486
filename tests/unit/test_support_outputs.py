"""Files that results go to: what is never overwritten, what is written into, and what an error leaves."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eeaug.cli.main import group
from eeaug.errors import InputError
from eeaug.support import outputs
from eeaug.support.outputs import Output

MANIFEST = json.dumps({"schema_version": 1, "tool": {"eeaug": "0"}, "files": {"report.json": "0" * 64}})


def a_bundle(folder: Path, manifest: str = MANIFEST) -> Path:
    (folder / "stages").mkdir(parents=True)
    (folder / "report.json").write_text("{}")
    (folder / "manifest.json").write_text(manifest)
    return folder


def here_is(*names: str) -> bool:
    return sorted(path.name for path in Path().iterdir()) == sorted(names)


def refused(output: Output, words: str) -> None:
    """In one line, and nothing is written by a write that comes without a check."""
    for act in (output.check, lambda: output.write(b"new")):
        with pytest.raises(InputError, match=words) as caught:
            act()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_file_and_one_that_is_replaced() -> None:
    Output(Path("new.txt")).write(b"1")
    refused(Output(Path("new.txt")), r"^-o new\.txt exists; --force replaces it, -o FILE names another")
    assert Path("new.txt").read_bytes() == b"1"
    Output(Path("new.txt"), force=True).write(b"2")
    assert Path("new.txt").read_bytes() == b"2" and here_is("new.txt")


def test_a_file_that_appeared_meanwhile_stays() -> None:
    output = Output(Path("x"))
    output.check()
    Path("x").write_bytes(b"theirs")
    refused(output, "exists")
    assert Path("x").read_bytes() == b"theirs"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder", "is a directory"),
        ("to-folder", "is a directory"),
        ("no/where", "the directory no does not exist"),
        ("file/below", "the directory file does not exist"),
        ("dangling", "is a link to nothing, which does not exist"),
        ("loop", "is a link to loop"),
        ("x" * 300, "name too long"),
        ("made/report.json", "lies in the bundle .*made"),
        ("made/new.html", "lies in the bundle"),
        ("made/stages/0/new.html", "lies in the bundle"),
        ("into-bundle", "lies in the bundle"),
        ("linked/new.html", "lies in the bundle"),
        ("damaged/new.html", "lies in the bundle"),
        ("newer/manifest.json", "lies in the bundle"),
    ],
)
def test_places_that_are_never_taken(name: str, words: str, force: bool) -> None:
    Path("folder").mkdir()
    Path("file").write_text("")
    a_bundle(Path("made"))
    (Path("made") / "stages" / "0").mkdir()
    a_bundle(Path("damaged"), "{")
    a_bundle(Path("newer"), MANIFEST.replace("1", "2", 1))
    links = {"to-folder": "folder", "dangling": "nothing", "loop": "loop", "into-bundle": "made/report.json"}
    for link, target in {**links, "linked": "made"}.items():
        Path(link).symlink_to(target)
    before = sorted(Path().rglob("*"))
    with pytest.raises(InputError, match=f"(?i){words}") as caught:
        Output(Path(name), force).check()
    assert "\n" not in str(caught.value)
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("name", ["model.h5", "./a/../model.h5", "link", "hard", "saved/weights"])
def test_what_is_read_is_never_replaced(name: str) -> None:
    Path("a").mkdir()
    Path("saved").mkdir()
    for file in ("model.h5", "saved/weights"):
        Path(file).write_bytes(b"trained for a week")
    Path("link").symlink_to("model.h5")
    os.link("model.h5", "hard")
    inputs = {"the target": "psoc6", "the data": None, "the model": Path("model.h5"), "the other": Path("saved")}
    refused(Output(Path(name), True, inputs), "is the (model|other), which is read: name another file")
    assert {Path(f).read_bytes() for f in ("model.h5", "saved/weights")} == {b"trained for a week"}
    Output(Path("other"), True, inputs).write(b"")


def test_a_directory_that_is_no_bundle_may_have_a_manifest() -> None:
    Path("extension").mkdir()
    Path("extension/manifest.json").write_text('{"manifest_version": 3}')
    Output(Path("extension/x")).write(b"1")


def test_a_link_stays_and_its_target_gets_the_content() -> None:
    Path("real").write_bytes(b"old")
    Path("link").symlink_to("real")
    refused(Output(Path("link")), "exists")
    Output(Path("link"), force=True).write(b"new")
    assert Path("link").is_symlink() and Path("real").read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o751])
def test_the_mode_of_what_is_replaced_stays(mode: int) -> None:
    Path("x").write_bytes(b"old")
    Path("x").chmod(mode)
    Output(Path("x"), force=True).write(b"new")
    assert stat.S_IMODE(Path("x").stat().st_mode) == mode


def test_a_pipe_is_written_into() -> None:
    os.mkfifo("pipe")
    with pytest.raises(OSError, match="nobody reads from it: 'pipe'"):
        Output(Path("pipe")).write(b"x")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()))
    reader.start()
    for _ in range(1000):  # until it has opened its end
        try:
            Output(Path("pipe")).write(b"x" * 100_000)
            break
        except OSError:
            reader.join(0.001)
    reader.join()
    assert got == [b"x" * 100_000] and stat.S_ISFIFO(Path("pipe").lstat().st_mode)


@pytest.mark.parametrize("force", [False, True])
def test_devices_are_written_into(force: bool) -> None:
    Output(Path(os.devnull), force).write(b"x")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
            Output(Path("/dev/full"), force).write(b"x")
        assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout here")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_stdout_by_name_goes_on_where_it_is(name: str) -> None:
    imports = "from pathlib import Path; from eeaug.support.outputs import Output"
    code = f"{imports}; print('a'); Output(Path({name!r})).write(b'b'); print('c')"
    with Path("out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert Path("out").read_text().split() == ["a", "bc"]


def test_an_error_leaves_the_old_file_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x").write_bytes(b"old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outputs.shutil, "copymode", full)
    with pytest.raises(OSError, match="No space left on device: 'x'"):
        Output(Path("x"), force=True).write(b"new")
    assert Path("x").read_bytes() == b"old" and here_is("x")


def test_what_a_killed_run_left_goes_and_that_of_a_live_one_stays(gone: int) -> None:
    left = [Path(f".x.partial-{number}") for number in (gone, os.getppid(), 1)]
    others = [Path(".x.partial-"), Path(f".xx.partial-{gone}"), Path(f"x.partial-{gone}")]
    for path in (*left, *others):
        path.write_bytes(b"")
    Output(Path("x")).write(b"1")
    assert not left[0].exists() and all(path.exists() for path in (*left[1:], *others))


# -- the commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("augment", "", "--hw", "psoc6"),
        ("augment", "m.h5", "--hw", "psoc6", "--cache-dir", ""),
        ("augment", "m.h5", "--hw", "psoc6", "-o", ""),
        ("augment", "m.h5", "--hw", "psoc6", "-o", " "),
        ("augment", "m.h5", "--hw", "psoc6", "--config", ""),
        ("augment", "m.h5", "--hw", "psoc6", "--data", ""),
        ("augment", "m.h5", "--hw", ""),
        ("retarget", "", "-o", "x"),
        ("retarget", "x", "-o", ""),
        ("inspect", ""),
        ("inspect", "m.h5", "-o", ""),
        ("inspect", "m.h5", "--hw", " "),
        ("report", ""),
        ("report", "x", "-o", ""),
        ("check", "", "--max-flash", "1"),
        ("check", "x", "--max-flash", "1", "--junit", ""),
        ("evaluate", "", "--data", "x"),
        ("evaluate", "x", "--data", "x.npz", "--cache-dir", ""),
        ("hw", "show", ""),
        ("hw", "check", ""),
        ("hw", "fit", "", "--measured", "x.csv"),
        ("hw", "fit", "psoc6", "--measured", ""),
        ("hw", "fit", "psoc6", "--measured", "x.csv", "-o", ""),
        ("cache", "show", "--cache-dir", ""),
        ("cache", "clear", "--cache-dir", ""),
    ],
)
def test_empty_places_are_refused_in_one_line(
    arguments: tuple[str, ...], said: Callable[..., tuple[int, str]]
) -> None:
    Path("m.h5").write_bytes(b"")
    Path("m.npz").write_bytes(b"")
    code, text = said(*arguments)
    assert code == 2 and text.startswith("error: ") and text.count("\n") == 1 and len(text) < 300
    assert "empty" in text, text
    assert here_is("m.h5", "m.npz")


def test_an_empty_cache_variable_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the current directory: scripts set it to an empty text where there is nothing to say."""
    from eeaug.settings import default_cache

    monkeypatch.setenv("XDG_CACHE_HOME", "elsewhere")
    monkeypatch.setenv("EEAUG_CACHE_DIR", "")
    assert default_cache() == Path("elsewhere/eeaug")
    monkeypatch.setenv("EEAUG_CACHE_DIR", " ")
    with pytest.raises(InputError, match="EEAUG_CACHE_DIR is blank"):
        default_cache()


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    from eeaug.cli.main import run

    def said(*arguments: str) -> tuple[int, str]:
        code = run([*arguments])
        out, err = capfd.readouterr()
        assert out == ""
        return code, err

    return said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect", "model.h5", "-o", "model.h5"), "is the model"),
        (("inspect", "model.h5", "--hw", "board.yaml", "-o", "board.yaml"), "is the hardware description"),
        (("inspect", "model.h5", "-o", "made/manifest.json"), "lies in the bundle"),
        (("hw", "fit", "board.yaml", "--measured", "runs.csv", "-o", "board.yaml"), "is the hardware description"),
        (("hw", "fit", "board.yaml", "--measured", "runs.csv", "-o", "runs.csv"), "is the file of measurements"),
        (("hw", "fit", "board.yaml", "--measured", "runs.csv", "-o", "made/report.json"), "lies in the bundle"),
        (("report", "made", "-o", "made/report.json"), "lies in the bundle"),
        (("report", "made", "-o", "made/new.md"), "lies in the bundle"),
        (("check", "made", "--max-flash", "1", "--junit", "made/report.json"), "lies in the bundle"),
    ],
)
def test_commands_refuse_it_before_they_read(arguments: tuple[str, ...], words: str) -> None:
    a_bundle(Path("made"))
    Path("model.h5").write_bytes(b"trained for a week")
    Path("runs.csv").write_bytes(b"measured for a week")
    CliRunner().invoke(group, ["hw", "show", "psoc6"])
    from eeaug import hardware

    Path("board.yaml").write_text(hardware.dump(hardware.read("psoc6")))
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    for force in ([], ["--force"]):
        done = CliRunner().invoke(group, [*arguments, *force])
        assert isinstance(done.exception, InputError) and words in str(done.exception), done.exception
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
