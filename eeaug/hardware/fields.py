"""All that a hardware description may say, key by key: what reads it, and docs/hardware.md, go by this."""

from __future__ import annotations

from eeaug.support.strict_yaml import Field

__all__ = [
    "ACCELERATORS", "BASES", "BYTES_PER_ELEMENT", "CPUS", "ENCODINGS", "FIELDS", "LEVEL", "LINK", "MEMORY",
    "PROCESSOR", "RATES", "SCHEMA_VERSION",
]  # fmt: skip

SCHEMA_VERSION = 1
CPUS = (
    "cortex-m0", "cortex-m0plus", "cortex-m1", "cortex-m3", "cortex-m4", "cortex-m4+nofp", "cortex-m7",
    "cortex-m7+nofp.dp", "cortex-m7+nofp", "cortex-m23", "cortex-m33", "cortex-m33+nofp",
    "cortex-m33+nodsp", "cortex-m33+nodsp+nofp", "cortex-m55",
)  # fmt: skip
BASES = ("timed", "counted", "published", "assumed")
ACCELERATORS = (
    *(f"ethos-u55-{macs}" for macs in (32, 64, 128, 256)), *(f"ethos-u65-{macs}" for macs in (256, 512)),
    *(f"ethos-u85-{macs}" for macs in (128, 256, 512, 1024, 2048)),
)  # fmt: skip
ENCODINGS = ("float32", "float16", "int8")
BYTES_PER_ELEMENT = {"int8": 1, "int16": 2, "float16": 2, "float32": 4}

