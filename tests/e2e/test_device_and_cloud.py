"""docs/device-and-cloud.md as it stands, and what real models make of a real Triton."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import triton_server
import yaml
from conftest import EXAMPLES, Run, valid

from eeaug import hardware
from eeaug.errors import ConversionError
from eeaug.runtime import Cascade

pytestmark = [pytest.mark.e2e, triton_server.needed]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "device-and-cloud.md").read_text(encoding="utf-8")
# a slow device, a fast server, a link that most samples should not cross
EDGE = {
    "schema_version": 1,
    "name": "edge",
    "processors": [
        {
            "name": name,
            "rates_macs_per_s": {"default": rate},
            "arithmetic": "float32",
            "ram": memory,
            "flash": memory,
            "remote": name == "cloud",
        }
        for name, rate, memory in (("device", 1e7, "small"), ("cloud", 1e9, "large"))
    ],
    "memories": [{"name": "small", "bytes": 1 << 28}, {"name": "large", "bytes": 1 << 30}],
    "links": [
        {
            "from": "device",
            "to": "cloud",
            "bandwidth_bytes_per_s": 1e6,
            "latency_s": 0.2,
            "encoding": "int8",
            "compression": "gzip",
        }
    ],
}


def blocks(kind: str) -> list[str]:
    """Code blocks of the page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the page's commands are typed, with the example beside."""
    folder = tmp_path_factory.mktemp("cloud")
    (folder / "examples").mkdir()
    for name in ("fashion_resnet.h5", "fashion_resnet.npz", "fashion_resnet.data.yaml"):
        if (EXAMPLES / name).exists():
            shutil.copy(EXAMPLES / name, folder / "examples")
    return folder


def typed(line: str, place: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80"}
    return subprocess.run(
        ["bash", "-ec", line], cwd=place, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_page(place: Path) -> None:
    augment, repository, evaluate, measure = blocks("sh")
    serve = repository.splitlines()[-1]
    done = typed(augment, place)
    assert done.returncode == 0, done.stderr
    valid(place / "camera")
    shown = PAGE.split("<!-- sent -->\n```text\n")[1].split("```")[0]
    assert re.sub(r"[\d.]+", "0", " ".join(shown.split())) in re.sub(r"[\d.]+", "0", " ".join(done.stdout.split()))
    done = typed("\n".join(repository.splitlines()[:-1]), place)
    assert done.returncode == 0, done.stderr
    port = triton_server.free_port()
    folder = place / "server"
    folder.mkdir()
    words = shlex.split(serve.replace("8000", str(port)))
    log = folder / "log"
    server = triton_server.start([triton_server.command(folder), *words[1:]], log, place)
    try:
        triton_server.wait_until_ready(f"http://127.0.0.1:{port}", server, log)
        done = typed(evaluate.replace("8000", str(port)), place)
        assert done.returncode == 0, done.stderr
        assert "The server answered for every sample in time." in done.stdout
        (script,) = blocks("python")
        (place / "near.py").write_text(script.replace("8000", str(port)))
        done = typed("python near.py", place)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("0 samples without an answer from the server\n")
        done = typed(measure.replace("8000", str(port)), place)
        assert done.returncode == 0, done.stderr
        link = hardware.read(str(place / "board.yaml")).link("mali", "workstation")
        assert link is not None
        assert 0 < link.latency_s <= (link.latency_p95_s or 0)
        _other_model(place, f"http://127.0.0.1:{port}")
    finally:
        triton_server.stop(server)
    compose, links = blocks("yaml")
    assert yaml.safe_load(links)["links"][0]["encoding"] == "int8"
    service = yaml.safe_load(compose)["services"]["cloud"]
    assert service["command"] == words_of(serve, "/models")
    assert yaml.safe_load((ROOT / "examples" / "compose.yaml").read_text()) == yaml.safe_load(compose)


def words_of(serve: str, folder: str) -> str:
    """The page's command for a repository in this folder, at the server's usual port."""
    return re.sub(r"=\S+", f"={folder}", serve.split(" --http-port")[0].strip())


def _other_model(place: Path, url: str) -> None:
    """A manifest that knows another number than the server's model gives: what an exchange of either looks like."""
    document = json.loads((place / "camera" / "manifest.json").read_text())
    document["stages"][-1]["triton"]["identity"] += 1
    cascade = Cascade.load(place / "camera", document, remote={"workstation": url})
    x = np.load(EXAMPLES / "fashion_resnet.npz")["x_test"][:200]
    with cascade, pytest.raises(ConversionError, match="is not the bundle's"):
        cascade.predict(x)


def test_several_stages_on_a_server(place: Path, run: Run) -> None:
    (place / "edge.yaml").write_text(yaml.safe_dump(EDGE))
    line = (
        "augment", "examples/fashion_resnet.h5", "--hw", "edge.yaml", "--objective", "latency", "--effort", "quick",
        "--exit-at", "stem_relu", "--exit-at", "stack2_out", "--max-exits", "2", "--promise", "none",
        "--format", "triton", "-o", "edge",
    )  # fmt: skip
    done = run(*line, cwd=place)
    assert done.code == 0, done.stderr
    report = valid(place / "edge")
    stages = report["manifest"]["stages"]
    assert [stage["processor"] for stage in stages] == ["device", "cloud", "cloud"]
    (handover,) = stages[0]["outputs"]["handover"]
    assert handover["encoding"]["kind"] == "int8"
    sent = report["design"]["remote"]
    assert (sent["stage"], sent["bytes_each"]) == (stages[1]["name"], handover["bytes"])
    assert handover["bytes"] == np.prod(handover["shape"])
    (place / "edge-server").mkdir()
    x = np.load(EXAMPLES / "fashion_resnet.npz")["x_test"]
    here = Cascade.load(place / "edge").predict(x)
    server = triton_server.serving(place / "edge" / "triton", place / "edge-server")
    with server as url, Cascade.load(place / "edge", remote={"cloud": url}) as cascade:
        there = cascade.predict(x)
        answers = cascade.answers(x[:50].astype(np.float32))
    assert not there.fallback.any()
    assert set(there.exits) == {0, 1, 2}
    np.testing.assert_array_equal(there.exits, here.exits)
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-6)
    assert [a.shape for a in answers] == [(50, 10)] * 3


def test_models_are_onnx(place: Path) -> None:
    for path in (place / "camera" / "triton").rglob("model.onnx"):
        onnx.checker.check_model(onnx.load(path), full_check=True)


def test_a_target_without_a_server(place: Path, run: Run) -> None:
    done = run(
        "augment", "examples/fashion_resnet.h5", "--hw", "psoc6", "--format", "triton", "-o", "none", cwd=place
    )
    assert done.code == 2
    assert "no processor of psoc6 is a server" in done.last_line
    assert not (place / "none").exists()
