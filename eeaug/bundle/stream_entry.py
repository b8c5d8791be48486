"""What a bundle decides streams by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eeaug.streams.kinds import described, rule_of
from eeaug.streams.rules import Rule

__all__ = ["StreamEntry"]


@dataclass(frozen=True, eq=False)
class StreamEntry:
    """``rule``: the decision; ``state_bytes``: of the state of one stream; ``int8``: the same of int8 files."""

    rule: Rule
    state_bytes: int
    int8: StreamEntry | None = None

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> StreamEntry:
        int8 = cls.from_dict(entry["int8"]) if "int8" in entry else None
        return cls(rule_of(entry["rule"]), entry["state_bytes"], int8)

    def as_dict(self) -> dict[str, Any]:
        int8 = {} if self.int8 is None else {"int8": self.int8.as_dict()}
        return {"rule": described(self.rule), "state_bytes": self.state_bytes, **int8}
