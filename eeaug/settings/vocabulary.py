"""The names and limits that options are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

__all__ = [
    "ALWAYS", "CONFIGURATIONS", "COSTS", "C_PREFIX", "DECISIONS", "EFFORTS", "FAMILIES", "FORMATS", "FRONT_ENDS",
    "HEADERS", "INHERITED", "MAX_SEED", "MAX_THREADS", "PROMISES", "RECIPES", "RISK", "UNITS", "WITH_NAMES", "Cost",
    "Effort", "flag", "needed", "usual_exits",
]  # fmt: skip

# what `eeaug retarget` takes from the earlier bundle unless it is given; of some, "none" takes it away
INHERITED = (
    "max_accuracy_drop", "efficiency_weight", "max_latency_s", "period_s", "max_ram_bytes", "max_flash_bytes",
    "max_class_drop", "promise", "risk", "objective",
    "scoring", "correction", "points", "mapping", "max_exits", "reuse", "formats",
    "c_prefix", "thresholds", "exit_at", "threshold", "forbid", "custom_objects",
)  # fmt: skip

RECIPES = ("frozen", "trecx")
TRECX_EPOCHS = 10
LEAST_ALPHA = 0.5  # above it the class that an exit for a target class is sure of is the target
DECISIONS = ("single-label", "multilabel")  # whether a sample has one of the classes, or each of them or not
PROMISES = ("proven", "expected", "none")  # of the accuracy drop, on samples that had no part in the choice
UNITS = ("group", "sample")  # what was drawn independently, where the data has groups
# Exits by default where processors may run several segments: the second saves 1 to 3.4 points more on two networks,
# the third up to 0.2, a fourth nothing that is worth its search.
MOST_EXITS = 3
CONFIGURATIONS = 10_000_000  # of one architecture: what its tables may hold
RISK = 0.05  # that a proof may fail with
MAX_ACCURACY_DROP = MAX_BLANK_LOSS = 0.01  # by default
# Formats that have no last stage but that of a classifier.
CLASSIFIERS_ONLY = ("tflite-int8", "tflm", "c", "c-int8", "triton", "onnx-one", "vela")
REFRESH = 32  # samples of a stream, of which one at least is decided without memory
MOST_REFRESH, MOST_WINDOW = 65_535, 32  # samples: an age has two bytes, answers that are counted some each
# Formats that carry the state of a stream.
STREAMING = ("keras", "onnx", "tflite", "tflite-int8", "tflm", "c", "c-int8")
MAX_SEED = 2**31 - 1  # NumPy takes 32 bits, and every location adds to it
MAX_THREADS = 1024
SAMPLED = 20  # locations of deep models for a target class (Bonato and Bouganis, section 4.2)
# of heads, as heads.families makes them
FAMILIES = ("blueprint", "hidden", "separable", "convolutional", "trecx", "dense-connection")
ALWAYS = ("keras", "onnx")
# of stages, as export.formats writes them, in its order → those that it is made from
FORMATS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(ALWAYS, ()),
    "tflite": (),
    "tflite-int8": ("tflite",),
    "tflm": ("tflite", "tflite-int8"),
    "c": (),
    "c-int8": ("tflite", "tflite-int8"),
    "triton": (),
    "onnx-one": (),
    "vela": ("tflite", "tflite-int8"),
}
WITH_NAMES = ("tflm", "c", "c-int8")  # formats whose files have names of a programming language
# What such names may begin with: short, no digit and no underscore first.
C_PREFIX = r"[A-Za-z][A-Za-z0-9_]{0,39}"
# <prefix>.h must not hide a header of C99 or C11, or be a file that lies beside it.
HEADERS = frozenset(
    word
    for line in (
        "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg",
        "stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype",
        "arm_math samples decide cmsis_nn arm_nnfunctions arm_nnsupportfunctions arm_nn_types arm_nn_math_types",
        "cmsis_compiler cmsis_gcc arm_acle arm_mve",
    )
    for word in line.split()
)
_FLAGS = {
    "max_latency_s": "--max-latency", "period_s": "--period", "max_ram_bytes": "--max-ram",
    "max_flash_bytes": "--max-flash", "output": "-o", "output_name": "--output", "formats": "--format",
    "cache": "--cache-dir", "max_cache_bytes": "--max-cache",
}  # fmt: skip


def flag(setting: str) -> str:
    """The option of the command line that a setting is given by."""
    return _FLAGS.get(setting, "--" + setting.replace("_", "-"))


def usual_exits(mapping: str, thresholds: int, processors: int) -> int:
    """How many exits there may be where none was asked for: one classifier per processor, as in the papers.

    Where processors may run several segments, MOST_EXITS, or as many as so many thresholds can be counted for.
    """
    paper = max(1, processors - 1)
    counted = [limit for limit in range(paper, MOST_EXITS + 1) if thresholds**limit <= CONFIGURATIONS]
    return max([paper, *counted]) if mapping == "free" else paper


def needed(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats, and those that they are made from."""
    return tuple(name for asked in formats for name in (asked, *FORMATS[asked]))


