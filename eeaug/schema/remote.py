"""JSON Schema of what a report says of stages on servers."""

from __future__ import annotations

from eeaug.schema.words import count, number, record, rows, share, text

__all__ = ["REMOTE"]

REMOTE = record(
    "Stages on servers, which are reached over a network.",
    processors=rows("Of these stages.", text("A name."), minItems=1),
    stage=text("The first of them."),
    split=text("The part of the data behind these figures.", one_of=("choose", "certify", "test")),
    sent=share("Of the samples that go on to it."),
    encoding=text("Of the link there; null: as the sender's arithmetic has it.", null=True),
    bytes_each=count("That such a sample sends, before compression.", "B"),
    mean_bytes=number("That a sample sends and receives, over all samples; answers are not counted.", "B"),
    handover_s=number("Mean time that it takes by the link.", "s", null=True),
    handover_p95_s=number("What 95 of 100 stay below; null: the link's spread is not known.", "s", null=True),
    input_bytes=count("Of the input tensor, which would be sent without stages before the server.", "B"),
    link_down_accuracy=share(
        "Where the last exit before a server answers for what goes on to it; null: there is none.", null=True
    ),
)
