"""Decisions that remember the samples before, in C and C++: eeaug.streams once more, with its state in a struct.

A program pushes a stream's samples one after the other: the processors' ``..._push`` functions do what the others
do, and decide with the state. It lies where all of them reach it; a stream has one, whatever runs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eeaug.export.c.arithmetic import Arithmetic
from eeaug.export.c.text import literal
from eeaug.streams.rules import NOTHING, Rule, StateField

__all__ = ["Surroundings", "declared", "defined", "members", "rules"]

_TYPES = {"int16": "int16_t", "uint16": "uint16_t", "uint8": "uint8_t"}

_SURE = """\
    const int sure = exit == @{stages} - 1 || result->confidence >= stream_thresholds[exit];
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
        @{gap} far = 0;
        for (int i = 0; i < @{outputs}; ++i) {
            const @{gap} before = @{kept};
            const @{gap} apart = p[i] > before ? p[i] - before : before - p[i];
            far = apart > far ? apart : far;
        }
        if (far <= @{distance}) {
            result->@{label} = state->last;
            return REMEMBERED;
        }
    }
    for (int i = 0; i < @{outputs}; ++i) {
        state->reference[i] = @{keeps};
    }
    return sure ? SURE : STAYS;"""
_PATIENCE = """\
    static const @{threshold_type} lower[] = {@{lower}};
    (void)p;
    if (exit < @{stages} - 1) {
        const int again = state->said[exit] == (int16_t)result->@{label} && state->times[exit] > 0;
        state->times[exit] = (uint8_t)(!again ? 1 : state->times[exit] < 255 ? state->times[exit] + 1 : 255);
        state->said[exit] = (int16_t)result->@{label};
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
        state->last = (int16_t)result->@{label};"""
_DEBOUNCED = """\
    {
        int often = 1;
        for (int i = @{window} - 1; i > 0; --i) {
            state->history[i] = state->history[i - 1];
            often += state->history[i] == (int16_t)result->@{label};
        }
        state->history[0] = (int16_t)result->@{label};
        if (often >= @{wanted} || state->shown < 0) {
            state->shown = (int16_t)result->@{label};
        }
        result->@{label} = state->shown;
    }
"""
_RULES = """\
/* A sample leaves because the exit is sure, or because of samples before. */
enum { STAYS = 0, SURE = 1, REMEMBERED = 2 };

static const @{threshold_type} stream_thresholds[] = {@{thresholds}};

void @{empties}(@{state} *state)
{
@{reset}
}

static int stream_leaves(@{state} *state, const @{given} *p, int32_t exit, @{result} *result)
{
@{sure}@{leaves}
}

static void stream_settled(@{state} *state, int how, @{result} *result)
{
@{settled}}
"""
_DECIDED = """
/* As decided, with what the samples before have left in the state. */
static int stream_decided(@{state} *state, const @{given} *p, int32_t exit, @{result} *result)
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


@dataclass(frozen=True)
class Surroundings:
    """What the rules meet in the file that they stand in.

    Parameters
    ----------
    state, result : types of a stream's state, and of an answer, whose member ``label`` is the class
    empties : the function that resets a state
    stages, outputs : how many there are
    probability : the type of what a state keeps of the first exit
    given : that of the probabilities that rules are asked with; ``gap``: that of differences between them
    kept, keeps : the i-th that a state keeps as one that is given, and the other way round
    distance, threshold, threshold_type : constants; a threshold of None is never reached
    """

    state: str
    result: str
    label: str
    empties: str
    stages: str
    outputs: str
    probability: str
    given: str
    gap: str
    kept: str
    keeps: str
    distance: Callable[[float], str]
    threshold: Callable[[float | None], str]
    threshold_type: str

    @classmethod
    def in_c(cls, prefix: str, arithmetic: Arithmetic) -> Surroundings:
        kept, keeps = "state->reference[i]", "p[i]"
        if arithmetic.every:  # shares of 1 in 2^-24, which int8 numbers are multiples of
            kept, keeps = "(state->reference[i] + 128) * 65536", "(int8_t)(p[i] / 65536 - 128)"
        return cls(
            f"{prefix}_stream", f"{prefix}_result", "predicted", f"{prefix}_stream_reset",
            f"{prefix.upper()}_STAGES", "OUTPUTS", arithmetic.type, arithmetic.share, arithmetic.share,
            kept, keeps, _in_shares if arithmetic.every else literal, arithmetic.threshold,
            arithmetic.threshold_type,
        )  # fmt: skip


def _in_shares(distance: float) -> str:
    return str(int(distance * (1 << 24)))


def _difference(rule: Any, around: Surroundings) -> dict[str, object]:
    return {"leaves": _DIFFERENCE, "most": rule.most, "last": _LAST, "distance": around.distance(rule.distance)}


def _patience(rule: Any, around: Surroundings) -> dict[str, object]:
    lower = ", ".join(map(around.threshold, rule.lower))
    return {"leaves": _PATIENCE, "most": rule.most, "times": rule.times, "lower": lower, "last": ""}


def _confidence(rule: Any, around: Surroundings) -> dict[str, object]:
    return {"leaves": _CONFIDENCE}


_KINDS: Mapping[str, Callable[[Any, Surroundings], dict[str, object]]] = {
    "confidence": _confidence,
    "difference": _difference,
    "patience": _patience,
}


def _fields(rule: Rule, exits: int, outputs: int) -> tuple[StateField, ...]:
    return rule.fields(exits, outputs) or (StateField("nothing", "uint8"),)  # C has no empty struct


def members(rule: Rule, exits: int, outputs: int, probability: str, indent: str = "    ") -> str:
    """Lines of the struct; ``probability``: the type of one."""
    lines = []
    for field in _fields(rule, exits, outputs):
        kind = probability if field.type == "probability" else _TYPES[field.type]
        lines.append(f"{indent}{kind} {field.name}{'' if field.count is None else f'[{field.count}]'};")
    return "\n".join(lines)


def declared(rule: Rule, exits: int, outputs: int, prefix: str, arithmetic: Arithmetic) -> str:
    """The struct and its reset, for the header in C."""
    macro = prefix.upper()
    return f"""\
/* Streams: samples that follow each other. Functions that end in _push, and _push_in, decide with what the samples
 * before have left in the state: one for each stream, where all processors reach it. They say {macro}_REMEMBERED
 * instead of {macro}_DECIDED of a sample that leaves because of those before. Reset the state before the first
 * sample, and after a gap. Points do not matter: a stream has thresholds of its own. */
#define {macro}_REMEMBERED 2

typedef struct {{
{members(rule, exits, outputs, arithmetic.type)}
}} {prefix}_stream;

void {prefix}_stream_reset({prefix}_stream *state);
"""


def defined(rule: Rule, exits: int, outputs: int, prefix: str, arithmetic: Arithmetic) -> str:
    """What decides, for the source in C: stream_decided gives STAYS where a sample goes on."""
    around = Surroundings.in_c(prefix, arithmetic)
    return rules(rule, exits, outputs, around) + _filled(_DECIDED, vars(around))


def rules(rule: Any, exits: int, outputs: int, around: Surroundings) -> str:
    """The rule in C that is C++, too: reset, stream_leaves (STAYS, SURE or REMEMBERED), and stream_settled."""
    inner = rule.of if rule.kind == "debounce" else rule
    parts = _KINDS[inner.kind](inner, around)
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
        **vars(around),
        **parts,
        "thresholds": ", ".join(map(around.threshold, inner.thresholds)),
        "reset": "\n".join(reset),
    }
    if "last" in parts:
        words["last"] = _filled(str(parts["last"]), words)
    for name, text in (("leaves", str(parts["leaves"])), ("settled", settled), ("sure", _SURE)):
        words[name] = _filled(text, words)
    return _filled(_RULES, words)


def _filled(text: str, words: Mapping[str, object]) -> str:
    return re.sub(r"@\{(\w+)\}", lambda match: str(words[match[1]]), text)
