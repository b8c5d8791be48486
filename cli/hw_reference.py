"""The reference of the hardware description as Markdown, from the definitions that the reader goes by."""

from __future__ import annotations

from collections.abc import Iterable

from eeaug import hardware
from eeaug.hardware import cycles
from eeaug.hardware.fields import FIELDS
from eeaug.support.strict_yaml import Field

__all__ = ["EXAMPLE", "markdown"]

EXAMPLE = """\
schema_version: 1
name: my-board
processors:
  - name: little
    rates_macs_per_s: {default: 8.6e6}
    arithmetic: int8
    ram: sram
    flash: flash
    active_power_w: 0.019
    source: measured, DS-CNN (2,656,768 MACs) in 309 ms
  - {name: big, rates_macs_per_s: {default: 40.0e6}, arithmetic: int8, ram: sram, flash: flash}
memories:
  - {name: sram, bytes: 262144}
  - {name: flash, bytes: 1048576}
links:
  - {from: little, to: big, bandwidth_bytes_per_s: 4.0e8}
"""

_HEAD = """\
# Hardware descriptions

<!-- printed by `eeaug hw reference`; change the definitions in eeaug/hardware/fields.py, not this file -->

A target is a YAML file with its processors, memories and links, or the name of a shipped profile:
`eeaug augment model.h5 --hw my-board.yaml`. `eeaug hw check my-board.yaml` names every mistake at once, each
with its path, and warns of what stays unknown. `eeaug hw show NAME` shows a shipped profile.

## Your own board

`eeaug hw new` asks for core, clock and memories and writes the file; in scripts its options answer. Rates are then
counted, not measured: instructions of the int8 C kernels on the core, cycles for each, the clock. By hand it looks
like this:
"""

_HOW = """\
1. **Rates** are what a runtime really reaches. Run a network whose MACs are known (`eeaug inspect MODEL` counts
   them) on every processor: its MACs over its seconds are the default rate. The same core differs by a factor
   of four between runtimes, and by as much between kinds of layers: give `conv`, `pointwise`, `depthwise` and
   `dense` where a profiler tells them, or let `eeaug hw fit` find them from latencies of several networks or
   layers (below).
2. **Memories** are hard limits: give what the rest of the firmware leaves for tensors and weights. A processor may
   have several, `ram: [tcm, sram]` and `flash: [flash, qspi]`: each stage's tensors and weights lie in one each, so
   that all fit and little time is lost. With `bandwidth_bytes_per_s`, no layer is faster than its weights, its
   input and its output are moved; without it a memory is as fast as the rates say. Stages of one processor run
   one after the other and reuse its RAM, and with `exclusive: true` so do those of all processors that share it.
3. **Links** go one way, and stages run in the order of the processors. Without a link, no design hands over there;
   `eeaug hw check` names processors that no design can use, or that another one outclasses in time and energy.
4. **What is not known stays null.** Nothing is guessed: a latency or an energy that needs it is not shown, and
   an option that needs it is refused with the name of the field.
5. **`source`** says where figures come from. A report on figures without a source is worth little.

6. **`operating_points`** are clocks and voltages of a processor, its *performance levels* (an operating point of a
   design is another thing: a vector of thresholds). `--objective latency` and `--objective energy` choose one for
   every stage together with its processor, within `--max-latency`; with `--objective macs` processors work at their
   own clock. Times scale with the clock; in truth, layers that wait for a memory lose less at a lower one. A level
   without `active_power_w` gets the power at the own clock, scaled by clock × voltage²; leakage is left out. Give
   levels of two processors the same names where one supply or clock serves both.
7. **Sleep** belongs to the energy of an inference as soon as `--period` says how often there is one: then a fast
   stage and a long sleep are compared with a slow one, and `sleep_power_w` decides.

Units are SI and stand in the names. `1e6` is read as a number, although YAML 1.1 takes it for text.
"""

