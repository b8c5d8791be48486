"""Tools that tests run beside Python, each asked for what is used of it: a compiler without its library is none.

Debian and others keep a compiler, its C library, its C++ library and its linker's files in packages of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from eeaug.export.c import toolchain

__all__ = [
    "ARM_CPP", "HOST_CPP", "needs_arm", "needs_arm_cpp", "needs_clang", "needs_cmake", "needs_host",
    "needs_host_cpp", "needs_make", "needs_qemu", "needs_sanitisers", "needs_stack_usage", "needs_terminal",
]  # fmt: skip

C = "#include <stdio.h>\nint main(void) { return 0; }\n"
CPP = "#include <cstdint>\n#include <cstring>\nint main() { return 0; }\n"
HOST_CPP, ARM_CPP = "g++", "arm-none-eabi-g++"
MACHINE = "mps2-an386"  # that `make qemu` starts


@cache
def compiles(compiler: str, suffix: str, source: str, flags: Sequence[str] = (), *, link: bool = False) -> bool:
    """Whether the compiler is here and makes an object, or a program, of a source that uses what tests use."""
    if shutil.which(compiler) is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"probe{suffix}")
        path.write_text(source)
        line = [compiler, *flags, *([] if link else ["-c"]), str(path), "-o", f"{path}.out"]
        return subprocess.run(line, capture_output=True, check=False).returncode == 0


def runs(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def _qemu_knows_the_machine() -> bool:
    if shutil.which("qemu-system-arm") is None:
        return False
    line = ["qemu-system-arm", "-M", "help"]
    return MACHINE in subprocess.run(line, capture_output=True, text=True, check=False).stdout


def _has_terminals() -> bool:
    """A container may have no /dev/pts."""
    try:
        ends = os.openpty()
    except (AttributeError, OSError):
        return False
    for end in ends:
        os.close(end)
    return True


def _needs(found: bool, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not found, reason=f"not on this machine: {what}")


_host = toolchain.host()
_make = runs("make", "--version")

needs_host = _needs(_host is not None, "a C compiler with its library")
needs_make = _needs(_host is not None and _make, "a C compiler with its library, and make")
needs_cmake = _needs(
    _host is not None and _make and runs("cmake", "--version") and runs("ctest", "--version"),
    "a C compiler with its library, make, cmake and ctest",
)
needs_clang = _needs(compiles("clang", ".c", C, ("-std=c99",)), "clang")
needs_sanitisers = _needs(
    _host is not None and compiles(str(_host), ".c", C, ("-fsanitize=address,undefined",), link=True),
    "a C compiler with AddressSanitizer and UBSan",
)
needs_stack_usage = _needs(
    compiles("gcc", ".c", C, ("-fstack-usage",)) and runs("nm", "--version"), "gcc with -fstack-usage, and nm"
)
needs_host_cpp = _needs(compiles(HOST_CPP, ".cc", CPP, ("-std=c++17",), link=True), "g++ with its library")
needs_arm = _needs(
    toolchain.arm() is not None and _make and runs("arm-none-eabi-nm", "--version"),
    f"{toolchain.ARM} with its C library, and make",
)
needs_arm_cpp = _needs(
    compiles(ARM_CPP, ".cc", CPP, ("-mcpu=cortex-m0plus", "-mthumb", "-std=c++17")),
    f"{ARM_CPP} with its C++ library",
)
needs_qemu = _needs(_qemu_knows_the_machine(), f"qemu-system-arm with the machine {MACHINE}")
needs_terminal = _needs(_has_terminals(), "a pseudo-terminal (/dev/pts)")
