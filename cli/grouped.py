"""Help in groups of purpose and environment variables named as options are, of commands with many; suggestions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

__all__ = ["GROUPS", "Grouped", "Suggesting", "flag", "grouped"]

# tests/unit/test_cli_help.py holds that every option is in one of them, once
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Input": (
        "--hw", "--data", "--architecture", "--input-shape", "--output", "--decision", "--labels", "--blank",
        "--blank-when", "--priors", "--config", "--allow-chance", "--allow-unsafe", "--custom-objects",
        "--manifest-sha256",
    ),
    "What to keep": (
        "--max-accuracy-drop", "--max-blank-loss", "--max-class-drop", "--max-latency", "--period", "--max-ram",
        "--max-flash",
    ),
    "What to minimise": ("--objective", "--efficiency-weight", "--scoring"),
    "Exits and heads": (
        "--max-exits", "--max-locations", "--effort", "--heads", "--reuse", "--finetune", "--target-class",
        "--recipe", "--exit-weight",
    ),
    "Thresholds and proof": (
        "--promise", "--risk", "--unit", "--confidence", "--calibrate-on", "--points", "--threshold",
        "--thresholds", "--correction", "--least-alpha",
    ),
    "Streams": ("--stream", "--refresh", "--debounce", "--background", "--max-missed"),
    "Placement": ("--exit-at", "--forbid", "--mapping"),
    "Output and formats": ("-o", "--force", "--format", "--c-prefix", "--slim", "--json"),
    "Running": (
        "--dry-run", "--seed", "--threads", "--dask", "--cache-dir", "--max-cache", "--no-cache", "--quiet",
        "--verbose", "--help",
    ),
}  # fmt: skip
NAMES_WIDTH = 26  # columns; what is wider has a line of its own


def flag(option: click.Parameter) -> str:
    """``--max-latency`` of an option: the longest of its names."""
    return max(option.opts, key=len)


def grouped(params: Iterable[click.Parameter]) -> Iterator[tuple[str, list[click.Option]]]:
    """Title and options of every group that there are options of."""
    options = {flag(param): param for param in params if isinstance(param, click.Option)}
    for title, names in GROUPS.items():
        in_group = [options[name] for name in names if name in options]
        if in_group:
            yield title, in_group


class Grouped(click.Command):
    """A command whose help shows options by GROUPS.

    ``examples``: title of each group that it has options of → such options, as they may be given.

    An option ``--max-latency`` of the command ``augment`` may come from ``$EEAUG_AUGMENT_MAX_LATENCY``: click's own
    names are those of parameters, which differ, and of which ``-o`` and ``--output`` would have the same.
    """

    def __init__(self, *args: Any, examples: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        for option in self.params:
            if isinstance(option, click.Option):
                variable = f"EEAUG_{self.name}_{flag(option).lstrip('-')}".upper().replace("-", "_")
                others = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
                option.envvar, option.allow_from_autoenv = [variable, *others], False

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, options in grouped(self.get_params(ctx)):
            records = (option.get_help_record(ctx) for option in options)
            with formatter.section(title):
                formatter.write_dl([record for record in records if record is not None], col_max=NAMES_WIDTH)
                formatter.write_text(f"Example: {self.examples[title]}")


class Suggesting(click.Group):
    """A group that says which of its commands may have been meant, in every version of click."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from eeaug.support.spelling import nearest

            hint = nearest(args[0], self.list_commands(ctx)) if args else ""
            raise click.UsageError(error.message.rstrip(".") + hint, ctx) from None
