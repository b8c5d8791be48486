"""Data and text files that are made to do harm: refused in a line, before memory is taken for them."""

from __future__ import annotations

import io
import os
import resource
import struct
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eeaug import data, hardware
from eeaug.data import images, labels, sound
from eeaug.data.preprocessing import read_sidecar
from eeaug.errors import InputError
from eeaug.network import measurements
from eeaug.support import npy_file, places, zip_file

GIB = 1 << 30


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Two gigabytes more than this process has: what takes more has not asked how large it is."""
    if not Path("/proc/self/statm").exists():
        yield
        return
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * GIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refused(path: Path, words: str = "", **options: Any) -> str:
    before = sorted(p for p in path.parent.rglob("*"))
    with pytest.raises(InputError, match=words) as error:
        data.load(str(path), path.parent / "m.h5", cache=path.parent / "cache" / "data", **options)
    assert "\n" not in str(error.value)
    left = [p for p in path.parent.rglob("*") if p not in before and not p.is_dir()]
    assert not left, left
    return str(error.value)


def npy(descr: str, shape: object, body: bytes = b"", text: str | None = None) -> bytes:
    head = (text or f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}").encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


HEADERS = [
    npy("<f4", (10**9, 1000)), npy("<f4", (2**62, 2**62)), npy("<f4", (-1, 4), b"\0" * 16), npy("<f4", (4, 4)),
    npy("|O", (4, 4), b"\x80\x04N."), npy("<f4", (10**18, 0)), npy("|S0", (10**12,)), npy("<U100000000", (100,)),
    npy("<f4", "('a', 2)"), npy("<f4", "(1.5, 2)"), npy("<f4", "[" * 5000), npy("<zz", (2, 2)),
    npy("", "", text="__import__('os').system('true')"), npy("", "", text="{" * 60_000),
    npy("<f4", (2, 2), b"\0" * 15), npy("<f4", "(" + "9" * 6000 + ",)"), npy("<f4", (1,) * 40, b"\0" * 4),
    b"\x93NUMPY\x07\x00", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", b"PK", b"", npy("(1000000,)<f4", (100,)),
]  # fmt: skip


@pytest.mark.parametrize("content", HEADERS, ids=range(len(HEADERS)))
def test_headers_that_lie(tmp_path: Path, content: bytes) -> None:
    message = refused(npz(tmp_path / "d.npz", x_train=content), "d.npz: the array x_train")
    assert len(message) < 300 + len(str(tmp_path))
    (tmp_path / "mean.npy").write_bytes(content)
    (tmp_path / "m.data.yaml").write_text("{source: d.npz, preprocessing: {mean: mean.npy}}")
    with pytest.raises(InputError, match=r"preprocessing.mean: .*mean\.npy"):
        read_sidecar(tmp_path / "m.data.yaml")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, 160))
def test_damaged_headers_are_refused_or_right(tmp_path: Path, more: bytes, at: int) -> None:
    stream = io.BytesIO()
    np.save(stream, np.arange(6, dtype=np.float32).reshape(2, 3))
    content = bytearray(stream.getvalue())
    content[at : at + len(more)] = more
    file = tmp_path / "a.npy"
    file.write_bytes(content)
    try:
        assert npy_file.load(file, 1 << 20).nbytes <= len(content)
    except InputError as error:
        assert "\n" not in str(error)


def test_members_that_unpack_to_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x_train.npy", "w") as member:
        member.write(npy("|u1", (400, 1 << 20)))
        for _ in range(400):
            member.write(b"\0" * (1 << 20))
    refused(path, r"unpacks to 419,4.* 100 times its size.*numpy.savez")
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive, pytest.warns(UserWarning):
        for _ in range(2):
            archive.writestr("x_train.npy", npy("<f4", (1, 1), b"\0" * 4))
    refused(tmp_path / "twice.npz", "two members are called 'x_train.npy'")


def test_a_list_of_a_million_members_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    list_bytes = 50_000_000
    end = struct.pack("<4s4H2LH", zip_file.END, 0, 0, 1, 1, list_bytes, 0, 0)
    path.write_bytes(end)
    refused(path, "its list of members has 50,000,000 bytes")
    # with 64 bits for the length, which the short one then does not say
    end_64 = struct.pack("<4sQ2H2L4Q", zip_file.END_64, 44, 45, 45, 0, 0, 1, 1, list_bytes, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    end = struct.pack("<4s4H2LH", zip_file.END, 0, 0, 1, 1, 0xFFFFFFFF, 0, 0)
    path.write_bytes(end_64 + locator + end)
    refused(path, "its list of members has 50,000,000 bytes")
    path.write_bytes(bytes(100) + end)
    refused(path, "its list of members has no length|not a .npz file")


def test_labels_and_names_that_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="200,000 names"):
        labels.class_names("d", np.zeros(200_000, "<U1"))
    with pytest.raises(InputError, match="at most 100,000 of 4,000"):
        labels.class_names("d", np.zeros(2, "<U2000"))
    monkeypatch.setattr("eeaug.data.reading.MOST_LABEL_BYTES", 8)
    np.savez(tmp_path / "d.npz", x_train=np.ones((4, 2)), y_train=np.array([0, 1, 0, 1]))
    with pytest.raises(InputError, match="y_train takes 32 bytes"):
        data.load(str(tmp_path / "d.npz"), tmp_path / "m.h5", cache=tmp_path / "cache" / "data")


# -- what is no file, and folders without end ---------------------------------------------------------


def test_nothing_waits_for_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "d.npz")
    refused(tmp_path / "d.npz", "is a pipe, not a file")
    os.mkfifo(tmp_path / "d.data.yaml")
    refused(tmp_path / "d.data.yaml", "is a pipe that nobody writes to")
    for folder in ("cat", "dog"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        (tmp_path / "set" / folder / "a.png").write_bytes(b"\x89PNG")
    os.mkfifo(tmp_path / "set" / "cat" / "b.png")
    refused(tmp_path / "set", "b.png: is a pipe, not a file")
    (tmp_path / "set" / "cat" / "b.png").unlink()
    (tmp_path / "set" / "cat" / "b.png").symlink_to("/dev/zero")
    refused(tmp_path / "set", "b.png: is a device, not a file")
    os.mkfifo(tmp_path / "runs.csv")
    for path, words in ((tmp_path / "runs.csv", "is a pipe"), (Path("/dev/zero"), "is a device")):
        with pytest.raises(InputError, match=words):
            measurements.read(path, hardware.read("psoc6"))


def test_a_pipe_that_somebody_writes_to_is_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"name: x")
    os.close(writer)
    assert places.read(Path(f"/dev/fd/{reader}")) == b"name: x"
    os.close(reader)


def test_a_pipe_that_brings_nothing_or_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PIPE_S", 0.01)
    reader, writer = os.pipe()
    with pytest.raises(InputError, match="nothing came through"):
        places.read(Path(f"/dev/fd/{reader}"))
    os.write(writer, b"x" * 100)
    with pytest.raises(InputError, match="too large: more, at most 10 bytes"):
        places.read(Path(f"/dev/fd/{reader}"), 10)
    os.close(reader)
    os.close(writer)


def test_folders_that_lead_into_themselves_and_those_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set" / "cat").mkdir(parents=True)
    (tmp_path / "set" / "cat" / "again").symlink_to("..")
    (tmp_path / "set" / "up").symlink_to("..")
    refused(tmp_path / "set", "holds no image")
    monkeypatch.setattr("eeaug.data.folders.MOST_FILES", 3)
    for i in range(5):
        (tmp_path / "set" / "cat" / f"{i}.png").write_bytes(b"")
    refused(tmp_path / "set", "holds more than 3 files")


# -- pictures and sounds ------------------------------------------------------------------------------


def picture(kind: str, width: int, height: int) -> bytes:
    if kind == "png":
        return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0"
    if kind == "jpeg":
        return b"\xff\xd8\xff\xe0\x00\x04ab" + b"\xff\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width)
    if kind == "bmp":
        return b"BM" + b"\0" * 12 + struct.pack("<Iii", 40, width, -height)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 9, 9, 0) + b"\x02\x01a\x00"
    return b"GIF89a" + struct.pack("<HHB", width, height, 0x80) + b"\0\0" + b"\0" * 6 + frame * 3 + b";"


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "gif"])
def test_pictures_say_how_large_they_are(kind: str) -> None:
    images.check("a", picture(kind, 640, 480))
    with pytest.raises(InputError, match="60,000 × 50,000 pixels"):
        images.check("a", picture(kind, 60_000, 50_000))


def test_an_animation_is_as_large_as_its_frames() -> None:
    with pytest.raises(InputError, match="8,000 × 4,000 pixels, 3 times"):
        images.check("a", picture("gif", 8_000, 4_000))


@given(st.sampled_from(["png", "jpeg", "bmp", "gif"]), st.integers(0, 60), st.binary(max_size=60))
def test_damaged_pictures_are_for_the_decoder(kind: str, at: int, more: bytes) -> None:
    content = picture(kind, 64, 48)
    for changed in (content[:at], content[:at] + more, content[:at] + more + content[at:]):
        try:
            images.check("a", changed)
        except InputError as error:
            assert "pixels" in str(error)


@pytest.mark.parametrize("frames", [2**30, 2**31 - 1, 2**32 - 1])
def test_wavs_that_say_they_are_longer(tmp_path: Path, frames: int) -> None:
    file = tmp_path / "a.wav"
    with wave.open(str(file), "wb") as opened:
        opened.setparams((1, 2, 16_000, 0, "NONE", ""))
        opened.writeframes(b"\0\1" * 100)
    content = bytearray(file.read_bytes())
    content[40:44] = struct.pack("<I", frames)
    content[4:8] = struct.pack("<I", frames)
    file.write_bytes(content)
    try:
        assert sound._read(file)[1].shape == (100, 1)
    except InputError as error:
        assert "a.wav" in str(error)


@given(st.integers(0, 60), st.binary(min_size=1, max_size=30))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_wavs(tmp_path: Path, at: int, more: bytes) -> None:
    file = tmp_path / "a.wav"
    with wave.open(str(file), "wb") as opened:
        opened.setparams((1, 2, 16_000, 0, "NONE", ""))
        opened.writeframes(b"\0\1" * 20)
    content = bytearray(file.read_bytes())
    content[at : at + len(more)] = more
    file.write_bytes(content)
    try:
        sound._read(file)
    except InputError as error:
        assert "a.wav" in str(error)


# -- YAML ---------------------------------------------------------------------------------------------

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60))
YAML = {
    "laughs": (LAUGHS, "aliases and lists make far more than 10\\^12 values"),
    "merges": (MERGES, "aliases and lists make far more than 10\\^12 values"),
    "itself": ("&a [*a]", "must be a mapping"),
    "merge of itself": ("a: &a {<<: *a}", "."),
    "deep": ("[" * 20_000, "nested too deeply"),
    "deep mappings": ("{a: " * 20_000, "nested too deeply"),
    "digits": (f"processors: {'9' * 6000}", "a whole number of thousands of digits"),
    "hex digits": (f"name: 0x{'f' * 6000}", "mistakes|unknown key|no such"),
    "hex key": (f"? 0x{'f' * 6000}\n: 1", "a whole number of more than 60 digits"),
    "tag": ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
    "binary": ("a: !!binary =", "."),
    "date": ("a: 2024-13-01", "not valid YAML"),
    "key": ("? [a]\n: 1", "not valid YAML"),
    "large": ("#" * (1 << 19), "is too large: 524,288 bytes, at most 262,144 bytes are read"),
    "no UTF-8": (b"\xff\xfe\xfd", "not a YAML text file"),
    "NUL": (b"a: \0", "not a YAML text file"),
    "escape": ('"a\\x1b]0;x\\x07": 1', "unknown|no such"),
    "float": (f"exclusive: 1e{'9' * 400}", "."),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml(tmp_path: Path, name: str) -> None:
    content, words = YAML[name]
    file = tmp_path / "f.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (lambda: hardware.read(str(file)), lambda: read_sidecar(file), lambda: config(file)):
        with pytest.raises(InputError, match=words) as error:
            read()
        assert len(str(error.value)) < 15_000


def config(file: Path) -> None:
    from eeaug.cli.augment import augment
    from eeaug.cli.config import read

    read(file, augment)


def test_twenty_mistakes_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("".join(f"key{i}: {i}\n" for i in range(10_000)))
    for read, more in ((lambda: hardware.read(str(file)), 0), (lambda: config(file), 0)):
        with pytest.raises(InputError) as error:
            read()
        assert more <= len(error.value.lines) == 21
        assert error.value.lines[-1].startswith("and ") and error.value.lines[-1].endswith(" more")
        assert len(str(error.value)) < 6_000


def test_csv(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    for content, words in (
        (b"latency_s,conv\n" + b"x,y\n" * 5_000, "5,000 mistakes"),
        (b"latency_s\n" + b"1" * (1 << 25), "is too large"),
        (b"latency_s\n\xff", "no CSV text in UTF-8"),
        (b"latency_s,conv\n1\0,2", "."),
        (b"latency_s\n" + b'"' + b"x" * 200_000, "no CSV text"),
        (",".join(f"c{i}" for i in range(5_000)).encode(), "mistakes"),
    ):
        file.write_bytes(content)
        with pytest.raises(InputError, match=words) as error:
            measurements.read(file, hardware.read("psoc6"))
        assert len(str(error.value)) < 9_000
