"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Any

from eeaug.settings import contradictions
from eeaug.settings.parts import Goal, Input, Running, Training
from eeaug.settings.vocabulary import ALWAYS, EFFORTS, FORMATS, MAX_BLANK_LOSS, RISK, SAMPLED, TRECX_EPOCHS, needed
from eeaug.support.quantities import DROP, as_given

__all__ = ["PARTS", "Settings"]

# attribute of Settings → its class; no field is in two of them
PARTS = {"input": Input, "goal": Goal, "training": Training, "running": Running}


@dataclass(frozen=True)
class Settings:
    """Options of ``eeaug augment``.

    Raises
    ------
    Contradiction : they contradict each other
    """

    input: Input
    goal: Goal
    training: Training
    running: Running

    def __post_init__(self) -> None:
        contradictions.check(self.input, self.goal, self.training, self.running)
        if self.blank:  # the same budget of other samples; a later decision hears no class of earlier ones
            given = self.goal.max_blank_loss
            budget = MAX_BLANK_LOSS if given is None else given
            goal = replace(self.goal, max_accuracy_drop=budget, max_blank_loss=budget, reuse=False)
            object.__setattr__(self, "goal", goal)
        asked = {*ALWAYS, *needed(self.running.formats)}
        formats = tuple(name for name in FORMATS if name in asked)
        object.__setattr__(self, "running", replace(self.running, formats=formats))
        if self.training.recipe == "trecx":  # one exit of the family trecx, trained with the model
            epochs = self.training.finetune or TRECX_EPOCHS
            object.__setattr__(self, "training", replace(self.training, heads=("trecx",), finetune=epochs))
            object.__setattr__(self, "goal", replace(self.goal, max_exits=1, reuse=False))

    @classmethod
    def of(cls, **options: Any) -> Settings:
        """From all options by name, as they are in files and given at the doors."""
        parts = {}
        for part, kind in PARTS.items():
            parts[part] = kind(**{f.name: options.pop(f.name) for f in fields(kind) if f.name in options})
        if options:
            raise TypeError(f"there is no option {', '.join(options)}")
        return cls(**parts)

    @property
    def blank(self) -> bool:
        """Whether exits only say that a sample holds nothing."""
        return self.input.blank or self.input.blank_when is not None

    @property
    def most_locations(self) -> float:
        """How many locations are tried at most."""
        if self.training.max_locations is not None:
            return self.training.max_locations
        return min(EFFORTS[self.training.effort].places, SAMPLED if self.goal.target_class else inf)

    @property
    def promises(self) -> tuple[str, ...]:
        """Of vocabulary.PROMISES those that may be given, the first preferred."""
        if contradictions.unpromised(self.input, self.goal, self.training) is not None:
            return ("none",)
        if self.goal.risk is not None:
            return ("proven",)
        return ("proven", "expected") if self.goal.promise is None else (self.goal.promise,)

    @property
    def promise_asked(self) -> bool:
        """Whether one of them was asked for by name."""
        return self.goal.promise is not None or self.goal.risk is not None

    @property
    def risk(self) -> float:
        """Probability that what is proven does not hold, at most."""
        return RISK if self.goal.risk is None else self.goal.risk

    @property
    def bundle(self) -> Path:
        """Where the bundle goes: ``<stem>-eeaug`` in the current directory unless said otherwise."""
        return self.running.output or Path(f"{self.input.model.stem}-eeaug")

    def as_dict(self, max_exits: int) -> dict[str, Any]:
        """What shaped the result, for manifest and report: nothing of this machine but the thread count."""
        input, goal, training, running = self.input, self.goal, self.training, self.running
        return {
            "objective": goal.objective,
            "max_latency_s": goal.max_latency_s,
            "max_ram_bytes": goal.max_ram_bytes,
            "max_flash_bytes": goal.max_flash_bytes,
            "max_accuracy_drop": goal.max_accuracy_drop,
            "efficiency_weight": goal.efficiency_weight,
            "scoring": goal.scoring,
            "mapping": goal.mapping,
            "max_exits": max_exits,
            "reuse": goal.reuse,
            "finetune": training.finetune,
            "thresholds": goal.thresholds,
            "labels": input.labels,
            "promise": goal.promise,
            "risk": goal.risk,
            "confidence": input.confidence,
            "calibrate_on": input.calibrate_on,
            "unit": input.unit,
            "correction": goal.correction,
            "max_class_drop": goal.max_class_drop,
            "points": goal.points,
            "priors": input.priors,
            "output_name": input.output_name,
            "heads": list(training.heads),
            "target_class": list(goal.target_class),
            "least_alpha": goal.least_alpha,
            "recipe": training.recipe,
            "exit_weight": training.exit_weight,
            "max_locations": training.max_locations,
            "effort": training.effort,
            "formats": list(running.formats),
            **({"blank": True} if input.blank else {}),
            **({"max_blank_loss": goal.max_blank_loss} if self.blank else {}),
            **({} if input.blank_when is None else {"blank_when": input.blank_when}),
            **({} if goal.period_s is None else {"period_s": goal.period_s}),
            **({"stream": True, "refresh": goal.memory} if goal.stream else {}),
            **({} if goal.debounce is None else {"debounce": "{}/{}".format(*goal.debounce)}),
            **({"background": list(goal.background)} if goal.background else {}),
            **({} if goal.max_missed is None else {"max_missed": _missed(goal.max_missed)}),
            **({} if input.architecture is None else {"architecture": input.architecture.name}),
            **({"custom_objects": [_base(one) for one in input.custom_objects]} if input.custom_objects else {}),
            **({} if input.input_shape is None else {"input_shape": ",".join(map(str, input.input_shape))}),
            **({} if input.decision is None else {"decision": input.decision}),
            **({} if running.c_prefix is None else {"c_prefix": running.c_prefix}),
            "seed": running.seed,
            "threads": running.threads,
            "exit_at": [name if on is None else f"{name}:{on}" for name, on in goal.exit_at.items()],
            "threshold": [f"{name}={value!r}" for name, value in goal.threshold.items()],
            "forbid": list(goal.forbid),
        }


def _base(code: str) -> str:
    """The name of a file of code without its folder; the name of a module is one already."""
    return Path(code).name


def _missed(missed: tuple[float, int | None]) -> str:
    """As the command line takes it."""
    share, within = missed
    return as_given(share, DROP) + ("" if within is None else f"/{within}")
