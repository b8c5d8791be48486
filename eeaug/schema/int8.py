"""JSON Schema of report.json: the int8 stages, a cascade of their own."""

from __future__ import annotations

from eeaug.schema.c_files import c_files
from eeaug.schema.design import BOUNDS_UNIT, LOSING, POINT, THRESHOLD, WORST_CLASS_BOUND
from eeaug.schema.npu import FIGURES
from eeaug.schema.words import (
    by_name,
    count,
    extended,
    flag,
    number,
    or_null,
    record,
    ref,
    rows,
    share,
    text,
)

__all__ = ["CHECKED", "INT8"]

CHECKED = {
    "disagreements": count("Other decisions. Null: nothing here could run them.", "samples", null=True),
    "near_threshold": count("Those of them so close to a threshold that rounding decides.", "samples", null=True),
}

INT8 = record(
    "The int8 files as a cascade, compared with the given float model.",
    kernels=text("LiteRT's kernels that figures are of.", one_of=("optimised", "reference")),
    calibration_samples=count("Validation samples that ranges were taken from.", "samples"),
    exits=rows(
        "Early exits, in order.",
        record(
            "An exit with its own threshold.",
            location=text("The layer after which it stands."),
            threshold=THRESHOLD,
            constant=number(
                "Leaves where the largest int8 probability is at least this; null: never, or decided otherwise.",
                "1", least=-128, most=127, null=True, kind="integer",
            ),
            accuracy=share("On all calibration samples, if all left here."),
        ),
    ),
    predicted=ref("metrics"),
    measured=or_null(ref("metrics")),
    same_answer=share("Samples (of the test set, else of the calibration set) with the answer of the float "
        "cascade."),
    operating_points=rows("As those of the float cascade.", POINT),
    promise=ref("promise"),
    classes_that_lose=LOSING,
    bounds_unit=BOUNDS_UNIT,
    worst_class_drop_bound_95=WORST_CLASS_BOUND,
    worst_class_drop_bound_95_missing=text("Why there is no such bound.", null=True),
    accuracy_drop_bound_95=number("As that of the float cascade.", "1", least=-1, null=True),
    accuracy_drop_bound_95_missing=text("Why there is no such bound.", null=True),
    stages=rows(
        "The files.",
        extended(
            record(
                "An int8 stage.",
                stage=text("Its name."),
                file_bytes=count("Of its file.", "B"),
                requantised=flag("Whether its input has another scale than what is handed over."),
                arena_bytes=count("Of the TFLM driver; null: not asked for, no microcontroller.", "B", null=True),
                operators=or_null(rows("That TFLM must know.", text("A name."))),
            ),
            vela=FIGURES,
        ),
    ),
    c=or_null(c_files("The int8 C files; null: there are none.")),
    checks=by_name(
        "By runtime: against LiteRT.", record("Of so many samples.", samples=count("Run.", "samples"), **CHECKED)
    ),
)  # fmt: skip
