"""JSON Schema of report.json: every field with its meaning and unit; nothing that is not listed may stand there.

``unit`` is an annotation: SI, and "1" for shares, of which 0.01 is one percentage point.
"""

from __future__ import annotations

from eeaug.report.facts import SCHEMA_VERSION
from eeaug.report.metrics import BINS
from eeaug.report.schema_words import (
    Schema,
    by_name,
    count,
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

__all__ = ["schema"]


def schema() -> Schema:
    """JSON Schema (2020-12) of report.json of facts.SCHEMA_VERSION."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:eeaug:report:{SCHEMA_VERSION}",
        "title": "report.json of an eeaug bundle",
        **record(
            "All that any report shows of one augmented network. Null is not known, or not there; never 0.",
            schema_version={"const": SCHEMA_VERSION, "description": "Of this format."},
            eeaug=text("Version of eeaug that wrote it."),
            model=_MODEL,
            hardware=_HARDWARE,
            settings=_SETTINGS,
            data=_DATA,
            baseline=record(
                "The given model, whole, without exits.",
                processor=text("Where it runs."),
                choose=ref("metrics"),
                measured=or_null(ref("metrics")),
            ),
            design=_DESIGN,
            benefit_curve=rows("What accuracy drops buy, on choose; cheapest first.", _CURVE_POINT),
            operating_points=rows("Thresholds to switch between while it runs, most accurate first.", _POINT),
            guarantee=or_null(ref("guarantee")),
            accuracy_drop_bound_95=number(
                "95 % upper bound of the true accuracy drop, from samples that no choice has seen.",
                "1", least=-1, null=True,
            ),
            accuracy_drop_bound_95_missing=text("Why there is no such bound.", null=True),
            search=_SEARCH,
            verification=_VERIFICATION,
            warnings=rows("What a user must know before believing the figures.", text("A sentence.")),
        ),
        "$defs": {"metrics": _METRICS, "guarantee": _GUARANTEE, "target": _TARGET},
    }  # fmt: skip


_SPLIT = text("The part of the data behind these figures.", one_of=("choose", "certify", "test"))
_SAMPLES = count("How many samples that part has.", "samples")
_PER_CLASSIFIER = "Per early exit, in order, and last for the final classifier"
_THRESHOLD = number("A sample leaves where the float32 confidence is at least this; null is never.", "1", null=True)

_METRICS = record(
    "Figures of a network on one part of the data. Latency and energy are estimates where basis is profile.",
    split=_SPLIT,
    samples=_SAMPLES,
    accuracy=share("Right answers; without labels, those that agree with the given model.", null=True),
    precision=share("Mean over classes.", null=True),
    recall=share("Mean over classes.", null=True),
    worst_class=or_null(
        record(
            "The class that loses most against the given model.",
            name=text("Its name."),
            accuracy=share("Right answers among its samples.", null=True),
            drop=number("What it loses against the given model.", "1", least=-1, most=1, null=True),
        )
    ),
    mean_macs=number("Mean over samples.", "MAC"),
    mean_latency_s=number("Mean over samples.", "s", null=True),
    p95_latency_s=number("Smallest path latency that 95 % of samples meet.", "s", null=True),
    worst_latency_s=number("Of the longest path: every segment, head, hand-over and wake-up.", "s", null=True),
    mean_energy_j=number("Mean over samples, per inference.", "J", null=True),
    storage_bytes=count("Weights of all stages.", "B"),
    peak_activation_bytes=count("Most tensor bytes that are alive at once on any processor.", "B"),
    leave_rates=rows(f"{_PER_CLASSIFIER}: share of all samples that leave there.", share("A share.")),
    basis=text("Where latency and energy come from: profile or clock.", one_of=("profile", "timed")),
)

_GUARANTEE = record(
    "What --risk has proven.",
    max_accuracy_drop=share("The budget that was to be proven."),
    risk=share("Probability with which the proof may fail, over the draw of the certify samples."),
    samples=count("Certify samples.", "samples"),
    proven=flag("Whether the design is proven to keep the budget."),
    designs_tested=count("Designs tested, from the safest on, until one was not proven.", "designs"),
    p_value=share("Of the last design that passed its test, or of the first if none did.", null=True),
    smallest_provable_drop=number(
        "Smallest drop that these samples prove for the strictest thresholds, where the budget cannot be.",
        "1",
        null=True,
    ),
    method=text("How it was proven."),
    statement=text("The same in a sentence."),
)

_MODEL = record(
    "The given model.",
    file=text("Base name of its file."),
    sha256=sha256("SHA-256 of that file."),
    name=text("Its name."),
    parameters=count("Weights.", "values"),
    macs=count("Of one inference.", "MAC"),
    input_shape=rows("Of one sample, without batch.", count("Size of an axis.", "values")),
    classes=rows("Names of the classes.", text("A name.")),
    decision=text("How its output becomes a class.", one_of=("softmax", "binary", "multilabel")),
)

_HARDWARE = record(
    "The target, as far as figures depend on it; hardware.yaml in the bundle is all of it.",
    name=text("Its name."),
    sha256=sha256("SHA-256 of hardware.yaml."),
    source=text("Where its figures come from.", null=True),
    processors=rows("Names, in order of use.", text("A name.")),
    input_at=text("The processor where samples arrive."),
    baseline=text("The processor that the whole model runs on for comparison."),
    exclusive=flag("Whether one processor works at a time."),
    basis=text("Where latency and energy come from.", one_of=("profile", "timed")),
    sleep_power_w=by_name(
        "By processor: drawn while it does not work.", number("Null: unknown, counted as 0.", "W", null=True)
    ),
    not_counted=rows("What is unknown and counted as 0.", text("In words.")),
)

_SETTINGS = record(
    "What the run was asked to do; options of eeaug augment.",
    objective=text("The mean cost that is minimised.", one_of=("macs", "latency", "energy")),
    max_latency_s=number("Limit of the worst latency.", "s", null=True),
    max_accuracy_drop=share("Budget on the choose samples.", null=True),
    efficiency_weight=share("Weight of cost against accuracy, instead of a budget.", null=True),
    scoring=text("How cascades are scored.", one_of=("exact", "independent")),
    mapping=text("How segments may go to processors.", one_of=("free", "one-each")),
    max_exits=count("Early exits at most.", "exits"),
    reuse=flag("Whether later decisions may use what earlier exits said."),
    finetune=count("Passes over the training data with exits and backbone together.", "passes"),
    thresholds=count("Tried per exit, never included.", "thresholds"),
    labels=text("Whether the data has labels; none: the given model's answers serve.", one_of=("given", "none")),
    risk=share("Probability that a proven budget is missed; null: nothing was to be proven.", null=True),
    confidence=text("What is compared with thresholds.", one_of=("max-softmax", "margin", "entropy")),
    calibrate_on=text("Data that thresholds were found on.", one_of=("held", "train")),
    correction=number("Multiplies the found thresholds.", "1", most=1),
    max_class_drop=share("Limit of the accuracy drop of every class.", null=True),
    points=count("Operating points asked for.", "points"),
    priors=text("How frequent classes are in the field, CLASS=SHARE,...", null=True),
    output_name=text("Which of several outputs is the classifier.", null=True),
    heads=rows("Families of heads; none named: those of effort.", text("A family.")),
    target_class=rows("Classes that exits are for; none: all.", text("Name or number.")),
    max_locations=count("Locations tried at most; null: as effort has it.", "locations", null=True),
    effort=text("How much is spent on heads.", one_of=("quick", "normal", "thorough")),
    seed=count("Of splits and training.", "1"),
    threads=count("Of training and extraction.", "threads"),
    exit_at=rows("Exits that there must be.", text("LOCATION or LOCATION:PROCESSOR.")),
    threshold=rows("Thresholds that were given.", text("LOCATION=VALUE.")),
    forbid=rows("Locations without exit.", text("LOCATION.")),
)

_PART = or_null(
    record(
        "Null: there is no such part.",
        samples=_SAMPLES,
        of=text("The array it was taken from."),
    )
)
_DATA = record(
    "The data, and which part served what.",
    source=text("Base name of what was given."),
    sha256=sha256("SHA-256 of its contents."),
    parts=record(
        "Parts; no sample is in two of them.",
        fit=_PART,
        screen=_PART,
        choose=_PART,
        certify=_PART,
        test=_PART,
    ),
    notes=rows("What was done for want of a part.", text("A sentence.")),
)

_SEGMENT = record(
    "What one processor runs up to one decision.",
    stage=text("Its folder under stages/."),
    processor=text("Where it runs."),
    **{"from": text("Location where it begins; null: the input.", null=True)},
    to=text("Location where it ends, or output."),
    head=text("The exit's head at its end.", null=True),
    macs=count("Of the backbone's part.", "MAC"),
    head_macs=count("Of the head.", "MAC"),
    received_bytes=count("Handed over to it for each sample.", "B"),
    handover_bytes=count("Handed over by it for each sample that goes on to another processor.", "B"),
    latency_s=number("Of everything here: hand-over, wake-up, backbone's part, head.", "s", null=True),
    received_latency_s=number("Of the hand-over to it and its wake-up, in latency_s.", "s", null=True),
    head_latency_s=number("Of the head, in latency_s.", "s", null=True),
    energy_j=number("Of everything here, per sample that comes here.", "J", null=True),
    storage_bytes=count("Weights.", "B"),
    peak_activation_bytes=count("Most tensor bytes that are alive at once.", "B"),
)

_EXIT = record(
    "An early exit.",
    location=text("The layer after which it stands."),
    processor=text("Where it runs."),
    head=text("Family and size of its head."),
    threshold=_THRESHOLD,
    macs=count("From the input to its answer, earlier heads included.", "MAC"),
    head_macs=count("Of its own head.", "MAC"),
    accuracy=share("On all choose samples, if all left here."),
)

_FOUND = record("On choose.", mean_macs=number("Mean over samples.", "MAC"), accuracy=share("Right answers."))

_DESIGN = record(
    "What was chosen and written.",
    summary=text("The answer in a sentence."),
    segments=rows("From input to output.", _SEGMENT, minItems=1),
    exits=rows("Early exits, in order.", _EXIT),
    predicted=record(
        "What was known before the test part was touched.",
        independent=ref("metrics"),
        exact=ref("metrics"),
    ),
    measured=or_null(ref("metrics")),
    reuse=or_null(
        record(
            "Later decisions use what earlier exits said.",
            weights=rows(
                f"{_PER_CLASSIFIER}: exponents of the product of probabilities.",
                rows("Of the exits before it, and its own.", number("An exponent.", "1", least=-100)),
            ),
        )
    ),
    confidences=record(
        "Histograms of confidence at each classifier, of the samples that reach it.",
        split=_SPLIT,
        samples=_SAMPLES,
        bins=count("Bins of equal width from 0 to 1; 1 itself is in the last.", "bins"),
        exits=rows(
            f"{_PER_CLASSIFIER}.",
            record(
                "Shares of all samples, by bin.",
                right=rows("Where it is right.", share("Of one bin."), minItems=BINS, maxItems=BINS),
                wrong=rows("Where it is wrong.", share("Of one bin."), minItems=BINS, maxItems=BINS),
            ),
        ),
    ),
    classes=record(
        "Accuracy by class. A class counts its own samples; with several labels at once, each counts all samples.",
        split=_SPLIT,
        samples=_SAMPLES,
        rows=rows(
            "Classes that occur in this part.",
            record(
                "One class.",
                name=text("Its name."),
                samples=count("Samples of this class, or with this label.", "samples"),
                baseline_accuracy=share("Of the given model."),
                accuracy=share("Of the design."),
                leave_rates=rows(f"{_PER_CLASSIFIER}: share of its samples that leave there.", share("A share.")),
                accuracies=rows(
                    f"{_PER_CLASSIFIER}: right answers among its samples that leave there.",
                    share("Null: none leaves there.", null=True),
                ),
            ),
        ),
    ),
    target=or_null(
        record(
            "What exits for some classes only bring them and cost the others (Bonato and Bouganis).",
            choose=ref("target"),
            measured=or_null(ref("target")),
        )
    ),
    finetune=or_null(
        record(
            "What training exits and backbone together came to.",
            epochs=count("Passes over the training data.", "passes"),
            kept=flag("Whether it is what was written."),
            before=_FOUND,
            after=or_null(_FOUND),
        )
    ),
)

_GAIN = or_null(
    record(
        "Of one cost.",
        gain=number("Of the given model over the mean of the target's samples.", "1"),
        loss=number("Mean of the other samples over that of the given model.", "1"),
        gain_by_equation_11=number("What the paper's equation gives from the rates.", "1"),
    )
)
_OF_SAMPLES = "sum of weights, where samples have any"
_TARGET = record(
    "On one part of the data.",
    classes=rows("The target.", text("A class.")),
    target_samples=number(f"Samples of the target; {_OF_SAMPLES}.", "samples"),
    other_samples=number(f"All others; {_OF_SAMPLES}.", "samples"),
    given=record(
        "The given model.",
        others_accuracy=share("β, on samples of other classes.", null=True),
        target_accuracy=share("η, on samples of the target.", null=True),
        precision=share("ζ, of saying the target.", null=True),
    ),
    others_accuracy_at_output=share("Of other classes' samples that reach the output.", null=True),
    target_accuracy=share("Of the target's samples.", null=True),
    exits=rows(
        "Per early exit, in order.",
        record(
            "What it takes.",
            threshold=_THRESHOLD,
            true_positives=number(f"The target's samples that leave; {_OF_SAMPLES}.", "samples"),
            false_positives=number(f"Others that leave; {_OF_SAMPLES}.", "samples"),
            gamma=number(
                "What leaves, as a share of the target's number less what left before.", "1", least=None, null=True
            ),
            precision=share("Of the target among what leaves.", null=True),
            accuracy=share("As a binary exit, of what gets there.", null=True),
        ),
    ),
    costs=record(
        "Gain of the target and loss of the others; null: a cost is not known.",
        macs=_GAIN,
        latency=_GAIN,
        energy=_GAIN,
    ),
    false_negatives=rows(
        "Samples that are missed, by class.",
        record(
            "One class.",
            **{"class": text("Its name.")},
            given=number(f"By the given model; {_OF_SAMPLES}.", "samples"),
            at_output=number(f"At the output; {_OF_SAMPLES}.", "samples"),
            at_exits=number(f"By an exit that takes them for the target; {_OF_SAMPLES}.", "samples"),
        ),
    ),
)

_CURVE_POINT = record(
    "A design that some accuracy drop buys.",
    drop=number("Accuracy drop on choose.", "1", least=-1, most=1),
    mean_macs=number("Mean over choose samples.", "MAC"),
    mean_latency_s=number("Mean over choose samples.", "s", null=True),
    mean_energy_j=number("Mean over choose samples.", "J", null=True),
    exits=rows("Locations of its early exits.", text("A location.")),
    fronts=rows(
        "Costs for which no other design loses as little accuracy for less.",
        text("A cost.", one_of=("mean_macs", "mean_latency_s", "mean_energy_j")),
    ),
    chosen=flag("Whether it is the design that was written."),
)

_POINT = record(
    "Thresholds for another budget; exits and placement stay.",
    name=text("Its name."),
    max_accuracy_drop=share("Its budget.", null=True),
    thresholds=rows("Per early exit, in order.", _THRESHOLD),
    predicted=ref("metrics"),
    measured=or_null(ref("metrics")),
    guarantee=or_null(ref("guarantee")),
    accuracy_drop_bound_95=number(
        "95 % upper bound of its true accuracy drop, from samples that no choice has seen.",
        "1",
        least=-1,
        null=True,
    ),
)

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
            disagreements=count("Other decisions.", "samples"),
            near_threshold=count("Those of them so close to a threshold that rounding decides.", "samples"),
        ),
    ),
)
