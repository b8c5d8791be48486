"""``eeaug hw``: the shipped hardware profiles, and descriptions of one's own."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from eeaug import hardware
from eeaug.cli import out
from eeaug.cli.grouped import Suggesting
from eeaug.cli.hw_check import check
from eeaug.cli.hw_fit import fit
from eeaug.cli.hw_link import measure_link
from eeaug.cli.hw_measure import measure
from eeaug.cli.hw_new import new
from eeaug.hardware import cycles
from eeaug.support import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

UNKNOWN = "unknown"


@click.group(cls=Suggesting)
def hw() -> None:
    """Hardware: list and show profiles, write, check, fit or measure a description, explain its format.

    \b
    Example:
      eeaug hw show psoc6 && eeaug hw check board.yaml
    """


@hw.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the profiles that come with eeaug.

    \b
    Example:
      eeaug hw list --json
    """
    profiles = [hardware.read(name) for name in hardware.shipped()]
    if as_json:
        entries = [
            {
                "name": profile.name,
                "processors": [p.name for p in profile.processors],
                "memories": {m.name: m.bytes for m in profile.memories},
                "source": profile.source,
            }
            for profile in profiles
        ]
        out.json(entries)
        return
    rows = [
        (
            profile.name,
            "\n".join(p.name for p in profile.processors),
            "\n".join(f"{m.name} {_bytes(m.bytes)}" for m in profile.memories),
            textwrap.shorten(profile.source or UNKNOWN, 100, placeholder=" …"),
        )
        for profile in profiles
    ]
    _print(_table(None, ("name", "processors", "memories", "source"), rows))


@hw.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the keys of the file format.")
def show(name: str, as_json: bool) -> None:
    """Show everything that is known about a profile or a hardware file.

    \b
    Example:
      eeaug hw show psoc6
    """
    target = hardware.read(name)
    if as_json:
        out.json(hardware.as_dict(target))
        return
    lowest_latency = "not named: the processor with the lowest latency that holds the whole model"
    facts = (
        ("name", target.name),
        ("source", target.source or UNKNOWN),
        ("samples arrive at", target.input_at),
        ("processors run", "one at a time" if target.exclusive else "at the same time if need be"),
        ("baseline", target.baseline or lowest_latency),
    )
    sources = [(p.name, p.source) for p in target.processors]
    sources += [(f"{p.name} at {x.name}", x.source) for p in target.processors for x in p.operating_points]
    sources += [(m.name, m.source) for m in target.memories]
    sources += [(f"{k.sender} to {k.receiver}", k.source) for k in target.links]
    _print(
        _table(None, ("", ""), facts, header=False),
        _processor_table(target.processors),
        _table(
            "Performance levels",
            ("processor", "level", "clock", "core voltage", "active power", "change to it"),
            [
                (
                    p.name,
                    level.name + (" (its own clock)" if level == p.nominal else ""),
                    _quantity(level.clock_hz, "Hz"),
                    _quantity(level.voltage_v, "V"),
                    _quantity(p.power_w(level), "W") + (" (scaled)" if _scaled(p, level) else ""),
                    _quantity(level.switch_s, "s"),
                )
                for p in target.processors
                for level in p.operating_points
            ],
        ),
        _table(
            "Memories",
            ("name", "size", "bandwidth", "RAM of", "flash of"),
            [
                (
                    m.name,
                    _bytes(m.bytes),
                    _quantity(m.bandwidth_bytes_per_s, "B/s"),
                    ", ".join(p.name for p in target.processors if m.name in p.rams),
                    ", ".join(p.name for p in target.processors if m.name in p.flashes),
                )
                for m in target.memories
            ],
        ),
        _table(
            "Links",
            ("from", "to", "bandwidth", "latency", "sent", "energy"),
            [
                (
                    k.sender,
                    k.receiver,
                    _spread(k.bandwidth_bytes_per_s, k.bandwidth_p5_bytes_per_s, "B/s", "p5"),
                    _spread(k.latency_s, k.latency_p95_s, "s", "p95"),
                    ", ".join(filter(None, (k.encoding, k.compression))) or "as computed",
                    _quantity(k.energy_j_per_byte, "J/B"),
                )
                for k in target.links
            ],
        ),
        _table("Sources", ("", ""), [(of, source) for of, source in sources if source], header=False),
    )


