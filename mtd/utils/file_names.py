"""Names of files that are made from names of models, images and noises."""

from __future__ import annotations

import re

BYTES = 200
"""Of a name, which file systems limit to 255, with what is added to it."""


def file_name(text: str, most: int, also: str = "") -> str:
    """A text as a part of a file's name: letters, digits, dots and hyphens, the rest as `_`.

    Args:
        text: a name, which may hold anything.
        most: characters that are kept.
        also: further characters that stay.

    >>> file_name("runs/a b$\\n", 80), file_name("a" * 9, 4), len(file_name("𝒂" * 90, 80).encode())
    ('runs_a_b_', 'aaaa', 200)
    """
    plain = re.sub(rf"[^\w.{re.escape(also)}-]+", "_", text)[:most]
    return plain.encode()[:BYTES].decode(errors="ignore")
