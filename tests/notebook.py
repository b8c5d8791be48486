"""docs/notebook.ipynb: its code run, its outputs written, and the page that is made of it.

    python tests/notebook.py

runs the notebook in an empty directory with the example, writes what comes out into it, and makes docs/notebook.md.
Jupyter is not needed: code cells run one after the other in one process, and show what they print and the value of
a last expression, as plain text.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import transcripts

NOTEBOOK = transcripts.ROOT / "docs" / "notebook.ipynb"
PAGE = NOTEBOOK.with_suffix(".md")
HEAD = "<!-- made of notebook.ipynb by `python tests/notebook.py`; change the notebook, not this file -->\n"
# prints a JSON list of what each cell shows; reads a JSON list of their code
_RUNNER = """
import ast, contextlib, io, json, sys
shown, names = [], {"__name__": "__main__"}
for number, code in enumerate(json.load(sys.stdin), 1):
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        place = f"<cell {number}>"
        exec(compile(tree, place, "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), place, "eval"), names)
        if value is not None:
            print(repr(value))
    shown.append(printed.getvalue())
json.dump(shown, sys.__stdout__)
"""


def load() -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return notebook


def code_cells(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(notebook: Mapping[str, Any], python: Path, cwd: Path, env: Mapping[str, str]) -> list[str]:
    """What every code cell shows; AssertionError where one fails."""
    code = json.dumps(["".join(cell["source"]) for cell in code_cells(notebook)])
    line = [str(python), "-c", _RUNNER]
    done = subprocess.run(line, cwd=cwd, env=dict(env), input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown: list[str] = json.loads(done.stdout)
    return shown


def shown_in(notebook: Mapping[str, Any]) -> list[str]:
    """The outputs that the notebook has, by code cell."""
    return ["".join("".join(out["text"]) for out in cell["outputs"]) for cell in code_cells(notebook)]


def with_outputs(notebook: dict[str, Any], shown: Sequence[str]) -> dict[str, Any]:
    for number, (cell, text) in enumerate(zip(code_cells(notebook), shown, strict=True), 1):
        stream = {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}
        cell |= {"execution_count": number, "outputs": [stream] if text else []}
    return notebook


def page(notebook: Mapping[str, Any]) -> str:
    """The same in Markdown: what is shown stands below its code."""
    parts = [HEAD]
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(f"{source}\n")
            continue
        parts.append(f"```python\n{source}\n```\n")
        if text := "".join("".join(out["text"]) for out in cell["outputs"]).rstrip("\n"):
            parts.append(f"```text\n{text}\n```\n")
    return "\n".join(parts)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="eeaug-notebook-") as scratch:
        stranger = transcripts.Stranger(Path(scratch), Path(sys.executable).parent)
        transcripts.prepare(stranger.directory)
        notebook = load()
        shown = run(notebook, Path(sys.executable), stranger.directory, stranger.environment())
    notebook = with_outputs(notebook, shown)
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(notebook), encoding="utf-8")


if __name__ == "__main__":
    main()
