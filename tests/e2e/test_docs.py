"""What the documents tell people to type works."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from conftest import Run

from eeaug.cascade.output import Decision
from eeaug.cli import reference
from eeaug.cli.main import group
from eeaug.heads import families
from eeaug.network.locations import Location

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))


def commands(path: Path) -> list[str]:
    """Lines with an ``eeaug`` command, of shell blocks and transcripts, joined where they go on."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    plain = (re.sub(r"^\$ ", "", line) for line in lines)
    split = [shlex.split(line, comments=True) for line in plain if re.match(r"eeaug [a-z]", line)]
    return [shlex.join(words[: words.index(">")] if ">" in words else words) for words in split]


EVERY = [(path.name, line) for path in DOCS for line in commands(path)]


@pytest.mark.parametrize(("name", "line"), EVERY)
def test_a_command_is_one(name: str, line: str) -> None:
    """Its options exist and take what they are given; nothing is run."""
    command: click.Command = group
    words = shlex.split(line)[1:]
    with click.Context(group) as context:
        while isinstance(command, click.Group):
            _, found, words = command.resolve_command(context, words)
            assert found is not None
            command = found
    command.make_context(name, words)


def test_there_are_commands() -> None:
    """Or the test above tests nothing."""
    assert {name for name, _ in EVERY} >= {"README.md", "tutorial.md", "choosing-budgets.md", "adding-a-head.md"}


@pytest.mark.e2e
def test_budgets_can_be_chosen_as_told(work: Path, run: Run) -> None:
    quick = {"EEAUG_AUGMENT_EFFORT": "quick", "EEAUG_AUGMENT_CACHE_DIR": "cache"}
    for line in commands(ROOT / "docs" / "choosing-budgets.md"):
        done = run(*shlex.split(line)[1:], cwd=work, env=quick)
        assert done.code == 0, f"{line}\n{done.stderr}"


def test_a_head_is_added_as_told() -> None:
    text = (ROOT / "docs" / "adding-a-head.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    function = block.partition("MAP_FAMILIES")[0]
    assert len(block.strip().splitlines()) <= 20
    names = dict(vars(families))
    exec(function, names)
    place = Location("here", 1, (16, 16, 32), 10**8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(families.MAP_FAMILIES, "bottleneck", names["_bottleneck"])
        heads = families.map_heads(place, ["bottleneck"], Decision("softmax", 10), 1e7)
    assert {head.size for head in heads} <= {"1/2", "1/4"} and heads
    assert all(head.dense[-1].units == 10 and sum(head.cost().macs.values()) > 0 for head in heads)


def test_the_reference_is_what_the_code_says() -> None:
    """Make it again with ``python -m eeaug.cli.reference > docs/cli.md``."""
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference.render()


def test_the_readme_shows_a_part_of_the_whole_run() -> None:
    """Between lines of … README.md has the lines of docs/first-run.md, in their order."""
    page, readme = (ROOT / name for name in ("docs/first-run.md", "README.md"))
    (whole,) = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    marks = r"<!-- transcript -->\n```console\n(.*?)^```\n<!-- /transcript -->"
    (part,) = re.findall(marks, readme.read_text(encoding="utf-8"), re.M | re.S)
    at = 0
    for piece in part.split("…\n"):
        assert piece in whole[at:], f"first-run.md has not, or not there: {piece}"
        at = whole.index(piece, at) + len(piece)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 160, "details belong to docs/"


def test_the_messages_that_are_explained_exist() -> None:
    """Messages in docs/troubleshooting.md: what stands between … is in one text of the code, in that order."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = [row for _, row in re.findall(r"^\| (`+)(.+?)\1 \|", page, flags=re.MULTILINE)]
    assert len(rows) > 50
    texts = {text for path in (*ROOT.glob("eeaug/**/*.py"), *ROOT.glob("cli/*.py")) for text in _texts(path)}
    patterns = {row: ".*?".join(re.escape(part.strip()) for part in row.split("…")) for row in rows}
    lost = [row for row, pattern in patterns.items() if not any(re.search(pattern, text) for text in texts)]
    assert not lost, f"no messages of eeaug any more: {lost}"


def _texts(path: Path) -> Iterator[str]:
    """Every text in a Python file but docstrings; of one with values in it what is constant."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
