"""``eeaug hw new``: a description from a few questions, or from options that answer them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from eeaug import hardware
from eeaug.cli import out, shared
from eeaug.cli.hw_check import lines
from eeaug.errors import InputError
from eeaug.hardware.fields import CPUS
from eeaug.hardware.new import GIVEN, CoreFacts, LinkFacts, described, names, shared_bandwidth
from eeaug.support import quantities
from eeaug.support.outputs import Output
from eeaug.support.spelling import nearest

__all__ = ["new"]

OTHER, UNKNOWN, NONE = "other", "unknown", "none"
SLOWEST_HZ = 1e5  # a clock below it was most likely given in MHz


class _Cpu(click.ParamType):
    """A core of CPUS, as ``m4``, ``M0+`` or ``cortex-m33+nofp``, or ``other``."""

    name = "core"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        word = re.sub(r"^(arm )?(cortex[- ]?)?", "", str(value).strip().lower())
        word = word if word == OTHER else "cortex-" + re.sub(r"^m0\+", "m0plus", word)
        if word not in (*CPUS, OTHER):
            self.fail(f"there is no core {value!r}{nearest(word, CPUS)}; {OTHER}, or one of {', '.join(CPUS)}")
        return word


class _Clock(shared.Quantity):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        hertz: float = super().convert(value, param, ctx)
        if hertz < SLOWEST_HZ:
            self.fail(f"{value} is {hertz:g} Hz; did you mean {hertz:g}MHz?")
        return hertz


class _Bytes(shared.Quantity):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        size = super().convert(value, param, ctx)
        if not size.is_integer():
            self.fail(f"{value} are {size:g} bytes: give a whole number of them")
        return int(size)


class _Link(shared.Quantity):
    """Bytes per second, ``unknown``, or ``none``: there is no link."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> LinkFacts:
        if value in (UNKNOWN, NONE):
            return LinkFacts(None, there=value == UNKNOWN)
        return LinkFacts(super().convert(value, param, ctx), source=GIVEN)


CPU = _Cpu()
CLOCK = _Clock(quantities.HERTZ, min=0, min_open=True)
BYTES = _Bytes(quantities.BYTES, min=1)
POWER = shared.Quantity(quantities.WATTS, min=0, min_open=True)
LINK = _Link(quantities.BANDWIDTH, min=0, min_open=True)


@click.command()
@click.option("--name", metavar="NAME", help="What reports call the board.")
@click.option(
    "--cpu",
    "cpus",
    type=CPU,
    multiple=True,
    metavar="CORE",
    help=f"Core: m4, m33, m0plus, cortex-m33+nofp, or {OTHER}. Again for a second processor, in the order of use: "
    "samples arrive at the first.",
)
@click.option("--clock", "clocks", type=CLOCK, multiple=True, metavar="HZ", help="Its frequency, 150MHz.")
@click.option(
    "--ram",
    "rams",
    type=BYTES,
    multiple=True,
    metavar="BYTES",
    help="RAM that tensors may use, 256KiB; given once for several processors, they share it.",
)
@click.option(
    "--flash", "flashes", type=BYTES, multiple=True, metavar="BYTES", help="The same of the flash for weights."
)
@click.option(
    "--power",
    "powers",
    type=POWER,
    multiple=True,
    metavar="WATTS",
    help="Drawn while it works, 20mW; default: unknown, and so are energies.",
)
@click.option(
    "--link",
    "links",
    type=LINK,
    multiple=True,
    metavar="BYTES/S",
    help=f"How fast a processor hands over to the next, 4MB/s; {UNKNOWN}, or {NONE} where there is no way. Default "
    "where they share RAM: 4 bytes per cycle of the slower clock.",
)
@click.option(
    "-o",
    "output",
    type=shared.Place(dir_okay=False),
    metavar="FILE.yaml",
    help="Where the description goes; default: asked for, or stdout.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def new(
    name: str | None, cpus: tuple[str, ...], clocks: tuple[float, ...], rams: tuple[int, ...],
    flashes: tuple[int, ...], powers: tuple[float, ...], links: tuple[LinkFacts, ...], output: Path | None,
    force: bool,
) -> None:  # fmt: skip
    """Write a description of a board from a few facts; on a terminal it asks for what options do not give.

    Rates are those of the int8 C kernels: their instructions, as they were counted for the core, the cycles that an
    instruction takes, and the clock. What nobody has measured stays unknown. Next steps: eeaug
    hw check, and eeaug hw fit or hw measure.

    \b
    Examples:
      eeaug hw new
      eeaug hw new --name board --cpu m33 --clock 160MHz --ram 256KiB --flash 1MiB -o board.yaml
      eeaug hw new --name duo --cpu m0plus --clock 100MHz --cpu m4 --clock 150MHz --ram 1MiB --flash 2MiB > duo.yaml
    """
    given: Mapping[str, Sequence[Any]] = {
        "--name": [name] if name is not None else [], "--cpu": cpus, "--clock": clocks, "--ram": rams,
        "--flash": flashes,
    }  # fmt: skip
    _check_counts(cpus, {"--clock": clocks, "--ram": rams, "--flash": flashes, "--power": powers, "--link": links})
    missing = [flag for flag, values in given.items() if not values]
    if len(cpus) > 1 and len(rams) > 1 and not links:
        missing.append("--link")
    if name is not None and not name.strip():
        raise InputError("--name is empty: give what reports call the board")
    asks = bool(missing) and _terminal(sys.stdin)
    if missing and not asks:
        raise InputError(f"{_listed(missing)} missing, and there is no terminal to ask on")
    to = Output(output, force)
    to.check()
    questions = _Questions(asks)
    if asks:
        out.say("Enter takes what stands in brackets. Until the last answer nothing is written.", err=True)
    name = questions.text("What is the board called?", "my-board") if name is None else name
    facts: list[CoreFacts] = []
    while not facts or (len(facts) < len(cpus) if cpus else questions.another()):
        i = len(facts)
        cpu = cpus[i] if cpus else questions.cpu(first=not facts)
        facts.append(
            CoreFacts(
                None if cpu == OTHER else cpu,
                clocks[i] if i < len(clocks) else questions.value("Its clock, such as 150MHz?", CLOCK),
                _size(rams, i, questions, "RAM for tensors, such as 256KiB?"),
                _size(flashes, i, questions, "Flash for weights, such as 1MiB?"),
                powers[i] if i < len(powers) else questions.power(),
            )
        )
    known = names(facts)
    joined = [
        links[i] if i < len(links) else _joined(facts[i], facts[i + 1], known[i : i + 2], questions)
        for i in range(len(facts) - 1)
    ]
    target = described(" ".join(name.split()), facts, joined)
    if output is None and asks and _terminal(sys.stdout):
        output = questions.file(f"{re.sub('[^A-Za-z0-9._-]+', '-', target.name)}.yaml", force)
    shared.give(hardware.dump(target).encode(), Output(output, force))
    for line in lines(target):
        out.say(line, err=True)


