"""What a run was asked to do, as manifest.json and report.json both have it."""

from __future__ import annotations

from eeaug.cascade.measures import MEASURES
from eeaug.schema.words import count, extended, flag, number, record, rows, share, text
from eeaug.settings import (
    COSTS,
    DECISIONS,
    EFFORTS,
    FAMILIES,
    FORMATS,
    MAX_SEED,
    MAX_THREADS,
    PROMISES,
    RECIPES,
    UNITS,
)
from eeaug.settings.vocabulary import C_PREFIX

__all__ = ["SEED", "SETTINGS"]

SEED = count("Of splits and training.", "1", most=MAX_SEED)

_ALWAYS = record(
    "What the run was asked to do; options of eeaug augment.",
    objective=text("The mean cost that is minimised.", one_of=tuple(COSTS)),
    max_latency_s=number("Limit of the worst latency.", "s", null=True),
    max_ram_bytes=number("Limit of what RAM may take of any memory.", "B", null=True),
    max_flash_bytes=number("Limit of the flash of all processors together.", "B", null=True),
    max_accuracy_drop=share("Accuracy that may be lost.", null=True),
    efficiency_weight=share("Weight of cost against accuracy, instead of a budget.", null=True),
    scoring=text("How cascades are scored.", one_of=("exact", "independent")),
    mapping=text("How segments may go to processors.", one_of=("free", "one-each")),
    max_exits=count("Early exits at most.", "exits", most=1000),
    reuse=flag("Whether later decisions may use the answers of earlier exits."),
    finetune=count("Passes over the training data with exits and backbone together.", "passes", most=1_000_000),
    thresholds=count("Tried per exit, never included.", "thresholds", least=2, most=101),
    labels=text("Whether the data has labels; none: the given model's answers serve.", one_of=("given", "none")),
    promise=text(
        "What is to be promised of the accuracy drop; null: proven, or expected where few samples can prove less "
        "than half of that.",
        one_of=PROMISES,
        null=True,
    ),
    risk=share("Probability that what is proven does not hold; null: 0.05.", null=True),
    confidence=text("What is compared with thresholds.", one_of=tuple(MEASURES)),
    unit=text("What promises are about, where the data has groups.", one_of=UNITS),
    calibrate_on=text("Data that thresholds were found on.", one_of=("held", "train")),
    correction=number("Multiplies the found thresholds.", "1", exclusiveMinimum=0, most=1),
    max_class_drop=share("Limit of the accuracy drop of every class.", null=True),
    points=count("Operating points asked for.", "points", least=1, most=5),
    priors=text("How frequent classes are in the field, CLASS=SHARE,...", null=True),
    output_name=text("Which of several outputs is the classifier.", null=True),
    heads=rows("Families of heads; none named: those of effort.", text("A family.", one_of=FAMILIES)),
    target_class=rows("Classes that exits are for; none: all.", text("Name or number.")),
    least_alpha=share("Smallest threshold for these classes; null: as the calibration set allows.", null=True),
    formats=rows("That stages are written in.", text("A format.", one_of=tuple(FORMATS)), minItems=1),
    recipe=text("How exits are trained.", one_of=RECIPES),
    exit_weight=share("Of the exit's loss in recipe trecx; null: the best of some.", null=True),
    max_locations=count("Locations tried at most; null: as effort has it.", "locations", null=True),
    effort=text("How much is spent on heads.", one_of=tuple(EFFORTS)),
    seed=SEED,
    threads=count("Of training and extraction.", "threads", least=1, most=MAX_THREADS),
    exit_at=rows("Exits that there must be.", text("LOCATION or LOCATION:PROCESSOR.")),
    threshold=rows("Thresholds that were given.", text("LOCATION=VALUE.", pattern=".=[0-9][0-9.e-]*$")),
    forbid=rows("Locations without exit.", text("LOCATION.")),
)
SETTINGS = extended(
    _ALWAYS,
    custom_objects=rows("Files or modules of code that layers are defined in.", text("Its name."), minItems=1),
    period_s=number("One inference that often, with sleep between; else not known.", "s", exclusiveMinimum=0),
    architecture=text("Base name of the description of layers of a file of weights, if it was given."),
    input_shape=text("Shape of a sample, N,N,..., if it was given.", pattern=r"^\d+(,\d+)*$"),
    decision=text("What outputs are read as, if that was given.", one_of=DECISIONS),
    blank=flag("Whether the data's labels say which samples are empty, and exits only recognise these."),
    max_blank_loss=share("Budget of --blank: share of the non-empty samples that exits may lose."),
    blank_when=text("What is true of the given model's outputs where a sample is empty; without it labels say so."),
    stream=flag("Whether samples are streams, each in order of time."),
    refresh=count("Of so many samples in a row one at least is decided without memory.", "samples", least=1),
    debounce=text("Answers of streams change after M of N samples, M/N.", pattern=r"^\d+/\d+$"),
    max_missed=text(
        "Share of the events that may be missed beyond the given model's; behind a /, with how many of its samples "
        "one must be answered.",
        pattern=r"^\d[^/]*(/\d+)?$",
    ),
    background=rows("Classes that are no event.", text("Name or number."), minItems=1),
    c_prefix=text("What names in C files begin with; without it the model's name.", pattern=f"^{C_PREFIX}$"),
)