@hw.command()
def reference() -> None:
    """Print what a hardware file may say, as Markdown: every key, its unit, range, default and meaning.

    \b
    Example:
      eeaug hw reference > hardware.md
    """
    from eeaug.cli.hw_reference import markdown

    out.write(markdown().encode())


hw.add_command(new)
hw.add_command(check)
hw.add_command(fit)
hw.add_command(measure)
hw.add_command(measure_link)


def _processor_table(processors: tuple[hardware.Processor, ...]) -> Table:
    rows = [("rate (default)", *(_quantity(p.rates_macs_per_s["default"], " MAC/s") for p in processors))]
    rows += [(f"  {kind}", *(_stated_rate(p, kind) for p in processors)) for kind in hardware.KINDS]
    rows += [
        ("  and per layer", *(_quantity(p.overhead_s_per_layer, "s") for p in processors)),
        ("  and per element", *(_quantity(p.overhead_s_per_element, "s") for p in processors)),
        ("arithmetic", *(p.arithmetic for p in processors)),
        ("RAM", *(", ".join(p.rams) for p in processors)),
        ("flash", *(", ".join(p.flashes) for p in processors)),
        ("active power", *(_quantity(p.active_power_w, "W") for p in processors)),
        ("sleep power", *(_quantity(p.sleep_power_w, "W") for p in processors)),
        ("wake-up", *(_quantity(p.wakeup_s, "s") for p in processors)),
        ("runtime", *(p.runtime or UNKNOWN for p in processors)),
        ("CPU", *(p.cpu or UNKNOWN for p in processors)),
        ("accelerator", *(p.accelerator or "none" for p in processors)),
        ("clock", *(_quantity(p.clock_hz, "Hz") for p in processors)),
        ("cycles per instruction", *(_cycles(p) for p in processors)),
        ("basis", *(p.basis or UNKNOWN for p in processors)),
    ]
    return _table("Processors, in order of use", ("", *(p.name for p in processors)), rows)


def _scaled(processor: hardware.Processor, level: hardware.Level) -> bool:
    """Whether the power of a level follows from that at the processor's own clock."""
    return level.active_power_w is None and level != processor.nominal and processor.power_w(level) is not None


def _stated_rate(processor: hardware.Processor, kind: str) -> str:
    rate = processor.rates_macs_per_s[kind]
    if rate is None and processor.rate(kind) is not None:
        return f"{UNKNOWN} (default)"
    return _quantity(rate, " MAC/s")


def _cycles(processor: hardware.Processor) -> str:
    of_core = cycles.of(processor)
    return UNKNOWN if of_core is None else f"{of_core.cycles:.3g} {of_core.words}"


def _spread(mean: float | None, slow: float | None, unit: str, name: str) -> str:
    return _quantity(mean, unit) + ("" if slow is None else f" ({name} {_quantity(slow, unit)})")


def _quantity(value: float | None, unit: str) -> str:
    """The number with an SI prefix, or ``unknown``."""
    if value is None:
        return UNKNOWN
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ")):
        if value >= scale:
            return f"{value / scale:.4g} {(prefix + unit).strip()}"
    return f"{value * 1e9:.4g} n{unit}" if value else f"0 {unit}"


def _bytes(value: int) -> str:
    for scale, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value} B"


def _table(
    title: str | None, columns: Sequence[str], rows: Iterable[tuple[str, ...]], *, header: bool = True
) -> Table:  # fmt: skip
    from rich.text import Text

    from eeaug.report.render.tables import table

    cells = ([Text(printable.lines(cell)) for cell in row] for row in rows)
    return table(columns, cells, title=title, left=range(len(columns)), header=header)


def _print(*tables: Table) -> None:
    console = out.console()
    for number, table in enumerate(table for table in tables if table.row_count):
        if number:
            console.print()
        console.print(table)
