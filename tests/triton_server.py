"""NVIDIA's Triton from a package of PyPI, started on the loopback: CONTRIBUTING.md says how it is installed.

``nvidia-pytriton`` has the server itself and its Python backend; triton_backend.py stands for the compiled backend
of ONNX Runtime, which is in NVIDIA's container images alone. Model repositories are read as they were written.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

INSTALLED = Path(sys.prefix) / "triton"  # pip install --no-deps --target, beside this environment's own packages
SERVER = INSTALLED / "pytriton" / "tritonserver"
HERE = Path(__file__).parent

needed = pytest.mark.skipif(
    not SERVER.is_dir(),
    reason=f"no Triton: pip install --no-deps --target {INSTALLED} nvidia-pytriton",
)


def command(folder: Path) -> Path:
    """A file ``tritonserver`` in this folder that runs the server with what it needs here."""
    backends = folder / "backends"
    shutil.copytree(SERVER / "backends" / "python", backends / "python")
    stub = backends / "python" / "triton_python_backend_stub"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(SERVER / "python_backend_stubs" / version / stub.name, stub)
    stub.chmod(0o755)
    (backends / "onnxruntime").mkdir()
    shutil.copy(HERE / "triton_backend.py", backends / "onnxruntime" / "model.py")
    binary = SERVER / "bin" / "tritonserver"
    binary.chmod(0o755)
    path = folder / "tritonserver"
    path.write_text(
        "#!/bin/sh\n"
        f"export LD_LIBRARY_PATH='{INSTALLED / 'nvidia_pytriton.libs'}' PYTHONPATH='{os.pathsep.join(sys.path)}'\n"
        f"export PATH='{Path(sys.executable).parent}':$PATH\n"
        f"exec '{binary}' --backend-directory='{backends}' --http-address=127.0.0.1 --allow-grpc=false "
        '--allow-metrics=false "$@"\n'
    )
    path.chmod(0o755)
    return path


@contextmanager
def serving(repository: Path, folder: Path) -> Iterator[str]:
    """The server of a model repository, and its URL; ``folder`` is for what it needs."""
    port, log = free_port(), folder / "tritonserver.log"
    process = start([command(folder), f"--model-repository={repository}", f"--http-port={port}"], log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process, log)
        yield url
    finally:
        stop(process)


def start(line: Sequence[str | Path], log: Path, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """A server, with the processes that it starts, as a group of their own."""
    with log.open("wb") as stream:
        return subprocess.Popen(line, cwd=cwd, stdout=stream, stderr=stream, start_new_session=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Until it answers, or has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        try:
            with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
