"""Places of tensors in an arena: checked by brute force, and by running plans on a memory of names."""

from __future__ import annotations

from itertools import combinations, permutations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from eeaug.export.c import arena
from eeaug.export.c.arena import ALIGNMENT, Buffer
from eeaug.export.c.onnx_source import FunctionCall, Parameter, StageCode
from eeaug.export.c.plan import MemoryPlan, PlannedStage, plan
from eeaug.network import schedule
from eeaug.network.schedule import order

# --- layout


@st.composite
def buffers(draw: st.DrawFn, most: int) -> list[Buffer]:
    found = []
    for i in range(draw(st.integers(0, most))):
        first = draw(st.integers(0, 7))
        found.append(Buffer(f"b{i}", draw(st.integers(1, 60)), first, first + draw(st.integers(0, 4))))
    return found


@given(buffers(20))
def test_what_lives_at_once_never_overlaps(given: list[Buffer]) -> None:
    found = arena.layout(given)
    for a, b in combinations(given, 2):
        at, other = found.offsets[a.name], found.offsets[b.name]
        together = any(a.first <= t <= a.last and b.first <= t <= b.last for t in range(12))
        assert not together or at + a.bytes <= other or other + b.bytes <= at
    assert all(offset % ALIGNMENT == 0 for offset in found.offsets.values())
    assert all(found.offsets[b.name] + b.bytes <= found.bytes for b in given)
    assert found.bytes >= arena.lower_bound(given)
    assert found == arena.layout(given)


def smallest(given: list[Buffer]) -> int:
    """Buffers by growing offset of a best layout, each as low as those before it allow, make a best layout."""
    best = sum(b.room for b in given)
    for chosen in permutations(given):
        at: dict[str, int] = {}
        for b in chosen:
            at[b.name] = max((at[o.name] + o.room for o in chosen if o.name in at and o.meets(b)), default=0)
        best = min(best, max((at[b.name] + b.room for b in given), default=0))
    return best


@settings(max_examples=60, deadline=None)
@given(buffers(6))
def test_small_arenas_are_the_smallest(given: list[Buffer]) -> None:
    assert arena.layout(given).bytes == smallest(given)


def test_the_bound_is_what_lives_at_once() -> None:
    given = [Buffer("a", 16, 0, 1), Buffer("b", 8, 1, 2), Buffer("c", 24, 2, 3), Buffer("d", 1, 3, 3)]
    assert arena.lower_bound(given) == 32
    assert arena.layout(given).bytes == 32
    assert arena.layout([]).bytes == arena.lower_bound([]) == 0


# --- graphs of calls


def tensor(size: int, *, const: bool) -> Parameter:
    return Parameter("x", "float", (size,), const)


@st.composite
def sources(draw: st.DrawFn, handover: bool, most: int = 6, begins: int = 3) -> StageCode:
    """Calls that read what there is: convolutions of a kind, elementwise ones, copies; two outputs at the end."""
    sizes = {"input": begins}
    calls = []
    count = draw(st.integers(1, most))
    outputs = ["probabilities", *(["handover"] if handover else [])]
    for i in range(count + len(outputs)):
        name = f"t{i}" if i < count else outputs[i - count]
        reads = draw(st.lists(st.sampled_from(sorted(sizes)), min_size=1, max_size=2, unique=True))
        kind = draw(st.sampled_from(["any", "elementwise", "copy"]))
        size = draw(st.integers(1, 9)) if kind == "any" else sizes[reads[0]]
        if name == "handover":
            kind, size = "any", 4
        sizes[name] = size
        over = [r for r in reads if sizes[r] == size] if kind == "elementwise" else reads[:1]
        arguments = [(tensor(sizes[r], const=True), r) for r in (reads[:1] if kind == "copy" else reads)]
        calls.append(
            FunctionCall(
                f"f{i}", kind, (*arguments, (tensor(size, const=False), name)),
                () if kind == "any" else tuple(over), kind == "copy", draw(st.sampled_from([0, 0, 16])),
            )
        )  # fmt: skip
    inner = {n: 4 * s for n, s in sizes.items() if n.startswith("t")}
    probabilities = {"probabilities": 4 * sizes["probabilities"]}
    return StageCode("", {}, probabilities, {}, tuple(calls), inner, ("input", *outputs))


def stage(source: StageCode, k: int, count: int, *, hears: bool = False) -> PlannedStage:
    last = k + 1 == count
    return PlannedStage(
        source=source, received=k == 0, sent=False, input_bytes=12 if k == 0 else 16,
        probabilities_bytes=source.weight_bytes["probabilities"], handover_bytes=0 if last else 16,
        hears=k if hears else 0, combines=hears and k > 0,
    )  # fmt: skip


