"""A stranger's path: an installed wheel, no clone, the commands of README.md and the tutorial one after the other.

The wheel is built of these sources and installed into an environment of its own, which has the other packages of
this one, but not their .pth files, so that nothing of the clone is on its path. One run of the example serves all.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from xml.etree import ElementTree

import ci_files
import notebook
import pytest
import transcripts
from junit import junit_valid
from packaging.requirements import Requirement
from tools import needs_arm, needs_host, needs_make, needs_qemu
from transcripts import ROOT, Stranger, differences, of_document

pytestmark = pytest.mark.e2e


def output(*line: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, line)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    pytest.importorskip("build", reason="the package build is not installed, which makes the wheel")
    place = tmp_path_factory.mktemp("stranger")
    without_network = ("--no-isolation", "--skip-dependency-check")
    build = ROOT / "packaging" / "build.py"
    output(sys.executable, build, "--outdir", "dist", "--only", "eeaug", *without_network, cwd=place)
    (wheel,) = (place / "dist").glob("*.whl")
    venv.create(place / "venv")
    python = place / "venv" / "bin" / "python"
    output(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=place)
    here = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    libraries = sysconfig.get_path("purelib", vars={"base": str(place / "venv")})
    Path(libraries, "others.pth").write_text("\n".join(here), encoding="utf-8")
    work = place / "work"
    work.mkdir()
    transcripts.prepare(work)
    return Stranger(work, python.parent)


def test_the_package_is_the_wheel_s(stranger: Stranger) -> None:
    code = "import eeaug, eeaug.cli as c, eeaug.hardware_profiles as p; print(*(m.__file__ for m in (eeaug, c, p)))"
    places = output(stranger.commands / "python", "-c", code, cwd=stranger.directory).split()
    assert len(places) == 3 and all(Path(at).is_relative_to(stranger.commands.parent) for at in places), places


@needs_host
@needs_make
@needs_arm
@needs_qemu
def test_the_documents_show_what_the_commands_print(stranger: Stranger) -> None:
    """Make them again with ``python tests/transcripts.py``."""
    wrong = []
    for name in transcripts.DOCUMENTS:
        for step in of_document(name):
            printed = stranger.do(step)
            if step.shown is not None:
                exactly = transcripts.made_here(stranger.directory / "fashion_resnet-eeaug")
                if difference := differences(step.shown, printed, exactly=exactly):
                    wrong.append(f"{name}: $ {step.code}\n{difference}")
    assert not wrong, "python tests/transcripts.py makes them again:\n" + "\n\n".join(wrong)


def test_the_notebook_shows_what_comes_out(stranger: Stranger) -> None:
    """Make it again with ``python tests/notebook.py``."""
    pytest.importorskip("pandas")
    python = stranger.commands / "python"
    shown = notebook.run(notebook.load(), python, stranger.directory, stranger.environment())
    assert all(shown)
    wrong = [
        difference
        for was, now in zip(notebook.shown_in(notebook.load()), shown, strict=True)
        if (difference := differences(was, now, exactly=False))
    ]
    assert not wrong, "python tests/notebook.py makes it again:\n" + "\n\n".join(wrong)


@pytest.mark.parametrize("name", ci_files.NAMES)
def test_the_ci_examples_work_in_a_user_s_repository(stranger: Stranger, name: str, tmp_path: Path) -> None:
    """Their scripts one after the other; the cache is the one that they would restore."""
    for file, given in (("model.h5", "fashion_resnet.h5"), ("data.npz", "fashion_resnet.npz")):
        (tmp_path / file).symlink_to(ROOT / "examples" / given)
    environment = {**stranger.environment(), "GITHUB_STEP_SUMMARY": "summary.md"}
    cache = Path(environment["XDG_CACHE_HOME"], "eeaug")
    cache.mkdir(parents=True, exist_ok=True)
    (tmp_path / ".eeaug-cache").symlink_to(cache)
    ran = 0
    for script, variables in ci_files.scripts(name):
        if asked := re.search(r'pip install "(eeaug.*)"', script):
            here = output(stranger.commands / "eeaug", "--version", cwd=tmp_path).split()[-1]
            assert Requirement(asked[1]).specifier.contains(here)
        elif "gh pr" not in script and "curl" not in script:
            line = ["bash", "-euo", "pipefail", "-c", script]
            done = subprocess.run(
                line, cwd=tmp_path, env={**environment, **variables}, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran == 3
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("### model on psoc6")
    assert junit_valid(ElementTree.parse(tmp_path / "check.xml").getroot())


def test_the_page_is_the_notebook() -> None:
    """Make it again with ``python tests/notebook.py``."""
    assert notebook.PAGE.read_text(encoding="utf-8") == notebook.page(notebook.load())


def test_the_example_shows_the_product(stranger: Stranger) -> None:
    """Both processors work, the limit decides, the promise is proven: whatever heads a machine trains."""
    (step,) = of_document("docs/first-run.md")
    words = " ".join(stranger.do(step).split())
    assert "The limit --max-latency 0.3 s decides: without it" in words
    assert "with a worst latency of" in words or "and a worst latency of" in words
    assert "Proven: with probability 0.95" in words
    assert "╭─ net ─" in words and "╭─ app at 128MHz ─" in words


@pytest.mark.parametrize(
    ("shown", "printed", "exactly", "same"),
    [
        ("a 1.0 pp\n", "a  1.0 pp\n", True, True),
        ("a 1.0 pp\n", "a  1.1 pp\n", True, False),
        ("a 1.0 pp\n", "a  1.1 pp\n", False, True),
        ("a 1.0 pp\n", "a  7.1 pp\n", False, False),
        ("in 980 µs\n", "in 1.01 ms\n", False, True),
        ("in 980 µs\n", "in 1.31 ms\n", False, False),
        ("in 980 µs\n", "in 990 µJ\n", False, False),
        ("a b\n", "a c\n", False, False),
        ("a b\n", "a b c\n", True, False),
        ("a b c d e f g\n", "a b x d e f g h\n", False, True),
        ("a b c d e f g\n", "a b x x e f g\n", False, False),
        ("train: x: 3.4 s\n", "train: x: 31 s\n", True, True),
        ("…\na 2\n…\nb 3\n", "x\n\na 2\nz\nb 3\n", True, True),
        ("…\nb 3\n…\na 2\n…\n", "x\n\na 2\nz\nb 3\n", True, False),
        ("…\na 2\n", "x\na 2\nb\n", True, False),
    ],
)
def test_what_a_transcript_may_differ_in(shown: str, printed: str, exactly: bool, same: bool) -> None:
    assert (not differences(shown, printed, exactly=exactly)) == same
