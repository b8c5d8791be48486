"""What a dry run says of a search that is not timed: one threshold vector is."""

from __future__ import annotations

from itertools import count

import pytest

from eeaug.flow.expected import passage_s


@pytest.mark.parametrize("exits", [0, 1, 3])
def test_a_passage_is_timed_by_itself(exits: int) -> None:
    seconds = count()
    assert passage_s(100, exits, lambda: float(next(seconds))) == 1.0
