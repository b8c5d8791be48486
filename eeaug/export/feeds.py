"""Where the inputs of a stage lie in C.

A sample is one array, the model's inputs one after the other. A stage takes the tensor that it is handed as
``input``, the first one the sample; what later stages take of the sample lies where it came to their processor: in
the sample on the first one, behind the tensor of the hand-over (``carried``) on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eeaug.bundle.entries import StageEntry
from eeaug.support.sample_layout import SampleLayout

__all__ = ["Feed", "carried", "feeds", "listed", "moved", "sizes"]


@dataclass(frozen=True)
class Feed:
    """What one stage is given.

    Parameters
    ----------
    input : number of elements of its first array
    views : where each tensor that its files take lies, as C has it, in their order
    here : inputs of the model as they lie on its processor; None: none came there, or it is the first stage
    sample : whether it takes any of these
    """

    input: int
    views: tuple[str, ...]
    here: SampleLayout | None
    sample: bool

    @property
    def carried(self) -> int:
        """Elements of the array that it takes besides; 0: it takes none."""
        return sum(self.here.sizes) if self.sample and self.here is not None else 0


def feeds(stages: Sequence[StageEntry]) -> tuple[Feed, ...]:
    """Of every stage, on the processors that they name."""
    result: list[Feed] = []
    here: SampleLayout | None = stages[0].row if stages[0].row.several else None
    for k, entry in enumerate(stages):
        if k and entry.processor != stages[k - 1].processor:
            here = carried(stages[k - 1])
        if k == 0:
            views = tuple(_at("input", entry.row, name) if entry.row.several else "input" for name in entry.inputs)
            result.append(Feed(sum(entry.row.sizes), views, here, False))
            continue
        first, views = entry.row.names[0], ()
        for name in entry.inputs:
            assert name == first or here is not None
            views += ("input" if name == first or here is None else _at("sample", here, name),)
        result.append(Feed(entry.row.sizes[0], views, here, any(name != first for name in entry.inputs)))
    return tuple(result)


def carried(entry: StageEntry) -> SampleLayout | None:
    """The inputs of the model that a stage hands over; None: none."""
    if not entry.passed:
        return None
    return SampleLayout(tuple(t.name for t in entry.passed), tuple(t.shape for t in entry.passed))


def sizes(entry: StageEntry) -> int:
    """Elements of the inputs of the model that a stage hands over."""
    inputs = carried(entry)
    return 0 if inputs is None else sum(inputs.sizes)


def listed(layout: SampleLayout) -> str:
    """Tensors one after the other, for a comment."""
    parts = [
        f"{name} {' x '.join(map(str, shape))}" for name, shape in zip(layout.names, layout.shapes, strict=True)
    ]
    return ", then ".join(parts)


def moved(source: str, here: SampleLayout, entry: StageEntry) -> list[str]:
    """Statements that copy the inputs that a stage hands over from where they lie on its processor."""
    inputs = carried(entry)
    if inputs is None:
        return []
    return [
        f"    memcpy(out->carried + {inputs.offsets[name]}, {source} + {here.offsets[name]}, "
        f"{size} * sizeof out->carried[0]);"
        for name, size in zip(inputs.names, inputs.sizes, strict=True)
    ]


def _at(base: str, layout: SampleLayout, name: str) -> str:
    return f"({base} + {layout.offsets[name]})"
