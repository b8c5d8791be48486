"""JSON Schema of decisions that remember the samples before."""

from __future__ import annotations

from eeaug.schema.design import THRESHOLD
from eeaug.schema.words import Schema, count, extended, flag, number, record, ref, rows, share, text
from eeaug.settings.vocabulary import MOST_REFRESH, MOST_WINDOW

__all__ = ["REPORTED", "RULE", "STREAM"]

_THRESHOLDS = rows("Per early exit.", THRESHOLD)
_MOST = count(
    "Of so many samples in a row one at least is decided without memory.", "samples", least=1, most=MOST_REFRESH
)


def _rule(kind: str, description: str, **parameters: Schema) -> Schema:
    return record(description, kind=text("Its name.", one_of=(kind,)), **parameters)


_INNER = {
    "oneOf": [
        _rule("confidence", "No memory: a sample leaves where an exit is sure.", thresholds=_THRESHOLDS),
        _rule(
            "difference",
            "A sample that the first exit is not sure of is answered as the last one that was decided without "
            "memory, while what the first exit says stays near.",
            thresholds=_THRESHOLDS,
            distance=number("Largest difference of a probability, as float32.", "1", most=1),
            most=_MOST,
        ),
        _rule(
            "patience",
            "An exit that says the same several times in a row has lower thresholds.",
            thresholds=_THRESHOLDS,
            lower=rows("Those then.", THRESHOLD),
            times=count("In a row, this sample among them.", "samples", least=1, most=255),
            most=_MOST,
        ),
    ],
    "description": "When a sample leaves, and with which answer.",
}
RULE: Schema = {
    "oneOf": [
        *_INNER["oneOf"],
        _rule(
            "debounce",
            "Answers of another decision, made stable.",
            of=_INNER,
            wanted=count("Samples that must be answered so.", "samples", least=1, most=MOST_WINDOW),
            window=count("Of so many, this one among them.", "samples", least=1, most=MOST_WINDOW),
        ),
    ],
    "description": "When a sample leaves, and with which answer; docs/streams.md.",
}
_DECIDES = record(
    "What decides streams: samples that follow each other.",
    rule=RULE,
    state_bytes=count("Of the state of one stream.", "B"),
)
STREAM = extended(_DECIDES, int8=_DECIDES | {"description": "The same of the int8 files."})

_EVENTS = record(
    "By event: a run of samples of one label in a sequence.",
    events=count("How many.", "events"),
    missed=count("Of which no sample is answered so.", "events"),
    late=count("Of which the first sample is not answered so, but a later one is.", "events"),
    false_alarms=count("Runs of one answer of which no sample has that label.", "alarms"),
    delay_mean=number(
        "Until an event that is not missed is answered so; null: there is none.", "samples", null=True
    ),
    delay_p95=count("95 % of these are answered so by then.", "samples", null=True),
)
_FIGURES = record(
    "Of one way to decide.",
    metrics=ref("metrics"),
    p95_macs=number("Smallest cost that 95 % of samples keep to.", "MAC"),
    worst_macs=number("Of the sample that cost most.", "MAC"),
    events=_EVENTS,
    false_alarms_per_hour=number("Null: no period is known.", "1/h", null=True),
    energy_per_hour_j=number("Null: no period or energy is known.", "J", null=True),
    worst_sequence=record(
        "The sequence that loses most against the given model.",
        name=text("Group, and sequence where a group has several."),
        samples=count("How many.", "samples"),
        drop=number("Accuracy that it loses.", "1", least=-1),
    ),
)
_INT8_FIGURES = record(
    "Of one way to decide.",
    accuracy=share("Sample by sample."),
    mean_macs=number("Mean over samples.", "MAC"),
    events=_EVENTS,
)
_REPORTED = record(
    "What decides streams, and what that comes to.",
    remembers=flag("Whether the decision has memory: what is best without is taken where memory brings nothing."),
    rule=RULE | {"description": "The decision."},
    rule_alone=RULE | {"description": "By confidence alone."},
    rule_memory=RULE | {"description": "The best one with memory."},
    state_bytes=count("Of the state of one stream, in float files.", "B"),
    memory_bytes=count("The same of the best decision with memory.", "B"),
    refresh=count("Of so many samples in a row one at least is decided without memory.", "samples", least=1),
    saved_on_choose=record(
        "Of the mean cost, as a share of the given model's, at what is promised.",
        alone=number("With these exits, by confidence alone.", "1", least=None),
        memory=number("With these exits and memory.", "1", least=None),
        best_alone=number("With the best design without memory, which may be another one.", "1", least=None),
    ),
    background=rows("Classes that are no event.", text("A name.")),
    split=text("The part of the data.", one_of=("test", "choose")),
    samples=count("How many.", "samples"),
    sequences=count("How many.", "sequences"),
    period_s=number("Between two samples; null: not known.", "s", null=True),
    promise=ref("promise"),
    promise_memory=ref("promise"),
    promise_alone=ref("promise"),
    drop_bound_95=number(
        "95 % upper bound of the true drop, from test samples; null: there are none.", "1", least=-1, null=True
    ),
    figures=record("Sample by sample, and by event.", given=_FIGURES, alone=_FIGURES, memory=_FIGURES),
    decided_by=record(
        "Shares of all samples.",
        sure=rows("By every classifier, without memory.", share("A share.")),
        remembered=rows("From memory, at every early exit.", share("A share.")),
    ),
    strip=record(
        "A part of one recording, that in which labels change most often.",
        sequence=text("Its name."),
        labels=rows("Numbers of the classes.", count("A class.", "1")),
        answers=rows("What was answered.", count("A class.", "1")),
        exits=rows("The classifier that each sample left at.", count("A classifier.", "1")),
        remembered=rows("Whether it left from memory.", flag("Whether.")),
    ),
)
REPORTED = extended(
    _REPORTED,
    int8=record(
        "The same of the int8 files, by rules of their own.",
        remembers=flag("Whether the decision has memory."),
        rule=RULE | {"description": "The decision."},
        state_bytes=count("Of the state of one stream.", "B"),
        promise=ref("promise"),
        figures=record("Sample by sample, and by event.", alone=_INT8_FIGURES, memory=_INT8_FIGURES),
        split=text("The part of the data.", one_of=("test", "choose")),
    ),
)
