"""JSON Schema of report.json: every field with its meaning and unit; nothing that is not listed may stand there.

``unit`` is an annotation: SI, and "1" for shares, of which 0.01 is one percentage point.
"""

from __future__ import annotations

from typing import Any

from eeaug.report.facts import SCHEMA_VERSION
from eeaug.report.metrics import BINS

__all__ = ["schema"]

Schema = dict[str, Any]


def schema() -> Schema:
    """JSON Schema (2020-12) of report.json of facts.SCHEMA_VERSION."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:eeaug:report:{SCHEMA_VERSION}",
        "title": "report.json of an eeaug bundle",
        **_object(
            "All that any report shows of one augmented network. Null is not known, or not there; never 0.",
            schema_version={"const": SCHEMA_VERSION, "description": "Of this format."},
            eeaug=_text("Version of eeaug that wrote it."),
            model=_MODEL,
            hardware=_HARDWARE,
            settings=_SETTINGS,
            data=_DATA,
            baseline=_object(
                "The given model, whole, without exits.",
                processor=_text("Where it runs."),
                choose=_ref("metrics"),
                measured=_or_null(_ref("metrics")),
            ),
            design=_DESIGN,
            benefit_curve=_list("What accuracy drops buy, on choose; cheapest first.", _CURVE_POINT),
            operating_points=_list("Thresholds to switch between while it runs, most accurate first.", _POINT),
            guarantee=_or_null(_ref("guarantee")),
            accuracy_drop_bound_95=_number(
                "95 % upper bound of the true accuracy drop, from samples that no choice has seen.",
                "1", least=-1, null=True,
            ),
            accuracy_drop_bound_95_missing=_text("Why there is no such bound.", null=True),
            search=_SEARCH,
            verification=_VERIFICATION,
            warnings=_list("What a user must know before believing the figures.", _text("A sentence.")),
        ),
        "$defs": {"metrics": _METRICS, "guarantee": _GUARANTEE},
    }  # fmt: skip


def _object(description: str, **properties: Schema) -> Schema:
    """An object that has these fields, all of them, and no other."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(description: str, items: Schema, **limits: Any) -> Schema:
    return {"type": "array", "description": description, "items": items, **limits}


def _by_name(description: str, values: Schema) -> Schema:
    return {"type": "object", "description": description, "additionalProperties": values}


def _type(name: str, null: bool) -> Any:
    return [name, "null"] if null else name


def _text(description: str, *, null: bool = False, one_of: tuple[str, ...] = ()) -> Schema:
    choices = {"enum": [*one_of, *([None] if null else [])]} if one_of else {}
    return {"type": _type("string", null), "description": description, **choices}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _number(
    description: str, unit: str, *, least: float = 0, most: float | None = None, null: bool = False,
    kind: str = "number",
) -> Schema:  # fmt: skip
    upper = {} if most is None else {"maximum": most}
    return {"type": _type(kind, null), "description": description, "unit": unit, "minimum": least, **upper}


def _count(description: str, unit: str, *, null: bool = False) -> Schema:
    return _number(description, unit, kind="integer", null=null)


def _share(description: str, *, null: bool = False) -> Schema:
    # sums of shares may pass 1 by rounding
    return _number(description, "1", most=1 + 1e-9, null=null)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _sha256(description: str) -> Schema:
    return {"type": "string", "description": description, "pattern": "^[0-9a-f]{64}$"}


_SPLIT = _text("The part of the data behind these figures.", one_of=("choose", "certify", "test"))
_SAMPLES = _count("How many samples that part has.", "samples")
_PER_CLASSIFIER = "Per early exit, in order, and last for the final classifier"
_THRESHOLD = _number(
    "A sample leaves where the float32 confidence is at least this; null is never.", "1", null=True
)

