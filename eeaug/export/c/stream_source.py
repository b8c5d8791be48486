"""Decisions that remember the samples before, in C: eeaug.streams once more, with its state in a struct.

A program pushes a stream's samples one after the other: the processors' ``..._push`` functions do what the others
do, and decide with the state. It lies where all of them reach it; a stream has one, whatever runs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from eeaug.export.c.arithmetic import Arithmetic
from eeaug.export.c.text import literal
from eeaug.streams.rules import NOTHING, Rule, StateField

__all__ = ["declared", "defined"]

_TYPES = {"int16": "int16_t", "uint16": "uint16_t", "uint8": "uint8_t"}

_SURE = """\
    const int sure = exit == @{PREFIX}_STAGES - 1 || result->confidence >= stream_thresholds[exit];
"""
_CONFIDENCE = """\
    (void)state;
    (void)p;
    return sure ? SURE : STAYS;"""
_DIFFERENCE = """\
    if (exit > 0) {
        return sure ? SURE : STAYS;
    }
    if (!sure && state->last >= 0 && state->age + 1 < @{most}) {
        @{share} far = 0;
        for (int i = 0; i < OUTPUTS; ++i) {
            const @{share} before = @{kept};
            const @{share} apart = p[i] > before ? p[i] - before : before - p[i];
            far = apart > far ? apart : far;
        }
        if (far <= @{distance}) {
            result->predicted = state->last;
            return REMEMBERED;
        }
    }
    for (int i = 0; i < OUTPUTS; ++i) {
        state->reference[i] = @{keeps};
    }
    return sure ? SURE : STAYS;"""
_PATIENCE = """\
    static const @{threshold_type} lower[] = {@{lower}};
    (void)p;
    if (exit < @{PREFIX}_STAGES - 1) {
        const int again = state->said[exit] == (int16_t)result->predicted && state->times[exit] > 0;
        state->times[exit] = (uint8_t)(!again ? 1 : state->times[exit] < 255 ? state->times[exit] + 1 : 255);
        state->said[exit] = (int16_t)result->predicted;
        if (!sure && state->times[exit] >= @{times} && state->age + 1 < @{most}
            && result->confidence >= lower[exit]) {
            return REMEMBERED;
        }
    }
    return sure ? SURE : STAYS;"""
_AGED = """\
    if (how == REMEMBERED) {
        ++state->age;
    } else {
        state->age = 0;@{last}
    }
"""
_LAST = """
        state->last = (int16_t)result->predicted;"""
_DEBOUNCED = """\
    {
        int often = 1;
        for (int i = @{window} - 1; i > 0; --i) {
            state->history[i] = state->history[i - 1];
            often += state->history[i] == (int16_t)result->predicted;
        }
        state->history[0] = (int16_t)result->predicted;
        if (often >= @{wanted} || state->shown < 0) {
            state->shown = (int16_t)result->predicted;
        }
        result->predicted = state->shown;
    }
"""
_STREAM = """\
/* A sample leaves because the exit is sure, or because of samples before. */
enum { STAYS = 0, SURE = 1, REMEMBERED = 2 };

static const @{threshold_type} stream_thresholds[] = {@{thresholds}};

void @{prefix}_stream_reset(@{prefix}_stream *state)
{
@{reset}
}

static int stream_leaves(@{prefix}_stream *state, const @{share} *p, int32_t exit, @{prefix}_result *result)
{
@{sure}@{leaves}
}

static void stream_settled(@{prefix}_stream *state, int how, @{prefix}_result *result)
{
@{settled}}

