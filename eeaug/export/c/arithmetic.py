"""The numbers of a cascade in C: float32, or int8 with decisions in integers (c_int8.decisions)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eeaug.cascade.output import Decision
from eeaug.export.c import decisions
from eeaug.export.c.text import literal

__all__ = ["FLOAT", "Arithmetic"]


@dataclass(frozen=True)
class Arithmetic:
    """What samples, probabilities and hand-overs are made of, and how they are decided on.

    Parameters
    ----------
    type, bytes : of a number in C
    share : the type of what is decided by, that ``hear`` and ``shares`` give
    every : every answer is made shares of before it is decided on; else those alone that hear others
    weight_type, weight : of what earlier answers count
    threshold_type, threshold : of confidences that leave; a threshold of None is never reached
    decisions : C for sure, confidence, predicted, and hear where it is asked for
    words : of the templates, by name
    """

    type: str
    bytes: int
    share: str
    every: bool
    weight_type: str
    weight: Callable[[float], str]
    threshold_type: str
    threshold: Callable[[float | None], str]
    decisions: Callable[[Decision, bool], str]
    words: Mapping[str, str]

    def sent(self, numbers: int) -> int:
        """Bytes of a struct of a word and so many numbers."""
        return 4 + -(-self.bytes * numbers // 4) * 4


def _threshold(value: float | None) -> str:
    return "INFINITY" if value is None else literal(value)


def _decisions(decision: Decision, hears: bool) -> str:
    parts: Sequence[str] = (decisions.sure(decision), decisions.confidence(decision), decisions.predicted(decision))
    return "\n\n".join([*parts, *([decisions.hear(decision)] if hears else [])])


FLOAT = Arithmetic(
    "float", 4, "float", False, "float", literal, "float", _threshold, _decisions,
    {
        "number": "float",
        "numbers": "floats",
        "arithmetic": "float32",
        "confidence_type": "float",
        "confidence_unit": "",
        "confidence_printed": "(double)result.confidence",
        "system": "\n".join(f"#include <{name}.h>" for name in ("float", "limits", "math", "stddef", "string")),
        "number_asserted": (
            "ASSERTED(floats_of_ieee_754, sizeof(float) == 4 && FLT_RADIX == 2 && FLT_MANT_DIG == 24 "
            "&& FLT_MAX_EXP == 128);"
        ),
        "input_declared": "",
        "input_defined": "",
        "runtime": "ONNX Runtime",
        "taken": "sample",
        "quantised": "",
        "quantise": "",
        "carried": "",
        "make_copies": "",
        "cmake_copies": "",
    },
)  # fmt: skip