_FIT = """\
## Rates from measurements

`eeaug hw fit my-board.yaml --measured runs.csv -o my-board-fitted.yaml` finds rates, and what layers take besides
their MACs, from latencies: of a few networks, or of layers from a profiler.

```csv
name,     processor, model,     layer,  conv,     pointwise, depthwise, dense,  layers, elements, latency_s
ResNet,   m4,        resnet.h5, ,       ,         ,          ,          ,       ,       ,         0.165125
one,      m4,        resnet.h5, conv_1, ,         ,          ,          ,       ,       ,         0.0311
by hand,  m4,        ,          ,       ,         ,          ,          264192, 10,     1672,     0.005261
```

- `latency_s`: seconds of one inference; needed.
- `processor`: which one it ran on; may be left out where there is only one.
- `model`: a Keras model, relative to the file; what it computes is counted. `layer`: one of its layers, where the
  latency is that of this one alone.
- `conv`, `pointwise`, `depthwise`, `dense`: MACs, for what is no model that eeaug reads. With them `layers`, how
  many layers have MACs, and `elements`, how many elements these give; if they are missing in one row, no overheads
  are fitted.
- `name`: for people.

All figures are held to one common rate, as a few measurements do not tell them apart, and depart from it as far as
the latencies ask for (`eeaug/hardware/fit.py` has the model). Overheads that were hardly measured are the usual
ones, 10,000 MACs for a layer and 10 for an element, and `source` says so; a type that was hardly measured gets no
rate of its own. What to trust is the column "fitted to the others": the error of estimating each row from the other
rows. `benchmarks/latency_model.py` does that with the published results of MLPerf Tiny.
"""

_MEASURE = """\
## Rates measured by the board itself

`eeaug hw measure model-eeaug -o firmware` writes a firmware project that times the C files of a bundle on their
board (`--format c-int8` or `c`), layer by layer; its README says how it gets there. What the board prints,

```csv
bundle,processor,stage,layer,kernel,cycles,clock_hz
5aeb2d2a,cm4f,1,0,convolve,1289311,150000000
5aeb2d2a,cm4f,1,1,softmax,1210,150000000
5aeb2d2a,cm4f,1,all,stage,1290533,150000000
5aeb2d2a,cm4f,end,,,3,150000000
```

becomes a description: `eeaug hw measure model-eeaug --read cm0p.csv --read cm4f.csv -o board.yaml`. Its processors
have `basis: timed`, and

- `rates_macs_per_s`: the MACs of all layers of a kind over their seconds; `default`: of all layers with MACs;
- `overhead_s_per_element`: what the stages took besides, for every element that such layers give;
- `cycles_per_instruction`: cycles over instructions, which QEMU counts for the same files if it and the compiler
  are installed; with other options than `-O2` a board executes other instructions;
- `clock_hz`: as the board printed it.

Cycles are counted by DWT, or by SysTick where a core has none (Cortex-M0+); `-DMEASURE_CYCLES=name` names another
counter. The least of three runs counts, so caches are warm, as they are in a device that classifies one sample
after another. Boards with a Linux take a Python file that needs NumPy and ONNX Runtime or LiteRT alone
(`--format onnx`, `tflite`, `tflite-int8`): the median of many runs, in nanoseconds. ONNX Runtime's profile divides
it among layers; LiteRT does not report times of layers, so there is one rate for all kinds.

`make qemu` in the project runs it in an emulated board, whose counter counts instructions; tests use it in place
of a board.
"""

