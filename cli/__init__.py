"""The command line: parse, call, render, exit code; nothing else. Heavy imports stay inside commands."""

from eeaug.cli.main import main

__all__ = ["main"]
