"""Programs around <prefix>_watch.h: a stream of outcomes, and samples on this machine or on a board."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.cascade import alarm
from eeaug.export.c import toolchain

__all__ = [
    "carried", "check_quiet_then_alarmed", "check_stream", "on_board", "samples_program", "stream_program",
]  # fmt: skip

_STREAM = """
#include <stdio.h>
#include "kws_watch.h"
static kws_watch watch;
int main(void)
{
    const kws_result result = {0, 0, 0};
    for (int c = getchar(); c != EOF; c = getchar()) {
        const kws_point point = (kws_point)(c >> 1);
        kws_watch_cm0p(&watch, point, c & 1 ? KWS_DECIDED : KWS_GOES_ON, &result);
        kws_watch_cm0p(&watch, point, KWS_NO_POINTER, &result);
        printf("%d", (int)kws_status(&watch));
        for (int k = 0; k < (int)(sizeof watch.evidence[0] / sizeof watch.evidence[0][0]); ++k) {
            printf(" %ld", (long)watch.evidence[0][k]);
        }
        printf("\\n");
    }
    printf("%lu %lu %d %d", (unsigned long)watch.reached[0], (unsigned long)watch.left[0],
           kws_advised(&watch, KWS_FRUGAL), KWS_CAREFUL);
    return 0;
}
"""
_STREAM_CPP = """
#include <cstdio>
#include "kws_watch.h"
static kws::Watch watch;
int main() {
  const kws::Answer answer = {};
  for (int c = getchar(); c != EOF; c = getchar()) {
    const kws::Point point = static_cast<kws::Point>(c >> 1);
    kws::cm0p::Count(&watch, point, c & 1 ? kws::Status::kLeft : kws::Status::kGoesOn, answer);
    kws::cm0p::Count(&watch, point, kws::Status::kFailed, answer);
    kws::cm0p::Count(&watch, static_cast<kws::Point>(kws::kPoints), kws::Status::kGoesOn, answer);
    printf("%d", watch.shifted ? 1 : 0);
    for (int32_t evidence : watch.evidence[0]) printf(" %ld", static_cast<long>(evidence));
    printf("\\n");
  }
  printf("%lu %lu %d %d", static_cast<unsigned long>(watch.reached[0]), static_cast<unsigned long>(watch.left[0]),
         static_cast<int>(kws::Advised(watch, kws::kFrugal)), static_cast<int>(kws::kCareful));
}
"""
_SAMPLES = """
#include <stdio.h>
#include "kws.h"
#include "kws_watch.h"
#include "samples.h"
static @number changed[KWS_INPUT];
static kws_to_cm4f to;
static kws_outcome outcomes[1 + @shifts][SAMPLES];
static kws_watch watch;
static uint32_t drawn = 1u;
static void count(const kws_outcome *kind)
{
    const kws_result result = {0, 0, 0};
    drawn = drawn * 1664525u + 1013904223u;
    kws_watch_cm0p(&watch, KWS_DEFAULT, kind[(drawn >> 8) % SAMPLES], &result);
}
int main(void)
{
    kws_result result;
    kws_watch quiet;
    for (int i = 0; i < SAMPLES; ++i) {
        const @number *x = samples[i];
        outcomes[0][i] = kws_cm0p(x, KWS_DEFAULT, &result, &to);
@changes
    }
    for (long i = 0; i < 20000; ++i) {
        count(outcomes[0]);
    }
    quiet = watch;
    printf("%d", (int)kws_status(&watch));
    for (int shift = 1; shift <= @shifts; ++shift) {
        long delay = 0;
        watch = quiet;
        while (kws_status(&watch) == KWS_STEADY && delay < 10000) {
            count(outcomes[shift]);
            ++delay;
        }
        printf(" %ld", delay);
    }
    printf("\\n");
    return 0;
}
"""
_CHANGE = """\
        for (int k = 0; k < KWS_INPUT; ++k) {
            changed[k] = @value;
        }
        outcomes[@shift][i] = kws_cm0p(changed, KWS_DEFAULT, &result, &to);"""


def stream_program(prefix: str, *, cpp: bool = False) -> str:
    """What it prints for outcomes on its standard input is looked at by :func:`check_stream`."""
    return _for(prefix, _STREAM_CPP if cpp else _STREAM)


def check_stream(program: Path, reference: dict[str, Any], points: Sequence[str]) -> None:
    """The watch counts and bets as Python does, over a stream that changes in the middle and has all points."""
    made = alarm.of_reference(reference, points, 1)
    rates = {p["name"]: p["exits"][0]["leave_rate"] for p in reference["points"]}
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(points), 2000)
    expected = np.array([rates[points[i]] for i in chosen])
    leaves = rng.random(2000) < np.where(np.arange(2000) < 1000, expected, expected / 4)
    stream = bytes((chosen * 2 + leaves).astype(np.uint8).tolist())
    lines = subprocess.run([program], input=stream, capture_output=True, check=True).stdout.decode().splitlines()
    evidence = np.zeros(alarm.BETS, np.int64)
    shifted = 0
    for t, (point, left) in enumerate(zip(chosen, leaves, strict=True), start=1):
        evidence = np.maximum(evidence, alarm.floor_of(t)) + made.steps[point, 0, :, int(left)]
        shifted |= int((evidence >= made.limit).any())
        evidence = np.minimum(evidence, made.limit)
        assert [int(word) for word in lines[t - 1].split()] == [shifted, *evidence]
        assert t != 1000 or not shifted
    assert shifted
    careful = str(points.index("careful"))
    assert lines[-1].split() == ["2000", str(int(leaves.sum())), careful, careful]


def samples_program(prefix: str, number: str, shifts: Sequence[str]) -> str:
    """Usual samples, then changed ones; a shift is C for number k of the changed sample x, of type ``number``."""
    changes = [_CHANGE.replace("@value", c).replace("@shift", str(i)) for i, c in enumerate(shifts, start=1)]
    text = _SAMPLES.replace("@changes", "\n".join(changes)).replace("@number", number)
    return _for(prefix, text.replace("@shifts", str(len(shifts))))


def check_quiet_then_alarmed(printed: str, most: int) -> None:
    """20,000 samples of the usual kind are quiet; each shift is seen within so many samples."""
    quiet, *delays = map(int, printed.split())
    assert not quiet
    assert delays and all(delay < most for delay in delays), delays


def on_board(
    folder: Path, place: Path, program: str, cpu: str, machine: str, *, floats: bool, script: str = "mps2.ld"
) -> str:
    """What a program of the C files in ``folder`` prints in QEMU, built in ``place``."""
    (place / "main.c").write_text(program, encoding="utf-8")
    target = [f"-mcpu={cpu}", "-mthumb", *(["-mfloat-abi=hard"] if floats else [])]
    target += ["--specs=rdimon.specs", "-nostartfiles", "-Wl,--gc-sections", "-T", str(folder / "mps2" / script)]
    files = [folder / "mps2" / "startup.c", folder / "test" / "samples.c", place / "main.c"]
    section = '-DSAMPLES_SECTION=__attribute__((section(".samples")))'
    line = [toolchain.ARM, "-O2", "-std=c99", "-ffunction-sections", "-fdata-sections", section, *target]
    line += ["-I", str(folder), "-I", str(folder / "test"), *carried(folder), "-o", "alarm.elf"]
    line += map(str, (*files, *sorted(folder.glob("*.c"))))
    subprocess.run([*line, "-lm"], cwd=place, check=True, capture_output=True)
    board = ["qemu-system-arm", "-M", machine, "-nographic", "-semihosting", "-kernel", "alarm.elf"]
    return subprocess.run(board, cwd=place, capture_output=True, text=True, check=True).stdout


def carried(folder: Path) -> list[str]:
    """Options for headers of others that lie below the C files."""
    return [f"-I{path}" for path in sorted(folder.glob("third_party/*/Include"))]


def _for(prefix: str, program: str) -> str:
    return program.replace("kws", prefix).replace("KWS", prefix.upper())
