"""What a firmware engineer reads first: ``README.md`` with a whole program; lists for Zephyr and CMSIS-Packs."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from eeaug.export.c.cascade_source import Facts, PlannedProcessor
from eeaug.export.c.text import filled, point
from eeaug.runtime import DEFAULT

__all__ = ["pack", "readme", "zephyr"]

ZEPHYR = ("zephyr/module.yml", "zephyr/CMakeLists.txt", "zephyr/Kconfig")
BOTH_ENDS = """\
Here both ends are in one program; `hand_over` and `receive` are where yours send to another core.

"""


def readme(
    facts: Facts, processors: Sequence[PlannedProcessor], weights: Sequence[int], *, watched: bool = False
) -> str:
    """``README.md``; ``weights`` are the bytes of each processor's. ``watched``: there are counters."""
    several = len(processors) > 1
    rows = [
        f"| {p.name} | `{facts.prefix}_{p.stem}` | {', '.join(map(str, p.stages))} | {size:,} | {p.plan.bytes:,} |"
        for p, size in zip(processors, weights, strict=True)
    ]
    order = [
        f"{i + 1}. `{facts.prefix}_{p.stem}` on {p.name}, with {'what it was sent' if i else 'the sample'}"
        for i, p in enumerate(processors)
    ]
    handed = f", `{facts.macro}_TO_<PROCESSOR>_BYTES` of what is handed over" if several else ""
    return facts.filled(
        "README.md",
        title=facts.title,
        order="\n".join(order),
        preparation=facts.preparation,
        point_list=", ".join(f"`{point(name, facts.prefix)}`" for name in facts.points),
        both_ends=BOTH_ENDS if several else "",
        main=_main(facts, processors),
        memory="\n".join(rows),
        STEM=processors[0].stem.upper(),
        stem=processors[0].stem,
        handover_macro=handed,
        watching=filled("watching.md", facts.prefix, stem=processors[0].stem, default=point(DEFAULT, facts.prefix))
        if watched
        else "",
        two_cores=facts.filled("two_cores.md") if several else "",
    )


def pack(facts: Facts, headers: Sequence[str], sources: Sequence[str]) -> str:
    """``eeaug.<prefix>.pdsc``: the folder as a component of a CMSIS-Pack."""
    listed = [*(("include", f"{folder}/") for folder in facts.folders)]
    listed += [*(("header", name) for name in headers), *(("source", name) for name in sources)]
    return facts.filled(
        "pack.pdsc",
        xml_title=escape(facts.title),
        build=f"0x{facts.build:08x}",
        files="\n".join(f'        <file category="{kind}" name="{name}"/>' for kind, name in listed),
    )


def zephyr(facts: Facts, sources: Sequence[str]) -> dict[str, str]:
    """The files of a Zephyr module, by name."""
    listed = " ".join(f"../{name}" for name in sources)
    folders = "".join(f" ${{CMAKE_CURRENT_LIST_DIR}}/../{folder}" for folder in facts.folders)
    return {name: facts.filled(name, zephyr_sources=listed, zephyr_folders=folders) for name in ZEPHYR}


def _main(facts: Facts, processors: Sequence[PlannedProcessor]) -> str:
    """The program of the README."""
    prefix, macro, default = facts.prefix, facts.macro, point(DEFAULT, facts.prefix)
    variables, calls, indent = [], [], "    "
    for i, processor in enumerate(processors):
        first, last = i == 0, i + 1 == len(processors)
        source = facts.arithmetic.words["taken"] if first else f"&to_{processor.stem}"
        onward = "" if last else f", &to_{processors[i + 1].stem}"
        if not first:
            name = f"to_{processor.stem}"
            variables.append(f"static {prefix}_{name} {name}; /* may lie in RAM that both cores see */")
            calls += [f"{indent}if (outcome == {macro}_GOES_ON) {{",
                      f"{indent}    hand_over(&{name}, sizeof {name}); /* and this core is done */",
                      f"{indent}    receive(&{name}, sizeof {name}); /* on {processor.name} */"]  # fmt: skip
            indent += "    "
        calls.append(f"{indent}outcome = {prefix}_{processor.stem}({source}, {default}, &result{onward});")
    while len(indent) > 4:
        indent = indent[4:]
        calls.append(f"{indent}}}")
    several = len(processors) > 1
    says = "for_labels.c" if facts.decision.kind == "multilabel" else "for_class.c"
    return facts.filled(
        "readme_main.c",
        variables="".join(f"{line}\n" for line in variables),
        transport=facts.filled("transport.c", mailbox=f"{macro}_TO_{processors[1].stem.upper()}_BYTES")
        if several
        else "",
        includes="#include <stddef.h>\n#include <stdio.h>\n#include <string.h>"
        if several
        else "#include <stdio.h>",
        calls="\n".join(calls),
        says=facts.filled(says).rstrip("\n"),
    )
