"""The exported stages run as the cascade that they are; loads neither search nor solver.

from eeaug.runtime import Cascade

cascade = Cascade.load("model-eeaug")
found = cascade.predict(x)             # raw samples: the bundle's preprocessing is applied
found.names, found.confidences, found.exits

A line of code here may touch the files of a bundle, and a server that runs some of them.

    hearing     what a stage decides by: its own answer, or that of all stages up to it
    background  one event loop in a thread of its own
    address     where a server is, and what proves to it who asks
    server      requests to one inference server
    link        how long requests to a server take
    far         the stages that servers run
    journey     samples on their way through a cascade
    one_by_one  the same one at a time, on arrays that stay
    stream      samples that follow each other, many streams side by side
    cascade     a bundle, opened: its stages in a runtime, at one of its operating points
"""

from eeaug.bundle.manifest_rules import DEFAULT
from eeaug.cascade.predictions import Decisions, Predictions
from eeaug.runtime.cascade import BATCH, Cascade
from eeaug.runtime.hearing import heard
from eeaug.runtime.stream import Pushed, Stream

__all__ = ["BATCH", "DEFAULT", "Cascade", "Decisions", "Predictions", "Pushed", "Stream", "heard"]