@dataclass(frozen=True)
class Cost:
    """What a cascade may cost, summed along the path of a sample; its mean over samples can be minimised.

    Parameters
    ----------
    name : as ``--objective`` has it
    field : of network.costs.Segments
    metric : the mean's name in report.json
    words : the same in words; ``unit`` is written by report.units
    needs : what every processor and link must tell of itself: "rates", "powers"
    everywhere : it is the same on whatever processors
    """

    name: str
    field: str
    metric: str
    words: str
    unit: str
    needs: tuple[str, ...] = ()
    everywhere: bool = False


COSTS: Mapping[str, Cost] = {
    cost.name: cost
    for cost in (
        Cost("macs", "macs", "mean_macs", "mean MACs", "MAC", everywhere=True),
        Cost("latency", "time_s", "mean_latency_s", "mean latency", "s", needs=("rates",)),
        Cost("energy", "drawn_j", "mean_energy_j", "mean energy", "J", needs=("rates", "powers")),
    )
}


@dataclass(frozen=True)
class Effort:
    """How much is spent on heads.

    Dense ones: locations at most; pooled values of a location per sample of fit, and of all locations per MAC of
    the backbone, at most; passes over fit, batches at least and learning rate of those with hidden layers, others
    may need four times the passes. Convolutional ones: passes over fit; what a head may cost, in MACs or as a share
    of the backbone, whichever is more; how long their training may take together, in seconds or passes of the
    backbone over the data, whichever is more. Times are estimated from shapes, so that the same run gives the same
    heads everywhere.
    """

    families: tuple[str, ...]
    places: float
    dense_values: float
    dense_share: float
    dense_epochs: int
    dense_steps: int
    dense_rate: float
    map_epochs: int
    map_macs: float
    map_share: float
    map_s: float
    map_passes: float


# Dense heads: the fewer steps, the larger the first ones; 2, 4 and 10 passes came to within 0.7, 0.2 and 0 points.
# Convolutional ones after 3, 6, 7 and 12 passes, on ResNet-8's first map: 75.5, 77.9, 78.1 and 78.3 % right.
EFFORTS: Mapping[str, Effort] = {
    "quick": Effort(
        ("blueprint",), 24, 0.5, 0.0007, 2, 170, 3e-2, 2,
        map_macs=1e6, map_share=0.005, map_s=20, map_passes=0.3,
    ),
    "normal": Effort(
        ("blueprint", "separable"), inf, 1, inf, 3, 350, 2e-2, 7,
        map_macs=1e6, map_share=0.005, map_s=75, map_passes=1,
    ),
    "thorough": Effort(
        FAMILIES, inf, inf, inf, 10, 800, 1e-2, 12,
        map_macs=2e6, map_share=0.08, map_s=600, map_passes=10,
    ),
}  # fmt: skip


_TIMES = {"sample_rate_hz": 16000.0, "length_ms": 1000.0, "window_ms": 30.0, "step_ms": 20.0}
# of sounds: kind → its parameters as its reference has them
FRONT_ENDS: Mapping[str, Mapping[str, float]] = {
    "mfcc": {
        **_TIMES, "bands": 40.0, "lower_hz": 20.0, "upper_hz": 4000.0, "coefficients": 10.0, "offset": 1e-6,
    },
    "micro_speech": {
        **_TIMES, "bands": 40.0, "lower_hz": 125.0, "upper_hz": 7500.0, "smoothing_bits": 10.0,
        "even_smoothing": 0.025, "odd_smoothing": 0.06, "least_signal": 0.05, "pcan_strength": 0.95,
        "pcan_offset": 80.0, "gain_bits": 21.0, "scale_shift": 6.0, "scale": 10 / 256,
    },
}  # fmt: skip
