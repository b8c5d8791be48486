"""Files of a format as they are meant to be; WRITE_GOLDEN=1 writes them anew, to be read in the diff."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(__file__).parent / "data"


def compare(name: str, text: str) -> None:
    """``text`` must be the file ``name`` of tests/data."""
    if os.environ.get("WRITE_GOLDEN"):
        (DATA / name).write_text(text, encoding="utf-8")
    assert text == (DATA / name).read_text(encoding="utf-8"), f"{name}; WRITE_GOLDEN=1 if it is meant to change"