class _Questions:
    """Asks on a terminal until an answer can be taken; where nobody is asked, what is optional is not known."""

    def __init__(self, asks: bool) -> None:
        self.asks = asks

    def value(self, question: str, kind: click.ParamType, default: str | None = None) -> Any:
        """The answer as ``kind`` reads it; ``default`` is that of an empty one."""
        shown = question if not default else f"{question} [{default}]"
        while True:
            try:
                answer = out.ask(shown)
            except EOFError as error:
                raise InputError("the answers ended before the questions; nothing was written") from error
            if not answer and default == "":
                return None
            try:
                return kind.convert(answer or default or "", None, None)
            except (click.UsageError, InputError) as error:
                out.say(f"  {error.message if isinstance(error, click.UsageError) else error}", err=True)

    def text(self, question: str, default: str) -> str:
        return str(self.value(question, click.STRING, default))

    def cpu(self, *, first: bool) -> str:
        which = "the processor where samples arrive" if first else "the next processor"
        return str(self.value(f"Core of {which}, such as m4, m33+nofp or {OTHER}?", CPU))

    def power(self) -> float | None:
        question = "Power that it draws while it works, such as 20mW? [not known]"
        return self.value(question, POWER, "") if self.asks else None

    def another(self) -> bool:
        return self.asks and bool(self.value("Is there another processor for stages, y or n?", click.BOOL, "n"))

    def file(self, default: str, force: bool) -> Path:
        """A place that may be written to."""
        while True:
            place = Path(self.value("Where does the description go?", shared.Place(dir_okay=False), default))
            try:
                Output(place, force).check()
            except InputError as error:
                out.say(f"  {error}", err=True)
                continue
            return place


def _size(given: Sequence[int], i: int, questions: _Questions, question: str) -> int | None:
    """Bytes of the memory of processor ``i``; None: it uses that of the first."""
    if given:
        return given[i] if i < len(given) else None
    if not i:
        return int(questions.value(question, BYTES))
    answer = questions.value(f"{question} [it shares that of the first]", BYTES, "")
    return None if answer is None else int(answer)


def _joined(sender: CoreFacts, receiver: CoreFacts, known: Sequence[str], questions: _Questions) -> LinkFacts:
    """The link between neighbours that no option speaks of."""
    if receiver.ram_bytes is None:
        return shared_bandwidth(sender, receiver)
    question = f"How fast does {known[0]} hand over to {known[1]}, such as 4MB/s, or {NONE}?"
    link: LinkFacts = questions.value(question, LINK, UNKNOWN)
    return link


def _check_counts(cpus: Sequence[str], others: Mapping[str, Sequence[Any]]) -> None:
    """Raises InputError where an option is not there for each processor."""
    count = len(cpus)
    for flag, values in others.items():
        allowed = {"--ram": {1, count}, "--flash": {1, count}, "--link": {count - 1}}.get(flag, {count})
        if cpus and values and len(values) not in allowed:
            wanted = " or ".join(map(str, sorted(allowed)))
            raise InputError(f"{flag} is given {_times(len(values))}, --cpu {_times(count)}: must be {wanted}")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _listed(flags: Sequence[str]) -> str:
    *others, last = flags
    return f"{', '.join(others)} and {last} are" if others else f"{last} is"


def _terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())
