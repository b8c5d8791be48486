"""The page of a real bundle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Bundle, Run, environment, hashes
from report_kinds import Reader, check_figures

from eeaug.report.render import page


@pytest.mark.e2e
def test_the_page_of_a_real_bundle(bundle: Bundle, run: Run, tmp_path: Path) -> None:
    done = run("report", bundle.path, "--format", "html", "-o", "page.html", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, "")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    check_figures(bundle.report, html)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html"]
    refused = run("report", bundle.path, "--format", "html", "-o", "page.html", cwd=tmp_path)
    assert refused.code == 2 and "--force" in refused.last_line
    piped = run("report", bundle.path, "--format", "html", cwd=tmp_path, env={"PYTHONUTF8": "1"})
    assert piped.stdout == html


@pytest.mark.e2e
def test_the_command_on_the_page_makes_the_same_bytes(bundle: Bundle, run: Run, work: Path) -> None:
    import shlex

    words = "".join(Reader(page.render(bundle.report, bundle.manifest, {}, "made")).words)
    line = re.search(r"eeaug augment .*?-o \S+", words, re.DOTALL)
    assert line
    arguments = shlex.split(line[0].replace("\\\n", " "))
    done = run(*arguments[1:], "--cache-dir", "cache", cwd=work)
    assert done.code == 0, done.stderr
    assert hashes(work / "made-again") == hashes(bundle.path)


def test_text_starts_without_what_the_page_needs(bundle: Bundle) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from eeaug.cli.report import report; report([sys.argv[1]], standalone_mode=False); "
        "print({'jinja2', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    line = [sys.executable, "-c", code, str(bundle.path)]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