_CYCLES = """\
## From counted instructions to seconds

Instructions of the C files are counted in QEMU. Seconds are instructions × cycles per instruction / `clock_hz`,
with the processor's own `cycles_per_instruction` (±5 % if `timed`, else ±8 %), or else those of its `cpu`:

@{cores}
With `--format c` or `c-int8` the search goes by the same before anything is written, with what each kernel takes on
each core (`eeaug/hardware/kernel_table.json`). A processor without `cpu` or `clock_hz`, and one whose core has no
cycles above, keeps its rates; the report says which.

They are of code that a cache or prefetch unit keeps fed. `benchmarks/cycles.py` counts,
`benchmarks/latency_model.py` compares with the published results of MLPerf Tiny:

| board | core | memory of the code | cycles per instruction | error |
| --- | --- | --- | --- | --- |
| CY8CPROTO-062-4343W, 150 MHz | Cortex-M4 | flash behind a cache | 1.86 | ±8 % |
| NUCLEO-L4R5ZI, 120 MHz | Cortex-M4 | flash with 5 wait states behind ST's ART | 1.53 | ±6 % |
| DISCO-F746NG, 216 MHz | Cortex-M7 | flash behind caches | 0.89 | ±6 % |
| NUCLEO-H7A3ZI-Q, 280 MHz | Cortex-M7 | flash behind caches | 0.88 | ±5 % |
| nRF5340 DK, 128 MHz | Cortex-M33 | flash behind a cache | 1.26 | ±2 % |
| NUCLEO-U385RG-Q, 96 MHz | Cortex-M33 | flash behind a cache | 1.33 | ±1 % |
| NUCLEO-U575ZI-Q, 160 MHz | Cortex-M33 | flash with 4 wait states behind a cache | 1.30 | ±6 % |
| B-U585I-IOT02A, 160 MHz | Cortex-M33 | flash with 4 wait states behind a cache | 1.22 | ±10 % |

- The scale is that of submissions whose kernels are CMSIS-NN's (microTVM's, on L4R5 and nRF5340): cycles over the
  counted instructions of just these kernels. Kernels of others are not known, but they are the same on the boards
  that a submitter has: that links the boards. The error is what this leaves of the published cycles. A core has the
  mean of its boards, and its error how far these are apart.
- **M0+, M3**: Arm's table of cycles for each of the executed instructions, without wait states. Such a table gives
  1.31 for the M4; the rest up to its boards is their memory, and that is the error. **M55**: assumed.
- The memory makes the difference between boards with one core, and no figure of a core knows it: `eeaug hw measure`
  times yours.

Between networks on one board: every network of a submission estimated from its others, with nothing fitted but
cycles per instruction, median error:

| core | submissions | rates with overheads | counted instructions of c-int8 |
| --- | --- | --- | --- |
| Cortex-M0+ | 2 | 7.6 % | 4.6 % |
| Cortex-M4 | 24 | 7.0 % | 10.3 % |
| Cortex-M7 | 13 | 4.3 % | 5.1 % |
| Cortex-M33 | 13 | 4.2 % | 9.7 % |
| all four | 52 | 5.5 % | 7.7 % |

Rates with overheads are those of `eeaug hw fit` on the same networks; on all submissions, with processors of other
kinds, they are 10.3 % off. What c-int8 executes is not what a submission executed, and that is most of its error:
with the kernels of CMSIS-NN counted in place of c-int8's, the five submissions that ran these are 2.9 % off,
against 17.6 %.

MobileNetV1 (vww) of STMicroelectronics, plumerai, Skymizer and Nuvoton from v1.1 on is left out. At that version
their time of vww halved, and that of the other networks stayed: as it does without the channels of the second half
that give the same for every image (100 of 128 in most layers, of 60 images).
"""


def _cores() -> str:
    rows = [(name, f"{core.cycles:.2f}", core.words, core.source) for name, core in cycles.CORES.items()]
    return _table(("core", "cycles per instruction", "error", "from"), rows)


def markdown() -> str:
    """The whole of docs/hardware.md: how to write a description, every key, the shipped profiles."""
    parts = [
        _HEAD,
        f"```yaml\n{EXAMPLE}```\n",
        _HOW,
        _FIT,
        _MEASURE,
        _CYCLES.replace("@{cores}", _cores()),
        *_sections("The file", FIELDS),
        _profiles(),
    ]
    return "\n".join(parts)


def _sections(title: str, fields: tuple[Field, ...]) -> Iterable[str]:
    """A heading and a table, then the same for every mapping in it."""
    rows = [(f"`{f.key}`", _value(f), f.unit, _absent(f), f.meaning) for f in fields]
    yield f"## {title}\n"
    yield _table(("key", "value", "unit", "null or left out", "meaning"), rows)
    for field in fields:
        if field.fields:
            every = "Every one of " if field.kind == "list" else ""
            of = "" if fields is FIELDS else " of a processor"
            which = f"{every}`{field.key}`{of}"
            yield from _sections(which, field.fields)


def _value(field: Field) -> str:
    if not field.fields:
        return field.wanted
    return "a mapping, see below" if field.kind == "mapping" else "a list of mappings, see below"


def _absent(field: Field) -> str:
    """What it means that there is no value."""
    if field.required:
        return "a mistake" if field.null is None else f"null: {field.null}; left out: a mistake"
    if field.null is not None:
        return field.null
    if isinstance(field.default, bool):
        return f"left out: {str(field.default).lower()}"
    return "left out: none" if field.default == () else f"left out: {field.default}"


def _profiles() -> str:
    rows = []
    for name in hardware.shipped():
        target = hardware.read(name)
        processors = ", ".join(f"`{p.name}`" for p in target.processors)
        rows.append((f"`{name}`", processors, target.source or ""))
    table = _table(("name", "processors", "source"), rows)
    text = "The files say for every number where it comes from, and how it was derived.\n"
    return f"## Shipped profiles\n\n{text}\n{table}"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (columns, ("---",) * len(columns), *rows)
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
