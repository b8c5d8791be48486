"""What a run tells: how long the rest takes, lines in a log, and parts of parts as one share."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from eeaug.support.pace import ROUNDED, Pace, lasting
from eeaug.support.progress import (
    EVERY_S,
    FIRST_S,
    Lines,
    Progress,
    counted,
    counting,
    part,
    parts,
    tell,
    told_to,
)
from eeaug.support.streams import overheard


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# -- how long the rest takes --------------------------------------------------------------------------


@pytest.mark.parametrize("each_s", [0.01, 1.0, 300.0])
def test_even_work_ends_when_it_was_said_to(each_s: float) -> None:
    pace = Pace()
    assert pace.left_s(0.0) is None and pace.share is None
    pace.tell(0.0, 0.0)
    assert pace.left_s(5.0) is None  # nothing was done yet: nothing is known
    for done in range(1, 21):
        pace.tell(done / 20, done * each_s)
        assert pace.left_s(done * each_s) == pytest.approx((20 - done) * each_s)
    assert pace.left_s(1e9) == 0.0


def test_it_counts_down_between_two_pieces_and_waits_for_the_one_at_work() -> None:
    pace = Pace()
    for done in range(3):
        pace.tell(done / 4, 10.0 * done)
    assert [pace.left_s(20.0 + more) for more in (0, 4, 10, 50)] == pytest.approx([20, 16, 10, 10])


def test_a_slow_beginning_is_forgotten() -> None:
    pace = Pace()
    pace.tell(0.0, 0.0)
    pace.tell(0.1, 60.0)  # something was compiled first
    for done in range(2, 9):
        pace.tell(done / 10, 60.0 + done)
    assert pace.left_s(68.0) == pytest.approx(2.0)


def test_what_was_done_before_is_not_measured() -> None:
    pace = Pace()
    pace.tell(0.5, 0.0)  # an earlier run has left it
    assert pace.left_s(0.0) is None
    pace.tell(0.75, 5.0)
    assert pace.left_s(5.0) == pytest.approx(5.0)


def test_where_less_is_done_than_before_something_else_is_counted() -> None:
    pace = Pace()
    for share, now in ((0.0, 0.0), (1.0, 10.0), (0.0, 11.0)):
        pace.tell(share, now)
    assert pace.left_s(12.0) is None and pace.share == 0.0


def test_whatever_is_told_the_rest_is_no_less_than_nothing_and_no_more_than_the_slowest_pace() -> None:
    rng = random.Random(0)
    for _ in range(300):
        pace, now, done, slowest = Pace(), 0.0, 0, 0.0
        pace.tell(0.0, now)
        while done < 50:
            took, more = rng.uniform(0.1, 5), rng.randint(1, 9)
            now, done, slowest = now + took, min(50, done + more), max(slowest, took / min(more, 50 - done))
            pace.tell(done / 50, now)
            left = pace.left_s(now)
            assert left is not None and 0 <= left <= (50 - done) * slowest + 1e-9


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (45.4, "45 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3599.7, "1 h"), (3900, "1 h 5 min"),
     (90_000, "25 h")],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


# -- lines in a log -----------------------------------------------------------------------------------


@pytest.fixture
def log() -> tuple[Lines, Clock, list[str]]:
    clock, lines = Clock(), list[str]()
    return Lines(lines.append, clock=clock), clock, lines


def test_a_long_step_has_a_line_at_most_every_ten_seconds(log: tuple[Lines, Clock, list[str]]) -> None:
    lines, clock, told = log
    lines.step("heads", "13 dense heads")
    times = []
    for done in range(41):
        clock.now = 100 + done
        before = len(told)
        lines.advance(done, 40)
        times += [done] * (len(told) - before)
    lines.finished("heads", "13 dense heads", 40.0)
    assert times[0] == FIRST_S and all(b - a >= EVERY_S for a, b in pairwise(times))
    assert told == [
        "  train: 13 dense heads: 12 %, 5 s so far, about 35 s left",
        "  train: 13 dense heads: 37 %, 15 s so far, about 25 s left",
        "  train: 13 dense heads: 62 %, 25 s so far, about 15 s left",
        "  train: 13 dense heads: 87 %, 35 s so far, about 5 s left",
        "train: 13 dense heads: 40.0 s",
    ]
    assert not any(control in "".join(told) for control in "\r\x1b\n")


def test_a_step_that_tells_nothing_says_how_long_it_has_taken(log: tuple[Lines, Clock, list[str]]) -> None:
    lines, clock, told = log
    lines.step("import", "")
    for seconds in range(30):
        clock.now = 100 + seconds
        lines.beat()
    assert told == [f"  start TensorFlow: {s} s so far" for s in (5, 15, 25)]


def test_short_steps_after_one_another_have_no_lines_in_between(log: tuple[Lines, Clock, list[str]]) -> None:
    lines, clock, told = log
    for _ in range(20):
        lines.step("load", "data")
        for done in range(5):
            clock.now += 0.9
            lines.advance(done, 4)
        lines.finished("load", "data", 4.5)
    assert told == ["read: data: 4.5 s"] * 20
    lines.beat()  # between steps
    assert len(told) == 20


def test_brief_tells_of_long_steps_only() -> None:
    clock, told = Clock(), list[str]()
    lines = Lines(told.append, brief=True, clock=clock)
    for seconds in (3, 30):
        lines.step("run", "")
        clock.now += seconds
        lines.beat()
        lines.finished("run", "", seconds)
    assert told == ["  run the stages: 30 s so far", "run the stages: 30.0 s"]


def test_nothing_is_said_into_what_native_code_says(log: tuple[Lines, Clock, list[str]]) -> None:
    lines, clock, told = log
    lines.step("verify", "")
    clock.now += 30
    with overheard():
        lines.beat()
    assert told == []
    lines.beat()
    assert told == ["  read the stages back and measure: 30 s so far"]


def test_quiet_says_nothing_but_warnings() -> None:
    clock, told = Clock(), list[str]()
    lines = Lines(told.append, quiet=True, clock=clock)
    with lines.beating():
        lines.step("load", "data")
        clock.now += 100
        lines.advance(1, 2)
        lines.finished("load", "data", 100.0)
        lines.warning("look")
    assert told == ["warning: look"]


def test_the_heart_stops_at_the_end_and_when_interrupted() -> None:
    import threading

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Lines(lambda _: None).beating():
        assert threading.active_count() == before + 1
        raise KeyboardInterrupt
    assert threading.active_count() == before


# -- parts of parts -----------------------------------------------------------------------------------


@pytest.fixture
def shares() -> Iterator[Callable[[], list[float]]]:
    told: list[float] = []
    with told_to(lambda done, of: told.append(done / of)):
        yield lambda: [round(share, 4) for share in dict.fromkeys(told)]


def test_counted_items_come_as_they_are_and_are_told_when_done(shares: Callable[[], list[float]]) -> None:
    assert list(counted("abcd", 4)) == list("abcd")
    assert shares() == [0, 0.25, 0.5, 0.75, 1]


def test_sizes_weigh(shares: Callable[[], list[float]]) -> None:
    list(counted(["a", "bbb"], 4, len))
    assert shares() == [0, 0.25, 1]


def test_no_more_than_all_is_ever_done(shares: Callable[[], list[float]]) -> None:
    more = counting(10)
    for _ in range(4):
        more(4)
    assert shares() == [0, 0.4, 0.8, 1]


def test_parts_of_parts_are_one_share(shares: Callable[[], list[float]]) -> None:
    for size in parts([1, 3], lambda size: size):
        list(counted(range(2), 2))
        assert size
    assert shares() == [0, 0.125, 0.25, 0.625, 1]


def test_a_part_that_ends_early_leaves_nothing_behind(shares: Callable[[], list[float]]) -> None:
    def fails() -> None:
        for item in parts([1, 2, 3]):
            if item == 2:
                raise ValueError

    with part(0, 1, 2), pytest.raises(ValueError):
        fails()
    with part(1, 1, 2):
        tell(1, 2)
    assert shares()[-2:] == [0.75, 1]


def test_shares_never_fall_in_whatever_is_nested() -> None:
    rng, told = random.Random(1), list[float]()

    def nested(depth: int) -> None:
        kind = rng.choice(["leaf", "parts", "part"]) if depth else "leaf"
        if kind == "leaf":
            list(counted(range(n := rng.randint(1, 4)), n))
        elif kind == "parts":
            for _ in parts(range(rng.randint(1, 3))):
                nested(depth - 1)
        else:
            with part(0, 2, 3):
                nested(depth - 1)
            with part(2, 1, 3):
                nested(depth - 1)

    for _ in range(50):
        told.clear()
        with told_to(lambda done, of: told.append(done / of)):
            nested(4)
        assert all(b >= a - ROUNDED for a, b in pairwise(told))
        assert told[0] == 0 and told[-1] == 1


def test_without_a_step_nothing_is_told() -> None:
    assert list(counted("ab", 2)) == ["a", "b"] and list(parts("ab")) == ["a", "b"]
    counting(3)(1)
    with part(0, 1, 2):
        tell(1, 2)


def test_a_step_tells_its_observer(log: tuple[Lines, Clock, list[str]]) -> None:
    lines, clock, told = log
    progress = Progress(lines)
    with progress.step("search"):
        for _ in counted(range(2), 2):
            clock.now += 6
    assert told[0].startswith("  choose exits, thresholds and processors: 50 %, 6 s so far, about 6 s left")
    assert "search" in progress.seconds
