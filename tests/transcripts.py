"""Transcripts in the documents: made by running their commands, compared with what the commands print now.

    python tests/transcripts.py [README.md docs/first-run.md docs/tutorial.md docs/streams.md]

runs the commands of these documents, in their order and one after the other, and writes what they print below them
anew. Lines of only … stand for lines left out: of each piece between them the first and the last line are looked up
in what was printed, by their words without figures; where that fails, write the piece by hand.

Seconds and hashes are never compared, nor the lines that tell how far a long step is. All else is, exactly, where
the trained heads are byte by byte those that the transcripts were made with (tests/data/transcripts.json). Another
kind of CPU trains other ones, of which the search may make another design: then a share of WORDS must be there in
their order, and of figures between them a share of FIGURES must be close (``close``).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# whether all their commands are run, or only those that have something below them
DOCUMENTS = {"README.md": False, "docs/first-run.md": False, "docs/tutorial.md": True, "docs/streams.md": True}
MADE_WITH = ROOT / "tests" / "data" / "transcripts.json"
LEFT_OUT = "…"
ON_THE_BOARD = ("--read m33.csv",)  # commands with one of these need what a board has printed
ALIKE = 0.6  # least similarity of lines, of 1, that stand for the same
WORDS, FIGURES = 0.85, 0.75  # on another CPU: least shares of what is the same
POINTS, SHARE, PLAIN = 5.0, 0.15, 0.05  # allowed on another CPU: of percentages, of quantities, of bare numbers

_BLOCK = re.compile(r"^```(console|sh|python)\n(.*?)^```", re.M | re.S)
_BOX = re.compile(r"[│╭╮╰╯─┌┐└┘█░]+")
# what differs from run to run
_MASKS = (
    (re.compile(r"^(.+: )\d[\d,.]* (?:s|min)$"), r"\1SECONDS"),
    (re.compile(r"^(takes about ).*"), r"\1SECONDS"),
    (re.compile(r"^(manifest sha256: ).*"), r"\1HASH"),
)
# of steps that take long, which differ from machine to machine
_PROGRESS = re.compile(r"  .+: (\d+ %, )?[^:]* so far(, about [^:]* left)?$|run the stages: ")
_QUANTITY = re.compile(
    r"(?P<number>[−+±-]?\d[\d,]*(?:\.\d+)?)(?:(?P<gap> ?)(?P<prefix>[GMkmµn]?)(?P<unit>s|B|J|W|Hz|%|pp)?(?![\w%]))?"
)
_FACTOR = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}


@dataclass
class Step:
    """A command of a document, or a piece of Python, with what is shown below it; None: nothing is."""

    kind: str  # "sh" or "python"
    code: str
    shown: str | None
    span: tuple[int, int]  # of ``shown`` in the text


def steps(text: str) -> list[Step]:
    """Of a document in Markdown, in order: commands of sh and console blocks, and Python that is run."""
    found: list[Step] = []
    for block in _BLOCK.finditer(text):
        kind, at = block[1], block.start(2)
        if kind == "python":
            found.append(Step("python", block[2], None, (at, at)))
        elif kind == "sh":
            lines = block[2].replace("\\\n", " ").splitlines()
            found += [Step("sh", line, None, (at, at)) for line in lines if line and not line.startswith("#")]
        else:
            found += _console(block[2], at)
    return found


def _console(body: str, at: int) -> Iterator[Step]:
    for command in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.M):
        begin = at + command.start(2)
        yield Step("sh", command[1], command[2] or None, (begin, begin + len(command[2])))


@dataclass
class Stranger:
    """Somebody at a terminal of 80 columns, in a directory, with nothing cached.

    ``commands``: where ``eeaug`` is; what has run is not run again.
    """

    directory: Path
    commands: Path
    printed: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    def do(self, step: Step) -> str:
        """What it prints, both streams in one. Raises AssertionError where it fails."""
        if step.code not in self.printed:
            python = step.kind == "python"
            line = ["python", "-c", step.code] if python else ["bash", "-c", f"exec 2>&1; {step.code}"]
            done = subprocess.run(
                line, cwd=self.directory, env=self.environment(), capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{step.code}\n{done.stdout}\n{done.stderr}"
            home = str(self.directory / "home")
            lines = [line for line in done.stdout.splitlines(keepends=True) if not _PROGRESS.match(line)]
            self.printed[step.code], self.runs = "".join(lines).replace(home, "~"), self.runs + 1
        return self.printed[step.code]

    def environment(self) -> Mapping[str, str]:
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("EEAUG_", "COLUMNS", "FORCE_COLOR", "PYTHON"))
        }
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        paths = [str(self.commands), kept.get("PATH", "")]
        # two threads as on the machine that the transcripts are of: another number sums in another order
        return {
            **kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "PATH": os.pathsep.join(paths),
            "EEAUG_AUGMENT_THREADS": "2",
        }  # fmt: skip


def of_document(name: str) -> list[Step]:
    """The steps of a document that are run."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [
        step
        for step in steps(text)
        if (DOCUMENTS[name] or step.shown is not None) and not any(words in step.code for words in ON_THE_BOARD)
    ]


