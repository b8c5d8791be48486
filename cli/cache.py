"""``eeaug cache``: what earlier runs left for later ones."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from eeaug.cli import out, shared
from eeaug.cli.grouped import Suggesting
from eeaug.errors import EeaugError, InputError
from eeaug.report import units
from eeaug.settings import Running, default_cache
from eeaug.support.cache import Cache, CachedModel, Item

DAY_S = 24 * 3600.0
MOST_NAMES = 3  # of data sets in a line
WIDEST = 400  # columns of a table in a file
UNKNOWN = "unknown"  # names in a damaged about.json
# what belongs to no network
_COMMON = {
    "data": "unpacked data",
    "counted": "counted C files",
    "runs": "times of runs",
    "once": "runs with --no-cache",
}

_directory = click.option(
    "--cache-dir",
    type=shared.Place(),
    metavar="DIR",
    help="The cache; default: $EEAUG_CACHE_DIR, else $XDG_CACHE_HOME/eeaug.",
)


@click.group(cls=Suggesting)
def cache() -> None:
    """The cache: unpacked data, features of frozen models, trained heads.

    A run that finds its part there does not compute it again. Everything in it can go at any time.

    \b
    Example:
      eeaug cache show && eeaug cache clear --older-than 30
    """


@cache.command()
@_directory
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(cache_dir: Path | None, as_json: bool) -> None:
    """Show what is kept, its size and its last use.

    \b
    Example:
      eeaug cache show --cache-dir /data/eeaug
    """
    place = _cache(cache_dir)
    items, networks = place.items(), place.networks()
    if as_json:
        out.json(_facts(place, items, networks))
        return
    if not items and not networks:
        out.say(f"{place.directory}: nothing is kept")
        return
    rows = [
        (
            *_names(network),
            units.size(_bytes(network.items, "features")),
            units.size(_bytes(network.items, "heads")),
            _unfinished(network.items),
            _time(network.used_s),
        )
        for network in networks
    ]
    if rows:
        from eeaug.report.render.tables import table

        titles = ("model", "data", "features", "heads", "unfinished", "last used")
        kept, console = table(titles, rows, left=(0, 1)), out.console()
        # names are whole where something else reads them
        if not console.is_terminal:
            console.width = WIDEST
        console.print(kept)
        out.say()
    for kind, title in _COMMON.items():
        mine = [item for item in items if item.kind == kind]
        if mine:
            out.say(f"{title}: {units.size(_bytes(mine))} in {len(mine)}, last used {_time(mine[-1].used_s)}")
    limit = units.size(Running.max_cache_bytes)
    out.say(f"total: {units.size(_bytes(items))} in {place.directory} (--max-cache is {limit} by default)")


@cache.command()
@_directory
@click.option(
    "--older-than",
    type=click.IntRange(0, 36500),
    metavar="DAYS",
    help="Only what was not used in the last DAYS days.",
)
@click.option("--model", metavar="NAME", help="Only features and heads of the models of this file name.")
@click.option("--dry-run", is_flag=True, help="Say what would go, drop nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def clear(cache_dir: Path | None, older_than: int | None, model: str | None, dry_run: bool, as_json: bool) -> None:
    """Drop what is kept: all of it, or what the options say. A run that is going on loses what it has not finished.

    \b
    Examples:
      eeaug cache clear --older-than 30
      eeaug cache clear --model resnet8.h5 --dry-run
    """
    place = _cache(cache_dir)
    before_s = float("inf") if older_than is None else time.time() - older_than * DAY_S
    networks = _of_model(place.networks(), model)
    parts = [(" on ".join(_names(network)), network.items) for network in networks]
    if model is None:
        items = place.items()
        parts += [(title, tuple(i for i in items if i.kind == kind)) for kind, title in _COMMON.items()]
    parts = [(title, tuple(item for item in mine if item.used_s < before_s)) for title, mine in parts]
    kept = [item for _, mine in parts for item in mine if not dry_run and not item.drop()]
    if not dry_run:
        for network in networks:
            if network.opened_s < before_s:
                network.tidy()
    gone = sum(_bytes(mine) for _, mine in parts) - _bytes(kept)
    if as_json:
        listed = [{"name": title, "bytes": _bytes(mine)} for title, mine in parts if mine]
        out.json({"directory": str(place.directory), "dropped": not dry_run, "bytes": gone, "parts": listed})
    else:
        for title, mine in parts:
            if mine:
                out.say(f"{title}: {units.size(_bytes(mine))}")
        done = "would drop" if dry_run else "dropped"
        out.say(f"{done} {units.size(gone)} ({gone:,} bytes) from {place.directory}")
    if kept:
        raise EeaugError(f"{kept[0].path} may not be dropped, {len(kept)} in all: see who owns them")


def _cache(directory: Path | None) -> Cache:
    place = directory or default_cache()
    if place.exists() and not place.is_dir():
        raise InputError(f"{place} is not a directory: --cache-dir, or EEAUG_CACHE_DIR, names one")
    for link in Cache(place).links():
        out.say(f"warning: {link} is a symbolic link: left alone", err=True)
    return Cache(place)


def _of_model(networks: Sequence[CachedModel], model: str | None) -> list[CachedModel]:
    if model is None:
        return list(networks)
    matching = [network for network in networks if model in network.models]
    if not matching:
        from eeaug.support.spelling import nearest

        known = sorted({name for network in networks for name in network.models})
        raise InputError(f"--model {model}: nothing is kept of it{nearest(model, known)}")
    return matching


def _facts(place: Cache, items: Sequence[Item], networks: Sequence[CachedModel]) -> dict[str, Any]:
    common: dict[str, Any] = {}
    for kind in _COMMON:
        mine = [item for item in items if item.kind == kind]
        common[kind] = {
            "bytes": _bytes(mine),
            "items": len(mine),
            "last_used": _iso(mine[-1].used_s) if mine else None,
        }
    return {
        "directory": str(place.directory),
        "max_cache_bytes": Running.max_cache_bytes,
        "bytes": _bytes(items),
        "networks": [
            {
                "models": list(network.models),
                "data": list(network.data),
                "features_bytes": _bytes(network.items, "features"),
                "heads_bytes": _bytes(network.items, "heads"),
                "unfinished": sum(item.unfinished for item in network.items),
                "last_used": _iso(network.used_s),
            }
            for network in networks
        ],
        **common,
    }


def _names(network: CachedModel) -> tuple[str, str]:
    return _listed(network.models), _listed(network.data)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (", ".join(names[:MOST_NAMES]) or UNKNOWN) + more


def _bytes(items: Iterable[Item], kind: str | None = None) -> int:
    return sum(item.bytes for item in items if kind in (None, item.kind))


def _unfinished(items: Sequence[Item]) -> str:
    mine = [item for item in items if item.unfinished]
    return f"{len(mine)} ({units.size(_bytes(mine))})" if mine else "–"


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s).strftime("%Y-%m-%d %H:%M")


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")
