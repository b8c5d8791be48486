"""The shipped stream: what examples/README.md says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"
STREAM = EXAMPLES / "ecg_stream.npz"
ROW = "| `x_{0}`, `y_{0}` | "


def test_the_stream_is_small_and_of_other_people_in_every_part() -> None:
    assert STREAM.stat().st_size < 1_000_000 and STREAM.with_suffix(".h5").stat().st_size < 150_000
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    with np.load(STREAM) as file:
        arrays = dict(file)
    seen: set[int] = set()
    for part in ("train", "val", "test"):
        x, y, groups = (arrays[f"{name}_{part}"] for name in ("x", "y", "groups"))
        assert x.dtype == np.uint8 and x.shape == (len(y), 187, 1) and len(groups) == len(y)
        records = np.unique(groups).tolist()
        assert not seen & set(records), "a record in two parts"
        seen |= set(records)
        assert (np.diff(np.flatnonzero(np.diff(groups)), prepend=-1) == len(y) // len(records)).all(), "in a row"
        counts = ", ".join(f"{count:,}" for count in np.bincount(y, minlength=5).tolist())
        listed = "" if part == "train" else f": {', '.join(map(str, records))}"
        assert f"{ROW.format(part)}{len(records)}{listed} | {len(y):,} | {counts} | " in text
