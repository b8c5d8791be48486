"""Samples: read from where they are without holding them in memory, checked, and split into what serves what.

Samples stay as they were stored until ``batches`` applies the preprocessing. No framework is imported before
a source needs one. From first to last:

    samples    Part, Data, View; checks against a model; batches
    labels     every form of labels as class numbers or bit masks
    store      arrays written once, in pieces, and mapped into memory; hashes of contents
    npz, folders, sound, tensors, functions    the sources
    reading    --data as one of them
    splitting  which samples serve what
    priors     classes that are more or less frequent than in the data
"""

from __future__ import annotations

from eeaug.data.priors import parse_priors, weights
from eeaug.data.reading import load, locate
from eeaug.data.samples import Data, Part, View, batches, prepared, shifted
from eeaug.data.splitting import Splits, split
from eeaug.preprocessing import Preprocessing

__all__ = [
    "Data",
    "Part",
    "Preprocessing",
    "Splits",
    "View",
    "batches",
    "load",
    "locate",
    "parse_priors",
    "prepared",
    "shifted",
    "split",
    "weights",
]
