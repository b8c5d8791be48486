"""Commands that make sense after a bundle was written."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from eeaug.report.words.counted import DEVICE_FORMATS
from eeaug.report.words.facts import Report, is_blank

__all__ = ["MOST", "looser", "steps"]

MOST = 3  # that are shown
LOOSER = 1.05  # what is asked for where so much would have been enough


def steps(report: Report, place: Path, given: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """Pairs of a command and what it is for, the most useful first.

    ``place``: the bundle's directory; ``given``: the words of the command line that has made it.
    """
    here, asked = shlex.quote(str(place)), report["settings"]
    possible = []
    # whose bundles have no files for devices, and no earlier search to choose from again
    alone = is_blank(report) or "stream" in asked
    other = looser(report, str(place))
    if other is not None:
        possible.append(other)
    elif not alone and report["design"]["exits"] and report["promise"]["promise"] == "expected":
        possible.append((f"eeaug certify {here} --data NEW.npz", "prove the budget on field data"))
    elif "stream" in report:
        possible.append((f"eeaug evaluate {here} --data NEW.npz", "other recordings"))
    written = [kind for kind in ("c-int8", "c") if kind in asked["formats"]]
    if written:
        folder = shlex.quote(str(place / written[0]))
        possible.append((f"make -C {folder} test", "test the C files here"))
    elif "augment" in given[:1] and not alone and not any(name in DEVICE_FORMATS for name in asked["formats"]):
        words = ["eeaug", *(word for word in given if word != "--force"), "--format", "c-int8", "--force"]
        possible.append((shlex.join(words), "C files, with counted times"))
    possible.append(
        (f"eeaug report {here} --format html -o {_beside(place, 'report.html', '.')}", "the whole report")
    )
    budget = asked["max_accuracy_drop"]
    if budget and report["design"]["exits"] and report["design"]["measured"] is not None:
        possible.append((f"eeaug check {here} --max-accuracy-drop {100 * budget:.4g}pp", "a gate for CI"))
    return tuple(possible[:MOST])


def looser(report: Report, place: str) -> tuple[str, str] | None:
    """The command after which something leaves early, where nothing does as so little could be promised."""
    option = None if is_blank(report) or "stream" in report["settings"] else _option(report)
    if option is None:
        return None
    other = _beside(Path(place), "looser")
    return f"eeaug retarget {shlex.quote(place)} {option} -o {other}", "a design with exits"


def _option(report: Report) -> str | None:
    promise, asked = report["promise"], report["settings"]
    if report["design"]["exits"] or asked["max_accuracy_drop"] is None:
        return None
    smallest = promise["smallest_provable_drop"]
    if smallest is not None and smallest * LOOSER < 1:
        return f"--max-accuracy-drop {100 * smallest * LOOSER:.2g}pp"
    return "--promise none" if promise["promise"] != "none" and promise["steps_tested"] else None


def _beside(place: Path, word: str, joint: str = "-") -> str:
    return shlex.quote(f"{place}{joint}{word}")