/* As decided, with what the samples before have left in the state. */
static int stream_decided(@{prefix}_stream *state, const @{share} *p, int32_t exit, @{prefix}_result *result)
{
    int how;
    result->predicted = predicted(p);
    result->exit = exit;
    result->confidence = confidence(p);
    how = stream_leaves(state, p, exit, result);
    if (how != STAYS) {
        stream_settled(state, how, result);
    }
    return how;
}
"""


def _difference(rule: Any, arithmetic: Arithmetic) -> dict[str, object]:
    words = {"distance": literal(rule.distance), "kept": "state->reference[i]", "keeps": "p[i]"}
    if arithmetic.every:  # shares of 1 in 2^-24, which int8 numbers are multiples of
        words = {
            "distance": str(int(rule.distance * (1 << 24))), "kept": "(state->reference[i] + 128) * 65536",
            "keeps": "(int8_t)(p[i] / 65536 - 128)",
        }  # fmt: skip
    return {"leaves": _DIFFERENCE, "most": rule.most, "last": _LAST, **words}


def _patience(rule: Any, arithmetic: Arithmetic) -> dict[str, object]:
    lower = ", ".join(map(arithmetic.threshold, rule.lower))
    return {"leaves": _PATIENCE, "most": rule.most, "times": rule.times, "lower": lower, "last": ""}


def _confidence(rule: Any, arithmetic: Arithmetic) -> dict[str, object]:
    return {"leaves": _CONFIDENCE}


_KINDS: Mapping[str, Callable[[Any, Arithmetic], dict[str, object]]] = {
    "confidence": _confidence,
    "difference": _difference,
    "patience": _patience,
}


def _fields(rule: Rule, exits: int, outputs: int) -> tuple[StateField, ...]:
    return rule.fields(exits, outputs) or (StateField("nothing", "uint8"),)  # C has no empty struct


def declared(rule: Rule, exits: int, outputs: int, prefix: str, arithmetic: Arithmetic) -> str:
    """The struct and its reset, for the header."""
    lines = []
    for field in _fields(rule, exits, outputs):
        kind = arithmetic.type if field.type == "probability" else _TYPES[field.type]
        lines.append(f"    {kind} {field.name}{'' if field.count is None else f'[{field.count}]'};")
    members = "\n".join(lines)
    macro = prefix.upper()
    return f"""\
/* Streams: samples that follow each other. Functions that end in _push, and _push_in, decide with what the samples
 * before have left in the state: one for each stream, where all processors reach it. They say {macro}_REMEMBERED
 * instead of {macro}_DECIDED of a sample that leaves because of those before. Reset the state before the first
 * sample, and after a gap. Points do not matter: a stream has thresholds of its own. */
#define {macro}_REMEMBERED 2

typedef struct {{
{members}
}} {prefix}_stream;

void {prefix}_stream_reset({prefix}_stream *state);
"""


def defined(rule: Any, exits: int, outputs: int, prefix: str, arithmetic: Arithmetic) -> str:
    """What decides, for the source: stream_decided gives STAYS where a sample goes on."""
    inner = rule.of if rule.kind == "debounce" else rule
    parts = _KINDS[inner.kind](inner, arithmetic)
    settled = _AGED if "last" in parts else "    (void)how;\n"
    if rule.kind == "debounce":
        settled += _DEBOUNCED
        parts |= {"wanted": rule.wanted, "window": rule.window}
    elif "last" not in parts:
        settled += "    (void)state;\n"
    settled += "" if "result" in settled or parts.get("last") else "    (void)result;\n"
    reset = []
    for field in _fields(rule, exits, outputs):
        at = f"state->{field.name}"
        byte = 0xFF if field.first == NOTHING else 0  # of two bytes that are all ones: −1
        one = f"{at} = {field.first}"
        reset.append(f"    {one if field.count is None else f'memset({at}, {byte}, sizeof {at})'};")
    words: dict[str, object] = {
        **parts,
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "threshold_type": arithmetic.threshold_type,
        "share": arithmetic.share,
        "thresholds": ", ".join(map(arithmetic.threshold, inner.thresholds)),
        "reset": "\n".join(reset),
    }
    for name, text in (("leaves", str(parts["leaves"])), ("settled", settled), ("sure", _SURE)):
        words[name] = _filled(text, words)
    return _filled(_STREAM, words)


def _filled(text: str, words: Mapping[str, object]) -> str:
    return re.sub(r"@\{(\w+)\}", lambda match: str(words[match[1]]), text)
