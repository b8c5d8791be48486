"""``eeaug hw measure-link``: the connection to a server as a link of a hardware description."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eeaug import hardware
from eeaug.cli import out, shared, show
from eeaug.errors import InputError
from eeaug.support import quantities
from eeaug.support.outputs import Output
from eeaug.support.progress import Progress

if TYPE_CHECKING:
    from eeaug.hardware import Hardware
    from eeaug.runtime.link import Measured

__all__ = ["measure_link"]

SECONDS = 30.0  # in which a request must be answered


@click.command("measure-link")
@click.argument("url", required=False)
@click.option("-o", "output", type=shared.Place(), required=True, metavar="PATH",
              help="The description that is written; with --model, the folder for the model.")  # fmt: skip
@click.option("--hw", "base", metavar="NAME|FILE", help="The description to put the link into.")
@click.option("--to", "processor", metavar="PROCESSOR", help="The server; default: the only `remote` processor.")
@click.option(
    "--model", is_flag=True, help="Write the model that requests are sent to, for the server's repository."
)
@click.option("--requests", type=click.IntRange(20, 100_000), default=200, show_default=True,
              help="How many of each size.")  # fmt: skip
@click.option("--size", type=shared.Quantity(quantities.BYTES, min=1000), default="256k", show_default=True,
              help="Bytes of a large request.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as JSON.")
@shared.option("--quiet")
def measure_link(
    url: str | None, output: Path, base: str | None, processor: str | None, model: bool, requests: int, size: float,
    force: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Time requests to the server at URL, and write a description with that link to -o.

    The server must have the model `eeaug-link`; --model writes it. Requests with one number and with --size bytes
    take turns. Links to the server get the mean of latency and bandwidth, which means go by, and what one request
    in twenty is slower than, which limits go by. A token comes by the environment, EEAUG_REMOTE_TOKEN.

    \b
    Examples:
      eeaug hw measure-link --model -o models
      eeaug hw measure-link http://127.0.0.1:8000 --hw rk3588-cloud -o board.yaml
    """
    if model:
        if url is not None or base is not None:
            raise click.UsageError("--model writes the model alone: leave URL and --hw out")
        _write_model(output)
        return
    if url is None or base is None:
        raise click.UsageError("give URL and --hw, the description to put the link into; or --model")
    from eeaug.runtime import address, link

    target = hardware.read(base)
    processor = processor or _server(target)
    if not any(way.receiver == processor for way in target.links):
        raise InputError(f"--to {target.processor(processor).name}: {target.name} has no link there")
    written = Output(output, force=force)
    written.check()
    place = address.read(processor, url, option=False)
    with show.observer(quiet=quiet, verbose=False, brief=True) as observer, Progress(observer).step("requests"):
        measured = link.measure(place, requests, int(size), SECONDS)
    written.write(hardware.dump(_with(target, processor, measured)).encode())
    if as_json:
        out.json({"to": processor, "output": str(output), **asdict(measured)})
        return
    from eeaug.report import units

    out.say(
        f"{requests} requests of each size: latency {units.seconds(measured.latency_s)} (95 of 100 are below "
        f"{units.seconds(measured.latency_p95_s)}), {measured.bandwidth_bytes_per_s / 1e6:.3g} MB/s (95 of 100 are "
        f"above {measured.bandwidth_p5_bytes_per_s / 1e6:.3g} MB/s); in the links to {processor} of {output}"
    )


def _server(target: Hardware) -> str:
    servers = [p.name for p in target.processors if p.remote]
    if len(servers) != 1:
        which = f"its servers are {', '.join(servers)}" if servers else "none of its processors is `remote`"
        raise InputError(f"--to: name the processor that the link goes to; {which}")
    return servers[0]


def _with(target: Hardware, processor: str, measured: Measured) -> Hardware:
    count = f"{measured.requests} requests with one number, as many with {measured.bytes:,} bytes more"
    links = tuple(
        replace(
            link,
            latency_s=measured.latency_s,
            latency_p95_s=measured.latency_p95_s,
            bandwidth_bytes_per_s=measured.bandwidth_bytes_per_s,
            bandwidth_p5_bytes_per_s=measured.bandwidth_p5_bytes_per_s,
            source=f"measured: {count}",
        )
        if link.receiver == processor
        else link
        for link in target.links
    )
    return replace(target, links=links)


def _write_model(output: Path) -> None:
    from eeaug.export import triton
    from eeaug.runtime.link import MODEL

    folder = output / MODEL
    if folder.exists():
        raise InputError(f"-o {output}: holds {MODEL} already")
    if not output.parent.is_dir():
        raise InputError(f"-o {output}: the directory {output.parent} does not exist")
    triton.write_link(folder)
    out.say(f"the model is in {folder}: copy that folder into the server's model repository")
