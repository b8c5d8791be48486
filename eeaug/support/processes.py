"""Processes that wait for others: what the end of one by a signal means, and none that outlives its parent."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["FATAL", "die_with", "ended_by", "for_want_of_memory", "import_path", "limited"]

# how C and C++ begin to say that they give up
FATAL = re.compile(
    rb"terminate called|libc\+\+abi: |Fatal Python error|malloc\(\)|free\(\)|double free|corrupted |munmap_chunk|"
    rb"\*\*\* |F\d{4} |\S+ \S+ F |OpenBLAS |Segmentation fault|Aborted|pthread_create|Check failed"
)
_MEMORY = re.compile(
    r"bad_alloc|cannot allocate memory|unable to allocate|oom when allocating|can't start new thread|out of memory|"
    r"failed to allocate memory|failed to map segment|memoryerror|errno 12\b|errno = 12\b|length_error|"
    r"pthread_create failed|resource temporarily unavailable",
    re.IGNORECASE,
)


def for_want_of_memory(words: str) -> bool:
    """Whether these are the words of a library that got no memory, or no thread."""
    return _MEMORY.search(words) is not None


def ended_by(number: int, words: str = "") -> str:
    """Why a process was ended by a signal, as far as that can be told from it and from what it had ``words``."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if for_want_of_memory(words):
        return f"out of memory ({name})"
    if number == signal.SIGKILL:
        return f"killed ({name}): most likely out of memory"
    if limited() and number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS):
        return f"ended ({name}): most likely out of memory, which is limited here (ulimit -v)"
    return f"crashed ({name}) inside a library; EEAUG_TRACEBACK=1 shows what it said"


def limited() -> bool:
    """Whether the memory of this process is limited, as by ulimit -v."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    return False


def import_path() -> str:
    """PYTHONPATH with which another Python finds the modules that this one does."""
    return os.pathsep.join(path or str(Path.cwd()) for path in sys.path)


def die_with(parent: int) -> None:
    """This process is killed when its parent (that has this number) ends, however that ends."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        if ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0) == 0:  # PR_SET_PDEATHSIG of Linux
            if os.getppid() != parent:  # it was quicker
                os.kill(os.getpid(), signal.SIGKILL)
            return
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    import time

    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