class Memory:
    """Which values lie where: a value that is written over in part is gone."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.held: dict[tuple[int, int], object] = {}

    def write(self, at: int, size: int, value: object) -> None:
        assert at >= 0
        assert at + size <= self.size
        self.held = {(a, b): v for (a, b), v in self.held.items() if b <= at or at + size <= a}
        self.held[at, at + size] = value

    def holds(self, at: int, size: int, value: object) -> bool:
        return self.held.get((at, at + size)) == value


def executed(stages: list[PlannedStage], made: MemoryPlan) -> None:
    """Every call finds what it reads, and every decision what it needs, where the plan says it lies."""
    memory = Memory(made.bytes)
    said: list[tuple[int, int, object]] = []
    for k, mine in enumerate(stages):
        values: dict[str, object] = {"input": "sample" if k == 0 else f"{k - 1}/handover"}
        for call in mine.source.calls:  # what the call computes, in the order it was given in
            (name,) = call.writes
            values[name] = values[call.reads[0]] if call.copy else f"{k}/{name}"
        values["handover"] = f"{k}/handover"
        at = made.offsets[k]
        for call in made.calls[k]:
            for parameter, name in call.arguments:
                if parameter.const and name in at:
                    assert memory.holds(at[name], parameter.bytes, values[name]), (k, call.function, name)
            if call.scratch:
                memory.write(made.scratch[k][call.function], call.scratch, None)
                for parameter, name in call.arguments:
                    if parameter.const and name in at:  # not even scratch may touch what is being read
                        assert memory.holds(at[name], parameter.bytes, values[name])
            for parameter, name in call.arguments:
                if not parameter.const:
                    safe = {at.get(n) for n in call.over}
                    reading = [n for p, n in call.arguments if p.const and n in at and at[n] not in safe]
                    memory.write(at[name], parameter.bytes, values[name])
                    for n in reading:
                        size = next(p.bytes for p, m in call.arguments if m == n)
                        assert memory.holds(at[n], size, values[n]), "written while it is read"
        said.append((made.probabilities[k], mine.probabilities_bytes, values["probabilities"]))
        if mine.combines:
            heard = made.heard[k]
            assert heard is not None
            memory.write(heard, mine.probabilities_bytes, None)
        for where, size, value in said[len(said) - 1 - mine.hears :]:
            assert memory.holds(where, size, value), "what is decided on is gone"
        if made.handovers[k] is not None:
            assert memory.holds(made.handovers[k] or 0, 16, f"{k}/handover")


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 3), st.booleans())
def test_no_call_destroys_what_is_still_needed(data: st.DataObject, count: int, hears: bool) -> None:
    made = [data.draw(sources(k + 1 < count, begins=3 if k == 0 else 4)) for k in range(count)]
    stages = [stage(source, k, count, hears=hears) for k, source in enumerate(made)]
    found = plan(stages)
    executed(stages, found)
    assert found.bytes >= found.least


def peak(calls: tuple[FunctionCall, ...], sizes: dict[str, int], chosen: tuple[int, ...]) -> int:
    """Most bytes in use while calls run in this order."""
    made: set[str] = {"input"}
    most = sizes["input"]
    for step, i in enumerate(chosen):
        call = calls[i]
        before = {name for name in made if any(name in calls[j].reads for j in chosen[step:])}
        later = {name for j in chosen[step + 1 :] for name in calls[j].reads}
        in_place = any(name not in later for name in call.over)
        new = 0 if in_place else sum(sizes[name] for name in call.writes)
        most = max(most, sum(sizes[name] for name in before) + new + call.scratch)
        made |= set(call.writes)
    return most


def possible(calls: tuple[FunctionCall, ...], chosen: tuple[int, ...]) -> bool:
    made = {"input"}
    for i in chosen:
        if not set(calls[i].reads) <= made:
            return False
        made |= set(calls[i].writes)
    return True


@settings(max_examples=150, deadline=None)
@given(sources(handover=False, most=5))
def test_the_order_is_the_best_one(source: StageCode) -> None:
    sizes = {**source.tensors, **source.weight_bytes, "input": 12}
    found, most = order(source.calls, sizes)
    assert possible(source.calls, tuple(found))
    every = [o for o in permutations(range(len(source.calls))) if possible(source.calls, o)]
    assert most == peak(source.calls, sizes, tuple(found)) == min(peak(source.calls, sizes, o) for o in every)


def test_too_many_orders_leave_it_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "STATES", 2)
    calls = tuple(
        FunctionCall(
            f"f{i}", "any", ((tensor(4, const=True), "input"), (tensor(4, const=False), f"t{i}")), (), False, 0
        )
        for i in range(5)
    )
    assert order(calls, {"input": 16, **{f"t{i}": 16 for i in range(5)}}) == ([0, 1, 2, 3, 4], 32)
