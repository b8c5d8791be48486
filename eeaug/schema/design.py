"""The schema of what was chosen: metrics, segments, exits, operating points."""

from __future__ import annotations

from eeaug.schema.figures import FIGURES
from eeaug.schema.words import Schema, count, extended, flag, number, or_null, record, ref, rows, share, text
from eeaug.settings import COSTS, PROMISES

__all__ = [
    "BASES",
    "BINS",
    "BOUNDS_UNIT",
    "CHOICES",
    "CURVE_POINT",
    "DESIGN",
    "LOSING",
    "METRICS",
    "POINT",
    "RHO",
    "SAMPLES",
    "TARGET",
    "THRESHOLD",
    "WORST_CLASS_BOUND",
]

BINS = 20  # of equal width from 0 to 1, in which confidences are counted

_SPLIT = text("The part of the data behind these figures.", one_of=("choose", "certify", "test"))

SAMPLES = count("How many samples that part has.", "samples")

_PER_CLASSIFIER = "Per early exit, in order, and last for the final classifier"

THRESHOLD = number(
    "A sample leaves where the float32 confidence is at least this; null is never.",
    "1", most=1 + 1e-6, null=True,
)  # fmt: skip


def _drop(description: str, *, null: bool = False) -> Schema:
    return number(description, "1", least=-1, most=1, null=null)


BASES = ("profile", "counted kernels", "counted kernels and profile", "counted", "timed")
METRICS = record(
    "Figures of a network on one part of the data. Latency and energy are estimates where basis is the profile or "
    "kernels.",
    split=_SPLIT,
    samples=SAMPLES,
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
    **{
        key: (count if figure.unit == "B" else number)(figure.says, figure.unit, null=figure.null)
        for key, figure in FIGURES.items()
    },
    leave_rates=rows(f"{_PER_CLASSIFIER}: share of all samples that leave there.", share("A share.")),
    basis=text(
        "Where latency and energy come from: the profile; instructions of kernels, counted once (both, where only "
        "some processors are such); instructions counted of the written files; or a clock.",
        one_of=BASES,
    ),
)

_PROMISE = record(
    "What is promised of the accuracy drop on new data.",
    promise=text("Its kind.", one_of=PROMISES),
    max_accuracy_drop=share("The budget; null: there is none.", null=True),
    max_class_drop=share("What every class may lose, promised together with it; null: any.", null=True),
    kept=flag("Whether it is given of thresholds at which something leaves; otherwise nothing leaves early."),
    risk=share("Of a proof: probability that it does not hold, over the draw of the samples.", null=True),
    unit=text("What was drawn: samples, or groups of them.", one_of=("sample", "group")),
    units=count("That were drawn.", "units"),
    part=text(
        "What they are of: the calibration set (choose), or the part of other data that eeaug certify was given."
    ),
    samples=count("Of it.", "samples"),
    compared=count("Other samples of it, which were used to compare designs, and prove nothing.", "samples"),
    labelled=count(
        "Of these with a label: without one the cascade counts as wrong where it differs from the given model; "
        "null: all.",
        "samples",
        null=True,
    ),
    steps_tested=count("Steps of the path of thresholds, from the safest on, until one failed.", "steps"),
    p_value=share("Of the last step that passed, or of the first if none did.", null=True),
    drop=_drop("On these samples, of these thresholds.", null=True),
    standard_error=number("Of that.", "1", null=True),
    units_for_proof=count(
        "That would prove the budget, about, if they lose as much; null: unknown.", "units", null=True
    ),
    smallest_provable_drop=number(
        "Smallest drop that these samples prove for the strictest thresholds, where the budget cannot be.",
        "1",
        null=True,
    ),
    smallest_provable_class_drop=number(
        "The same of a class that fails first, where the budget itself can be proven.", "1", null=True
    ),
    statement=text("The same in a sentence."),
)
PROMISE = extended(
    _PROMISE,
    max_missed=share(
        "Share of the events of streams that may be missed beyond the given model's, promised with it."
    ),
)

# of a stage, as hardware.Mode.choices: of what its processor has several of
CHOICES = {
    "level": text("Performance level of its processor.", minLength=1),
    "weights_in": text("Memory of its weights.", minLength=1),
    "tensors_in": text("Memory of its tensors.", minLength=1),
}
_SEGMENT = extended(
    record(
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
        bytes_per_element=count("Width of its processor's arithmetic, in which the bytes here are.", "B"),
        storage_bytes=count("Weights.", "B"),
        peak_activation_bytes=count("Most tensor bytes that are alive at once.", "B"),
    ),
    **CHOICES,
)

_EXIT = record(
    "An early exit.",
    location=text("The layer after which it stands."),
    processor=text("Where it runs."),
    head=text("Family and size of its head."),
    threshold=THRESHOLD,
    macs=count("From the input to its answer, earlier heads included.", "MAC"),
    head_macs=count("Of its own head.", "MAC"),
    accuracy=share("On all calibration samples, if all left here."),
)

