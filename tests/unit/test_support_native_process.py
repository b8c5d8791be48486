"""Calls in a process of their own: what ends that process is one error here, and the next call works."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest

from eeaug.errors import ConversionError
from eeaug.support import native_process


def test_results_come_back() -> None:
    assert native_process.call(sorted, [3, 1, 2], doing="sort") == [1, 2, 3]


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        (os.abort, (), "its process ended by signal 6 (SIGABRT)"),
        (signal.raise_signal, (11,), "its process ended by signal 11 (SIGSEGV)"),
        (os.kill, (0, 9), "its process ended by signal 9 (SIGKILL), out of memory?"),
        (os._exit, (3,), "its process ended by itself with 3"),
        (os._exit, (0,), "its process ended by itself with 0"),
    ],
)
def test_what_ends_its_process_is_told(function: Callable[..., Any], arguments: tuple[Any, ...], says: str) -> None:
    """The group that is killed (0: all of it) is not that of the tests, and takes the server with it."""
    with pytest.raises(native_process.Ended, match=re.escape(f"convert: {says}")) as raised:
        native_process.call(function, *arguments, doing="convert")
    assert isinstance(raised.value, ConversionError) and raised.value.exit_code == 4
    assert native_process.call(abs, -1, doing="again") == 1


def test_errors_of_the_function_are_raised() -> None:
    with pytest.raises(RuntimeError, match="invalid literal"):
        native_process.call(int, "x", doing="read")