_SOURCE = Field("source", "text", "Where these figures come from.", null="unknown")
RATES = (
    Field(
        "default",
        "number",
        "For every operation type without a rate of its own.",
        required=True,
        null="unknown; no latency of types without their own rate, no `--max-latency`",
        unit="MAC/s",
    ),
    Field("conv", "number", "Convolutions with a window.", null="the default is used", unit="MAC/s"),
    Field("pointwise", "number", "1×1 convolutions.", null="the default is used", unit="MAC/s"),
    Field("depthwise", "number", "Depthwise convolutions.", null="the default is used", unit="MAC/s"),
    Field("dense", "number", "Dense layers, matrix products.", null="the default is used", unit="MAC/s"),
)
LEVEL = (
    Field("name", "name", "Names the level in reports. Processors that change together have the same names.",
          required=True),
    Field("clock_hz", "number", "Its frequency. Rates and overheads scale with it.", required=True, unit="Hz"),
    Field("voltage_v", "number", "Voltage of the core.", null="unknown; its power is not scaled from "
        "another's", unit="V"),
    Field(
        "active_power_w",
        "number",
        "Power drawn while it works at this level.",
        null="that of the processor's own clock, times clock × voltage² over those there; unknown without voltages",
        unit="W",
    ),
    Field(
        "switch_s",
        "number",
        "Time that passes before a stage at this level, if the stage before ran at a level of another name.",
        null="unknown, counted as 0",
        unit="s",
        zero=True,
    ),
    _SOURCE,
)  # fmt: skip
PROCESSOR = (
    Field("name", "name", "Names the processor in options, and its folder under `stages/`.", required=True),
    Field("rates_macs_per_s", "mapping", "How fast it computes.", required=True, fields=RATES),
    Field(
        "overhead_s_per_layer",
        "number",
        "Time for the call of every convolution or dense layer, besides its MACs.",
        null="counted as 0: the rates include it",
        unit="s",
        zero=True,
    ),
    Field(
        "overhead_s_per_element",
        "number",
        "Time for every element of the output of such a layer, besides its MACs: scaling, activation, writing.",
        null="counted as 0: the rates include it",
        unit="s",
        zero=True,
    ),
    Field(
        "arithmetic",
        "choice",
        "Type of weights and tensors. Its width gives the bytes of memory and of hand-overs.",
        required=True,
        options=tuple(BYTES_PER_ELEMENT),
    ),
    Field(
        "ram",
        "references",
        "Where its tensors live; of several memories each stage gets one, the fastest that limits allow.",
        required=True,
        of="memory",
    ),
    Field(
        "flash",
        "references",
        "Where its weights live; may be its RAM. Of several memories each stage gets one.",
        required=True,
        of="memory",
    ),
    Field(
        "active_power_w",
        "number",
        "Power drawn while it works.",
        null="unknown; no energies, no `--objective energy`",
        unit="W",
    ),
    Field(
        "sleep_power_w",
        "number",
        "Power drawn while another processor works.",
        null="unknown, counted as 0",
        unit="W",
        zero=True,
    ),
    Field(
        "wakeup_s",
        "number",
        "Time that passes before a stage to which another processor has handed over.",
        null="unknown, counted as 0",
        unit="s",
        zero=True,
    ),
    Field("runtime", "text", "What the rates were measured with.", null="unknown"),
    Field(
        "cpu",
        "choice",
        "Which Cortex-M it is, as `arm-none-eabi-gcc -mcpu` names it; `--format c` measures the C files for it, "
        "and the search goes by the instructions of its kernels.",
        options=CPUS,
        null="the C files are not measured for it",
    ),
    Field(
        "accelerator",
        "choice",
        "An NPU that runs its stages, at its clock: rates are the NPU's. `--format vela` compiles for it.",
        options=ACCELERATORS,
        null="none",
    ),
    Field(
        "remote",
        "flag",
        "A server that is reached over a network: its links are connections. `--format triton` writes its stages.",
        default=False,
    ),
    Field(
        "clock_hz",
        "number",
        "The frequency at which rates, overheads and power here hold; it turns counted instructions into seconds.",
        null="that of the first of `operating_points`; without them unknown: counted instructions give no times",
        unit="Hz",
    ),
    Field(
        "operating_points",
        "list",
        "Performance levels: clocks and voltages that it can work at, `clock_hz` among them. Each stage gets one.",
        default=(),
        fields=LEVEL,
    ),
    Field(
        "cycles_per_instruction",
        "number",
        "Cycles that it takes for an instruction of the C files; `eeaug hw measure` times them.",
        null="those of its `cpu`, from published results",
    ),
    Field(
        "basis",
        "choice",
        "What rates, overheads and cycles per instruction come from; `eeaug hw measure` writes `timed`, `hw new` "
        "`counted`.",
        options=BASES,
        null="unknown",
    ),
    _SOURCE,
)
MEMORY = (
    Field("name", "name", "For `ram` and `flash`. Two processors that name the same share it.", required=True),
    Field("bytes", "whole", "Its size, as far as weights and tensors may use it.", required=True, unit="B"),
    Field(
        "bandwidth_bytes_per_s",
        "number",
        "How fast it is read and written. No stage is faster than its weights and tensors are moved.",
        null="no stage waits for it: the rates include its time",
        unit="B/s",
    ),
    _SOURCE,
)
LINK = (
    Field("from", "reference", "The sender. A link goes one way.", required=True, of="processor"),
    Field("to", "reference", "The receiver.", required=True, of="processor"),
    Field(
        "bandwidth_bytes_per_s",
        "number",
        "How fast it hands over.",
        required=True,
        null="unknown; no latency of what is handed over here, no `--max-latency`",
        unit="B/s",
    ),
    Field("latency_s", "number", "Time that passes once per hand-over.", default=0.0, unit="s", zero=True),
    Field(
        "latency_p95_s",
        "number",
        "Its 95th percentile, as `eeaug hw measure-link` measures it: limits go by it, means by the mean.",
        null="limits go by the mean",
        unit="s",
        zero=True,
    ),
    Field(
        "bandwidth_p5_bytes_per_s",
        "number",
        "What 95 of 100 hand-overs are faster than.",
        null="limits go by the mean",
        unit="B/s",
    ),
    Field(
        "encoding",
        "choice",
        "How a tensor is sent to or from a `remote` processor. Thresholds and promise are those of what arrives.",
        options=ENCODINGS,
        null="as the sender's `arithmetic` has it",
    ),
    Field(
        "compression",
        "choice",
        "Of requests to a `remote` processor; what it saves is not estimated.",
        options=("gzip",),
        null="none",
    ),
    Field(
        "energy_j_per_byte",
        "number",
        "Energy spent by the link itself.",
        null="unknown, counted as 0",
        unit="J/B",
        zero=True,
    ),
    _SOURCE,
)
FIELDS = (
    Field("schema_version", "version", "Version of this format.", required=True, options=(str(SCHEMA_VERSION),)),
    Field("name", "text", "What reports call the target.", required=True),
    Field("source", "text", "Where the figures come from that have no source of their own.", null="unknown"),
    Field(
        "input_at",
        "reference",
        "Where samples arrive. They are sent on from there if the first stage runs elsewhere.",
        null="the first processor",
        of="processor",
    ),
    Field(
        "exclusive",
        "flag",
        "One processor works at a time, so that shared RAM holds the tensors of one, not of all.",
        default=False,
    ),
    Field(
        "baseline",
        "reference",
        "Where the given model runs, with which designs are compared.",
        null="the one with the lowest latency that holds the whole model",
        of="processor",
    ),
    Field("processors", "list", "In order of use.", required=True, fields=PROCESSOR),
    Field("memories", "list", "What processors name as `ram` and `flash`.", required=True, fields=MEMORY),
    Field("links", "list", "Who can hand over to whom.", default=(), fields=LINK),
)