_FOUND = record(
    "On the calibration set.", mean_macs=number("Mean over samples.", "MAC"), accuracy=share("Right answers.")
)

_WITHOUT_LIMIT = record(
    "The design without --max-latency or --period, on choose.",
    same_exits=flag("Whether it is this design on other processors."),
    exits=rows("Locations of its exits.", text("A location.")),
    processors=rows("Where its segments run.", text("A processor, with its level where it has several.")),
    less=or_null(
        record(
            "Share of each mean cost that it does not need; null: it has other exits.",
            **{cost.metric: number(f"Of the {cost.words}.", "1", least=None, null=True) for cost in COSTS.values()},
        )
    ),
    worst_latency_s=number("Its worst latency.", "s"),
)

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
        samples=SAMPLES,
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
        samples=SAMPLES,
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
    rho=or_null(
        record(
            "T-RecX' curve of a single exit over its threshold.",
            choose=ref("rho"),
            measured=or_null(ref("rho")),
        )
    ),
    finetune=or_null(
        record(
            "What training exits and backbone together came to.",
            recipe=text("How.", one_of=("frozen", "trecx")),
            epochs=count("Passes over the training data.", "passes"),
            kept=flag("Whether it is what was written."),
            before=_FOUND,
            after=or_null(_FOUND),
            early_view_channels=count(
                "Of the exit's tensor that the final classifier sees.", "channels", null=True
            ),
            exit_weights=rows(
                "Weights of the exit's loss that were tried.",
                record(
                    "One of them.",
                    weight=number("Of the exit's loss; the final classifier's is 1.", "1"),
                    final_accuracy_on_screen=share("Of the final classifier, on the validation set."),
                ),
            ),
        )
    ),
)

DESIGN = extended(_DESIGN, without_latency_limit=or_null(_WITHOUT_LIMIT))

_GAIN = or_null(
    record(
        "Of one cost.",
        gain=number("Of the given model over the mean of the target's samples.", "1"),
        loss=number("Mean of the other samples over that of the given model.", "1"),
        gain_by_equation_11=number("What the paper's equation gives from the rates.", "1"),
    )
)

_OF_SAMPLES = "sum of weights, where samples have any"

TARGET = record(
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
            threshold=THRESHOLD,
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
        **dict.fromkeys(COSTS, _GAIN),
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

_AT_RHO = {
    "rho": share("The threshold."),
    "exit_rate": share("Of all samples, those that leave early."),
    "accuracy": share("Right answers."),
    "mean_macs": number("Mean over samples.", "MAC"),
}
RHO = record(
    "On one part of the data.",
    curve=rows("From 0 to 1.", record("One threshold.", **_AT_RHO)),
    trade_offs=rows(
        "Nearest to drops of 1, 2 and 3 points.",
        record("One of them.", asked=_drop("The drop."), drop=_drop("What it loses."), **_AT_RHO),
    ),
    standalone=record(
        "Accuracy of each classifier on all samples.",
        exit=share("Of the exit."),
        final=share("Of the final classifier."),
    ),
)

CURVE_POINT = record(
    "A design that some accuracy drop buys.",
    drop=number("Accuracy drop on the calibration set.", "1", least=-1, most=1),
    **{
        cost.metric: number("Mean over calibration samples.", cost.unit, null=bool(cost.needs))
        for cost in COSTS.values()
    },
    exits=rows("Locations of its early exits.", text("A location.")),
    fronts=rows(
        "Costs for which no other design loses as little accuracy for less.",
        text("A cost.", one_of=tuple(cost.metric for cost in COSTS.values())),
    ),
    chosen=flag("Whether it is the design that was written."),
)

WORST_CLASS_BOUND = number(
    "95 % upper bound of what the worst class truly loses, from samples that no choice has seen; of all classes "
    "that occur at once, so that it holds of the one that was picked as the worst of these samples.",
    "1", most=1, null=True,
)  # fmt: skip

BOUNDS_UNIT = text(
    "What was drawn, by these bounds: test samples, or groups of them, every group weighted equally.",
    one_of=("sample", "group"),
)

LOSING = rows(
    "Classes that lose more than three times the budget (more than --max-class-drop, if given), most first; only "
    "those of which it is rejected, at 0.05 for all together, that they lose the budget (that limit) or less.",
    record(
        "A class.",
        name=text("Its name."),
        split=_SPLIT,
        samples=count("That its accuracy is of.", "samples"),
        baseline_accuracy=share("Of the given model."),
        accuracy=share("Of the cascade."),
    ),
)

POINT = record(
    "Thresholds for another budget; exits and placement stay.",
    name=text("Its name."),
    max_accuracy_drop=share("Its budget.", null=True),
    thresholds=rows("Per early exit, in order.", THRESHOLD),
    predicted=ref("metrics"),
    measured=or_null(ref("metrics")),
    promise=ref("promise"),
    accuracy_drop_bound_95=number(
        "95 % upper bound of its true accuracy drop, from samples that no choice has seen.",
        "1",
        least=-1,
        null=True,
    ),
)