def differences(shown: str, printed: str, *, exactly: bool) -> str:
    """Where a transcript is not what was printed; empty: it is. Not ``exactly``: by WORDS and FIGURES."""
    rest = _tokens(printed)
    pieces = re.split(rf"^{LEFT_OUT}\n", shown, flags=re.M)
    for i, piece in enumerate(pieces):
        wanted = _tokens(piece)
        if not wanted:
            continue
        if exactly:
            begins = [0] if i == 0 else [k for k, token in enumerate(rest) if token == wanted[0]]
            end = next((k + len(wanted) for k in begins if rest[k : k + len(wanted)] == wanted), None)
        else:
            end = _alike(wanted, rest)
        if end is None:
            return f"is not what was printed, or not there:\n{piece}\n--- printed:\n{printed}"
        rest = rest[end:]
    return f"goes on: {rest[:40]}\n--- printed:\n{printed}" if exactly and pieces[-1].strip() and rest else ""


def _alike(wanted: Sequence[Token], printed: Sequence[Token]) -> int | None:
    """Where in ``printed`` what is alike ends; None: there is nothing like that."""
    kinds = [[token if isinstance(token, str) else ("", token[1]) for token in each] for each in (wanted, printed)]
    blocks = difflib.SequenceMatcher(None, *kinds, autojunk=False).get_matching_blocks()
    pairs = [(wanted[b.a + k], printed[b.b + k]) for b in blocks for k in range(b.size)]
    figures = [close(one, other) for one, other in pairs if not isinstance(one, str)]
    if len(pairs) < WORDS * len(wanted) or sum(figures) < FIGURES * len(figures):
        return None
    return max(b.b + b.size for b in blocks if b.size)


def _masked(line: str) -> str:
    """The line without what differs from run to run."""
    line = line.rstrip()
    for pattern, words in _MASKS:
        line = pattern.sub(words, line)
    return line


Token = str | tuple[float, str]


def _tokens(text: str) -> list[Token]:
    """Words, and figures with their unit; lines, columns, boxes and bars are layout."""
    text = "\n".join(map(_masked, text.splitlines()))
    text = re.sub(r"\bworst class: \w+|Worst class: \w+", "worst class", _BOX.sub(" ", text))
    tokens: list[Token] = []
    end = 0
    for match in _QUANTITY.finditer(text):
        if match.start() and re.match(r"[\w.:/-]", text[match.start() - 1]):
            continue  # a part of a name
        tokens += text[end : match.start()].split()
        end = match.end()
        number = float(match["number"].replace(",", "").replace("−", "-").replace("±", ""))
        tokens.append((number * _FACTOR[match["prefix"] or ""], match["unit"] or ""))
    return tokens + text[end:].split()


