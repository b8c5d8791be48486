"""``--format tflite-int8``: every stage quantised to int8 throughout, inputs, outputs and hand-over too.

Ranges are those of the float stages on real samples, and on what these hand over: so a hand-over has the same
scale and zero point where it is made and where it is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose, prod

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.entries import Added, Int8Files, Int8Stage
from eeaug.cascade.output import STEP, ZERO_POINT
from eeaug.errors import ConversionError
from eeaug.export.formats import Work
from eeaug.frameworks import keras_to_tflite, tflite_file, tflite_session
from eeaug.frameworks.tflite_session import Quantisation, Session
from eeaug.stages.partition import PROBABILITIES, Stage, stage_graph

__all__ = ["write"]

FILE = "model.int8.tflite"
CALIBRATION_BYTES = 256_000_000  # that samples or what is handed over may take while ranges are sought
COMPARED = 8  # samples that two kinds of kernels are compared on
ROUNDING = 1e-4  # scales of one tensor that differ by less, relatively, differ by float rounding alone


def write(work: Work) -> Added:
    """Write the files; how inputs and outputs are quantised is ``int8`` of the manifest's stages.

    They are run by LiteRT's reference kernels if TFLM or C is made of them, and these kernels are there and right.
    """
    calibration = _calibration(work)
    given = work.stages[0].row.split(calibration)  # by name, what a stage is given of the samples
    reference = not {"tflm", "c-int8"}.isdisjoint(work.manifest.settings["formats"])
    samples = len(calibration)
    before: Quantisation | None = None
    declared = zip(work.classifier.layout.names, work.classifier.dtypes, strict=True)
    whole = {name: dtype.startswith(("int", "uint")) for name, dtype in declared}
    known = {name: _of(x, whole=whole[name]) for name, x in given.items()} if work.stages[0].row.several else {}
    files, entries = [], []
    for stage, entry in zip(work.stages, work.manifest.stages, strict=True):
        inputs, outputs = stage_graph(work.classifier, stage)
        taken = [given[name] for name in stage.takes]
        content = keras_to_tflite.to_tflite(inputs, outputs, input_name=stage.takes[0], samples=taken)
        content, facts = _joined(content, stage, before, known)
        name = f"stages/{stage.name}/{FILE}"
        (work.directory / name).write_bytes(content)
        files.append(name)
        entries.append({"int8": facts})
        few = {name: given[name][:COMPARED] for name in stage.takes}
        reference = reference and tflite_session.has_reference_kernels(content, few)
        if stage.handover is not None and stage.onward is not None:
            before = facts.outputs[stage.handover]
            session = Session(work.directory / entry.files["tflite"], work.threads)
            (tensor,) = session.run([stage.handover], {name: given[name] for name in stage.takes})
            given = {stage.handover: tensor, **{name: given[name] for name in stage.onward.names[1:]}}
    kernels = "reference" if reference else "optimised"
    return Added(files, entries, {"int8": Int8Files(kernels, samples)})


def _calibration(work: Work) -> NDArray[np.float32]:
    """As many samples as there is room for on the way through the stages, from the whole of what is given."""
    assert work.calibration is not None
    largest = 4 * max(prod(shape) for stage in work.stages for shape in (stage.input_shape, stage.handover_shape))
    most = max(1, CALIBRATION_BYTES // largest)
    return work.calibration[:: -(-len(work.calibration) // most)]


def _opens(content: bytes) -> bool:
    """Whether LiteRT takes the file: some operators must have the very scale of what they read."""
    try:
        Session(content, 1)
    except (RuntimeError, ValueError):
        return False
    return True


def _of(x: NDArray[np.float32], *, whole: bool) -> Quantisation:
    """How samples (n, ...) are quantised: from the least to the largest value, 0 among them.

    ``whole`` numbers as they are, where they are few: one that stands for something must not become its neighbour.
    """
    least, largest = min(0.0, float(x.min())), max(0.0, float(x.max()))
    if whole and largest - least <= 255:
        return Quantisation(1.0, int(-128 - least))
    scale = float(np.float32((largest - least) / 255)) or 1.0
    return Quantisation(scale, int(np.clip(round(-128 - least / scale), -128, 127)))


def _joined(
    content: bytes, stage: Stage, before: Quantisation | None, known: Mapping[str, Quantisation]
) -> tuple[bytes, Int8Stage]:
    """The file, taking what it is handed as ``before`` gives it, and the manifest's entry about its tensors.

    Inputs of a model that has several are taken as ``known`` says, by all stages alike.

    ``requantised_from``: where the two differ by more than rounding, what is to be converted before the stage runs.

    Raises
    ------
    ConversionError : the file is not int8 throughout, or its probabilities are not what softmax and logistic give
    """
    try:
        keras_to_tflite.check_int8(content)
    except ConversionError as error:
        raise ConversionError(f"stage {stage.name}: {error}; leave int8 formats out of --format") from error
    session = Session(content, 1)
    quantisation = session.outputs[PROBABILITIES]
    if quantisation != Quantisation(STEP, ZERO_POINT):
        raise ConversionError(
            f"stage {stage.name}: int8 probabilities with {quantisation}, not {STEP} and {ZERO_POINT}"
        )
    takes: dict[str, Quantisation] = {}
    requantised_from = None
    for name, quantised in session.inputs.items():
        assert quantised is not None
        takes[name], handed = quantised, stage.start is not None and name == stage.input_name
        comes = before if handed else known.get(name)
        if comes is None or comes == quantised:
            continue
        same = comes.zero_point == quantised.zero_point and isclose(comes.scale, quantised.scale, rel_tol=ROUNDING)
        if same or tflite_file.is_converted_first(content, name):
            stated = tflite_file.with_input(content, name, comes.scale, comes.zero_point)
            if _opens(stated):
                content, takes[name] = stated, comes
                continue
        if handed and not same:
            requantised_from = comes
        else:
            content, takes[name] = tflite_file.requantising(content, name, comes.scale, comes.zero_point), comes
    outputs = {name: q for name, q in session.outputs.items() if q is not None}
    return content, Int8Stage({name: takes[name] for name in stage.takes}, outputs, requantised_from)
