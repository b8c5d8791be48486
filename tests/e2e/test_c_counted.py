"""Instructions of the written C files: in the report, as QEMU counts them of the same files, limits by them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, Run, environment
from tools import needs_arm, needs_qemu

from eeaug import hardware
from eeaug.bundle.directory import read_manifest
from eeaug.bundle.entries import Manifest
from eeaug.export.c import emulated, linked, toolchain
from eeaug.export.c.text import filled
from eeaug.export.c_int8 import files
from eeaug.export.formats import Work

pytestmark = pytest.mark.e2e

WITH_C = (*AUGMENT, "--mapping", "one-each", "--format", "c-int8", "--c-prefix", "net", "--json")
PLAIN = """
#include <string.h>
#include "net.h"
@{ticks}
static net_result result;
static net_to_cm4f to_cm4f;
static const int8_t sample[NET_INPUT] = {@{sample}};
int main(void)
{
    begin();
    (void)net_cm0p(sample, NET_DEFAULT, &result, &to_cm4f);
    eeaug_tick(0);
    to_cm4f.build = NET_BUILD;
    last = now();
    (void)net_cm4f(&to_cm4f, NET_DEFAULT, &result);
    eeaug_tick(1);
    print();
    return 0;
}
"""


@dataclass(frozen=True)
class Made:
    path: Path
    report: Mapping[str, Any]

    @property
    def entries(self) -> list[dict[str, Any]]:
        return list(self.report["int8"]["c"]["processors"])


@pytest.fixture(scope="module")
def made(work: Path, run: Run) -> Made:
    done = run(*WITH_C, "-o", "counted", cwd=work)
    assert done.code == 0, done.stderr
    return Made(work / "counted", json.loads(done.stdout))


def again(made: Made, place: Path, counts: Path) -> dict[str, Any]:
    """What the files of the bundle take."""
    manifest = Manifest.from_dict(read_manifest(made.path))
    x = np.load(made.path / "search" / "samples.npz")["x"]
    work = Work(
        made.path, manifest, None, (), hardware.read("psoc6"), x, 1, None, "cm4f", counts  # type: ignore[arg-type]
    )  # fmt: skip
    assert manifest.c_int8 is not None
    place.mkdir()
    return linked.figures(work, manifest.c_int8, made.path / "c-int8", place, files._given(work), "int8_t")


@needs_arm
@needs_qemu
def test_the_report_has_what_qemu_counts_of_the_same_files(made: Made, tmp_path: Path) -> None:
    x = np.load(made.path / "search" / "samples.npz")["x"]
    takes = Manifest.from_dict(read_manifest(made.path)).stages[0].int8
    assert takes is not None
    (quantisation,) = takes.inputs.values()
    sample = ",".join(map(str, quantisation.quantised(x[:1]).ravel().tolist()))
    program = PLAIN.replace("@{ticks}", filled("ticks.h", slots=2)).replace("@{sample}", sample)
    for i, entry in enumerate(made.entries):
        place, folder = tmp_path / str(i), made.path / "c-int8"
        place.mkdir()
        (place / "plain.c").write_text(program, encoding="utf-8")
        every = [place / "plain.c", *toolchain.sources(folder)]
        objects = toolchain.compiled(toolchain.ARM, every, folder, entry["cpu"], place)
        alone = emulated.instructions(emulated.run(toolchain.ARM, entry["cpu"], objects, place), entry["cpu"], 2)[i]
        (row,) = entry["counted"]
        parts = [row[key] for key in ("instructions", "head_instructions", "decision_instructions")]
        assert sum(parts) == pytest.approx(alone, rel=0.02)
        assert all(part > 0 for part in parts[: 2 - i])
    ways = made.report["int8"]["c"]["paths"]
    assert [way["exit"] for way in ways] == [made.report["design"]["exits"][0]["location"], None]
    whole = sum(row[key] for entry in made.entries for row in entry["counted"] for key in row if key != "stage")
    assert ways[1]["instructions"] == whole


@needs_arm
@needs_qemu
def test_times_are_instructions_over_the_clock(made: Made) -> None:
    report, block = made.report, made.report["int8"]["c"]
    assert report["hardware"]["basis"] == report["design"]["measured"]["basis"] == "counted"
    mine = {row["processor"]: row["per_instruction"] / row["clock_hz"] for row in block["cycles"]}
    link, expected = 4e8, []  # of psoc6; it says nothing of wake-ups
    for k, entry in enumerate(block["processors"]):
        received = block["processors"][k - 1]["handover_bytes"] / link if k else 0.0
        (row,) = entry["counted"]
        instructions = sum(value for key, value in row.items() if key != "stage")
        expected.append(received + instructions * mine[entry["processor"]])
    assert [s["latency_s"] for s in report["design"]["segments"]] == pytest.approx(expected)
    measured = report["design"]["measured"]
    assert measured["worst_latency_s"] == pytest.approx(sum(expected))
    rates = report["int8"]["measured"]["leave_rates"]  # it is the int8 cascade that the files run
    assert measured["mean_latency_s"] == pytest.approx(expected[0] + rates[1] * expected[1])
    given = report["baseline"]["measured"]["mean_latency_s"]
    arrives = np.prod(report["model"]["input_shape"]) / link  # in int8, at the other core
    assert given == pytest.approx(arrives + block["baseline"]["instructions"] * mine["cm4f"])
    # a slow small core, on which most of the work is: said first of all
    mean = report["int8"]["measured"]["mean_latency_s"]
    assert (mean > given) == report["design"]["summary"].startswith("This design is slower")


@needs_arm
@needs_qemu
def test_what_was_counted_is_not_counted_again(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = again(made, tmp_path / "first", tmp_path / "counts")
    assert first["processors"] == made.entries
    with monkeypatch.context() as patched:
        patched.setattr(emulated, "run", None)
        patched.setattr(toolchain, "compiled", None)
        assert again(made, tmp_path / "second", tmp_path / "counts") == first
    kept = sorted((tmp_path / "counts").iterdir())
    assert len(kept) == 3, "two processors, and the given model"
    kept[0].write_bytes(kept[0].read_bytes().replace(b"[", b"[9", 1))
    assert again(made, tmp_path / "third", tmp_path / "counts") == first


def test_files_that_do_not_fit_are_not_written(work: Path, run: Run) -> None:
    small = work / "small.yaml"
    text = hardware.dump(hardware.read("psoc6"))
    small.write_text(text.replace("bytes: 1048576", "bytes: 70000"), encoding="utf-8")
    line = [word for word in WITH_C if word not in ("--hw", "psoc6")]
    done = run(*line, "--hw", small, "-o", "small", cwd=work)
    assert done.code == 3 and not (work / "small").exists()
    facts = json.loads(done.stdout)
    assert (facts["limit"], facts["given"]) == ("memory:sram", 70_000)
    assert facts["best"] > 70_000
    assert re.search(r"the c-int8 files need [\d,]+ bytes of memory 'sram'", facts["error"])
    assert "a memory of" in facts["error"]


def test_without_the_cross_tools_kernels_that_were_counted_before_serve(
    made: Made, work: Path, run: Run, tmp_path: Path
) -> None:
    for name in ("cc", "gcc", "as", "ld", "sh"):
        if (found := shutil.which(name)) is not None:
            (tmp_path / name).symlink_to(found)
    assert environment()["PATH"]
    done = run(*WITH_C, "-o", "bare", cwd=work, env={"PATH": str(tmp_path)})
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["hardware"]["basis"] == report["design"]["measured"]["basis"] == "counted kernels"
    assert report["hardware"]["by_rates"] == {"cm0p": None, "cm4f": None}
    for entry in report["int8"]["c"]["processors"]:
        assert entry["counted"] is None and "arm-none-eabi-gcc" in entry["not_counted"]
    page = run("report", "bare", cwd=work).stdout
    said = " ".join(page.split())
    assert "instructions of the int8 C kernels, counted by shape and core" in said
    assert "the files were not counted: arm-none-eabi-gcc" in said
    if made.report["hardware"]["basis"] == "counted":  # the same design, as QEMU counts its files
        pairs = zip(report["design"]["segments"], made.report["design"]["segments"], strict=True)
        for estimated, counted in pairs:
            assert estimated["latency_s"] == pytest.approx(counted["latency_s"], rel=0.1)
