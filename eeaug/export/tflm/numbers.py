"""Numbers in C++: how samples become int8, and how a stage takes what it is handed."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from eeaug.bundle.entries import Int8Stage, StageEntry
from eeaug.export import feeds
from eeaug.export.int8 import int8_rows

__all__ = ["float_text", "int8_of", "sample", "taken"]


def int8_of(entry: StageEntry) -> Int8Stage:
    """What the manifest says of its int8 file, which is there where anything is for TFLM."""
    assert entry.int8 is not None
    return entry.int8


def float_text(value: float) -> str:
    text = f"{value:.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def sample(stages: Sequence[StageEntry]) -> str:
    """How a sample becomes int8."""
    row, takes = stages[0].row, int8_rows.scales(stages)
    size = f"constexpr int kInputSize = {prod(stages[0].input_shape)};\n"
    if not row.several:
        (only,) = takes.values()
        return f"""\
// The input, prepared as in training, is given as int8: QuantisedInput(x) of every value.
{size}inline int8_t QuantisedInput(float x) {{
  return eeaug::Quantised(x, {float_text(only.scale)}, {only.zero_point});
}}
"""
    lines = []
    for name, count in zip(row.names, row.sizes, strict=True):
        made = f"eeaug::Quantised(x, {float_text(takes[name].scale)}, {takes[name].zero_point})"
        last = name == row.names[-1]
        lines.append(f"  return {made};" if last else f"  if (place < {row.offsets[name] + count}) return {made};")
    inner = "\n".join(lines)
    return f"""\
// The inputs one after the other, prepared as in training: {feeds.listed(row)}.
// They are given as int8: QuantisedInput(x, place) of every value and its place in all of them.
{size}inline int8_t QuantisedInput(float x, int place) {{
{inner}
}}
"""


def taken(entry: StageEntry, source: str, size: int, place: int) -> list[str]:
    """How what is handed over comes to where the stage reads it."""
    comes = int8_of(entry).requantised_from
    if comes is None:
        return [f"memcpy(stage.input({place})->data.int8, {source}, {size});"]
    takes = int8_of(entry).inputs[entry.input_name]
    real = f"({source}[i] - {comes.zero_point}) * {float_text(comes.scale)}"
    quantised = f"eeaug::Quantised({real}, {float_text(takes.scale)}, {takes.zero_point})"
    return [f"for (int i = 0; i < {size}; ++i) stage.input({place})->data.int8[i] = {quantised};"]
