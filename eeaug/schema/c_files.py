"""JSON Schema of report.json: files in C."""

from __future__ import annotations

from eeaug.schema.words import Schema, count, number, or_null, record, rows, share, text

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
                latency_s=number("What they mean, with the hand-over of the input.", "s", null=True),
                estimated_latency_s=number("By the rates of the hardware description.", "s", null=True),
            )
        ),
        paths=or_null(
            rows(
                "Ways through it, shortest first, by the instructions of all stages on them; null: not counted.",
                record(
                    "One of them.",
                    exit=text("Where a sample leaves; null: at the output.", null=True),
                    leave_rate=share(
                        "Samples that leave there, of the test set; without one, of the calibration set."
                    ),
                    instructions=count("Of stages, heads and decisions.", "instructions"),
                    latency_s=number("What they mean, with hand-overs and wake-ups.", "s", null=True),
                    estimated_latency_s=number("By the rates of the hardware description.", "s", null=True),
                ),
            )
        ),
        mean=or_null(
            record(
                "Of a sample, by these shares.",
                instructions=number("As above.", "instructions"),
                latency_s=number("As above.", "s", null=True),
                estimated_latency_s=number("As above.", "s", null=True),
            )
        ),
        cycles=rows(
            "What instructions become seconds by.",
            record(
                "A processor.",
                processor=text("Its name."),
                clock_hz=number("Its clock; null: the hardware description does not say.", "Hz", null=True),
                per_instruction=number("Cycles that an instruction takes; null: unknown.", "1", null=True),
                error=number("Relative error of a time that is made of them.", "1", null=True),
                source=text("Where cycles and error come from.", null=True),
            ),
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
