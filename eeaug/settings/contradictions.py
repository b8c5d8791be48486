"""Settings that contradict each other; the door that they were given at words the options.

A message names an option by its key: ``{risk}`` is ``--risk`` on the command line and ``risk=`` in Python; with a
value, ``{recipe}`` is ``--recipe trecx`` and ``recipe='trecx'``. ``{0}`` is the first of the texts that follow the
message, as it is: names from files go there, as they may have braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from eeaug.cascade.blank_rule import BlankRule
from eeaug.errors import InputError
from eeaug.settings.parts import Goal, Input, Running, Training
from eeaug.settings.vocabulary import (
    C_PREFIX,
    CLASSIFIERS_ONLY,
    FAMILIES,
    FORMATS,
    HEADERS,
    LEAST_ALPHA,
    MAX_ACCURACY_DROP,
    STREAMING,
    WITH_NAMES,
    flag,
    needed,
)  # fmt: skip
from eeaug.support.spelling import nearest

__all__ = ["Contradiction", "check", "classes_named", "command_line", "python", "unpromised"]

Value = str | int | None  # as the command line takes it; None: the message names the option alone
Door = Callable[[str, Value], str]  # words an option, by its key

_NAMED = re.compile(r"\{(\w+)\}")


def command_line(key: str, value: Value) -> str:
    return flag(key) if value is None else f"{flag(key)} {value}"


def python(key: str, value: Value) -> str:
    if value is None:
        return f"{key}="
    if key == "threshold" and "=" in str(value):
        location, _, number = str(value).rpartition("=")
        return f"threshold[{location!r}]={number}"
    if key == "exit_at" and ":" in str(value):
        location, _, processor = str(value).partition(":")
        return f"exit_at[{location!r}]={processor!r}"
    return f"{key}={value!r}"


class Contradiction(InputError):
    """Options that contradict each other, the model, the data or the target.

    Says it as the command line does, until another door words it. ``options``: the keys of those that it names.
    """

    def __init__(self, message: str, *texts: str, **values: Value) -> None:
        self.message, self.texts, self.values = message, texts, values
        names: list[str] = _NAMED.findall(message)
        self.options = tuple(name for name in names if not name.isdecimal())
        super().__init__(self.worded(command_line))

    def worded(self, door: Door) -> str:
        def word(match: re.Match[str]) -> str:
            name = match[1]
            return self.texts[int(name)] if name.isdecimal() else door(name, self.values.get(name))

        return _NAMED.sub(word, self.message)


def check(input: Input, goal: Goal, training: Training, running: Running) -> None:
    """Raise the first Contradiction that there is."""
    if goal.efficiency_weight is not None and goal.max_accuracy_drop is not None:
        raise Contradiction(
            "{efficiency_weight} and {max_accuracy_drop} are two different objectives: give one of them"
        )
    for option, names, known in (("heads", training.heads, FAMILIES), ("formats", running.formats, FORMATS)):
        for name in names:
            if name not in known:
                what = "family" if option == "heads" else "format"
                hint = f"no such {what}{nearest(name, known)}; there are {', '.join(known)}"
                raise Contradiction(f"{{{option}}}: {hint}", **{option: name})
    _check_prefix(running)
    if goal.max_class_drop is not None and (training.finetune or training.recipe == "trecx"):
        option = "finetune" if training.finetune else "recipe"
        raise Contradiction(
            f"{{max_class_drop}} compares with the given model, class by class: it cannot be combined with "
            f"{{{option}}}",
            recipe="trecx",
        )
    _check_blank(input, goal, training, running)
    if goal.least_alpha is not None and not goal.target_class:
        raise Contradiction("{least_alpha} is about the thresholds of {target_class}, which was not given")
    if training.exit_weight is not None and training.recipe != "trecx":
        raise Contradiction(
            "{exit_weight} is about the joint training of {recipe}, which was not given", recipe="trecx"
        )
    if training.recipe == "trecx":
        _check_trecx(input, goal, training)
    if goal.target_class:
        _check_target(input, goal, training)
    if "tflite-int8" in needed(running.formats) and goal.target_class:
        raise Contradiction(
            "{target_class} is about the float cascade alone: it cannot be combined with {formats}",
            formats="tflite-int8, tflm",
        )
    _check_stream(input, goal, training, running)
    _check_promise(input, goal, training)


def _check_stream(input: Input, goal: Goal, training: Training, running: Running) -> None:
    """Decisions that remember: no option is with them that says when samples leave, or changes the given model."""
    if not goal.stream:
        for option, given in {
            "refresh": goal.refresh is not None,
            "debounce": goal.debounce is not None,
            "background": bool(goal.background),
            "max_missed": goal.max_missed is not None,
        }.items():
            if given:
                raise Contradiction(f"{{{option}}} is for {{stream}}, which was not given")
        return
    for option, given in {
        "blank": input.blank,
        "blank_when": input.blank_when is not None,
        "target_class": bool(goal.target_class),
        "threshold": bool(goal.threshold),
        "scoring": goal.scoring != "exact",
        "correction": goal.correction != 1,
        "finetune": bool(training.finetune),
        "recipe": training.recipe != "frozen",
        "unit": input.unit != "group",
    }.items():
        if given:
            raise Contradiction(f"{{stream}}: decisions with memory cannot be combined with {{{option}}}")
    if unable := [name for name in running.formats if name not in STREAMING]:
        raise Contradiction(
            f"{{stream}}: {unable[0]} files cannot remember the samples before; possible: {', '.join(STREAMING)}"
        )


def _check_blank(input: Input, goal: Goal, training: Training, running: Running) -> None:
    """Exits that say "nothing here": no option is with them that is about classes or changes the given model."""
    if not input.blank and input.blank_when is None:
        if goal.max_blank_loss is not None:
            raise Contradiction("{max_blank_loss} is the budget of {blank} or {blank_when}: neither was given")
        return
    if input.blank and input.blank_when is not None:
        raise Contradiction("{blank} takes labels, {blank_when} the outputs of the given model: give one of them")
    mode = "blank" if input.blank else "blank_when"
    if input.blank_when is not None:
        BlankRule(input.blank_when)
    for option, given in {
        "max_accuracy_drop": goal.max_accuracy_drop not in (MAX_ACCURACY_DROP, goal.max_blank_loss),
        "efficiency_weight": goal.efficiency_weight is not None,
        "max_class_drop": goal.max_class_drop is not None,
        "target_class": bool(goal.target_class),
        "scoring": goal.scoring != "exact",
        "correction": goal.correction != 1,
        "labels": input.labels != "given",
        "priors": input.priors is not None,
        "output_name": input.output_name is not None,
        "decision": input.decision is not None,
        "confidence": input.confidence != "max-softmax",
        "finetune": bool(training.finetune),
        "recipe": training.recipe != "frozen",
    }.items():
        if given:
            hint = "; {max_blank_loss} is the budget" if option in ("max_accuracy_drop", "max_class_drop") else ""
            raise Contradiction(
                f"{{{mode}}}: exits only recognise empty samples, and all outputs stay the given model's: "
                f"it cannot be combined with {{{option}}}{hint}",
            )  # fmt: skip
    if unwritten := [name for name in running.formats if name in CLASSIFIERS_ONLY]:
        possible = ", ".join(name for name in FORMATS if name not in CLASSIFIERS_ONLY)
        raise Contradiction(
            f"{{formats}}: its last stage must be a classifier, which {{{mode}}} does not have; possible are "
            f"{possible}",
            formats=unwritten[0],
        )


def _check_prefix(running: Running) -> None:
    prefix = running.c_prefix
    if prefix is None:
        return
    if not set(running.formats) & set(WITH_NAMES):
        raise Contradiction(
            f"{{c_prefix}} is for the formats {', '.join(WITH_NAMES)}, none of which {{formats}} names"
        )
    if re.fullmatch(C_PREFIX, prefix) is None:
        raise Contradiction(
            "{c_prefix}: must be a letter, then at most 39 letters, digits and underscores", c_prefix=prefix
        )
    if prefix.lower() in HEADERS:
        raise Contradiction("{c_prefix}: a file of this name with .h would hide another header", c_prefix=prefix)


def _check_trecx(input: Input, goal: Goal, training: Training) -> None:
    """One exit of the family ``trecx``, trained with the model; what is given otherwise must agree."""
    for option, disagrees in {
        "target_class": bool(goal.target_class),
        "heads": training.heads not in ((), ("trecx",)),
        "max_exits": goal.max_exits not in (None, 1),
        "confidence": input.confidence != "max-softmax",
    }.items():
        if disagrees:
            raise Contradiction(
                f"{{recipe}} is one exit of the family trecx, for all classes: it cannot be combined with "
                f"{{{option}}}",
                recipe="trecx",
            )


def _check_target(input: Input, goal: Goal, training: Training) -> None:
    for option, given in {
        "finetune": bool(training.finetune),
        "max_class_drop": goal.max_class_drop is not None,
        "efficiency_weight": goal.efficiency_weight is not None,
        "scoring": goal.scoring != "exact",
        "confidence": input.confidence != "max-softmax",
        "correction": goal.correction != 1,
    }.items():
        if given:
            raise Contradiction(
                f"{{target_class}} chooses exits by gain and loss, at thresholds of its own: it cannot be "
                f"combined with {{{option}}}",
                scoring="independent",
            )
    least = goal.least_alpha or LEAST_ALPHA
    right = f"from {least:g} to 1" if goal.least_alpha else f"above {least:g}, up to 1"
    for location, value in goal.threshold.items():
        if value < least or value <= LEAST_ALPHA:
            with_target = f"{{threshold}}: with {{target_class}} it must be {right}"
            raise Contradiction(with_target, threshold=f"{location}={value:g}")


def classes_named(option: str, wanted: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the classes that ``option`` names, ascending: each by its name or its number.

    Raises
    ------
    Contradiction : no such class, or several of that name
    """
    for name in wanted:
        if list(names).count(name) > 1:
            hint = f"{list(names).count(name)} classes are named {name}; give the number"
            raise Contradiction(f"{{{option}}}: {{0}}", hint, **{option: name})
        if name not in names and not (name.isdecimal() and int(name) < len(names)):
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            hint = f"no such class{nearest(name, names)}; there are {known}"
            raise Contradiction(f"{{{option}}}: {{0}}", hint, **{option: name})
    return tuple(sorted({list(names).index(name) if name in names else int(name) for name in wanted}))


