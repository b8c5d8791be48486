"""Samples: read, checked, prepared, split into what serves what.

A line of code here may touch files of samples, and labels; of the model it knows the input's shape. Samples
stay as they were stored until ``batches`` applies the preprocessing. No framework is imported before a source
needs one.

    images         how large a picture is, from its first bytes
    front_ends     what models of sound were trained on: numbers made of a second of it
    preprocessing  how stored samples become what the model takes
    labels         every form of labels as class numbers, rows of 0 and 1, or bit masks
    store          arrays on disk, written once under a key, then mapped
    samples        samples as they were stored, handed out in prepared batches
    input_groups   samples of several arrays, one for each input of the model
    sound          wavs as float32
    meanings       what an array of an unknown name most likely is
    npz            a .npz, unpacked once
    tensors        what TensorFlow and Keras hold
    functions      the user's own function gives the arrays
    folders        a directory with a folder for each class
    reading        --data, whatever it names, as checked parts
    splitting      which samples serve what
    priors         classes that are more or less frequent where the device works
    label_sheet    which samples need a label, for people to fill in
    plausibility   whether the given model and the data fit each other
"""

from __future__ import annotations

from eeaug.data.preprocessing import Preprocessing
from eeaug.data.priors import parse_priors, weights
from eeaug.data.reading import load, locate
from eeaug.data.samples import Data, Part, View, batches, prepared, shifted
from eeaug.data.splitting import Splits, split

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
