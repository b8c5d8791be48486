"""Names of layers and inputs in letters that every format takes."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["safe"]


def safe(name: str) -> str:
    """The name in the letters of TensorFlow's scopes, for which Keras does not ask: ``größe`` is ``grosse``."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", plain)
    return plain if plain[:1].isalnum() or plain[:1] == "." else f"layer{plain}"
