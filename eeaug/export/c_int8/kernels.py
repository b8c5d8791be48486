"""``kernels.h`` and ``.c``: the operators that a cascade uses, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources

from eeaug.export.c_int8 import third_party

__all__ = ["KERNELS", "filled", "header", "implementation"]

# a kernel → sections of templates/kernels.c that it is made of, in their order
KERNELS: Mapping[str, tuple[str, ...]] = {
    "convolve": ("scaled", "clamped", "convolve"),
    "depthwise": ("scaled", "clamped", "depthwise"),
    **{name: ("scaled", "clamped", root.kernel) for name, root in third_party.ROOTS.items()},
    "connect": ("clamped", "connect"),
    "add": ("scaled", "clamped", "add", "binary"),
    "multiply": ("scaled", "clamped", "multiply", "binary"),
    "slope": ("scaled", "clamped", "slope", "binary"),
    "maximum": ("maximum", "binary"),
    "look_up": ("look_up",),
    "move": ("move",),
    "average_pool": ("clamped", "pool", "average_pool"),
    "max_pool": ("clamped", "pool", "max_pool"),
    "mean": ("scaled", "clamped", "mean"),
    "largest": ("largest",),
    "softmax": ("clamped", "softmax"),
}


def header(prefix: str, kernels: Iterable[str]) -> str:
    """``kernels.h``, with declarations of what :func:`implementation` has."""
    text = implementation(prefix, kernels)
    declared = re.findall(r"^void \w+\([^{]*?\)(?=\n\{)", text, re.M)
    return filled(
        "kernels.h",
        prefix=f"{prefix}_op",
        guard=prefix.upper(),
        shift="int32_t" if third_party.ROOTS.keys() & set(kernels) else "int8_t",
        declarations="".join(f"{d};\n" for d in declared),
    )


def implementation(prefix: str, kernels: Iterable[str]) -> str:
    """``kernels.c`` with these kernels."""
    used = set(kernels)
    needed = {section for kernel in used for section in KERNELS[kernel]}
    head, *sections = re.split(r"^//: (\w+)\n", _template("kernels.c"), flags=re.M)
    code = [head]
    for name, text in zip(sections[::2], sections[1::2], strict=True):
        if name == "binary":
            code += [text.replace("@{name}", k) for k in ("add", "multiply", "slope", "maximum") if k in used]
        elif name == "vectors":
            for k, root in third_party.ROOTS.items():
                words = {"name": k, "record": root.record, "function": root.function, "kernel": root.kernel}
                code += [_replaced(text, words)] if k in used else []
        elif name in needed:
            code.append(text)
    return (
        "".join(code)
        .replace("@{prefix}_kernels", f"{prefix}_kernels")
        .replace("@{prefix}", f"{prefix}_op")
        .rstrip("\n")
        + "\n"
    )


def filled(template: str, **known: object) -> str:
    """A file of ``templates/`` with every ``@{name}`` replaced."""
    return re.sub(r"@\{(\w+)\}", lambda match: str(known[match[1]]), _template(template))


def _replaced(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"@{{{word}}}", value)
    return text


def _template(name: str) -> str:
    folder = resources.files("eeaug.export.c_int8").joinpath("templates")
    return folder.joinpath(*name.split("/")).read_text(encoding="utf-8")
