"""JSON Schema of manifest.json: what whoever runs the stages must know; nothing that is not listed may stand there.

``unit`` is an annotation as in report.json.
"""

from __future__ import annotations

from typing import Any

from eeaug.cascade.measures import KINDS, MEASURES
from eeaug.hardware.fields import ENCODINGS
from eeaug.schema.design import CHOICES, THRESHOLD
from eeaug.schema.npu import VELA
from eeaug.schema.settings import SEED, SETTINGS
from eeaug.schema.streams import STREAM
from eeaug.schema.words import (
    Schema,
    by_name,
    count,
    extended,
    flag,
    number,
    or_null,
    record,
    rows,
    sha256,
    share,
    text,
)
from eeaug.settings.vocabulary import FRONT_ENDS

__all__ = ["FACTS", "VERSION", "schema"]

VERSION = 1

_NAME: dict[str, Any] = {"minLength": 1}


def schema() -> Schema:
    """JSON Schema (2020-12) of manifest.json of VERSION."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:eeaug:manifest:{VERSION}",
        "title": "manifest.json of an eeaug bundle",
        **_manifest(by_name("SHA-256 of every file but this one and timing.json, by path.", sha256("Of a file."))),
    }


def _manifest(files: Schema) -> Schema:
    return extended(
        record(
            "What whoever runs the stages must know.",
            schema_version={"const": VERSION, "description": "Of this format."},
            tool=record("What wrote it.", eeaug=text("Version of eeaug.")),
            versions=by_name("Of what else had part in it.", text("A version.")),
            seed=SEED,
            settings=SETTINGS,
            classes=rows("Names of the classes, by number.", text("A name.", **_NAME), minItems=2),
            decision=_DECISION,
            preprocessing=_PREPROCESSING,
            inputs=rows("What it was made from: the model, then the data.", _INPUT, minItems=1),
            stages=rows("In the order in which they run.", _STAGE, minItems=1),
            operating_points=rows("Thresholds to switch between; none where no exit stands.", _POINT),
            reference=_REFERENCE,
            files=files,
        ),
        model_inputs=rows(
            "Inputs of a model that has several; a sample has one tensor for each.", _MODEL_INPUT, minItems=2
        ),
        stream=STREAM,
        finetuned=count("Passes over the training data that changed the model itself.", "passes", least=1),
        early_view=flag("Whether the final classifier sees an exit's tensor, so that the given one is not here."),
        retargeted_from=record(
            "The bundle that it was made from.", name=text("Its directory."), sha256=sha256("Of its manifest.json.")
        ),
        custom_objects=record(
            "Code of the user, not in the bundle, without which Keras loads none of its .keras files.",
            names=rows("Of classes and functions.", text("A name.", **_NAME), minItems=1),
            files=rows("That define them.", _INPUT, minItems=1),
        ),
        int8=record(
            "The int8 files.",
            kernels=text("LiteRT's kernels that run them.", one_of=("optimised", "reference")),
            calibration_samples=count("Validation samples that ranges were taken from.", "samples"),
            reference=_REFERENCE,
        ),
        c=record("The C files.", processors=rows("What each processor runs.", _C)),
        c_int8=record("The int8 C files.", processors=rows("What each processor runs.", _C)),
        onnx_one=record(
            "The whole cascade as one ONNX file, for one prepared sample at a time.",
            file=text("Path below the bundle.", **_NAME),
            inputs=rows("Names: tensors of a sample, then the thresholds.", text("A name.", **_NAME), minItems=1),
            outputs=rows("Names.", text("A name.", **_NAME), minItems=1),
        ),
    )


_DECISION = record(
    "How an output becomes a class.",
    kind=text("One of several classes, of two, labels, or whether there is nothing.", one_of=KINDS),
    classes=count("How many.", "classes", least=2),
    measure=text("Of confidence.", one_of=tuple(MEASURES)),
)


def _front_end(kind: str) -> Schema:
    return record(
        "A front end and its parameters, as docs/models.md has them.",
        kind=text("Its name.", one_of=(kind,)),
        **{name: number("As its reference has it.", _unit(name)) for name in FRONT_ENDS[kind]},
    )


def _unit(name: str) -> str:
    return {"hz": "Hz", "ms": "ms", "bits": "bit"}.get(name.rpartition("_")[2], "1")


_PER_CHANNEL = {
    "type": ["number", "array", "null"],
    "unit": "1",
    "description": "A number, one for each channel, or nested as a sample; null: not applied.",
}  # its numbers are checked as an array, as there may be one for each element of a sample

_STEPS = {
    "scale": number("Of stored values.", "1", least=None),
    "offset": number("Added then.", "1", least=None),
    "mean": _PER_CHANNEL,
    "std": _PER_CHANNEL,
}
_PREPROCESSING = extended(
    record("x' = ((x · scale + offset) − mean) / std.", **_STEPS),
    inputs=by_name(
        "Of a model with several inputs, by input; the steps beside it change nothing then.",
        record("x' = ((x · scale + offset) − mean) / std.", **_STEPS),
    ),
    front_end={"oneOf": [_front_end(kind) for kind in FRONT_ENDS], "description": "What x is made by, of sounds."},
)

_INPUT = record("A file.", name=text("Base name.", **_NAME), sha256=sha256("Of its contents."))

_QUANTISATION = record(
    "real = scale · (q − zero_point).",
    scale=number("Of a step.", "1", exclusiveMinimum=0),
    zero_point=count("That stands for 0.", "1", least=-128, most=127),
)
_CONSTANT = number(
    "Leaves where the largest int8 probability is at least this; null: never, or decided otherwise.",
    "1", least=-128, most=127, null=True, kind="integer",
)  # fmt: skip
_SHAPE = rows("Of one sample, without batch.", count("Size of an axis.", "values", least=1), minItems=1)

_MODEL_INPUT = record(
    "An input.",
    name=text("Its name, which the files of stages give it, too.", **_NAME),
    shape=_SHAPE,
    dtype=text("That the given model declares; files take float32, int8 files int8.", **_NAME),
)

_STAGE = extended(
    record(
        "A stage.",
        name=text("Its folder below stages/.", **_NAME),
        processor=text("What runs it.", **_NAME),
        inputs=rows(
            "Names of what its files take: of the hand-over before it, or of the model's inputs.",
            text("A name.", **_NAME),
            minItems=1,
        ),
        input_shape=rows(
            "Of what it is given of one sample, without batch; of several tensors, how many values they have.",
            count("Size of an axis.", "values", least=1),
            minItems=1,
        ),
        outputs=extended(
            record(
                "What it gives.",
                probabilities=text("Name of what its classifier says; null: it has none.", null=True, **_NAME),
                handover=rows(
                    "What goes on, none after the last stage: what it computes, then inputs of the model as is.",
                    extended(
                        record(
                            "A tensor.",
                            name=text("Its name.", **_NAME),
                            shape=_SHAPE,
                            bytes=count("Of a sample, in its processor's arithmetic or its encoding.", "B"),
                        ),
                        encoding=extended(
                            record(
                                "How it is sent over a link; what arrives is what the next stage is given.",
                                kind=text("Type of its elements.", one_of=ENCODINGS),
                                compressed=flag("Whether requests are compressed with gzip."),
                            ),
                            scale=number("Of int8: (q - zero_point) * scale is the value.", "1"),
                            zero_point=number("Of int8.", "1", least=-128, most=127, kind="integer"),
                        ),
                    ),
                ),
            ),
            returns=rows(
                "Outputs of a model that may be any, in the last stage.",
                record("A tensor.", name=text("Its name.", **_NAME), shape=_SHAPE, dtype=text("Of its values.")),
            ),
        ),
        reuse=or_null(
            rows(
                "Exponents of what exits before it and itself say; null: it decides by itself.",
                number("An exponent.", "1", least=-100, most=100),
            )
        ),
        threshold=THRESHOLD,
        metric=text("Name of the confidence, as docs/how-it-works.md has it."),
        macs=count("Of a sample that comes here.", "MAC"),
        files=by_name("Of its formats: path below the bundle.", text("A path.", **_NAME)),
    ),
    **CHOICES,
    int8=record(
        "Its int8 file.",
        inputs=by_name("Of what it takes.", _QUANTISATION),
        outputs=by_name("Of what it gives.", _QUANTISATION),
        requantised_from=or_null(_QUANTISATION),
        threshold=THRESHOLD,
        constant=_CONSTANT,
    ),
    tflm=record(
        "Its int8 file in TensorFlow Lite for Microcontrollers.",
        arena_bytes=count("Of the driver: the least, and a margin.", "B"),
        arena_least_bytes=count("In which it allocates and runs on the machine that wrote it.", "B"),
        operators=rows("That must be registered.", text("A name.")),
    ),
    vela=record("Its int8 file compiled for an NPU.", **VELA),
    triton=record(
        "Its model on an inference server.",
        model=text("Its name there.", **_NAME),
        identity=count("That it gives with each answer.", "1"),
        ensemble=or_null(text("Name of the model that it begins, of all stages that follow it there.", **_NAME)),
    ),
)

_POINT = extended(
    record("An operating point.", name=text("Its name.", **_NAME), thresholds=rows("Per early exit.", THRESHOLD)),
    int8=record(
        "Of the int8 files.",
        thresholds=rows("Per early exit.", THRESHOLD),
        constants=rows("Per early exit.", _CONSTANT),
    ),
)

_INTERVAL = or_null(
    rows(
        "What another set of as many samples can show.", number("An end.", "1", least=-1e-6, most=1 + 1e-6),
        minItems=2, maxItems=2,
    )
)  # fmt: skip
_CONFIDENCES = record(
    "Confidences.",
    samples=number("How many, effective ones where samples have weights.", "samples"),
    mean_confidence=share("Their mean.", null=True),
    sd=number("Their standard deviation.", "1", null=True),
    interval=_INTERVAL,
)
_REFERENCE = record(
    "What new data is compared with.",
    part=text("Of the data.", one_of=("test", "choose")),
    samples=count("How many.", "samples"),
    weighted=flag("Whether samples have weights."),
    level=share("Chance that data of the same kind shows any of it outside of its interval."),
    points=rows(
        "By operating point.",
        record(
            "One of them.",
            name=text("Its name."),
            exits=rows(
                "Per classifier, the final one last.",
                record(
                    "One of them.",
                    leave_rate=share("Share of all samples that leave here.", null=True),
                    interval=_INTERVAL,
                    left=_CONFIDENCES,
                    reached=_CONFIDENCES,
                ),
            ),
        ),
    ),
)

_C = record(
    "A processor.",
    name=text("Its name."),
    function=text("That runs it."),
    stages=rows("By number.", count("A stage.", "1")),
    arena_bytes=count("Static memory that all its tensors share.", "B"),
    arena_lower_bound_bytes=count("What no order of computing goes below.", "B"),
    weights_bytes=count("Weights.", "B"),
)

# what report.json repeats: no hashes, as its own hash would be among them
FACTS = _manifest(rows("Paths of all files but manifest.json, report.json and timing.json.", text("A path.")))