_METRICS = _object(
    "Figures of a network on one part of the data. Latency and energy are estimates where basis is profile.",
    split=_SPLIT,
    samples=_SAMPLES,
    accuracy=_share("Right answers; without labels, those that agree with the given model.", null=True),
    precision=_share("Mean over classes.", null=True),
    recall=_share("Mean over classes.", null=True),
    worst_class=_or_null(
        _object(
            "The class that loses most against the given model.",
            name=_text("Its name."),
            accuracy=_share("Right answers among its samples.", null=True),
            drop=_number("What it loses against the given model.", "1", least=-1, most=1, null=True),
        )
    ),
    mean_macs=_number("Mean over samples.", "MAC"),
    mean_latency_s=_number("Mean over samples.", "s", null=True),
    p95_latency_s=_number("Smallest path latency that 95 % of samples meet.", "s", null=True),
    worst_latency_s=_number("Of the longest path: every segment, head, hand-over and wake-up.", "s", null=True),
    mean_energy_j=_number("Mean over samples, per inference.", "J", null=True),
    storage_bytes=_count("Weights of all stages.", "B"),
    peak_activation_bytes=_count("Most tensor bytes that are alive at once on any processor.", "B"),
    leave_rates=_list(f"{_PER_CLASSIFIER}: share of all samples that leave there.", _share("A share.")),
    basis=_text("Where latency and energy come from: profile or clock.", one_of=("profile", "timed")),
)

_GUARANTEE = _object(
    "What --risk has proven.",
    max_accuracy_drop=_share("The budget that was to be proven."),
    risk=_share("Probability with which the proof may fail, over the draw of the certify samples."),
    samples=_count("Certify samples.", "samples"),
    proven=_flag("Whether the design is proven to keep the budget."),
    designs_tested=_count("Designs tested, from the safest on, until one was not proven.", "designs"),
    p_value=_share("Of the last design that passed its test, or of the first if none did.", null=True),
    smallest_provable_drop=_number(
        "Smallest drop that these samples prove for the strictest thresholds, where the budget cannot be.",
        "1", null=True,
    ),
    method=_text("How it was proven."),
    statement=_text("The same in a sentence."),
)  # fmt: skip

_MODEL = _object(
    "The given model.",
    file=_text("Base name of its file."),
    sha256=_sha256("SHA-256 of that file."),
    name=_text("Its name."),
    parameters=_count("Weights.", "values"),
    macs=_count("Of one inference.", "MAC"),
    input_shape=_list("Of one sample, without batch.", _count("Size of an axis.", "values")),
    classes=_list("Names of the classes.", _text("A name.")),
    decision=_text("How its output becomes a class.", one_of=("softmax", "binary", "multilabel")),
)

_HARDWARE = _object(
    "The target, as far as figures depend on it; hardware.yaml in the bundle is all of it.",
    name=_text("Its name."),
    sha256=_sha256("SHA-256 of hardware.yaml."),
    source=_text("Where its figures come from.", null=True),
    processors=_list("Names, in order of use.", _text("A name.")),
    input_at=_text("The processor where samples arrive."),
    baseline=_text("The processor that the whole model runs on for comparison."),
    exclusive=_flag("Whether one processor works at a time."),
    basis=_text("Where latency and energy come from.", one_of=("profile", "timed")),
    sleep_power_w=_by_name(
        "By processor: drawn while it does not work.", _number("Null: unknown, counted as 0.", "W", null=True)
    ),
    not_counted=_list("What is unknown and counted as 0.", _text("In words.")),
)

