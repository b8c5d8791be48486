"""JSON Schema of what Vela says of a stage that it compiled for an NPU; in manifest.json and in report.json."""

from __future__ import annotations

from eeaug.schema.words import count, number, record, rows, text

__all__ = ["FIGURES", "VELA"]

VELA = {
    "accelerator": text("The NPU, as Vela names it."),
    "system": text("Memory system of Vela's configuration file that the estimates are of."),
    "memory_mode": text("Where tensors and weights lie, as Vela names it."),
    "clock_hz": number("Of the NPU.", "Hz", exclusiveMinimum=0, least=None),
    "cycles": count("Of an inference on the NPU, estimated by Vela.", "cycles"),
    "sram_bytes": count("Of all tensors at once.", "B"),
    "storage_bytes": count("Of weights and commands.", "B"),
    "on_cpu": rows("Kinds of operators that are left to the processor.", text("A name.")),
}
FIGURES = record(
    "Compiled for an NPU, by Vela's estimates.",
    **VELA,
    file_bytes=count("Of its file.", "B"),
    latency_s=number("Cycles over clock; what is left to the processor comes on top.", "s"),
)
