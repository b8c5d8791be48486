"""JSON Schema of report.json: files in C."""

from __future__ import annotations

from eeaug.schema.words import Schema, count, or_null, record, rows, text

__all__ = ["c_files"]


def c_files(what: str) -> Schema:
    """Files in C, compiled, run and linked."""
    return record(
        what,
        samples=count("They decided on so many; 0: nothing here could run them.", "samples"),
        compiler=text("What compiled them to run here.", null=True),
        baseline=or_null(
            record(
                "The given model, all stages without heads and decisions, where it runs for comparison.",
                processor=text("Its name."),
                instructions=count("Of one sample; null: not counted.", "instructions", null=True),
                not_counted=text("Why they were not counted.", null=True),
            )
        ),
        warnings=rows("What else must be known of them.", text("A sentence.")),
        processors=rows(
            "What each processor's part takes.",
            record(
                "A processor.",
                processor=text("Its name."),
                arena_bytes=count("Static memory that all its tensors share.", "B"),
                weights_bytes=count("Weights.", "B"),
                handover_bytes=count("What it hands over, in the width of these files; 0: nothing.", "B"),
                cpu=text("What it is linked for, as the hardware description says.", null=True),
                not_measured=text("Why it was not linked.", null=True),
                measured=or_null(
                    record(
                        "A linked program that only calls it.",
                        compiler=text("What linked it."),
                        text_bytes=count("Code and constants.", "B"),
                        data_bytes=count("Variables with a value at the start.", "B"),
                        bss_bytes=count("Other variables: arena, input, hand-over.", "B"),
                        stack_bytes=count("Deepest chain of its functions, without those of the C library.", "B"),
                        flash_bytes=count("Code, constants and values at the start.", "B"),
                        ram_bytes=count("Variables and stack.", "B"),
                    )
                ),
                not_counted=text("Why no instructions were counted.", null=True),
                counted=or_null(
                    rows(
                        "Its stages, each of them run once in QEMU.",
                        record(
                            "A stage.",
                            stage=count("Its number, from 0.", "1"),
                            instructions=count("Of the network up to its end.", "instructions"),
                            head_instructions=count("Of the head at its end.", "instructions"),
                            decision_instructions=count("Of deciding, and of handing over.", "instructions"),
                        ),
                    )
                ),
            ),
        ),
    )