def close(one: Token, other: Token) -> bool:
    """The same word, or nearly the same figure: percentages and percentage points may differ by POINTS, what has a
    unit or is 1 and more by SHARE of the larger, other numbers by PLAIN."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    (a, unit), (b, its) = one, other
    if unit != its:
        return False
    if unit in ("%", "pp"):
        return abs(a - b) <= POINTS
    larger = max(abs(a), abs(b))
    return abs(a - b) <= (SHARE * larger if unit or larger >= 1 else PLAIN)


def heads_of(bundle: Path) -> str:
    """A hash of the trained heads of a bundle and of what they say of the calibration samples."""
    both = b"".join((bundle / "search" / name).read_bytes() for name in ("heads.npz", "choose.npz"))
    return hashlib.sha256(both).hexdigest()


def made_here(bundle: Path) -> bool:
    """Whether these heads are those that the transcripts were made with."""
    return bool(json.loads(MADE_WITH.read_text(encoding="utf-8"))["heads"] == heads_of(bundle))


def _anew(shown: str, printed: str) -> str:
    """The printed lines that stand for the pieces of ``shown``."""
    # lines that differ in seconds alone stay as they are
    before = {_masked(line): line for line in shown.splitlines()}
    lines, at, kept = [before.get(_masked(line), line.rstrip()) for line in printed.splitlines()], 0, []
    pieces = re.split(rf"^{LEFT_OUT}\n", shown, flags=re.M)
    for i, piece in enumerate(pieces):
        its = [line for line in piece.splitlines() if line.strip()]
        if not its:
            kept.append([])
            continue
        first = 0 if i == 0 else _place(its[0], lines, at)
        last = len(lines) - 1 if i == len(pieces) - 1 else _place(its[-1], lines, first)
        kept.append(lines[first : last + 1])
        at = last + 1
    whole = f"\n{LEFT_OUT}\n".join("\n".join(part) for part in kept).lstrip("\n")
    return re.sub(r"^(manifest sha256: ).*", rf"\1{LEFT_OUT}", whole, flags=re.M).rstrip("\n") + "\n"


def _place(line: str, lines: Sequence[str], begin: int) -> int:
    """The first line from there on with the same words, figures aside; else the one with the most similar words."""

    def words(text: str) -> str:
        return " ".join(token for token in _tokens(text) if isinstance(token, str))

    wanted = words(line)
    alike = [difflib.SequenceMatcher(None, wanted, words(each)).ratio() for each in lines[begin:]]
    best = max(alike, default=0.0)
    if best < ALIKE:
        raise SystemExit(f"no line like this was printed: {line!r}; write that transcript by hand")
    return begin + alike.index(best)


def prepare(directory: Path) -> None:
    """What a stranger has besides the installed package: the examples."""
    (directory / "examples").mkdir()
    for name in ("fashion_resnet.h5", "fashion_resnet.npz", "scenes.py", "ecg_stream.h5", "ecg_stream.npz"):
        shutil.copy(ROOT / "examples" / name, directory / "examples")


def main() -> None:
    names = sys.argv[1:] or DOCUMENTS
    with tempfile.TemporaryDirectory(prefix="eeaug-transcripts-") as scratch:
        stranger = Stranger(Path(scratch), Path(sys.executable).parent)
        prepare(stranger.directory)
        for name in names:
            path, its = ROOT / name, of_document(name)
            for step in its:
                stranger.do(step)
            text = path.read_text(encoding="utf-8")
            for step in reversed(its):
                begin, end = step.span
                if step.shown is not None:
                    text = text[:begin] + _anew(step.shown, stranger.printed[step.code]) + text[end:]
            path.write_text(text, encoding="utf-8")
        bundle = stranger.directory / "fashion_resnet-eeaug"
        if bundle.is_dir():
            MADE_WITH.write_text(json.dumps({"heads": heads_of(bundle)}) + "\n", encoding="utf-8")
    print(f"{stranger.runs} commands, written anew: {', '.join(names)}")


if __name__ == "__main__":
    main()
