"""Names in C and C++ files: what they begin with, so that two cascades link into one firmware; texts in quotes."""

from __future__ import annotations

import re

from eeaug.bundle.entries import Manifest
from eeaug.settings.vocabulary import C_PREFIX, HEADERS

__all__ = ["of_model", "prefix", "quoted"]

FALLBACK = "cascade"
LONGEST = 40


def prefix(manifest: Manifest) -> str:
    """``--c-prefix``, or what the model's name makes of it."""
    asked: str | None = manifest.settings.get("c_prefix")
    return asked or of_model(manifest.inputs[0]["name"])


def of_model(name: str) -> str:
    """The name of a model's file or directory as a name in C.

    >>> of_model("ResNet-8 (v2).keras"), of_model("3dnet.h5"), of_model("float.h5"), of_model("模型.h5")
    ('resnet_8_v2', 'net_3dnet', 'net_float', 'cascade')
    """
    stem = name.rpartition(".")[0] or name
    plain = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    if not plain:
        return FALLBACK
    if plain in HEADERS or re.fullmatch(C_PREFIX, plain[:1]) is None:
        plain = f"net_{plain}"
    return plain[:LONGEST].rstrip("_")


def quoted(text: str) -> str:
    """A string in C: what is not plain ASCII as octal bytes of UTF-8, question marks escaped (trigraphs)."""
    plain = "".join(
        chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode("utf-8")
    )
    return f'"{plain}"'
