"""JSON Schema of search/exits.json, the trained heads of a search layer by layer, and of search/path.json."""

from __future__ import annotations

from typing import Any

from eeaug.schema.words import Schema, by_name, count, extended, flag, number, record, rows, text
from eeaug.settings import FAMILIES

__all__ = ["PATH", "SCHEMA"]

_LARGEST = 1_000_000  # of an axis, of filters: keeps products within what can be computed with


def _size(description: str, *, least: int = 1) -> Schema:
    return count(description, "values", least=least, most=_LARGEST)


_SHAPE = rows("Of one sample.", _size("An axis."), minItems=1, maxItems=4)
_WINDOW = rows("Of an average, by axis; none: no average.", _size("An axis."), maxItems=2)
_LOCATION = extended(
    record(
        "Where a head stands.",
        name=text("The layer after which.", minLength=1),
        after=count("Blocks that have run there.", "blocks"),
        shape=_SHAPE,
        remaining_macs=count("That follow in the backbone.", "MAC"),
    ),
    reordered=flag("Whether it is the model's input, its channels last."),
    carries=rows("Inputs of the model that cross it as they came.", text("A name."), minItems=1),
)


def _step(kind: str, description: str, **options: Schema) -> dict[str, Any]:
    named = {"const": kind, "description": "Which."}
    return {
        "if": {"type": "object", "properties": {"step": {"const": kind}}, "required": ["step"]},
        "then": record(description, step=named, **options),
    }


_STEPS = {
    "pool": _step("pool", "An average.", window=_WINDOW),
    "convolve": _step(
        "convolve",
        "A convolution.",
        filters={**_size("Null: depthwise."), "type": ["integer", "null"]},
        stride=_size("By axis."),
        width=_size("By axis."),
        then=text("What follows.", one_of=("relu", "norm", "")),
    ),
    "residual": _step(
        "residual", "Two convolutions around a shortcut.", filters=_size("Of each."), stride=_size("By axis.")
    ),
    "dense": _step(
        "dense",
        "A dense layer.",
        units=_size("Its outputs."),
        activation=text("Its name in Keras.", pattern="^[a-z0-9_]+$"),
    ),
}

PATH: Schema = rows(
    "search/path.json: steps from the safest to the loosest.",
    rows("Thresholds of the exits; null is never.", number("As float32.", "1", most=1, null=True), minItems=1),
    minItems=1,
)

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **rows(
        "Trained heads.",
        record(
            "A head.",
            location=_LOCATION,
            head=text("Family and size."),
            family=text("Family.", one_of=FAMILIES),
            size=text("Size."),
            earlier=rows(
                "What it reads, too.", record("A tensor.", location=_LOCATION, window=_WINDOW, finer=_WINDOW)
            ),
            steps=rows(
                "Its layers.",
                {
                    "type": "object",
                    "description": "One of them.",
                    "properties": {"step": text("Which.", one_of=tuple(_STEPS))},
                    "required": ["step"],
                    "allOf": list(_STEPS.values()),
                },
                minItems=1,
                maxItems=100,
            ),
            macs=by_name("By type of operation.", count("Multiply-accumulate operations.", "MAC")),
            parameters=count("As deployed.", "values"),
        ),
    ),
}
