"""JSON Schema of report.json: every field with its meaning and unit; nothing that is not listed may stand there.

``unit`` is an annotation: SI, and "1" for shares, of which 0.01 is one percentage point.
"""

from __future__ import annotations

from eeaug.cascade.measures import KINDS
from eeaug.schema.c_files import c_files
from eeaug.schema.design import (
    BASES,
    BOUNDS_UNIT,
    CHOICES,
    CURVE_POINT,
    DESIGN,
    LOSING,
    METRICS,
    POINT,
    PROMISE,
    RHO,
    SAMPLES,
    TARGET,
    WORST_CLASS_BOUND,
)
from eeaug.schema.int8 import INT8
from eeaug.schema.manifest import FACTS
from eeaug.schema.remote import REMOTE
from eeaug.schema.settings import SETTINGS
from eeaug.schema.streams import REPORTED
from eeaug.schema.words import (
    Schema,
    by_name,
    count,
    extended,
    flag,
    number,
    or_null,
    record,
    ref,
    rows,
    sha256,
    share,
    text,
)

__all__ = ["VERSION", "schema"]

VERSION = 6  # of report.json, as it is built and rendered


def schema() -> Schema:
    """JSON Schema (2020-12) of report.json of VERSION."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:eeaug:report:{VERSION}",
        "title": "report.json of an eeaug bundle",
        **extended(record(
            "All that any report shows of one augmented network. Null is not known, or not there; never 0.",
            schema_version={"const": VERSION, "description": "Of this format."},
            eeaug=text("Version of eeaug that wrote it."),
            model=_MODEL,
            hardware=extended(
                _HARDWARE, idle=by_name("By processor that runs nothing, where the target says why.", text("Why."))
            ),
            settings=SETTINGS,
            data=_DATA,
            baseline=extended(
                record(
                    "The given model, whole, without exits.",
                    processor=text("Where it runs."),
                    choose=ref("metrics"),
                    measured=or_null(ref("metrics")),
                ),
                **CHOICES,
            ),
            design=extended(DESIGN, remote=REMOTE),
            benefit_curve=rows("What drops would save, on the calibration set; cheapest first.", CURVE_POINT),
            operating_points=rows("Thresholds to switch between while it runs, most accurate first.", POINT),
            promise=ref("promise"),
            proven_together=share(
                "Probability that all that is proven of operating points holds at once, at least.", null=True
            ),
            classes_that_lose=LOSING,
            bounds_unit=BOUNDS_UNIT,
            worst_class_drop_bound_95=WORST_CLASS_BOUND,
            worst_class_drop_bound_95_missing=text("Why there is no such bound.", null=True),
            accuracy_drop_bound_95=number(
                "95 % upper bound of the true accuracy drop, from samples that no choice has seen.",
                "1", least=-1, null=True,
            ),
            accuracy_drop_bound_95_missing=text("Why there is no such bound.", null=True),
            shift=or_null(_SHIFT),
            search=_SEARCH,
            c=or_null(c_files("The C files, which are float32; null: there are none.")),
            verification=_VERIFICATION,
            int8=or_null(INT8),
            manifest=FACTS | {"description": "All that manifest.json says, but for hashes: they are compared."},
            warnings=rows("What a user must know before believing the figures.", text("A sentence.")),
        ), stream=REPORTED),
        "$defs": {"metrics": METRICS, "promise": PROMISE, "target": TARGET, "rho": RHO},
    }  # fmt: skip


_MODEL = record(
    "The given model.",
    file=text("Base name of its file."),
    sha256=sha256("SHA-256 of that file."),
    name=text("Its name."),
    parameters=count("Weights.", "values"),
    macs=count("Of one inference.", "MAC"),
    input_shape=rows("Of one sample, without batch.", count("Size of an axis.", "values")),
    classes=rows("Names of the classes.", text("A name.")),
    decision=text("How its output becomes a class.", one_of=KINDS),
)

_HARDWARE = extended(
    record(
        "The target, as far as figures depend on it; hardware.yaml in the bundle is all of it.",
        name=text("Its name."),
        sha256=sha256("SHA-256 of hardware.yaml."),
        source=text("Where its figures come from.", null=True),
        processors=rows("Names, in order of use.", text("A name.")),
        input_at=text("The processor where samples arrive."),
        baseline=text("The processor that the whole model runs on for comparison."),
        exclusive=flag("Whether one processor works at a time."),
        basis=text("Where latency and energy come from.", one_of=BASES),
        by_rates=by_name(
            "By processor: what its estimates by counted kernels lack, and the rates serve for.",
            text("Null: nothing, or no format for devices was asked for.", null=True),
        ),
        runtimes=by_name("By processor: what the rates were measured with.", text("Null: unknown.", null=True)),
        memories=rows(
            "What weights and tensors may use.",
            record(
                "A memory.",
                memory=text("Its name."),
                bytes=count("Its size.", "B"),
                ram_of=rows("Processors whose tensors live there.", text("A name.")),
                flash_of=rows("Processors whose weights live there.", text("A name.")),
            ),
        ),
        sleep_power_w=by_name(
            "By processor: drawn while it does not work.", number("Null: unknown, counted as 0.", "W", null=True)
        ),
        not_counted=rows("What is unknown and counted as 0.", text("In words.")),
    ),
    levels=by_name(
        "Of processors that have several performance levels (operating_points in hardware.yaml).",
        rows(
            "The levels.",
            record(
                "A level.",
                name=text("Its name."),
                clock_hz=number("Its frequency.", "Hz", exclusiveMinimum=0),
                voltage_v=number("Of the core; null: unknown.", "V", null=True),
                active_power_w=number("Drawn while it works, as given or scaled; null: unknown.", "W", null=True),
            ),
        ),
    ),
)

_PART = or_null(
    record(
        "Null: there is no such part.",
        samples=SAMPLES,
        of=text("The array it was taken from."),
    )
)

_DATA = record(
    "The data, and what each part was used for: training (fit), validation (screen), calibration (choose), test.",
    source=text("Base name of what was given."),
    sha256=sha256("SHA-256 of its contents."),
    parts=record(
        "Parts; no sample is in two of them.",
        fit=_PART,
        screen=_PART,
        choose=_PART,
        test=_PART,
    ),
    notes=rows("What was done for want of a part.", text("A sentence.")),
)

_SHIFT = record(
    "Whether the parts of the data are of one kind; null: there is no test part.",
    level=number("No test is outside in a larger share of runs on parts of one distribution.", "1", most=1),
    tests=count("Tests of all comparisons.", "tests"),
    comparisons=rows(
        "Two parts each.",
        record(
            "A part, and what another lets expect.",
            reference=text("That other part.", one_of=("choose", "screen")),
            part=text("The part.", one_of=("test", "choose")),
            learnt=flag("Whether the given model was trained on the reference alone: less than there is no alarm."),
            unit=text("What was drawn.", one_of=("sample", "group")),
            units=rows("Of the reference and of the part.", count("So many.", "units"), minItems=2, maxItems=2),
            outside=count("Statistics that are outside of their interval; they come first.", "statistics"),
            statistics=rows(
                "Statistics; of all classes the least likely one.",
                record(
                    "One of them.",
                    statistic=text(
                        "Accuracy of the given model; share of a class; share that leaves at an exit, or at it or "
                        "before; mean confidence of all that leave there, that get there, or of all samples.",
                        one_of=(
                            "accuracy", "class_share", "leave_rate", "left_by", "left_confidence",
                            "reached_confidence", "confidence",
                        ),
                    ),
                    of=text("The location, or output; the class.", null=True),
                    expected=share("In the reference.", null=True),
                    interval=or_null(rows("Within it, it is chance.", share("An end."), minItems=2, maxItems=2)),
                    observed=share("In the part.", null=True),
                    p_value=number("Of this test alone.", "1", most=1),
                    outside=flag("Whether it is outside."),
                ),
            ),
        ),
    ),
)  # fmt: skip

_SEARCH = record(
    "What the search looked at.",
    locations=count("Where an exit was tried.", "locations"),
    locations_left_out=count("Where one could stand, too, but was not tried.", "locations"),
    heads_trained=count("Heads that were trained.", "heads"),
    heads_kept=count("Those that were not hopeless.", "heads"),
    architectures=count("Choices of exits.", "architectures"),
    placements=count("Choices of exits and processors within the limits.", "placements"),
    threshold_configurations=count("Scored for the architectures that were counted exactly.", "configurations"),
    settled=text("Which architectures were counted exactly."),
    rejected=record(
        "Choices of exits and processors that a limit ruled out.",
        latency=count("By worst latency.", "placements"),
        memory=count("By memory.", "placements"),
    ),
)

_VERIFICATION = record(
    "Every written file was read back and run as a cascade.",
    samples=count("Samples it was run on.", "samples"),
    tolerance=number("Decisions may differ where a confidence is that close to a threshold.", "1"),
    formats=by_name(
        "By file format.",
        record(
            "Against the augmented model.",
            disagreements=count("Other decisions. Null: nothing here could run them.", "samples", null=True),
            near_threshold=count(
                "Those of them so close to a threshold that rounding decides.", "samples", null=True
            ),
        ),
    ),
)
