"""The layers of a stage's C source, as ``export/c`` and ``export/c_int8`` write it: a line of its function each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from eeaug.errors import ConversionError

__all__ = ["TimedLayer", "layers", "with_hooks"]

COPY = "(void)memcpy("
CALL = re.compile(r"(?P<function>\w+)\((?:&(?P<record>\w+))?")
WHOLE = re.compile(r"-?\d+")
DIMENSIONS = re.compile(r"\{(\d+), (\d+), (\d+), (\d+)\}")  # of CMSIS-NN: number, height, width, channels


@dataclass(frozen=True)
class TimedLayer:
    """One call: its kernel; where it has MACs their type (hardware.KINDS) and number, and the elements it gives."""

    kernel: str
    kind: str | None = None
    macs: int = 0
    elements: int = 0


def layers(text: str, prefix: str, k: int) -> list[TimedLayer]:
    """The layers of stage ``k`` in the order in which they run.

    Raises
    ------
    ConversionError : the source is not as eeaug writes it
    """
    _, lines, _ = _parts(text, prefix, k)
    return [_layer(line.strip(), text, prefix) for line in lines if _is_layer(line)]


def with_hooks(text: str, prefix: str, k: int, first: int) -> str:
    """The source with a call behind every layer that names its slot: ``first`` and the numbers that follow."""
    head, lines, end = _parts(text, prefix, k)
    slot, hooked = first, []
    for line in lines:
        hooked.append(line)
        if _is_layer(line):
            hooked.append(f"    measure_layer({slot});")
            slot += 1
    return "".join(f"{line}\n" for line in ('#include "measure.h"', head, *hooked)) + end


def _parts(text: str, prefix: str, k: int) -> tuple[str, Sequence[str], str]:
    """What is above the statements of the stage's function, these, and what is below."""
    begin = text.find(f"\nvoid {prefix}_stage_{k}(")
    opened = text.find("\n{\n", begin)
    closed = text.find("\n}\n", opened)
    if min(begin, opened, closed) < 0:
        raise ConversionError(f"{prefix}_stage_{k}.c has no function {prefix}_stage_{k} as eeaug writes it")
    return text[: opened + 2], text[opened + 3 : closed].split("\n"), text[closed + 1 :]


def _is_layer(line: str) -> bool:
    """Whether a line calls something: ``(void)name;`` and comments do not."""
    return line.endswith(");") and "(" in line and not line.lstrip().startswith("/*")


def _layer(line: str, text: str, prefix: str) -> TimedLayer:
    if line.startswith(COPY):
        return TimedLayer("copy")
    call = CALL.match(line)
    assert call is not None
    kernel = call["function"].removeprefix(f"{prefix}_op_")
    record = None if call["record"] is None else re.search(rf"\b{call['record']} = (\{{.*\}});$", text, re.M)
    if record is None:
        return TimedLayer(kernel)
    shapes = [[int(n) for n in sizes] for sizes in DIMENSIONS.findall(record[1])[:3]]
    numbers = [int(n) for n in WHOLE.findall(re.sub(r"[A-Za-z_]\w*", "", record[1]))]
    if kernel == "connect":
        rows, columns, channels = numbers[:3]
        return TimedLayer(kernel, "dense", rows * columns * channels, rows * channels)
    if not kernel.startswith(("conv", "depthwise")):
        return TimedLayer(kernel)
    groups = 1
    if len(shapes) == 3:  # int8: input, window, output
        sizes = [*shapes[0][1:], *shapes[2][1:], *shapes[1][1:3]]
    else:  # floats: one struct for all windows
        sizes, groups = numbers[:8], numbers[14]
    if kernel.startswith("depthwise"):
        groups = sizes[2]
    return _window(kernel, sizes, groups)


def _window(kernel: str, sizes: Sequence[int], groups: int) -> TimedLayer:
    """Sizes: height, width, channels of input and output, height and width of the window."""
    channels, output, window = sizes[2], sizes[3:6], sizes[6:8]
    if kernel.startswith("depthwise") or groups == channels > 1:
        kind = "depthwise"
    elif {*sizes[:2], *output[:2], *window} == {1}:
        kind = "dense"
    else:
        kind = "pointwise" if prod(window) == 1 else "conv"
    return TimedLayer(kernel, kind, prod(output) * prod(window) * (channels // groups), prod(output))