def unpromised(input: Input, goal: Goal, training: Training) -> tuple[str, dict[str, str]] | None:
    """Why nothing can be promised of the accuracy drop, as a message of :class:`Contradiction`; None: it can be."""
    reasons: tuple[tuple[bool, str, dict[str, str]], ...] = (
        (goal.max_accuracy_drop is None, "{efficiency_weight} has no accuracy budget", {}),
        (goal.scoring == "independent", "{scoring} is the paper's flow", {"scoring": "independent"}),
        (bool(goal.target_class), "{target_class} chooses by gain and loss", {}),
        (goal.correction != 1, "{correction} changes thresholds after they were found", {}),
        (
            input.calibrate_on == "train",
            "the given model was trained on the samples of {calibrate_on}", {"calibrate_on": "train"},
        ),
        (training.recipe == "trecx", "{recipe} replaces the given model", {"recipe": "trecx"}),
        (bool(training.finetune), "{finetune} replaces the given model", {}),
    )  # fmt: skip
    return next(((why, values) for holds, why, values in reasons if holds), None)


def _check_promise(input: Input, goal: Goal, training: Training) -> None:
    if goal.risk is not None and goal.promise in ("expected", "none"):
        raise Contradiction("{risk} is about proofs: it cannot be combined with {promise}", promise=goal.promise)
    asked = "promise" if goal.promise is not None else "risk"
    reason = unpromised(input, goal, training)
    if reason is None or (goal.promise in (None, "none") and goal.risk is None):
        return
    why, values = reason
    shown = {"promise": goal.promise} if goal.promise is not None else {}
    raise Contradiction(f"{{{asked}}}: nothing can be promised here: {why}", **shown, **values)
