"""Bad inputs, made by kind: what a user, a broken disk or an attacker could hand to the command.

Each kind is a hypothesis strategy that writes files below a folder and gives a :class:`Bad`: the arguments of
``eeaug`` and what may come of them. Everything is derived from good inputs by one change, so that the change, and
not another mistake, is what must be noticed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click
import yaml
from bad_files import data, files, manifest, models, report
from bad_parts import CONTROLS, LONG, Bad, Kind, Place, changed, copied, text
from hypothesis import strategies as st

from eeaug.cli.main import group

# -- options -------------------------------------------------------------------------------------------

REAL = ("nan", "inf", "-1", "", " ", "abc", "1e400", "1%%", "1..2", "--", "1,5", "0x", "-0.5", "1 2", "7 parsecs")
WHOLE = ("-1", "1.5", "abc", "", "9" * 30, LONG, "nan", "1e3", "0x10", "-99999999999999999999")
WORD = ("", "maccs", "MACS!", "none,", "a b", CONTROLS, "x" * 3_000, "../..", "0")
FILE = ("", "nowhere/at/all", "x" * 300, "a/" * 3_000, "/dev/null/x", CONTROLS, "nul\0byte", "\udcff\udcfe.x")


def _values(option: click.Parameter) -> tuple[str, ...]:
    kind = option.type
    if isinstance(kind, click.IntRange) or kind is click.INT:
        return WHOLE
    if isinstance(kind, click.Path):
        return FILE
    if isinstance(kind, click.Choice):
        return WORD
    return REAL if kind.name in ("float range", "float") or isinstance(kind, click.FloatRange) else WORD


def options(draw: Any, place: Place) -> Bad:
    """One option of a command with a value of a wrong kind, or an option that does not exist."""
    lines = {
        "augment": [str(place.model), "--hw", "psoc6", "--data", str(place.data), "--dry-run"],
        "retarget": [str(place.bundle), "-o", str(place.folder / "out")],
        "check": [str(place.bundle), "--max-accuracy-drop", "0.19"],
        "report": [str(place.bundle)],
        "evaluate": [str(place.bundle), "--data", str(place.data)],
    }
    name = draw(st.sampled_from(sorted(lines)))
    line = [name, *lines[name]]
    if draw(st.integers(0, 9)) == 0:
        flag = draw(st.sampled_from(["--max-latnecy", "--hww", "--x", "-Z", "--max_latency", "--" + "a" * 500]))
        return Bad([*line, flag, "1"], f"{name} {flag}")
    known = group.get_command(click.Context(group), name)
    assert known is not None
    usable = [p for p in known.params if isinstance(p, click.Option) and not p.is_flag and p.type.name != "text"]
    option = draw(st.sampled_from(sorted(usable, key=lambda p: str(p.name))))
    value = draw(st.sampled_from(_values(option)))
    flag = next(o for o in option.opts if o.startswith("--") or len(o) == 2)
    # names, groups and files that only matter later are no certain mistake
    certain = isinstance(option.type, (click.Choice, click.IntRange)) or "range" in option.type.name
    return Bad([*line, flag, value], f"{name} {flag} {value[:40]!r}", certain=certain)


# -- documents -----------------------------------------------------------------------------------------


def hardware(draw: Any, place: Place) -> Bad:
    """A hardware description with one mistake."""
    import eeaug.hardware_profiles as profiles

    good = Path(str(profiles.__file__)).parent.joinpath("psoc6.yaml").read_bytes()
    path = place.folder / "board.yaml"
    if draw(st.integers(0, 2)) == 0:
        content, what = text(draw, good)
        laughs = b"a: &a [x]\n" + b"".join(
            b"%c: &%c [%s]\n" % (97 + i, 97 + i, b", ".join([b"*%c" % (96 + i)] * 9)) for i in range(1, 12)
        )
        merges = b"a: &a {x: 1}\n" + b"".join(
            b"b%d: &b%d {<<: [%s]}\n" % (i, i, b", ".join([b"*a" if i == 0 else b"*b%d" % (i - 1)] * 9))
            for i in range(14)
        )
        many = b"".join(b"key_%d: 1\n" % i for i in range(100_000))
        extra = {"laughs": laughs, "merges": merges, "100,000 keys": many, "tag": b"!!python/object:os.system {}\n"}
        name = draw(st.sampled_from(["as it is", *extra]))
        content, what = (content, what) if name == "as it is" else (extra[name], name)
        certain = what != "cut"
    else:
        document, what = changed(draw, yaml.safe_load(good))
        content, certain = yaml.safe_dump(document).encode(), False
    path.write_bytes(content)
    return Bad(["hw", "check", str(path)], f"board.yaml {what}", certain, lines=True)


def configuration(draw: Any, place: Place) -> Bad:
    """A file of options that cannot be."""
    good = {"hw": "psoc6", "max-latency": 2.5, "format": ["tflite"], "data": str(place.data)}
    path = place.folder / "run.yaml"
    if draw(st.booleans()):
        content, what = text(draw, yaml.safe_dump(good).encode())
    else:
        document, what = changed(draw, good)
        content = yaml.safe_dump(document).encode()
    path.write_bytes(content)
    arguments = ["augment", str(place.folder / "missing.h5"), "--config", str(path)]  # never gets as far as a run
    return Bad(arguments, f"run.yaml {what}", lines=True)


# -- places --------------------------------------------------------------------------------------------


def places(draw: Any, place: Place) -> Bad:
    """Where something is to be written that must not, or cannot, be."""
    folder = place.folder / "here"
    folder.mkdir()
    bundle = copied(place)
    (folder / "thesis.txt").write_text("mine")
    (folder / "manifest.json").write_text('{"name": "a browser extension"}')
    (bundle / "notes.txt").write_text("mine")
    (place.folder / "loop").symlink_to(place.folder / "loop")
    (place.folder / "dangling").symlink_to(place.folder / "nowhere" / "at all")
    file = place.folder / "file.txt"
    file.write_text("mine")
    model = Path(shutil.copy(place.model, bundle / "model.h5"))
    line = ["augment", str(model), "--data", str(place.data), "--hw", "psoc6", "--force", "-o"]
    directory = draw(
        st.sampled_from([
            "", str(folder), str(bundle), str(file), "/", "/proc", "/dev/null", str(place.folder / "loop"),
            str(place.folder / "dangling"), str(place.folder / "a" / "b"), "x" * 300, str(place.folder / "nul\0"),
            ".", str(file / "below"),
        ])
    )  # fmt: skip
    target = draw(
        st.sampled_from([
            "", str(folder), str(bundle / "manifest.json"), str(bundle / "report.json"),
            str(place.folder / "loop"), str(place.folder / "dangling"), str(place.folder / "a" / "b.html"),
            "x" * 300, str(file / "below"),
        ])
    )  # fmt: skip
    which = draw(st.sampled_from(["augment", "report", "junit", "cache", "retarget"]))
    if which == "augment":
        return Bad([*line, directory], f"augment -o {directory[-30:]!r}")
    if which == "retarget":
        return Bad(["retarget", str(place.bundle), "--force", "-o", directory], f"retarget -o {directory[-30:]!r}")
    if which == "cache":
        line = [
            "augment",
            str(place.model),
            "--data",
            str(place.data),
            "--hw",
            "psoc6",
            "-o",
            str(place.folder / "o"),
        ]
        cache = draw(st.sampled_from(["", str(file), str(file / "below"), "/proc/nowhere", "x" * 300]))
        return Bad([*line, "--cache-dir", cache], f"--cache-dir {cache[-30:]!r}")
    if which == "junit":
        line = ["check", str(place.bundle), "--max-accuracy-drop", "0.19", "--junit"]
        target = draw(st.sampled_from([target, str(file)]))
        return Bad([*line, target], f"--junit {target[-30:]!r}")
    return Bad(
        ["report", str(place.bundle), "--format", "html", "--force", "-o", target], f"report -o {target[-30:]!r}"
    )


KINDS: dict[str, tuple[Kind, int]] = {
    "options": (options, 120),
    "hardware": (hardware, 100),
    "configuration": (configuration, 50),
    "manifest": (manifest, 120),
    "report": (report, 60),
    "files": (files, 60),
    "data": (data, 60),
    "models": (models, 80),
    "places": (places, 80),
}  # fmt: skip
