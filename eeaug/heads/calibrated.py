"""Trained heads as stages have them: with a temperature, and an output for every class."""

from __future__ import annotations

from dataclasses import replace

from eeaug.cascade import temperature
from eeaug.features import Features
from eeaug.heads import training
from eeaug.heads.store import Judged
from eeaug.heads.supervision import Source

__all__ = ["calibrated", "deployed"]

COLDEST = 0.5  # a lower temperature would press most confidences of a good exit to 1, where none tells them apart


def calibrated(source: Source, judged: Judged, screen: Features) -> Judged:
    """The head with a temperature in its last layer, fitted on screen: choose only says how well it does."""
    decision, weights = source.decision, source.weights(source.labels(screen))
    fitted = temperature.temperature(judged.screen(), source.codes(screen), decision, weights)
    heat = max(COLDEST, fitted)
    return replace(
        judged,
        trained=training.folded(judged.trained, heat),
        screen=lambda: temperature.tempered(judged.screen(), decision, heat),
        choose=lambda: temperature.tempered(judged.choose(), decision, heat),
    )


def deployed(source: Source, judged: Judged) -> Judged:
    """The head as stages have it, with an output for every class."""
    specific = source.specific
    if specific is None:
        return judged
    return replace(
        judged,
        trained=specific.deployed(judged.trained),
        screen=lambda: specific.widened(judged.screen()),
        choose=lambda: specific.widened(judged.choose()),
    )