_SETTINGS = _object(
    "What the run was asked to do; options of eeaug augment.",
    objective=_text("The mean cost that is minimised.", one_of=("macs", "latency", "energy")),
    max_latency_s=_number("Limit of the worst latency.", "s", null=True),
    max_accuracy_drop=_share("Budget on the choose samples.", null=True),
    efficiency_weight=_share("Weight of cost against accuracy, instead of a budget.", null=True),
    scoring=_text("How cascades are scored.", one_of=("exact", "independent")),
    mapping=_text("How segments may go to processors.", one_of=("free", "one-each")),
    max_exits=_count("Early exits at most.", "exits"),
    reuse=_flag("Whether later decisions may use what earlier exits said."),
    finetune=_count("Passes over the training data with exits and backbone together.", "passes"),
    thresholds=_count("Tried per exit, never included.", "thresholds"),
    labels=_text("Whether the data has labels; none: the given model's answers serve.", one_of=("given", "none")),
    risk=_share("Probability that a proven budget is missed; null: nothing was to be proven.", null=True),
    confidence=_text("What is compared with thresholds.", one_of=("max-softmax", "margin", "entropy")),
    calibrate_on=_text("Data that thresholds were found on.", one_of=("held", "train")),
    correction=_number("Multiplies the found thresholds.", "1", most=1),
    max_class_drop=_share("Limit of the accuracy drop of every class.", null=True),
    points=_count("Operating points asked for.", "points"),
    priors=_text("How frequent classes are in the field, CLASS=SHARE,...", null=True),
    output_name=_text("Which of several outputs is the classifier.", null=True),
    heads=_list("Families of heads; none named: those of effort.", _text("A family.")),
    effort=_text("How much is spent on heads.", one_of=("quick", "normal", "thorough")),
    seed=_count("Of splits and training.", "1"),
    threads=_count("Of training and extraction.", "threads"),
    exit_at=_list("Exits that there must be.", _text("LOCATION or LOCATION:PROCESSOR.")),
    threshold=_list("Thresholds that were given.", _text("LOCATION=VALUE.")),
    forbid=_list("Locations without exit.", _text("LOCATION.")),
)

_PART = _or_null(
    _object(
        "Null: there is no such part.",
        samples=_SAMPLES,
        of=_text("The array it was taken from."),
    )
)
_DATA = _object(
    "The data, and which part served what.",
    source=_text("Base name of what was given."),
    sha256=_sha256("SHA-256 of its contents."),
    parts=_object(
        "Parts; no sample is in two of them.",
        fit=_PART,
        screen=_PART,
        choose=_PART,
        certify=_PART,
        test=_PART,
    ),
    notes=_list("What was done for want of a part.", _text("A sentence.")),
)

_SEGMENT = _object(
    "What one processor runs up to one decision.",
    stage=_text("Its folder under stages/."),
    processor=_text("Where it runs."),
    **{"from": _text("Location where it begins; null: the input.", null=True)},
    to=_text("Location where it ends, or output."),
    head=_text("The exit's head at its end.", null=True),
    macs=_count("Of the backbone's part.", "MAC"),
    head_macs=_count("Of the head.", "MAC"),
    received_bytes=_count("Handed over to it for each sample.", "B"),
    handover_bytes=_count("Handed over by it for each sample that goes on to another processor.", "B"),
    latency_s=_number("Of everything here: hand-over, wake-up, backbone's part, head.", "s", null=True),
    received_latency_s=_number("Of the hand-over to it and its wake-up, in latency_s.", "s", null=True),
    head_latency_s=_number("Of the head, in latency_s.", "s", null=True),
    energy_j=_number("Of everything here, per sample that comes here.", "J", null=True),
    storage_bytes=_count("Weights.", "B"),
    peak_activation_bytes=_count("Most tensor bytes that are alive at once.", "B"),
)

_EXIT = _object(
    "An early exit.",
    location=_text("The layer after which it stands."),
    processor=_text("Where it runs."),
    head=_text("Family and size of its head."),
    threshold=_THRESHOLD,
    macs=_count("From the input to its answer, earlier heads included.", "MAC"),
    head_macs=_count("Of its own head.", "MAC"),
    accuracy=_share("On all choose samples, if all left here."),
)

_FOUND = _object("On choose.", mean_macs=_number("Mean over samples.", "MAC"), accuracy=_share("Right answers."))

