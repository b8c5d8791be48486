"""CMSIS-NN, whose sources are carried along: those files that a cascade needs.

The copy in ``third_party/`` is the one that the package bakenn 1.0.0 has pinned (its PROVENANCE.md says of which
revision, and what was changed); its licence, Apache-2.0, goes with it. What no root calls is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["ROOTS", "Root", "files", "unit"]


@dataclass(frozen=True)
class Root:
    """A function of CMSIS-NN, the kernel that does the same on cores without vectors, and the struct of both."""

    function: str
    kernel: str
    record: str


# by kernels that call them
ROOTS: Mapping[str, Root] = {
    "convolve_points": Root("arm_convolve_1x1_s8_fast", "convolve", "convolution"),
    "convolve_apart": Root("arm_convolve_1x1_s8", "convolve", "convolution"),
    "convolve_row": Root("arm_convolve_1_x_n_s8", "convolve", "convolution"),
    "convolve_window": Root("arm_convolve_s8", "convolve", "convolution"),
    "depthwise_single": Root("arm_depthwise_conv_s8_opt", "depthwise", "depthwise_convolution"),
}
PLACE = "third_party"
HOME = "cmsis_nn/"
ALWAYS = ("cmsis_nn/LICENSE.txt", "cmsis_nn/PROVENANCE.md", "cmsis_core/LICENSE.txt")
GENERAL = """\
/* CMSIS-NN as one unit: what this cascade calls on a core with vectors (MVE), and what that calls. Written by
 * eeaug; the sources are Arm's, found beside the folder Include of CMSIS-NN that the compiler is told of. Link it
 * once, however many cascades there are.
 */
#include "@{prefix}_kernels.h"

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#endif

"""


@cache
def _carried() -> dict[str, str]:
    """Every file of the copy by its path, as text."""
    texts: dict[str, str] = {}

    def walk(folder: resources.abc.Traversable, path: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda e: e.name):
            here = f"{path}{entry.name}"
            if entry.is_dir():
                walk(entry, f"{here}/")
            elif not here.endswith((".py", ".pyc")):
                texts[here] = entry.read_text(encoding="utf-8")

    walk(resources.files("eeaug.export.c_int8").joinpath(PLACE), "")
    return texts


def _sources(kernels: Iterable[str]) -> list[str]:
    """Paths of the sources that these kernels need: what they call, and what that calls."""
    texts = {path: text for path, text in _carried().items() if path.endswith(".c")}
    owners = {path.rsplit("/", 1)[1].removesuffix(".c"): path for path in texts}
    needed: set[str] = set()
    open_ = [ROOTS[kernel].function for kernel in kernels if kernel in ROOTS]
    while open_:
        path = owners.get(open_.pop())
        if path is not None and path not in needed:
            needed.add(path)
            open_ += sorted(set(re.findall(r"\barm_\w+", texts[path])) & owners.keys())
    return sorted(needed)


def files(kernels: Iterable[str]) -> dict[str, str]:
    """What these kernels need, by path below the C files."""
    headers = [path for path in _carried() if path.endswith(".h")]
    return {f"{PLACE}/{path}": _carried()[path] for path in (*ALWAYS, *headers, *_sources(kernels))}


def unit(prefix: str, kernels: Iterable[str]) -> str:
    """``cmsis_nn.c``, which includes the sources that these kernels need."""
    included = "".join(f'#include "../{path.removeprefix(HOME)}"\n' for path in _sources(kernels))
    return (
        GENERAL.replace("@{prefix}", prefix)
        + f'#include "arm_nn_math_types.h"\n\n#if defined(ARM_MATH_MVEI)\n{included}#endif\n'
    )
