"""label-these.csv: written, filled in as people do it, read; and everything that may be wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eeaug.cascade.output import Decision
from eeaug.data import label_sheet
from eeaug.data.label_sheet import Names, ToLabel
from eeaug.errors import InputError

BUNDLE, SAMPLES = "a" * 64, "b" * 64
NAMES = Names(Decision("softmax", 3), ("cat", 'the "dog", wet', "Katze ä"))
ROWS = (ToLabel(7, 1, 0.25, 0, 1), ToLabel(2, 1, 0.25, 2, 0), ToLabel(40, 3, 0.5, 1, 2))


def sheet(path: Path, *changes: tuple[str, str]) -> Path:
    text = label_sheet.written(ROWS, NAMES, BUNDLE, "x_test", SAMPLES).decode()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, names: Names = NAMES, **changes: str) -> dict[int, int]:
    origin = {"bundle": BUNDLE, "part": "x_test", "samples": SAMPLES, **changes}
    known, labels = label_sheet.read(path, names, **origin, count=50)
    return {int(i): int(labels[i]) for i in np.flatnonzero(known)}


def filled(path: Path, *labels: str) -> Path:
    """With these labels as the last cell of the rows, as a spreadsheet writes them."""
    lines = sheet(path).read_text(encoding="utf-8").splitlines()
    rows = [line + label for line, label in zip(lines[2:], labels, strict=False)]
    path.write_text("\n".join([*lines[:2], *rows, *lines[2 + len(rows) :]]) + "\n", encoding="utf-8")
    return path


def fails(path: Path, *words: str, names: Names = NAMES, **changes: str) -> None:
    with pytest.raises(InputError) as caught:
        read(path, names, **changes)
    said = str(caught.value)
    assert said.startswith(str(path)) and "\n" not in said and all(word in said for word in words), said


def test_what_is_written(tmp_path: Path) -> None:
    assert sheet(tmp_path / "l.csv").read_text(encoding="utf-8") == (
        f"# eeaug certify: bundle {BUNDLE}, x_test {SAMPLES}\n"
        "index,step,leave,cascade,model,label\n"
        '7,1,0.2500,cat,"the ""dog"", wet",\n'
        "2,1,0.2500,Katze ä,cat,\n"
        '40,3,0.5000,"the ""dog"", wet",Katze ä,\n'
    )


def test_labels_come_back_by_name(tmp_path: Path) -> None:
    path = filled(tmp_path / "l.csv", '"the ""dog"", wet"', "", "Katze ä")
    assert read(path) == {7: 1, 40: 2}
    assert read(filled(path, " cat ")) == {7: 0}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_as_spreadsheets_write_it(tmp_path: Path, separator: str) -> None:
    """Windows' line ends and mark, other separators, a first line padded or quoted, empty lines, another order."""
    path = tmp_path / "l.csv"
    head = f"# eeaug certify: bundle {BUNDLE}, x_test {SAMPLES}"
    first = f'"{head}"' + separator * 3 if separator == "," else head + separator * 3
    lines = [
        first,
        separator.join(("label", "index", "mine")),
        separator.join(("Katze ä", "40", "?")),
        separator * 2,
    ]
    lines += ["", separator.join(("cat", "3", ""))]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert read(path) == {40: 2, 3: 0}


def test_several_labels_at_once(tmp_path: Path) -> None:
    names = Names(Decision("multilabel", 3), ("a", "b", "c"))
    assert [names.of(code) for code in (0, 1, 5)] == ["(none)", "a", "a|c"]
    assert [names.code(text) for text in ("(none)", "a", "c | a")] == [0, 1, 5]
    binary = Names(Decision("binary", 2), ("no", "yes"))
    assert (binary.of(1), binary.code("no")) == ("yes", 0)
    with pytest.raises(InputError, match="'d' is no class"):
        names.code("a|d")


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path / "l.csv", "cat")
    fails(path, "another bundle", "aaaa", bundle="c" * 64)
    fails(path, "other samples", samples="c" * 64)
    fails(path, "other samples", "x_test", "x_val", part="x_val")
    fails(sheet(path, (f"# eeaug certify: bundle {BUNDLE}, x_test {SAMPLES}\n", "")), "line 1", "keep the line")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("\n7,1,", "\n50,1,", ("line 3", "index 50", "50 samples")),
        ("\n7,1,", "\n-7,1,", ("line 3", "-7", "whole number")),
        ("\n7,1,", "\nseven,1,", ("line 3", "'seven'", "whole number")),
        ("\n2,1,", "\n7,1,", ("line 4", "sample 7", "line 3")),
        ('wet",\n2', 'wet",cot\n2', ("line 3", "'cot'", "did you mean 'cat'")),
        ('wet",\n2', 'wet",xyzzy\n2', ("line 3", "'xyzzy'", "it has cat, ")),
        ("cat,\n", "cat\n", ("line 4", "5 columns")),
        ("index,step", "number,step", ("line 2", "columns index, step", "number,step")),
        ("label\n", "class\n", ("line 2", "columns")),
        ("\n2,1,", "\n2,1,", ("no sample has a label",)),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(tmp_path: Path, before: str, after: str, words: tuple[str, ...]) -> None:
    fails(sheet(tmp_path / "l.csv", (before, after)), *words)


def test_no_text_at_all(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    fails(path, "cannot be read")
    path.write_bytes(b"")
    fails(path, "is empty")
    path.write_bytes(b"\xff\xfe\x00")
    fails(path, "not UTF-8")
    path.write_text(f"# eeaug certify: bundle {BUNDLE}, x_test {SAMPLES}\nindex,label\n0,{'x' * 200_000}\n")
    fails(path, "line 3", "field larger")