_DESIGN = _object(
    "What was chosen and written.",
    summary=_text("The answer in a sentence."),
    segments=_list("From input to output.", _SEGMENT, minItems=1),
    exits=_list("Early exits, in order.", _EXIT),
    predicted=_object(
        "What was known before the test part was touched.",
        independent=_ref("metrics"),
        exact=_ref("metrics"),
    ),
    measured=_or_null(_ref("metrics")),
    reuse=_or_null(
        _object(
            "Later decisions use what earlier exits said.",
            weights=_list(
                f"{_PER_CLASSIFIER}: exponents of the product of probabilities.",
                _list("Of the exits before it, and its own.", _number("An exponent.", "1", least=-100)),
            ),
        )
    ),
    confidences=_object(
        "Histograms of confidence at each classifier, of the samples that reach it.",
        split=_SPLIT,
        samples=_SAMPLES,
        bins=_count("Bins of equal width from 0 to 1; 1 itself is in the last.", "bins"),
        exits=_list(
            f"{_PER_CLASSIFIER}.",
            _object(
                "Shares of all samples, by bin.",
                right=_list("Where it is right.", _share("Of one bin."), minItems=BINS, maxItems=BINS),
                wrong=_list("Where it is wrong.", _share("Of one bin."), minItems=BINS, maxItems=BINS),
            ),
        ),
    ),
    classes=_object(
        "Accuracy by class. A class counts its own samples; with several labels at once, each counts all samples.",
        split=_SPLIT,
        samples=_SAMPLES,
        rows=_list(
            "Classes that occur in this part.",
            _object(
                "One class.",
                name=_text("Its name."),
                samples=_count("Samples of this class, or with this label.", "samples"),
                baseline_accuracy=_share("Of the given model."),
                accuracy=_share("Of the design."),
                leave_rates=_list(f"{_PER_CLASSIFIER}: share of its samples that leave there.", _share("A share.")),
                accuracies=_list(
                    f"{_PER_CLASSIFIER}: right answers among its samples that leave there.",
                    _share("Null: none leaves there.", null=True),
                ),
            ),
        ),
    ),
    finetune=_or_null(
        _object(
            "What training exits and backbone together came to.",
            epochs=_count("Passes over the training data.", "passes"),
            kept=_flag("Whether it is what was written."),
            before=_FOUND,
            after=_or_null(_FOUND),
        )
    ),
)

_CURVE_POINT = _object(
    "A design that some accuracy drop buys.",
    drop=_number("Accuracy drop on choose.", "1", least=-1, most=1),
    mean_macs=_number("Mean over choose samples.", "MAC"),
    mean_latency_s=_number("Mean over choose samples.", "s", null=True),
    mean_energy_j=_number("Mean over choose samples.", "J", null=True),
    exits=_list("Locations of its early exits.", _text("A location.")),
    fronts=_list(
        "Costs for which no other design loses as little accuracy for less.",
        _text("A cost.", one_of=("mean_macs", "mean_latency_s", "mean_energy_j")),
    ),
    chosen=_flag("Whether it is the design that was written."),
)

_POINT = _object(
    "Thresholds for another budget; exits and placement stay.",
    name=_text("Its name."),
    max_accuracy_drop=_share("Its budget.", null=True),
    thresholds=_list("Per early exit, in order.", _THRESHOLD),
    predicted=_ref("metrics"),
    measured=_or_null(_ref("metrics")),
    guarantee=_or_null(_ref("guarantee")),
    accuracy_drop_bound_95=_number(
        "95 % upper bound of its true accuracy drop, from samples that no choice has seen.",
        "1",
        least=-1,
        null=True,
    ),
)

_SEARCH = _object(
    "What the search looked at.",
    locations=_count("Where an exit could stand.", "locations"),
    heads_trained=_count("Heads that were trained.", "heads"),
    heads_kept=_count("Those that were not hopeless.", "heads"),
    architectures=_count("Choices of exits.", "architectures"),
    placements=_count("Choices of exits and processors within the limits.", "placements"),
    threshold_configurations=_count("Scored for the architectures that were counted exactly.", "configurations"),
    settled=_text("Which architectures were counted exactly."),
    rejected=_object(
        "Choices of exits and processors that a limit ruled out.",
        latency=_count("By worst latency.", "placements"),
        memory=_count("By memory.", "placements"),
    ),
)

_VERIFICATION = _object(
    "Every written file was read back and run as a cascade.",
    samples=_count("Samples it was run on.", "samples"),
    tolerance=_number("Decisions may differ where a confidence is that close to a threshold.", "1"),
    formats=_by_name(
        "By file format.",
        _object(
            "Against the augmented model.",
            disagreements=_count("Other decisions.", "samples"),
            near_threshold=_count("Those of them so close to a threshold that rounding decides.", "samples"),
        ),
    ),
)
