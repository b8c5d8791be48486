"""What manifest.json says of the code that Keras needs to load files of the bundle, and that the bundle has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eeaug.errors import InputError

__all__ = ["CustomObjects"]


@dataclass(frozen=True)
class CustomObjects:
    """Code of the user.

    Parameters
    ----------
    names : of classes and functions
    files : name and SHA-256 of the files that define them
    """

    names: tuple[str, ...]
    files: tuple[Mapping[str, str], ...]

    @property
    def names_of_files(self) -> list[str]:
        return [file["name"] for file in self.files]

    def changed(self, files: Sequence[Mapping[str, str]]) -> list[str]:
        """Names of the files that are not among these."""
        here = [file["sha256"] for file in files]
        return [file["name"] for file in self.files if file["sha256"] not in here]

    def needed_by(self, what: str, options: Sequence[str]) -> InputError:
        """What is wrong where nobody names the code; ``options``: how it is named, for each of the files."""
        return InputError(f"{what} {', '.join(self.names)}: give {' '.join(options)}")

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> CustomObjects:
        return cls(tuple(entry["names"]), tuple(entry["files"]))

    def as_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "files": [dict(file) for file in self.files]}
